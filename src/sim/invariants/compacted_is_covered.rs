//! A log loses no entry that the snapshot on the same disk does not cover: neither the log in memory
//! nor the log on the disk. A replica that starts would lack the entries between both.

use super::{Invariant, Knowledge, Observation};

#[derive(Debug)]
pub(super) struct CompactedIsCovered;

impl Invariant for CompactedIsCovered {
    fn name(&self) -> &'static str {
        "compacted is covered"
    }

    fn check(&mut self, moment: &Observation<'_>, _: &Knowledge) -> Result<(), String> {
        let disk = &moment.server().disk;
        let snapshot = disk.snapshot();
        for (which, base) in [("log", moment.node().log().base()), ("log on disk", disk.log().base)] {
            if base.index > snapshot.index {
                return Err(format!(
                    "its {which} begins after {base}, and its snapshot ends with {snapshot}"
                ));
            }
        }
        Ok(())
    }
}
