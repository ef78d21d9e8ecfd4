use super::*;
use crate::cluster::dialect;
use crate::exchange::Inbound;
use crate::operation::Operation;
use crate::testkit::{id, request_id as named};

const LIMIT: Micros = 1_000_000;

/// A gateway of the replica 0, the datagrams that it has submitted, and the answers that front ends
/// have.
struct World {
    gateway: Arc<Gateway>,
    submitted: Arc<Mutex<Vec<Vec<u8>>>>,
    answers: Arc<Mutex<Vec<(usize, Outcome)>>>,
    is_full: Arc<Mutex<bool>>,
    asked: usize,
}

impl World {
    fn new() -> Self {
        let gateway = Gateway::new(id(0), &[id(1), id(2)], LIMIT);
        let submitted: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let is_full: Arc<Mutex<bool>> = Arc::default();
        let (inbox, full) = (Arc::clone(&submitted), Arc::clone(&is_full));
        gateway.connect(move |datagram| {
            let has_room = !*full.lock();
            if has_room {
                inbox.lock().push(datagram);
            }
            has_room
        });
        Self { gateway, submitted, answers: Arc::default(), is_full, asked: 0 }
    }

    fn ask_as(&mut self, name: Option<RequestId>, command: impl Into<Command>, freshness: Freshness) {
        self.ask_of(None, name, command, freshness);
    }

    fn ask_of(
        &mut self,
        client: Option<u64>,
        name: Option<RequestId>,
        command: impl Into<Command>,
        freshness: Freshness,
    ) {
        let (answers, number) = (Arc::clone(&self.answers), self.asked);
        self.asked += 1;
        let question = Question { command: command.into(), name, freshness };
        let answer = Box::new(move |outcome| answers.lock().push((number, outcome)));
        match client {
            Some(client) => self.gateway.ask_in_order(client, question, answer),
            None => self.gateway.ask(question, answer),
        }
    }

    fn ask(&mut self, operation: Operation) {
        self.ask_as(None, operation, Freshness::Linearizable);
    }

    fn ask_in_order(&mut self, client: u64, operation: Operation) {
        self.ask_of(Some(client), None, operation, Freshness::Linearizable);
    }

    fn ask_named_in_order(&mut self, client: u64) {
        self.ask_of(Some(client), Some(named(id(9), "1")), set(), Freshness::Linearizable);
    }

    /// Lets the gateway ask again, long before any deadline.
    fn tick(&self) {
        self.gateway.expire(0);
    }

    fn take_submitted(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.submitted.lock())
    }

    /// The datagrams as the replica decodes them.
    fn inbound(datagrams: &[Vec<u8>]) -> Vec<Inbound> {
        let mut decoder = dialect(id(0), &[id(1), id(2)]).decoder;
        let mut out = Vec::new();
        for datagram in datagrams {
            decoder.decode(&mut datagram.clone(), &mut out).expect("it is one of ours");
        }
        out
    }

    /// The names of all requests that were submitted since the last call.
    fn names(&self) -> Vec<RequestId> {
        let name = |inbound| match inbound {
            Inbound::Client(request) => request.id,
            Inbound::LocalRead { id, .. } => id,
            other => panic!("{other:?}"),
        };
        Self::inbound(&self.take_submitted()).into_iter().map(name).collect()
    }

    fn deliver(&self, id: &RequestId, outcome: Outcome) {
        let mut buffer = Vec::new();
        let response = Response { id: id.clone(), outcome, leader: None };
        dialect(crate::testkit::id(1), &[]).encoder.response(&mut buffer, &response);
        self.gateway.deliver(&buffer);
    }

    fn take_answers(&self) -> Vec<(usize, Outcome)> {
        std::mem::take(&mut self.answers.lock())
    }
}

fn set() -> Operation {
    Operation::set("k", "v")
}

fn get() -> Operation {
    Operation::get("k")
}

fn later() -> Micros {
    BootTime::now().as_micros() + LIMIT
}

#[test]
fn questions_go_by_the_id_of_the_replica_and_by_numbers_that_rise() {
    let mut world = World::new();
    (0..3).for_each(|_| world.ask(set()));
    let names = world.names();
    assert!(names.iter().all(|name| name.client == id(0)));
    let numbers: Vec<u64> =
        names.iter().map(|name| u64::from_str_radix(&name.mid, 16).expect("a number")).collect();
    let since_1970 = 1_000 * u64::try_from(unix_millis()).expect("it is later than 1970");
    assert!(numbers[0].abs_diff(since_1970) < 3_600_000_000, "{numbers:?}");
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
    world.deliver(&names[1], Outcome::OK);
    world.deliver(&names[0], Outcome::Fail);
    world.deliver(&names[0], Outcome::OK);
    assert_eq!(world.take_answers(), [(1, Outcome::OK), (0, Outcome::Fail)]);
    assert_eq!(world.gateway.waiting(), 1);
}

#[test]
fn read_of_the_own_state_is_a_local_read_and_a_write_never_is() {
    let mut world = World::new();
    world.ask_as(None, get(), Freshness::Local(7));
    world.ask_as(None, set(), Freshness::Local(7));
    let inbound = World::inbound(&world.take_submitted());
    let [Inbound::LocalRead { operation, max_age_us: 7, .. }, Inbound::Client(request)] = &*inbound else {
        panic!("{inbound:?}")
    };
    assert_eq!((operation, &request.command), (&get(), &set().into()));
}

#[test]
fn write_without_an_answer_by_its_deadline_is_unknown_and_a_read_fails() {
    let mut world = World::new();
    world.ask(set());
    world.ask(get());
    world.ask_as(Some(named(id(9), "1")), set(), Freshness::Linearizable);
    world.gateway.expire(later() - LIMIT);
    assert_eq!(world.take_answers(), []);
    world.gateway.expire(later());
    assert_eq!(world.take_answers(), [(0, Outcome::Unknown), (1, Outcome::Fail), (2, Outcome::Unknown)]);
    assert_eq!(world.gateway.waiting(), 0);
    for name in world.names() {
        world.deliver(&name, Outcome::OK);
    }
    assert_eq!(world.take_answers(), [], "an answer that comes too late");
}

#[test]
fn lost_connection_makes_writes_unknown_and_reads_are_asked_again() {
    let mut world = World::new();
    (0..2).for_each(|_| world.ask(set()));
    (0..2).for_each(|_| world.ask(get()));
    world.ask_as(Some(named(id(9), "1")), set(), Freshness::Linearizable);
    let datagrams = world.take_submitted();
    world.gateway.forwarded(id(1), &datagrams[0]);
    world.gateway.forwarded(id(2), &datagrams[1]);
    world.gateway.forwarded(id(1), &datagrams[2]);
    world.gateway.forwarded(id(1), &datagrams[4]);
    world.gateway.lost(id(1));
    assert_eq!(world.take_answers(), [(0, Outcome::Unknown), (4, Outcome::Unknown)]);
    assert!(world.take_submitted().is_empty(), "not at once");
    world.tick();
    assert_eq!(world.take_submitted(), [datagrams[2].clone()]);
    world.gateway.lost(id(1));
    world.tick();
    assert!(world.take_submitted().is_empty(), "it was not forwarded again");
    assert_eq!(world.gateway.waiting(), 3);
}

#[test]
fn read_whose_leader_steps_down_is_asked_again_and_a_write_is_unknown() {
    let mut world = World::new();
    world.ask(get());
    world.ask(set());
    let names = world.names();
    for name in &names {
        world.deliver(name, Outcome::Unknown);
    }
    assert_eq!(world.take_answers(), [(1, Outcome::Unknown)]);
    *world.is_full.lock() = true;
    world.tick();
    *world.is_full.lock() = false;
    world.tick();
    assert_eq!(world.names(), names[..1]);
    world.deliver(&names[0], Outcome::Done(Reply::Nil));
    assert_eq!(world.take_answers(), [(0, Outcome::Done(Reply::Nil))]);
}

#[test]
fn write_that_came_back_is_not_lost_with_the_connection_that_it_took() {
    let mut world = World::new();
    world.ask(set());
    let datagrams = world.take_submitted();
    world.gateway.forwarded(id(1), &datagrams[0]);
    world.gateway.refused(&datagrams[0]);
    world.gateway.lost(id(1));
    assert_eq!(world.take_answers(), []);
    world.tick();
    assert_eq!(world.names().len(), 1, "it is sent again");
}

/// The writes of one client, whose requests are 0, 1 and so on.
fn ask_writes(world: &mut World, count: usize) -> Vec<Vec<u8>> {
    (0..count).for_each(|_| world.ask_in_order(7, set()));
    world.take_submitted()
}

#[test]
fn write_without_a_connection_to_the_leader_is_sent_later_under_another_number() {
    let mut world = World::new();
    world.ask(set());
    world.ask(get());
    world.ask_as(Some(named(id(9), "1")), set(), Freshness::Linearizable);
    let datagrams = world.take_submitted();
    for datagram in &datagrams {
        world.gateway.refused(datagram);
    }
    assert_eq!(world.take_answers(), [(2, Outcome::Fail)], "a client may repeat its own name");
    world.tick();
    let names = world.names();
    let old = |number: usize| request_id(&datagrams[number]).expect("a request");
    assert_eq!(names.len(), 2);
    assert_eq!(names[0], old(1));
    assert!(names[1].mid > old(0).mid, "{names:?}");
    world.deliver(&old(0), Outcome::OK);
    assert_eq!(world.take_answers(), [], "it has another name");
    world.deliver(&names[1], Outcome::OK);
    assert_eq!(world.take_answers(), [(0, Outcome::OK)]);
}

#[test]
fn later_writes_of_a_client_wait_behind_one_that_is_held() {
    let mut world = World::new();
    let datagrams = ask_writes(&mut world, 1);
    world.gateway.refused(&datagrams[0]);
    assert!(ask_writes(&mut world, 2).is_empty());
    world.ask_in_order(8, set());
    assert_eq!(world.take_submitted().len(), 1, "another client does not wait");
    world.ask_named_in_order(7);
    assert_eq!(world.take_answers(), [(4, Outcome::Fail)]);
    *world.is_full.lock() = true;
    world.tick();
    *world.is_full.lock() = false;
    world.tick();
    let names = world.names();
    assert!(names.is_sorted() && names.len() == 3, "{names:?}");
    for name in &names {
        world.deliver(name, Outcome::OK);
    }
    assert_eq!(world.take_answers(), [(0, Outcome::OK), (1, Outcome::OK), (2, Outcome::OK)]);
    assert_eq!(ask_writes(&mut world, 1).len(), 1);
}

#[test]
fn all_writes_of_a_pipeline_are_held_and_keep_their_order() {
    let mut world = World::new();
    for _ in 0..3 {
        let datagrams = if world.asked == 0 { ask_writes(&mut world, 3) } else { world.take_submitted() };
        assert_eq!(datagrams.len(), 3);
        datagrams.iter().for_each(|datagram| world.gateway.refused(datagram));
        world.tick();
    }
    for name in world.names() {
        world.deliver(&name, Outcome::OK);
    }
    assert_eq!(world.take_answers(), [(0, Outcome::OK), (1, Outcome::OK), (2, Outcome::OK)]);
}

#[test]
fn write_that_is_held_fails_when_a_later_one_of_its_client_is_sent() {
    let mut world = World::new();
    let datagrams = ask_writes(&mut world, 3);
    world.gateway.refused(&datagrams[0]);
    world.tick();
    assert!(world.take_submitted().is_empty(), "a later one is on its way");
    world.gateway.forwarded(id(1), &datagrams[1]);
    assert_eq!(world.take_answers(), [(0, Outcome::Fail)]);
    world.gateway.refused(&datagrams[2]);
    world.tick();
    let names = world.names();
    assert_eq!(names.len(), 1, "the earlier one is sent, so the last may follow");
    world.gateway.lost(id(1));
    world.deliver(&names[0], Outcome::OK);
    assert_eq!(world.take_answers(), [(1, Outcome::Unknown), (2, Outcome::OK)]);
}

#[test]
fn write_that_is_held_fails_when_a_later_one_of_its_client_has_an_answer() {
    let mut world = World::new();
    let datagrams = ask_writes(&mut world, 2);
    world.gateway.refused(&datagrams[0]);
    world.deliver(&request_id(&datagrams[1]).expect("a request"), Outcome::OK);
    assert_eq!(world.take_answers(), [(0, Outcome::Fail), (1, Outcome::OK)]);
    world.ask_in_order(7, set());
    world.ask_named_in_order(7);
    let datagrams = world.take_submitted();
    world.gateway.refused(&datagrams[0]);
    world.gateway.forwarded(id(1), &datagrams[1]);
    assert_eq!(world.take_answers(), [(2, Outcome::Fail)], "one with a name of its own is a later one, too");
}

#[test]
fn write_that_is_held_until_its_deadline_fails() {
    let mut world = World::new();
    let datagrams = ask_writes(&mut world, 1);
    world.gateway.refused(&datagrams[0]);
    world.tick();
    let datagrams = world.take_submitted();
    world.gateway.refused(&datagrams[0]);
    world.gateway.expire(later());
    assert_eq!(world.take_answers(), [(0, Outcome::Fail)]);
    assert!(world.take_submitted().is_empty());
    assert_eq!(world.gateway.waiting(), 0);
}

#[test]
fn request_that_was_not_proposed_fails() {
    let mut world = World::new();
    world.ask(set());
    world.ask(get());
    world.ask_as(Some(named(id(9), "1")), set(), Freshness::Linearizable);
    for name in world.names() {
        world.deliver(&name, Outcome::Redirect);
    }
    assert_eq!(world.take_answers(), [(0, Outcome::Fail), (1, Outcome::Fail), (2, Outcome::Fail)]);
}

#[test]
fn number_that_the_session_refuses_leaves_the_outcome_unknown() {
    let mut world = World::new();
    world.ask(set());
    world.ask_as(Some(named(id(9), "1")), set(), Freshness::Linearizable);
    let refused = Outcome::Done(Reply::Error(Refusal::Forgotten));
    for name in world.names() {
        world.deliver(&name, refused.clone());
    }
    assert_eq!(world.take_answers(), [(0, Outcome::Unknown), (1, refused)], "a client judges its own names");
}

#[test]
fn questions_under_one_name_have_one_answer() {
    let mut world = World::new();
    let name = || Some(named(id(9), "1"));
    world.ask_as(name(), set(), Freshness::Linearizable);
    world.ask_as(name(), set(), Freshness::Linearizable);
    world.ask_as(name(), Operation::set("k", "other"), Freshness::Linearizable);
    assert_eq!(world.take_answers(), [(2, Outcome::Done(Reply::Error(Refusal::Reused)))]);
    let names = world.names();
    assert_eq!(names, [named(id(9), "1"), named(id(9), "1")], "the first may be lost");
    world.deliver(&names[0], Outcome::OK);
    assert_eq!(world.take_answers(), [(0, Outcome::OK), (1, Outcome::OK)]);
    assert_eq!(world.gateway.waiting(), 0);
}

#[test]
fn client_with_the_id_of_a_replica_is_refused() {
    let mut world = World::new();
    for member in [0, 2] {
        world.ask_as(Some(named(id(member), "1")), set(), Freshness::Linearizable);
    }
    assert_eq!(world.take_answers(), [(0, Outcome::Fail), (1, Outcome::Fail)]);
    assert!(world.take_submitted().is_empty());
}

#[test]
fn question_that_is_longer_than_a_message_is_refused_at_once() {
    let mut world = World::new();
    let long = || Operation::set("k", &*"v".repeat(MAX_DATAGRAM));
    let too_long = Outcome::Done(Reply::Error(Refusal::TooLong));
    world.ask(long());
    world.ask_as(Some(named(id(9), "1")), long(), Freshness::Linearizable);
    assert_eq!(world.take_answers(), [(0, too_long.clone()), (1, too_long.clone())]);
    world.ask_in_order(7, set());
    world.gateway.refused(&world.take_submitted()[0]);
    world.ask_in_order(7, long());
    assert_eq!(world.take_answers(), [(3, too_long)], "also while writes of its client are held");
    assert!(world.take_submitted().is_empty());
    assert_eq!(world.gateway.waiting(), 1);
}

#[test]
fn question_fails_if_the_inbox_is_full_or_not_there() {
    let mut world = World::new();
    *world.is_full.lock() = true;
    world.ask(set());
    world.ask_as(Some(named(id(9), "1")), set(), Freshness::Linearizable);
    assert_eq!(world.take_answers(), [(0, Outcome::Fail), (1, Outcome::Fail)]);
    assert_eq!(world.gateway.waiting(), 0);
    world.gateway = Gateway::new(id(0), &[], LIMIT);
    world.ask(set());
    assert_eq!(world.take_answers(), [(2, Outcome::Fail)]);
}

#[test]
fn question_beyond_the_most_fails_at_once() {
    let mut world = World::new();
    for _ in 0..MAX_WAITING {
        world.ask(get());
    }
    assert_eq!(world.take_answers(), []);
    world.ask(get());
    assert_eq!(world.take_answers(), [(MAX_WAITING, Outcome::Fail)]);
}

#[test]
fn answer_may_ask_the_next_question() {
    let world = World::new();
    let gateway = Arc::clone(&world.gateway);
    let question = || Question { command: get().into(), name: None, freshness: Freshness::Linearizable };
    world.gateway.ask(question(), Box::new(move |_| gateway.ask(question(), Box::new(drop))));
    let name = world.names().remove(0);
    world.deliver(&name, Outcome::Done(Reply::Nil));
    assert_eq!(world.names().len(), 1);
}

#[test]
fn garbage_from_the_mesh_is_ignored() {
    let mut world = World::new();
    world.ask(set());
    for bytes in [&b""[..], &[2, 0, 0], &[2, 0, 0, 1, 2, 3], &[1, 0, 0, 9]] {
        world.gateway.deliver(bytes);
        world.gateway.forwarded(id(1), bytes);
    }
    let mid_of_no_number = named(id(0), "xyz");
    world.deliver(&mid_of_no_number, Outcome::OK);
    assert_eq!((world.take_answers(), world.gateway.waiting()), (vec![], 1));
}

#[test]
fn clock_of_the_gateway_ends_questions_and_goes_with_it() {
    let gateway = Gateway::new(id(0), &[], 1);
    gateway.connect(|_| true);
    gateway.keep_time().expect("a thread");
    let (ended, ends) = std::sync::mpsc::channel();
    let question = Question { command: get().into(), name: None, freshness: Freshness::Linearizable };
    gateway.ask(question, Box::new(move |outcome| ended.send(outcome).expect("the test waits")));
    assert_eq!(ends.recv_timeout(Duration::from_secs(60)), Ok(Outcome::Fail));
    let gone = Arc::downgrade(&gateway);
    drop(gateway);
    while gone.upgrade().is_some() {
        thread::yield_now();
    }
}
