//! Replicas whose links come and go, and replicas whose messages are slow.

use serde_json::json;

use super::cluster::Cluster;
use super::faults::Undo;
use super::invariants::Violation;
use super::plan::{Condition, FaultKind, Storage, Target};
use super::queue::Event;
use crate::micros::Micros;

impl Cluster {
    /// A replica loses its links, and regains them half a period later, again and again.
    pub(super) fn flap(&mut self, number: usize, target: Target, period_us: Micros) -> Option<Undo> {
        let at = self.resolve_lasting(target)?;
        self.turn_links(at, true);
        self.schedule(self.now + period_us / 2, Event::Turn(number));
        Some(Undo::EndFlap { at, is_cut: true })
    }

    /// Half a period of a flap is over.
    pub(super) fn turn(&mut self, number: usize) {
        let &FaultKind::Flap(_, period_us) = self.plan.faults[number].kind.begins() else { return };
        let Some(Undo::EndFlap { at, is_cut }) = &mut self.faults.undo[number] else { return };
        *is_cut = !*is_cut;
        let (at, is_cut) = (*at, *is_cut);
        self.turn_links(at, is_cut);
        self.schedule(self.now + period_us / 2, Event::Turn(number));
    }

    /// A flap ends, with all links of its replica.
    pub(super) fn end_flap(&mut self, at: usize, is_cut: bool) {
        if is_cut {
            self.turn_links(at, false);
        }
    }

    /// Cuts all links between a replica and the others, or takes the cut back. A partition that has cut
    /// some of them stays.
    fn turn_links(&mut self, at: usize, is_cut: bool) {
        for other in (0..self.servers.len()).filter(|&other| other != at) {
            for (from, to) in [(at, other), (other, at)] {
                if is_cut { self.network.cut(from, to) } else { self.network.mend(from, to) }
            }
        }
        self.record_links();
    }

    /// All messages from and to a replica take longer.
    pub(super) fn slow_down(&mut self, target: Target, by_us: Micros) -> Option<Undo> {
        let at = self.resolve_lasting(target)?;
        self.network.begin_slow(at, by_us);
        self.record_slowness(at);
        Some(Undo::EndSlow(at, by_us))
    }

    /// They take no longer any more, unless another fault slows the replica down.
    pub(super) fn speed_up(&mut self, at: usize, by_us: Micros) {
        self.network.end_slow(at, by_us);
        self.record_slowness(at);
    }

    /// A replica that is up, or one that is named and may start again.
    fn resolve_lasting(&mut self, target: Target) -> Option<usize> {
        let may_start = self.plan.storage != Storage::Memory;
        self.resolve(target).filter(|&at| may_start || self.servers[at].replica().is_some())
    }

    fn record_slowness(&mut self, at: usize) {
        let by_us = self.network.slowness_us(at);
        if by_us == 0 {
            return self.record_event("slow_end", at);
        }
        if let Some(recorder) = &mut self.trace.recorder {
            let fields = json!({ "replica": self.servers[at].id().to_string(), "by": by_us as f64 / 1e6 });
            recorder.event(self.now, "slow", &fields);
        }
    }

    /// Ends all current partitions, flaps and slow replicas.
    ///
    /// # Errors
    ///
    /// A rule that is broken by it.
    pub(super) fn heal_links(&mut self) -> Result<(), Violation> {
        for number in 0..self.plan.faults.len() {
            let kind = self.plan.faults[number].kind.begins();
            if kind.is_partition() || matches!(kind, FaultKind::Flap(..) | FaultKind::Slow(..)) {
                self.end_fault(number)?;
            }
        }
        self.occur(|on| *on == Condition::Healed);
        Ok(())
    }
}
