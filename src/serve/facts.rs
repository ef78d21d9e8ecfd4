//! The facts that the front ends show: the settings, the connections, and the replica's view.

use std::sync::Arc;

use kvstore::frontend::facts::{ClusterFacts, Endpoint, MemberFacts};
use kvstore::id::Id;
use kvstore::transport::tcp::Mesh;
use kvstore::view::{Board, View};

use super::address::HostPort;
use super::settings::{Member, Settings};

/// The facts of one replica.
pub struct Facts {
    own: Id,
    members: Vec<Member>,
    configuration: Vec<(String, String)>,
    mesh: Arc<Mesh>,
    board: Board,
}

impl Facts {
    /// The facts of a replica with these settings.
    pub fn new(settings: &Settings, mesh: Arc<Mesh>, board: Board) -> Self {
        let (own, members) = (settings.own, settings.members.clone());
        Self { own, members, configuration: settings.shown(), mesh, board }
    }
}

fn endpoint(HostPort { host, port }: &HostPort) -> Endpoint {
    Endpoint { host: host.clone(), port: *port }
}

impl ClusterFacts for Facts {
    fn own(&self) -> Id {
        self.own
    }

    fn members(&self) -> Vec<MemberFacts> {
        let links = self.mesh.links();
        let facts = |member: &Member| {
            let link = links.iter().find(|link| link.id == member.id);
            MemberFacts {
                id: member.id,
                redis: endpoint(&member.redis),
                http: endpoint(&member.http),
                is_up: link.is_none_or(|link| link.is_up),
                round_trip_us: link.and_then(|link| link.round_trip_us),
            }
        };
        self.members.iter().map(facts).collect()
    }

    fn view(&self) -> Arc<View> {
        self.board.view()
    }

    fn configuration(&self) -> Vec<(String, String)> {
        self.configuration.clone()
    }
}
