//! A leader whose keys and values take more memory than they may.

use super::*;
use crate::command::Batch;

fn request(mid: &str, command: impl Into<Command>) -> Request {
    let id = RequestId { client: CLIENT, mid: mid.into() };
    Request { id, command: command.into() }
}

/// A cluster of three whose leader is full with the key `k`.
fn full() -> (Cluster, Id) {
    let mut cluster = Cluster::with_memory(3, 1_000);
    let leader = cluster.elect();
    cluster.ask(leader, &[put("m1", "k", &"v".repeat(1_000))]);
    assert_eq!(cluster.stored(), 1, "it was not full before");
    (cluster, leader)
}

fn outcome(cluster: &mut Cluster, at: Id, request: Request) -> Outcome {
    cluster.ask(at, &[request]);
    let mut answers = cluster.answers();
    assert_eq!(answers.len(), 1, "{answers:?}");
    answers.remove(0).2
}

#[test]
fn full_leader_refuses_what_may_grow_and_does_all_else() {
    let (mut cluster, leader) = full();
    let before = cluster.replicas[&leader].node().log().last_index();
    let growing = [
        Operation::set("k", ""),
        Operation::set("other", "v"),
        Operation::Append { key: "k".into(), value: "v".into() },
        Operation::Increment { key: "n".into(), by: 1 },
        Operation::IncrementFloat { key: "n".into(), by: "1".into() },
        Operation::SetRange { key: "k".into(), offset: 0, value: "w".into() },
        Operation::SetMany { pairs: vec![("a".into(), "b".into())], if_absent: true },
    ];
    for (number, operation) in growing.into_iter().enumerate() {
        let batch = Command::Batch(Batch {
            watches: Vec::new(),
            operations: vec![Operation::get("k"), operation.clone()],
        });
        for (kind, command) in [("one", operation.into()), ("batch", batch)] {
            let answer = outcome(&mut cluster, leader, request(&format!("{kind}{number}"), command));
            assert_eq!(answer, refused(Refusal::OutOfMemory));
        }
    }
    assert_eq!(cluster.replicas[&leader].node().log().last_index(), before, "nothing was proposed");
    for (number, operation) in [
        Operation::get("k"),
        Operation::Expire { key: "k".into(), deadline: Deadline::After(60_000), condition: None },
        Operation::GetExpire { key: "k".into(), expiry: Expiry::Never },
        Operation::Persist { key: "k".into() },
        Operation::DeleteIfEqual { key: "k".into(), value: "other".into() },
        Operation::Delete { keys: vec!["k".into()] },
        Operation::set("k", "v"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = outcome(&mut cluster, leader, request(&format!("d{number}"), operation.clone()));
        assert!(
            matches!(&answer, Outcome::Done(reply) if !matches!(reply, Reply::Error(_))),
            "{operation:?}: {answer:?}"
        );
    }
}

#[test]
fn follower_passes_the_refusal_on_and_a_repetition_of_a_done_write_gets_its_reply() {
    let (mut cluster, _) = full();
    let follower = cluster.follower();
    assert_eq!(outcome(&mut cluster, follower, put("m2", "other", "v")), refused(Refusal::OutOfMemory));
    assert_eq!(outcome(&mut cluster, follower, put("m1", "k", &"v".repeat(1_000))), STORED, "done before");
}

#[test]
fn keys_that_expire_make_room() {
    let mut cluster = Cluster::with_memory(3, 1_000);
    let leader = cluster.elect();
    let expiry = Expiry::Set(Deadline::After(1_000));
    let set = Operation::Set(Set { expiry, ..Set::new("k", "v".repeat(1_000)) });
    assert_eq!(outcome(&mut cluster, leader, request("m1", set)), STORED);
    assert_eq!(outcome(&mut cluster, leader, put("m2", "other", "v")), refused(Refusal::OutOfMemory));
    cluster.run(10_000_000);
    let leader = cluster.leader();
    assert_eq!(outcome(&mut cluster, leader, put("m3", "other", "v")), STORED);
}

#[test]
fn delete_by_a_deadline_in_the_past_needs_no_memory() {
    let (mut cluster, leader) = full();
    let expiry = Expiry::Set(Deadline::At(1));
    let delete = Operation::Set(Set { expiry, ..Set::new("k", "") });
    assert_eq!(outcome(&mut cluster, leader, request("m2", delete)), STORED);
    assert_eq!(cluster.replicas[&leader].state_machine().data_bytes(), 0);
}
