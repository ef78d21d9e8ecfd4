//! Histories by hand. Times are small numbers, the key is always `k`, and the name of an operation
//! is its place in the list.

mod anomalies;
mod costs;
mod diagrams;
mod pending;
mod sentences;
mod shrunken;

use super::*;

fn operation(kind: Kind, invoked: u64, returned: Option<u64>) -> Operation {
    Operation {
        name: "".into(),
        client: "c".into(),
        key: "k".into(),
        kind,
        invoked,
        returned,
        declined: None,
        retry_of: None,
    }
}

fn put(value: &str, invoked: u64, returned: u64) -> Operation {
    operation(Kind::Put { value: value.into() }, invoked, Some(returned))
}

fn get(value: &str, invoked: u64, returned: u64) -> Operation {
    operation(Kind::Get { value: value.into() }, invoked, Some(returned))
}

/// A put without an acknowledgement.
fn pending(value: &str, invoked: u64) -> Operation {
    operation(Kind::Put { value: value.into() }, invoked, None)
}

fn named(operations: impl IntoIterator<Item = Operation>) -> Vec<Operation> {
    let name = |(place, operation): (usize, Operation)| Operation {
        name: place.to_string().into(),
        client: format!("c{place}").into(),
        ..operation
    };
    operations.into_iter().enumerate().map(name).collect()
}

fn accepts(operations: impl IntoIterator<Item = Operation>) {
    assert_eq!(check(&named(operations), Limits::default()), Verdict::Linearizable);
}

/// The names of the operations that contradict each other.
fn refused(operations: impl IntoIterator<Item = Operation>) -> String {
    let contradiction = contradiction(&named(operations));
    let names: Vec<&str> = contradiction.operations.iter().map(|operation| &*operation.name).collect();
    names.join(" ")
}

fn contradiction(operations: &[Operation]) -> Contradiction {
    match check(operations, Limits::default()) {
        Verdict::NotLinearizable(contradiction) => contradiction,
        verdict => panic!("{verdict:?}"),
    }
}

fn reason(operations: impl IntoIterator<Item = Operation>) -> String {
    contradiction(&named(operations)).reason()
}

/// A put that a replica declined and the attempt that repeats it, which is acknowledged.
fn retried(first: &str, second: &str, from: u64) -> [Operation; 2] {
    let declined = Some(Declined { with: Refusal::Redirect, at: Some(from + 1) });
    let first = Operation { name: format!("first of {from}").into(), declined, ..pending(first, from) };
    let retry_of = Some(Arc::clone(&first.name));
    let second = put(second, from + 2, from + 4);
    [first, Operation { name: format!("second of {from}").into(), retry_of, ..second }]
}
