//! The questions of a gateway that wait for their answers.

use std::collections::{BTreeMap, BTreeSet};

use super::super::store::Answer;
use super::lanes::Lanes;
use crate::command::Command;
use crate::id::Id;
use crate::micros::Micros;
use crate::request::{Outcome, RequestId};

/// Answers to give as soon as the lock is free.
pub(super) type Settled = Vec<(Answer, Outcome)>;

/// A question that waits for its answer.
pub(super) struct Waiting {
    pub answer: Answer,
    pub number: u64,
    pub deadline: Micros,
    pub is_read: bool,
    pub lane: Option<u64>, // of a write
    pub forwarded_to: Option<Id>,
    pub kept: Kept,
}

/// The part of a question that is needed to ask it again.
pub(super) enum Kept {
    /// It is never asked again.
    Nothing,
    /// The datagram of a read.
    Read(Vec<u8>),
    /// The command of a write that was not sent.
    Held(Command),
}

/// Questions with the same name. All get the same answer.
struct Named {
    content: u64, // the digest of their command
    questions: Vec<Waiting>,
}

/// The questions that wait.
pub(super) struct State {
    pub lanes: Lanes, // of all writes
    last: u64,        // the number of the latest question; rises
    numbered: BTreeMap<u64, Waiting>,
    named: BTreeMap<RequestId, Named>,
    named_waiting: usize,               // the questions in `named`
    deadlines: BTreeSet<(Micros, u64)>, // of `numbered`
    again: BTreeSet<u64>,               // reads to ask again
}

impl State {
    pub fn new(last: u64) -> Self {
        Self {
            lanes: Lanes::default(),
            last,
            numbered: BTreeMap::new(),
            named: BTreeMap::new(),
            named_waiting: 0,
            deadlines: BTreeSet::new(),
            again: BTreeSet::new(),
        }
    }

    /// How many questions wait.
    pub fn waiting(&self) -> usize {
        self.numbered.len() + self.named_waiting
    }

    pub fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Adds a question without a name of its own.
    pub fn add(&mut self, question: Waiting) {
        self.enter_lane(&question);
        self.deadlines.insert((question.deadline, question.number));
        self.numbered.insert(question.number, question);
    }

    /// Whether the questions with this name that wait, if any, have this command.
    pub fn has_content(&self, id: &RequestId, content: u64) -> bool {
        self.named.get(id).is_none_or(|named| named.content == content)
    }

    pub fn add_named(&mut self, id: RequestId, content: u64, question: Waiting) {
        self.enter_lane(&question);
        self.named_waiting += 1;
        let named = self.named.entry(id).or_insert(Named { content, questions: Vec::new() });
        named.questions.push(question);
    }

    fn enter_lane(&mut self, question: &Waiting) {
        if let Some(lane) = question.lane {
            self.lanes.add(lane, question.number, matches!(question.kept, Kept::Held(_)));
        }
    }

    /// Removes a question. The writes that are held before it fail.
    pub fn remove(&mut self, number: u64, settled: &mut Settled) -> Option<Waiting> {
        let question = self.numbered.remove(&number)?;
        self.deadlines.remove(&(question.deadline, number));
        self.again.remove(&number);
        self.leave_lane(&question, settled);
        Some(question)
    }

    /// Removes the questions with this name.
    pub fn remove_named(&mut self, id: &RequestId, settled: &mut Settled) -> Vec<Waiting> {
        let questions = self.named.remove(id).map(|named| named.questions).unwrap_or_default();
        self.named_waiting -= questions.len();
        questions.iter().for_each(|question| self.leave_lane(question, settled));
        questions
    }

    fn leave_lane(&mut self, question: &Waiting, settled: &mut Settled) {
        let Some(lane) = question.lane else { return };
        if !matches!(question.kept, Kept::Held(_)) {
            self.fail_before(lane, question.number, settled);
        }
        self.lanes.remove(lane, question.number);
    }

    /// The fate of a write is open, so those that are held before it must not take effect.
    fn fail_before(&mut self, lane: u64, number: u64, settled: &mut Settled) {
        for held in self.lanes.held_before(lane, number) {
            let failed = self.remove(held, settled);
            settled.extend(failed.map(|question| (question.answer, Outcome::Fail)));
        }
    }

    /// A request has left for another replica.
    pub fn forwarded(&mut self, number: Option<u64>, id: &RequestId, to: Id, settled: &mut Settled) {
        let questions = match number {
            Some(number) => self.numbered.get_mut(&number).into_iter().collect::<Vec<_>>(),
            None => self.named.get_mut(id).into_iter().flat_map(|named| &mut named.questions).collect(),
        };
        let mut sent = Vec::new();
        for question in questions {
            question.forwarded_to = Some(to);
            sent.extend(question.lane.map(|lane| (lane, question.number)));
        }
        for (lane, number) in sent {
            self.fail_before(lane, number, settled);
        }
    }

    /// Asks a question again later if it is a read. Returns whether it is.
    pub fn ask_later(&mut self, number: u64) -> bool {
        let Some(question) = self.numbered.get_mut(&number).filter(|question| question.is_read) else {
            return false;
        };
        question.forwarded_to = None;
        self.again.insert(number);
        true
    }

    /// Holds a write that was not sent.
    pub fn hold(&mut self, number: u64, command: Command) {
        let Some(question) = self.numbered.get_mut(&number) else { return };
        question.kept = Kept::Held(command);
        question.forwarded_to = None;
        if let Some(lane) = question.lane {
            self.lanes.hold(lane, number);
        }
    }

    /// The connection to a replica is lost: the writes that it has are unknown.
    pub fn lost(&mut self, to: Id, settled: &mut Settled) {
        let lost = self.numbered.values().filter(|question| question.forwarded_to == Some(to));
        let lost: Vec<u64> = lost.map(|question| question.number).collect();
        for number in lost {
            if !self.ask_later(number) {
                let question = self.remove(number, settled);
                settled.extend(question.map(|question| (question.answer, Outcome::Unknown)));
            }
        }
        self.end_named(|question| question.forwarded_to == Some(to), |_| Outcome::Unknown, settled);
    }

    /// Ends the questions whose deadline has come.
    pub fn expire(&mut self, now: Micros, settled: &mut Settled) {
        while let Some((_, number)) = self.deadlines.first().copied().filter(|(deadline, _)| *deadline <= now)
        {
            let question = self.remove(number, settled);
            settled.extend(question.map(|question| {
                let outcome = question.expired();
                (question.answer, outcome)
            }));
        }
        self.end_named(|question| question.deadline <= now, Waiting::expired, settled);
    }

    /// Ends some of the questions that have a name.
    fn end_named(
        &mut self,
        ends: impl Fn(&Waiting) -> bool,
        outcome: impl Fn(&Waiting) -> Outcome,
        settled: &mut Settled,
    ) {
        let mut ended = Vec::new();
        self.named.retain(|_, named| {
            ended.extend(named.questions.extract_if(.., |question| ends(question)));
            !named.questions.is_empty()
        });
        self.named_waiting -= ended.len();
        for question in ended {
            self.leave_lane(&question, settled);
            let outcome = outcome(&question);
            settled.push((question.answer, outcome));
        }
    }

    /// Asks reads again, until `submit` refuses one.
    pub fn ask_again(&mut self, submit: impl Fn(Vec<u8>) -> bool) {
        while let Some(number) = self.again.pop_first() {
            let Some(Kept::Read(datagram)) = self.numbered.get(&number).map(|question| &question.kept) else {
                continue;
            };
            if !submit(datagram.clone()) {
                self.again.insert(number);
                return;
            }
        }
    }

    /// Sends the writes that are held, under new numbers: the old ones may be too old by now. Those
    /// behind one that `submit` refuses stay held.
    pub fn send_held(&mut self, submit: impl Fn(u64, &Command) -> bool) {
        for (lane, numbers) in self.lanes.ready() {
            let mut has_room = true;
            for number in numbers {
                let Some(mut question) = self.numbered.remove(&number) else { continue };
                self.deadlines.remove(&(question.deadline, number));
                self.lanes.remove(lane, number);
                question.number = self.next_number();
                if let Kept::Held(command) = &question.kept {
                    has_room = has_room && submit(question.number, command);
                }
                if has_room {
                    question.kept = Kept::Nothing;
                }
                self.add(question);
            }
        }
    }
}

impl Waiting {
    /// The outcome at the deadline.
    fn expired(&self) -> Outcome {
        let was_sent = !matches!(self.kept, Kept::Held(_));
        if !self.is_read && was_sent { Outcome::Unknown } else { Outcome::Fail }
    }
}
