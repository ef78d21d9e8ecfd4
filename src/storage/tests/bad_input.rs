//! Directories that are refused, each with one clear line. A refused directory stays as it is.

use raft::types::EntryId;

use super::faulty::{Faulty, Outcome};
use super::model::{Model, Script, Step, chunks, identity, open_checked, run, settings};
use crate::storage::{Files, Identity, OpenError, open};
use crate::testkit::id;

/// A directory with a log, and without a snapshot.
fn used() -> Faulty {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    script.append(&[10, 10]);
    script.append(&[300, 300, 300]);
    script.push(Step::Reopen);
    let (_, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    files
}

/// The error that refuses the directory.
fn refusal(files: &Faulty, identity: &Identity) -> OpenError {
    let before = files.contents();
    let refused = open(files, identity, &settings(), &mut |_, _| {});
    let error = refused.err().expect("the directory is refused");
    assert!(files.contents() == before, "the directory was changed: {error}");
    assert!(!error.to_string().contains('\n'), "more than one line: {error}");
    error
}

#[test]
fn directory_of_another_replica_is_refused() {
    let error = refusal(&used(), &Identity { own: id(2), ..identity() });
    assert_eq!(error.to_string(), "faulty belongs to replica 0001, not to 0002");
}

#[test]
fn directory_of_another_cluster_is_refused() {
    let error = refusal(&used(), &Identity { cluster: "other".into(), ..identity() });
    let expected = "faulty belongs to cluster \"test\" of 0000 0001 0002, not to \"other\" of 0000 0001 0002";
    assert_eq!(error.to_string(), expected);
    let error = refusal(&used(), &Identity { members: (0..5).map(id).collect(), ..identity() });
    assert!(matches!(error, OpenError::OtherCluster { .. }), "{error}");
}

#[test]
fn directory_in_use_is_refused() {
    let files = used();
    let opened = open_checked(&files, &settings()).expect("free");
    assert!(matches!(refusal(&files, &identity()), OpenError::InUse { .. }));
    let crate::storage::Opened { log, snapshots, .. } = opened;
    drop(log);
    assert!(matches!(refusal(&files, &identity()), OpenError::InUse { .. }), "snapshots may be written");
    drop(snapshots);
    open_checked(&files, &settings()).expect("free");
}

#[test]
fn newer_format_is_refused_as_such() {
    for (name, version_at, covered) in [("identity", 8, None), ("log-0000000001", 8, Some(36))] {
        let files = used();
        files.edit(name, |bytes| {
            let covered = covered.unwrap_or(bytes.len() - 4);
            bytes[version_at] += 1;
            let checksum = crc32fast::hash(&bytes[..covered]);
            bytes[covered..covered + 4].copy_from_slice(&checksum.to_le_bytes());
        });
        let error = refusal(&files, &identity());
        let known = "has format 2, and this version of kvstore knows formats up to 1";
        assert_eq!(error.to_string(), format!("faulty/{name} {known}"));
    }
}

#[test]
fn damage_names_file_and_place_and_remedy() {
    let files = used();
    files.edit("log-0000000001", |bytes| bytes[4_096 + 70] ^= 1);
    let error = refusal(&files, &identity()).to_string();
    assert!(error.starts_with("faulty/log-0000000001 is damaged at byte 4"), "{error}");
    assert!(error.contains("kvstore repair"), "{error}");
}

#[test]
fn snapshot_that_the_log_does_not_reach_is_refused() {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    for _ in 0..3 {
        script.append(&[300, 300, 300]);
        script.compact(0, 0);
    }
    let snapshot = script.model.last();
    let (_, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    files.remove(&format!("snapshot-{}-{}", snapshot.index, snapshot.term)).expect("there");
    let error = refusal(&files, &identity()).to_string();
    assert!(error.contains("but the newest snapshot ends with entry 0"), "{error}");
}

#[test]
fn damaged_snapshot_does_not_cost_the_log() {
    let files = used();
    let mut opened = open_checked(&files, &settings()).expect("fine");
    // A snapshot from the leader is saved; the process ends before the log begins anew.
    opened.snapshots.save(EntryId { index: 50, term: 2 }, || None).expect("no fault is planned");
    drop(opened);
    files.edit("snapshot-50-2", |bytes| bytes[30] ^= 1);
    let error = refusal(&files, &identity()).to_string();
    assert!(error.starts_with("faulty/snapshot-50-2 is damaged at byte 0: its checksum"), "{error}");
}

#[test]
fn torn_record_is_cut_and_said() {
    let files = used();
    let name = "log-0000000001";
    let mut opened = open_checked(&files, &settings()).expect("fine");
    let before = opened.state.clone();
    let mut script = Script::new(0, Model::default());
    let persist = script.persist(None, before.entries.len() as u64 + 1, &[100]);
    assert_eq!(opened.cut, None);
    opened.log.write(&[persist]).expect("no fault is planned");
    files.restart(Outcome::Kill);
    let written = files.contents();
    let segment = written.keys().filter(|name| name.starts_with("log")).rev().nth(1).expect("two segments");
    let end = written[segment].iter().rposition(|&byte| byte != 0).expect("a mark");
    // The mark and the end of the record never reached the disk.
    files.edit(segment, |bytes| bytes[end - 40..].fill(0));
    let reopened = open_checked(&files, &settings()).expect("a torn record is no damage");
    assert_eq!(reopened.state, before);
    assert_eq!(reopened.cut.expect("cut").file, format!("faulty/{segment}"));
    assert_ne!(segment, name);
}

#[test]
fn snapshot_that_is_older_than_another_is_dropped() {
    let files = used();
    let mut opened = open_checked(&files, &settings()).expect("fine");
    let (old, new) = (EntryId { index: 1, term: 1 }, EntryId { index: 2, term: 1 });
    let mut first = opened.snapshots.begin(old).expect("no fault is planned");
    let second = opened.snapshots.begin(new).expect("no fault is planned");
    let mut rest = chunks(new).into_iter();
    opened.snapshots.save(new, || rest.next()).expect("no fault is planned");
    chunks(old).iter().for_each(|chunk| first.push(chunk).expect("no fault is planned"));
    opened.snapshots.finish(first).expect("no fault is planned");
    opened.snapshots.finish(second).expect("no fault is planned");
    assert_eq!(opened.snapshots.newest(), Some(new));
    let names: Vec<_> = files.contents().into_keys().filter(|name| name.starts_with("snapshot")).collect();
    assert_eq!(names, ["snapshot-2-1"]);
}
