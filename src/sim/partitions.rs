//! Links that are cut, by the shape of the partition.

use super::cluster::Cluster;
use super::faults::Undo;
use super::invariants::Violation;
use super::plan::{FaultKind, Shape};

impl Cluster {
    /// Cuts the links that a fault cuts; those of other faults are none.
    pub(super) fn cut_links(&mut self, kind: &FaultKind) -> Option<Undo> {
        let everybody = 0..self.servers.len();
        match *kind {
            FaultKind::Partition(ref side) => Some(self.divide(side)),
            FaultKind::Halve { with_leader } => Some(self.halve(with_leader)),
            FaultKind::Partial(shape, ref order) => Some(self.shape(shape, order)),
            FaultKind::Cut(from, to) => Some(self.cut(vec![(from, to)])),
            FaultKind::OneWay => Some(self.split_one_way()),
            FaultKind::Bridge => Some(self.bridge()),
            FaultKind::Isolate(target) => {
                let at = self.resolve(target)?;
                Some(self.divide(&[at]))
            }
            FaultKind::Deaf(target) => {
                let at = self.resolve(target)?;
                Some(self.cut(everybody.map(|other| (other, at)).collect()))
            }
            FaultKind::Mute(target) => {
                let at = self.resolve(target)?;
                Some(self.cut(everybody.map(|other| (at, other)).collect()))
            }
            _ => None,
        }
    }

    pub(super) fn divide(&mut self, side: &[usize]) -> Undo {
        let all = 0..self.servers.len();
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        self.cut(pairs.filter(|(from, to)| side.contains(from) != side.contains(to)).collect())
    }

    /// Only the pairs in this order that the shape joins hear each other.
    pub(super) fn shape(&mut self, shape: Shape, order: &[usize]) -> Undo {
        let all = 0..self.servers.len();
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        let place = |at: usize| order.iter().position(|&other| other == at);
        let is_cut = |&(from, to): &(usize, usize)| match (place(from), place(to)) {
            (Some(one), Some(other)) => one != other && !shape.joins(one, other, order.len()),
            _ => from != to,
        };
        self.cut(pairs.filter(is_cut).collect())
    }

    /// Puts just over half of the replicas on one side. Dead replicas are among them only where the
    /// living do not suffice.
    pub(super) fn halve(&mut self, with_leader: bool) -> Undo {
        let mut order = self.shuffled();
        match self.leader().filter(|_| with_leader) {
            Some(leader) => order.sort_by_key(|&at| at != leader),
            None => self.clients.forget_leader(),
        }
        order.truncate(self.servers.len() / 2 + 1);
        self.divide(&order)
    }

    pub(super) fn hold(&mut self, links: Vec<(usize, usize)>) -> Undo {
        links.iter().for_each(|&(from, to)| self.network.hold(from, to));
        Undo::Release(links)
    }

    pub(super) fn cut(&mut self, links: Vec<(usize, usize)>) -> Undo {
        links.iter().for_each(|&(from, to)| self.network.cut(from, to));
        self.record_links();
        Undo::Mend(links)
    }

    /// No message passes from a minority to the others.
    pub(super) fn split_one_way(&mut self) -> Undo {
        let order = self.shuffled();
        let (majority, minority) = order.split_at(order.len() / 2 + 1);
        let links = minority.iter().flat_map(|&from| majority.iter().map(move |&to| (from, to)));
        self.cut(links.collect())
    }

    /// The first replica of an order that is drawn is the bridge between the halves of the others.
    pub(super) fn bridge(&mut self) -> Undo {
        let mut order = self.shuffled();
        let middle = order.len() / 2;
        order[..=middle].rotate_left(1);
        self.shape(Shape::Bridge, &order)
    }

    /// Ends all current partitions.
    ///
    /// # Errors
    ///
    /// A rule that is broken by it.
    pub(super) fn end_partitions(&mut self) -> Result<(), Violation> {
        for number in 0..self.plan.faults.len() {
            if self.plan.faults[number].kind.begins().is_partition() {
                self.end_fault(number)?;
            }
        }
        Ok(())
    }
}
