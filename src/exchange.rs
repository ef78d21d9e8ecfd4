//! Typed messages that cross the border of a replica. The wire, the pipeline and a simulation share
//! them.

use raft::types::Index;

use crate::id::Id;
use crate::micros::Micros;
use crate::operation::{Operation, UnixMillis};
use crate::replication::Message;
use crate::request::{Request, RequestId, Response};

/// One exchange of a follower with the leader, on behalf of all reads that the follower serves
/// together (ReadIndex; dissertation, 6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadIndex {
    /// From a follower: how far must its state reach for the reads that have arrived so far?
    Request {
        /// The name of the exchange.
        round: Round,
        /// The last entry that the follower has applied.
        applied: Index,
    },
    /// From a leader that has proof that it led after the request arrived.
    Response {
        /// The name of the exchange.
        round: Round,
        /// The state must have the entries up to this one.
        index: Index,
        /// The leader's wall clock, by which keys expire.
        time: UnixMillis,
    },
}

/// The name of such an exchange, which no other one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Drawn by the follower when it starts.
    pub life: u64,
    /// Rises from then on.
    pub number: u64,
}

/// An input of a replica from outside, validated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// A message of another replica.
    Peer {
        /// The sender.
        from: Id,
        /// The message.
        message: Message,
    },
    /// A request of a client.
    Client(Request),
    /// A read that is served from this replica's own state if the state is not too old. It has all
    /// that a leader had acknowledged when it sent an append that arrived so long ago at most.
    LocalRead {
        /// The client's name for it.
        id: RequestId,
        /// A read.
        operation: Operation,
        /// How old the state may be.
        max_age_us: Micros,
    },
    /// A message of another replica about reads that a follower serves.
    ReadIndex {
        /// The sender.
        from: Id,
        /// The message.
        message: ReadIndex,
    },
    /// The answer to a request that made no sense. It needs no replica, and leaves in order with all
    /// others.
    Refused(Response),
}

/// An output of a replica. Outputs leave in the order in which the replica returns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// To another replica.
    Peer {
        /// The receiver.
        to: Id,
        /// The leader as this replica knows it.
        leader: Option<Id>,
        /// The message.
        message: Message,
    },
    /// To a client.
    Client(Response),
    /// A client's request, to the leader, which answers the client.
    Forward {
        /// The leader.
        to: Id,
        /// The request. No replica has proposed it.
        request: Request,
    },
    /// To another replica, about reads that a follower serves.
    ReadIndex {
        /// The receiver.
        to: Id,
        /// The message.
        message: ReadIndex,
    },
}
