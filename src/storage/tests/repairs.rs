//! Repair: refuses hopeless damage, keeps the state before other damage, and destroys nothing.

use super::faulty::{Fault, Faulty, Outcome};
use super::model::{Model, Script, Step, identity, open_checked, perform, run, settings};
use crate::storage::{Files, OpenError, examine, open};

/// A closed directory with a log of several segments and no snapshot, and its states after each
/// step.
fn used() -> (Faulty, Vec<Model>) {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    let mut states = vec![Model::default()];
    for _ in 0..8 {
        script.append(&[100, 150]);
        states.push(script.model.clone());
    }
    script.push(Step::Reopen);
    let (_, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    (files, states)
}

fn open_error(files: &Faulty) -> Option<OpenError> {
    open(files, &identity(), &settings(), &mut |_, _| {}).err()
}

/// Whether a replica can go on from one of these states.
fn check_usable(files: &Faulty, states: &[Model], context: &str) {
    let opened = open_checked(files, &settings()).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = states.iter().find(|state| state.compare(&opened.state).is_ok());
    let found = found.unwrap_or_else(|| panic!("{context}: unknown state {:?}", opened.state));
    let mut script = Script::new(1, found.clone());
    (0..3).for_each(|_| script.append(&[300]));
    script.push(Step::Reopen);
    let mut opened = Some(opened);
    for step in &script.steps {
        perform(&mut opened, files, &settings(), step).expect("no fault is planned");
    }
}

#[test]
fn repair_finds_nothing_in_a_directory_that_is_fine() {
    let (files, _) = used();
    let before = files.contents();
    assert!(examine(&files).expect("readable").is_none());
    assert!(files.contents() == before);
}

#[test]
fn damage_anywhere_in_the_log_is_cut_off_and_kept_aside() {
    let (files, states) = used();
    let mut repaired = 0;
    for (name, bytes) in files.contents() {
        for at in (0..bytes.len()).step_by(23).filter(|_| name.starts_with("log")) {
            let copy = files.fork(0);
            copy.edit(&name, |bytes| bytes[at] ^= 0xFF);
            let damaged = copy.contents();
            let context = format!("{name}, byte {at}");
            match examine(&copy) {
                Ok(None) => assert!(open_error(&copy).is_none(), "{context}"),
                Ok(Some(repair)) => {
                    assert!(copy.contents() == damaged, "{context}: changed before it was asked for");
                    let said = repair.to_string();
                    assert!(said.contains(&format!("faulty/{name} is damaged at byte ")), "{said}");
                    repair.carry_out().unwrap_or_else(|error| panic!("{context}: {error}"));
                    copy.restart(Outcome::LoseAll);
                    let after = copy.contents();
                    let is_kept = |(name, bytes): (&String, &Vec<u8>)| {
                        [name.clone(), format!("cut-{name}")]
                            .iter()
                            .any(|name| after.get(name) == Some(bytes))
                    };
                    assert!(damaged.iter().all(is_kept), "{context}: something is gone");
                    check_usable(&copy, &states, &context);
                    repaired += 1;
                }
                Err(error) => {
                    assert_eq!(name, "log-0000000001", "{context}: {error}");
                    assert!(copy.contents() == damaged, "{context}: changed");
                }
            }
        }
    }
    assert!(repaired > 20, "only {repaired} repairs");
}

#[test]
fn stop_at_any_system_call_of_a_repair_leaves_a_directory_that_can_be_repaired() {
    let (files, states) = used();
    files.edit("log-0000000002", |bytes| bytes[4_096 + 100] ^= 1);
    for outcome in [Outcome::Kill, Outcome::LoseAll, Outcome::KeepSome] {
        for call in 0.. {
            let copy = files.fork(call);
            let repair = examine(&copy).expect("no fault is planned").expect("damaged");
            copy.plan(call, Fault::Stop);
            let is_done = repair.carry_out().is_ok();
            if !copy.has_struck() {
                assert!(is_done && call > 5, "{call} calls");
                break;
            }
            copy.restart(outcome);
            let context = format!("stop at call {call}, {outcome:?}");
            if let Some(repair) = examine(&copy).unwrap_or_else(|error| panic!("{context}: {error}")) {
                repair.carry_out().unwrap_or_else(|error| panic!("{context}: {error}"));
            }
            check_usable(&copy, &states, &context);
        }
    }
}

#[test]
fn missing_segment_is_a_cut_before_it() {
    let (files, states) = used();
    files.remove("log-0000000002").expect("there");
    assert!(open_error(&files).is_some_and(|error| error.to_string().contains("it is missing")));
    examine(&files).expect("readable").expect("damaged").carry_out().expect("no fault is planned");
    check_usable(&files, &states, "without segment 2");
}

#[test]
fn hopeless_damage_is_not_repaired() {
    type Damage = fn(&Faulty);
    let damage: [Damage; 4] = [
        |files| files.edit("identity", |bytes| bytes[9] ^= 1),
        |files| files.remove("identity").expect("there"),
        |files| files.remove("log-0000000001").expect("there"),
        |files| files.edit("log-0000000001", |bytes| bytes[4_096] ^= 1),
    ];
    for (place, damage) in damage.into_iter().enumerate() {
        let (files, _) = used();
        damage(&files);
        let before = files.contents();
        let error = examine(&files).err().expect("hopeless").to_string();
        assert!(error.contains("faulty/") && !error.contains('\n'), "damage {place}: {error}");
        assert!(files.contents() == before);
    }
}
