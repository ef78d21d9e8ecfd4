//! Shows the replica on a board, for those that operate it.
//!
//! The consensus thread publishes the first batch after an interval, and each change of term, role
//! or leader at once, and each change between a full memory and one that is not. A replica without
//! work publishes once per second, so that a view which is older shows that the thread hangs. A
//! replica that is to stop publishes more often, because its end waits for what the views show.

use crate::id::Id;
use crate::micros::Micros;
use crate::replica::Replica;
use crate::view::{Board, DiskView, QueuesView, StagesView, View};

/// The least time between two views while the leadership stays.
const INTERVAL_US: Micros = 100_000;

/// The time between two views of an idle replica.
const IDLE_INTERVAL_US: Micros = 1_000_000;

/// The time between two views of a replica that is to stop.
const RETIRING_INTERVAL_US: Micros = 5_000;

/// The consensus thread's side of a board.
pub(super) struct Publisher {
    board: Board,
    published_at: Option<Micros>,
    leadership: (u64, bool, Option<Id>), // the one that the board shows
    is_full: bool,                       // as the board shows
    has_news: bool,                      // a batch has come since the board was written
}

impl Publisher {
    pub(super) fn new(board: Board) -> Self {
        Self { board, published_at: None, leadership: (0, false, None), is_full: false, has_news: true }
    }

    /// Whether the replica is to stop.
    pub(super) fn retires(&self) -> bool {
        self.board.retires()
    }

    /// When the next view is due if nothing arrives before.
    pub(super) fn due(&self) -> Micros {
        let usual = if self.has_news { INTERVAL_US } else { IDLE_INTERVAL_US };
        let interval = if self.retires() { RETIRING_INTERVAL_US } else { usual };
        self.published_at.map_or(0, |at| at + interval)
    }

    /// Whether the replica is to be shown after this batch.
    pub(super) fn is_due(&mut self, now: Micros, replica: &Replica) -> bool {
        self.has_news = true;
        let shown = (self.leadership, self.is_full);
        now >= self.due() || (replica.leadership(), replica.is_full()) != shown
    }

    /// Shows the replica.
    pub(super) fn publish(
        &mut self,
        now: Micros,
        replica: &Replica,
        (disk, queues, stages): (Option<DiskView>, QueuesView, StagesView),
    ) {
        self.published_at = Some(now);
        self.leadership = replica.leadership();
        self.is_full = replica.is_full();
        self.has_news = false;
        self.board.publish(View { disk, queues, stages, ..replica.view(now) });
        self.board.hand_out(|| replica.copy());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replica::ELECTION_TIMEOUT_US;
    use crate::testkit::cluster::Cluster;
    use crate::testkit::id;

    fn publish(publisher: &mut Publisher, now: Micros, replica: &Replica) -> bool {
        let is_due = publisher.is_due(now, replica);
        if is_due {
            publisher.publish(now, replica, Default::default());
        }
        is_due
    }

    #[test]
    fn busy_replica_is_shown_once_per_interval_and_an_idle_one_once_per_second() {
        let cluster = Cluster::new(1);
        let replica = &cluster.replicas[&id(0)];
        let board = Board::default();
        let mut publisher = Publisher::new(board.clone());
        assert_eq!(publisher.due(), 0);
        assert!(publish(&mut publisher, 5, replica), "the first batch");
        assert_eq!(board.view().at, 5);
        assert_eq!(publisher.due(), 5 + IDLE_INTERVAL_US);
        assert!(!publish(&mut publisher, 6, replica), "too early");
        assert_eq!(publisher.due(), 5 + INTERVAL_US, "that batch is to be shown");
        assert!(publish(&mut publisher, 5 + INTERVAL_US, replica));
        assert_eq!(board.view().at, 5 + INTERVAL_US);
    }

    #[test]
    fn copy_of_the_state_comes_with_the_next_view() {
        let cluster = Cluster::new(1);
        let replica = &cluster.replicas[&id(0)];
        let board = Board::default();
        let mut publisher = Publisher::new(board.clone());
        let copies = [board.ask_for_copy(), board.ask_for_copy()];
        publish(&mut publisher, 1, replica);
        for copy in copies {
            let copy = copy.try_recv().expect("it is there");
            assert_eq!((copy.id.index, &copy.state), (replica.applied(), replica.state_machine()));
        }
        publish(&mut publisher, 1 + IDLE_INTERVAL_US, replica);
    }

    #[test]
    fn change_of_leader_is_shown_at_once() {
        let mut cluster = Cluster::new(3);
        let board = Board::default();
        let mut publisher = Publisher::new(board.clone());
        publish(&mut publisher, 1, &cluster.replicas[&id(0)]);
        assert_eq!(board.view().leader, None);
        cluster.run(3 * ELECTION_TIMEOUT_US);
        assert!(publish(&mut publisher, 2, &cluster.replicas[&id(0)]));
        assert_eq!(board.view().leader, Some(cluster.leader()));
    }
}
