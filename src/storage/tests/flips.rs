//! Each byte of a directory changed: the change is found, or it is harmless.

use super::faulty::{Faulty, Outcome};
use super::model::{Model, Script, Step, open_checked, perform, run, settings};
use crate::storage::{Files, examine};

/// A directory that was closed before a power cut, with its state.
fn closed() -> (Faulty, Model) {
    let files = Faulty::new(0);
    let mut script = Script::new(0, Model::default());
    script.vote();
    for _ in 0..3 {
        script.append(&[100, 0, 60]);
        script.replace(1);
        script.append(&[150]);
        script.compact(2, 0);
    }
    // Its segment is longer than others.
    script.append(&[1_200]);
    script.append(&[60]);
    let (mut states, is_done) = run(&files, &settings(), Model::default(), &script.steps);
    assert!(is_done);
    let mut model = states.remove(0);
    model.restart();
    open_checked(&files, &settings()).expect("fine").log.close().expect("no fault is planned");
    files.restart(Outcome::LoseAll);
    (files, model)
}

/// Opens a damaged directory. It is refused, or it has this state and can be used.
fn is_found(files: &Faulty, model: &Model, context: &str) -> bool {
    let before = files.contents();
    match open_checked(files, &settings()) {
        Err(error) => {
            let after = files.contents();
            assert!(before == after, "{context}: the directory was refused, and changed: {error}");
            true
        }
        Ok(opened) => {
            model.compare(&opened.state).unwrap_or_else(|fault| panic!("{context}: silently wrong: {fault}"));
            let mut script = Script::new(0, model.clone());
            script.append(&[500, 500]);
            script.push(Step::Reopen);
            let mut opened = Some(opened);
            for step in &script.steps {
                perform(&mut opened, files, &settings(), step).expect("no fault is planned");
            }
            let found = &opened.as_ref().expect("open").state;
            script.model.compare(found).unwrap_or_else(|fault| panic!("{context}: wrong later: {fault}"));
            false
        }
    }
}

#[test]
fn each_changed_byte_is_found_or_harmless() {
    let (files, model) = closed();
    let contents = files.contents();
    let mut found = 0;
    for (name, bytes) in &contents {
        for at in 0..bytes.len() {
            let copy = files.fork(0);
            let pattern = if at % 2 == 0 { 0xFF } else { 1 << (at % 8) };
            copy.edit(name, |bytes| bytes[at] ^= pattern);
            found += usize::from(is_found(&copy, &model, &format!("{name}, byte {at} ^ {pattern:#x}")));
        }
    }
    assert!(found > 500, "only {found} changes were found");
}

#[test]
fn each_shortened_file_is_found_or_harmless() {
    let (files, model) = closed();
    for (name, bytes) in &files.contents() {
        for length in (0..bytes.len()).step_by(61) {
            let copy = files.fork(0);
            copy.edit(name, |bytes| bytes.truncate(length));
            is_found(&copy, &model, &format!("{name} cut to {length} bytes"));
        }
    }
}

#[test]
fn each_missing_file_is_found_or_harmless() {
    let (files, model) = closed();
    for name in files.contents().into_keys() {
        let copy = files.fork(0);
        copy.remove(&name).expect("it is there");
        let is_spare = name.starts_with("spare")
            || files.contents().keys().rfind(|name| name.starts_with("log")) == Some(&name);
        assert_eq!(is_found(&copy, &model, &name), !is_spare, "{name}");
    }
}

#[test]
fn any_damage_is_refused_or_survived_without_a_panic() {
    let (files, _) = closed();
    let contents: Vec<_> = files.contents().into_iter().collect();
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let copy = files.fork(seed);
        for _ in 0..random.usize(1..4) {
            let (name, _) = &contents[random.usize(..contents.len())];
            let (_, source) = &contents[random.usize(..contents.len())];
            copy.edit(name, |bytes| damage(bytes, source, &mut random));
        }
        let is_refused = open_checked(&copy, &settings()).is_err();
        if let Ok(Some(repair)) = examine(&copy) {
            assert!(is_refused, "seed {seed}: damage that a start did not see");
            repair.carry_out().expect("no fault is planned");
            open_checked(&copy, &settings()).expect("repaired");
        }
    }
}

/// Puts random bytes, zeros, or a part of another file over a part of a file.
fn damage(bytes: &mut [u8], source: &[u8], random: &mut fastrand::Rng) {
    let length = 1 + random.usize(..bytes.len().min(source.len()).min(200));
    let (to, from) = (random.usize(..=bytes.len() - length), random.usize(..=source.len() - length));
    // Records begin at multiples of 8 bytes.
    let (to, from) = if random.bool() { (to & !7, from & !7) } else { (to, from) };
    let target = &mut bytes[to..to + length];
    match random.u8(0..3) {
        0 => target.fill_with(|| random.u8(..)),
        1 => target.fill(0),
        _ => target.copy_from_slice(&source[from..from + length]),
    }
}
