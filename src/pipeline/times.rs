//! How long the stages of a pipeline take for one batch. Each stage counts its own time, wherever it
//! runs. A replica that shows itself nowhere has no times, and does not look at the clock for them.

use std::sync::Arc;

use crate::clock::BootTime;
use crate::histogram::Histogram;
use crate::view::StagesView;

/// The times of all stages but the disk, whose counters have them.
#[derive(Debug, Default)]
pub(super) struct StageTimes {
    pub(super) receive: Histogram,
    pub(super) consensus: Histogram,
    pub(super) apply: Histogram,
    pub(super) send: Histogram,
}

/// These times, if they are wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Times(Option<Arc<StageTimes>>);

impl Times {
    /// Times that are wanted.
    pub(super) fn wanted() -> Self {
        Self(Some(Arc::default()))
    }

    /// When the work begins.
    pub(super) fn begin(&self) -> Option<BootTime> {
        self.0.as_ref().map(|_| BootTime::now())
    }

    /// The work that began then has ended now. Returns when that is.
    pub(super) fn count(
        &self,
        of: impl FnOnce(&StageTimes) -> &Histogram,
        began: Option<BootTime>,
    ) -> Option<BootTime> {
        let (times, began) = (self.0.as_ref()?, began?);
        let now = BootTime::now();
        of(times).count(now.as_micros().saturating_sub(began.as_micros()));
        Some(now)
    }

    /// The times so far.
    pub(super) fn view(&self) -> StagesView {
        let Some(times) = &self.0 else { return StagesView::default() };
        StagesView {
            receive: times.receive.buckets(),
            consensus: times.consensus.buckets(),
            apply: times.apply.buckets(),
            send: times.send.buckets(),
        }
    }
}
