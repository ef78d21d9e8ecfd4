//! The cases of `tests/cases/clients.json` for clients and their workload. The clients of `run.py`
//! pass the same cases (`simulator/tests/test_cases.py`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use fastrand::Rng;

use self::table::{
    Answer, AnswerType, AnyTarget, Attempt, Case, Expected, PollCase, Rules, Start, Step, Targets, table,
};
use super::{Asked, Clients, Sending};
use crate::bytes::Bytes;
use crate::id::Id;
use crate::micros::Micros;
use crate::operation::Operation;
use crate::reply::Reply;
use crate::request::{Outcome, RequestId, Response};
use crate::sim::intents::Intent;
use crate::sim::plan::{Plan, Workload};
use crate::sim::queue::Event;
use crate::sim::requester::Requester;
use crate::sim::scenario::Source;

mod table;

/// Chance picks the targets that the rules leave open; this many seeds reach each of them.
const SEEDS: u64 = 40;

const REPLICAS: usize = 3;

fn plan_of(file: &serde_json::Value) -> Plan {
    let scenario = serde_json::from_value(file.clone()).expect("it is a scenario");
    Source::Scenario(scenario).plan(1)
}

fn workload(rules: &Rules) -> Workload {
    let file = serde_json::json!({"lifetime": 10, "replicas": REPLICAS, "requests": 0});
    Workload {
        timeout_us: rules.timeout_us,
        shared_keys: rules.shared_keys,
        loss: rules.client_drops,
        read_back: rules.read_back,
        ..plan_of(&file).workload
    }
}

#[derive(Clone, Copy)]
enum Timer {
    TimeOut(usize),
    Repeat(usize),
}

/// The targets that the rules allow for a sending, and those that it had.
type Reached = BTreeMap<(usize, usize), (BTreeSet<usize>, BTreeSet<usize>)>;

/// One run of a case.
struct Course<'a> {
    case: &'a Case,
    clients: Clients,
    up: Vec<bool>,
    timers: BTreeMap<(Micros, usize), Timer>,
    begun: usize,                    // how many timers were set
    targets: BTreeMap<usize, usize>, // per request, the replica that was sent it last
    sent: Vec<(usize, usize)>,       // request and target of each sending of a step
}

impl<'a> Course<'a> {
    fn new(case: &'a Case, seed: u64) -> Self {
        Self {
            case,
            clients: Clients::new(workload(&case.rules), REPLICAS, Rng::with_seed(seed)),
            up: vec![true; REPLICAS],
            timers: BTreeMap::new(),
            begun: 0,
            targets: BTreeMap::new(),
            sent: Vec::new(),
        }
    }

    /// Plays the case to its end, or up to the first difference, which it returns.
    fn play(&mut self, reached: &mut Reached) -> Result<(), String> {
        for (number, step) in self.case.steps.iter().enumerate() {
            let place = format!("{}, step {number}", self.case.name);
            self.sent.clear();
            self.pass_time(step.at_us);
            same(&self.happen(step).is_err(), &step.refused, &place)?;
            let found: Vec<String> = self.sent.iter().map(|&(request, _)| self.describe(request)).collect();
            let expected: Vec<String> = step.sends.iter().map(|(_, text)| text.clone()).collect();
            same(&found, &expected, &place)?;
            for (sending, &(request, target)) in self.sent.iter().enumerate() {
                let allowed = self.allowed(&step.sends[sending].0, request);
                same(&allowed.contains(&target), &true, &format!("{place}: {target} is one of {allowed:?}"))?;
                let (possible, seen) = reached.entry((number, sending)).or_default();
                possible.extend(allowed);
                seen.insert(target);
                self.targets.insert(request, target);
            }
        }
        let history: Vec<Attempt> = self.clients.all().iter().map(Attempt::from).collect();
        same(&history, &self.case.history, &format!("{}, history", self.case.name))
    }

    fn pass_time(&mut self, now: Micros) {
        while let Some(timer) = self.timers.first_entry().filter(|timer| timer.key().0 <= now) {
            let at = timer.key().0;
            match timer.remove() {
                Timer::TimeOut(number) => {
                    let sending = self.clients.time_out(at, number, &self.up);
                    self.take(sending);
                }
                Timer::Repeat(client) => {
                    let follows = self.clients.repeat(at, client, &self.up);
                    self.take(follows.sendings);
                    self.pause(follows.pause);
                }
            }
        }
    }

    fn happen(&mut self, step: &Step) -> Result<(), String> {
        if let Some(start) = &step.start {
            let number = self.clients.intents.len();
            self.clients.intents.push(start.intent());
            self.clients.begun += 1;
            let sending = self.clients.start(step.at_us, number, &self.up);
            self.take([sending]);
        }
        if let Some(answer) = &step.answer {
            let from = answer.from.unwrap_or_else(|| self.targets[&answer.request]);
            let response = self.response(answer);
            let follows = self.clients.receive(step.at_us, from, &response, &self.up)?;
            self.take(follows.sendings);
            self.pause(follows.pause);
        }
        if let Some(up) = &step.up {
            self.up = (0..REPLICAS).map(|replica| up.contains(&replica)).collect();
        }
        if step.forget_leader {
            self.clients.forget_leader();
        }
        Ok(())
    }

    fn response(&self, answer: &Answer) -> Response {
        let asked = self.clients.all().get(answer.request);
        let client = answer.client.or(asked.map(|asked| asked.client)).unwrap_or(0);
        let value = || format!("{:032x}", answer.value.expect("the answer to a get has a value")).into();
        let is_get = asked.is_some_and(|asked| asked.request.command.is_read());
        let outcome = match answer.r#type {
            AnswerType::Ok if is_get => Outcome::Done(Reply::Bytes(value())),
            AnswerType::Ok => Outcome::OK,
            AnswerType::Redirect => Outcome::Redirect,
            AnswerType::Fail => Outcome::Fail,
            AnswerType::Unknown => panic!("no answer has this type"),
        };
        let mid = format!("{:x}", answer.request).into();
        let id = RequestId { client: self.clients.clients[client].id, mid };
        Response { id, outcome, leader: answer.leader.and_then(Id::new) }
    }

    fn take(&mut self, sendings: impl IntoIterator<Item = Sending>) {
        for Sending { number, to, lost, again_at } in sendings {
            if let Some(at) = again_at {
                self.set(at, Timer::TimeOut(number));
            }
            if let Some(to) = to.filter(|_| !lost) {
                self.sent.push((number, to));
            }
        }
    }

    fn pause(&mut self, pause: Option<(usize, Micros)>) {
        if let Some((client, at)) = pause {
            self.set(at, Timer::Repeat(client));
        }
    }

    fn set(&mut self, at: Micros, timer: Timer) {
        self.timers.insert((at, self.begun), timer);
        self.begun += 1;
    }

    fn allowed(&self, targets: &Targets, request: usize) -> BTreeSet<usize> {
        let mut living: BTreeSet<usize> = (0..REPLICAS).filter(|&replica| self.up[replica]).collect();
        match targets {
            Targets::Listed(listed) => return listed.clone(),
            Targets::Named(AnyTarget::Any) => {}
            Targets::Named(AnyTarget::Other) => _ = living.remove(&self.targets[&request]),
        }
        living
    }

    fn describe(&self, number: usize) -> String {
        let has_shared_keys = self.case.rules.shared_keys > 0;
        let key = |key: &Bytes| match key.to_text().strip_prefix('k').filter(|_| has_shared_keys) {
            Some(number) => number.to_owned(),
            None => of_hex(key),
        };
        match self.clients.all()[number].request.command.operations() {
            [Operation::Get { key: of }] => format!("{number} get {}", key(of)),
            [Operation::Set(set)] if has_shared_keys => format!("{number} put {}", key(&set.key)),
            [Operation::Set(set)] => format!("{number} put {}={}", key(&set.key), of_hex(&set.value)),
            other => panic!("no case has {other:?}"),
        }
    }
}

fn of_hex(text: &Bytes) -> String {
    u128::from_str_radix(&text.to_text(), 16).expect("keys and values are hexadecimal").to_string()
}

impl Start {
    fn intent(&self) -> Intent {
        Intent {
            seed: 0,
            at: 0,
            client: self.client,
            wants_get: self.wants_get,
            wants_own_key: self.wants_own_key,
            choice: self.choice,
            new_key: self.key,
            value: self.value,
        }
    }
}

impl From<&Asked> for Attempt {
    fn from(asked: &Asked) -> Self {
        let outcome = match asked.outcome {
            Some(Outcome::Fail | Outcome::Done(Reply::Error(_))) => AnswerType::Fail,
            Some(Outcome::Done(_)) => AnswerType::Ok,
            Some(Outcome::Redirect | Outcome::Unknown) => AnswerType::Redirect,
            None => AnswerType::Unknown,
        };
        let sent = usize::try_from(asked.copies).expect("a request is not sent so often");
        Self { outcome, attempt: asked.attempt, retry_of: asked.retry_of, sent }
    }
}

fn same<T: PartialEq + Debug>(found: &T, expected: &T, place: &str) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{place}: {found:?} instead of {expected:?}")) }
}

/// Plays a case with all seeds.
fn check(case: &Case) -> Result<(), String> {
    let mut reached = Reached::new();
    for seed in 0..SEEDS {
        Course::new(case, seed).play(&mut reached)?;
    }
    for ((step, _), (possible, seen)) in reached {
        same(&seen, &possible, &format!("{}, step {step}, targets of all seeds", case.name))?;
    }
    Ok(())
}

#[test]
fn clients_follow_the_table() {
    let differences: Vec<String> = table().clients.iter().filter_map(|case| check(case).err()).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn scenarios_mean_the_workload_of_the_table() {
    for case in &table().scenarios {
        let plan = plan_of(&case.file);
        let workload = &plan.workload;
        let clients = Clients::new(*workload, plan.replicas, Rng::with_seed(1));
        let found = Expected {
            times_us: clients.times(),
            mix: workload.gets,
            shared_keys: workload.shared_keys,
            client_drops: workload.loss,
            client_timeout_us: workload.timeout_us,
            read_back: workload.read_back,
            poll_us: workload.poll_us,
            clients: workload.clients,
            first_client: usize::from(clients.clients[0].id.number()),
        };
        assert_eq!(found, case.expected, "{}", case.name);
    }
}

/// The times at which a loop sends the requests of a case.
fn sent_at(case: &PollCase) -> Vec<Micros> {
    let mut requester = Requester::new(case.poll_us);
    let (mut sent, mut wakes_at) = (Vec::new(), None);
    let end = case.due_us.iter().max().expect("a case has requests") + 2 * case.poll_us + 1;
    for now in 0..end {
        let wakes = wakes_at.take_if(|at| *at == now).is_some() && requester.is_due(now);
        if wakes || case.messages_us.contains(&now) {
            sent.extend(requester.wake(now).iter().map(|_| now));
            requester.sleep();
        }
        for _ in case.due_us.iter().filter(|&&due| due == now) {
            match requester.sleeps() {
                true => wakes_at = requester.wait(now, Event::Start(0)).or(wakes_at),
                false => sent.push(now),
            }
        }
    }
    sent
}

#[test]
fn loop_under_poll_sends_at_the_times_of_the_table() {
    for case in &table().polls {
        assert_eq!(sent_at(case), case.sent_us, "{}", case.name);
    }
}
