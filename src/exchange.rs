//! Typed messages that cross the border of a replica. The wire, the pipeline and a simulation share them.

use crate::id::Id;
use crate::replication::Message;
use crate::request::{Request, Response};

/// What reaches a replica from outside, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// Another replica says something.
    Peer {
        /// Which one.
        from: Id,
        /// What it says.
        message: Message,
    },
    /// A client asks something.
    Client(Request),
}

/// What leaves a replica, in the order in which it must leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// To another replica.
    Peer {
        /// Which one.
        to: Id,
        /// The leader as this replica knows it.
        leader: Option<Id>,
        /// What to say.
        message: Message,
    },
    /// To a client.
    Client(Response),
}
