//! A stop or an error at each system call, and what is found after it.

use std::io::ErrorKind;

use super::faulty::{Fault, Faulty, OUTCOMES, Outcome};
use super::model::{Model, SEGMENT_BYTES, Script, Step, open_checked, run, settings};

/// Segment switches, a batch of several records, an entry that is larger than a segment, replaced
/// entries, snapshots, recycled segments, an installed snapshot, and a restart.
fn script() -> Script {
    let mut script = Script::new(0, Model::default());
    script.vote();
    for round in 0..3 {
        script.append(&[100, 0, 60]);
        script.append(&[200]);
        script.replace(1);
        script.append(&[100 + round, 150]);
        script.compact(2, 1);
    }
    script.append(&[90, 90, 90, 90, 90, 90]);
    script.append(&[7_000]);
    script.append(&[30]);
    script.compact(0, 0);
    script.append(&[120, 120]);
    script.push(Step::Reopen);
    script.append(&[120, 120]);
    script.install(20, &[60]);
    script.append(&[300]);
    script.append(&[300]);
    // Its last entry has a lower index than the end of the log.
    script.install(2, &[]);
    script.append(&[200, 200, 200]);
    script
}

/// Checks the directory after a crash: it has one of these states, and it keeps this one.
fn check(files: &Faulty, allowed: &[Model], seed: u64, context: &str) -> Model {
    let found =
        open_checked(files, &settings()).unwrap_or_else(|error| panic!("{context}: refused: {error}"));
    let faults: Vec<_> = allowed.iter().map(|model| model.compare(&found.state)).collect();
    let Some(place) = faults.iter().position(Result::is_ok) else {
        panic!("{context}: none of {} states: {:?}", allowed.len(), faults.last());
    };
    // The replica may act on what it finds, so a power cut does not take it away.
    let copy = files.fork(seed);
    copy.restart(Outcome::LoseAll);
    let again =
        open_checked(&copy, &settings()).unwrap_or_else(|error| panic!("{context}: then refused: {error}"));
    assert_eq!(again.state, found.state, "{context}: after a power cut");
    let mut model = allowed[place].clone();
    model.restart();
    model
}

/// Goes on after a crash, crashes again, and checks again.
fn go_on(files: &Faulty, model: Model, seed: u64, context: &str) {
    files.restart(Outcome::Kill);
    let mut script = Script::new(seed, model.clone());
    (0..4).for_each(|_| script.push_any());
    files.plan(fastrand::Rng::with_seed(seed).u64(0..60), Fault::Stop);
    let (allowed, _) = run(files, &settings(), model, &script.steps);
    files.restart(Outcome::KeepSome);
    check(files, &allowed, seed, &format!("{context}, then {:?}", script.steps));
}

fn strike_everywhere(fault: Fault, seeds: u64) {
    let script = script();
    for seed in 0..seeds {
        for outcome in OUTCOMES {
            for call in 0.. {
                let context = format!("{fault:?} at call {call}, {outcome:?}, seed {seed}");
                let files = Faulty::new(seed << 32 | call);
                files.plan(call, fault);
                let (allowed, is_done) = run(&files, &settings(), Model::default(), &script.steps);
                if !files.has_struck() {
                    assert!(is_done && call > 200, "{context}: the script has {call} calls");
                    break;
                }
                assert!(!is_done, "{context}: the fault had no effect");
                files.restart(outcome);
                let model = check(&files, &allowed, seed, &context);
                go_on(&files, model, seed << 32 | call, &context);
            }
        }
    }
}

#[test]
fn stop_at_any_system_call_loses_nothing_acknowledged() {
    strike_everywhere(Fault::Stop, 3);
}

#[test]
fn input_output_error_at_any_system_call_is_final_and_loses_nothing_acknowledged() {
    strike_everywhere(Fault::Error(ErrorKind::Other), 1);
}

#[test]
fn full_disk_at_any_system_call_is_final_and_loses_nothing_acknowledged() {
    strike_everywhere(Fault::Error(ErrorKind::StorageFull), 1);
}

#[test]
fn stop_during_recovery_loses_nothing_acknowledged() {
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut script = Script::new(seed, Model::default());
        (0..20).for_each(|_| script.push_any());
        let files = Faulty::new(seed);
        files.plan(random.u64(50..400), Fault::Stop);
        let (allowed, _) = run(&files, &settings(), Model::default(), &script.steps);
        files.restart(OUTCOMES[random.usize(..OUTCOMES.len())]);
        for call in 0.. {
            let copy = files.fork(seed << 32 | call);
            copy.plan(call, Fault::Stop);
            let is_open = open_checked(&copy, &settings()).is_ok();
            if !copy.has_struck() {
                break;
            }
            let context = format!("seed {seed}, stop at call {call} of recovery, open {is_open}");
            copy.restart(OUTCOMES[random.usize(..OUTCOMES.len())]);
            check(&copy, &allowed, seed, &context);
        }
    }
}

#[test]
fn random_lives_with_crashes_lose_nothing_acknowledged() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let files = Faulty::new(seed);
        let mut model = Model::default();
        for life in 0..8 {
            let mut script = Script::new(seed << 8 | life, model.clone());
            (0..random.usize(1..25)).for_each(|_| script.push_any());
            let fault = match random.u8(0..4) {
                0 => Fault::Error(ErrorKind::Other),
                _ => Fault::Stop,
            };
            files.plan(random.u64(0..500), fault);
            let (allowed, _) = run(&files, &settings(), model, &script.steps);
            files.restart(OUTCOMES[random.usize(..OUTCOMES.len())]);
            model = check(&files, &allowed, seed, &format!("seed {seed}, life {life}"));
            files.restart(Outcome::Kill);
        }
    }
}

#[test]
fn disk_stays_bounded_while_the_log_is_compacted() {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    script.vote();
    for _ in 0..100 {
        script.append(&[300, 300]);
        script.compact(0, 3);
    }
    let (allowed, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    let names: Vec<_> = files.contents().into_keys().collect();
    assert!(names.len() <= 10, "{names:?}");
    files.restart(Outcome::LoseAll);
    check(&files, &allowed, 0, "after 100 compactions");
}

#[test]
fn installed_snapshot_frees_the_longer_log_before_it() {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    (0..20).for_each(|_| script.append(&[300]));
    script.install(1, &[]);
    let (allowed, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    let segments = files.contents().into_keys().filter(|name| name.starts_with("log")).count();
    assert_eq!(segments, 2, "the current one and the next");
    files.restart(Outcome::LoseAll);
    check(&files, &allowed, 0, "after the install");
}

#[test]
fn large_batch_of_small_entries_needs_no_longer_segment() {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    script.append(&[100; 60]);
    let (allowed, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    let contents = files.contents();
    let segments = contents.iter().filter(|(name, _)| name.starts_with("log"));
    let lengths: Vec<u64> = segments.map(|(_, bytes)| bytes.len() as u64).collect();
    assert!(lengths.len() > 6 && lengths.iter().all(|&length| length == SEGMENT_BYTES), "{lengths:?}");
    files.restart(Outcome::LoseAll);
    check(&files, &allowed, 0, "after the batch");
}
