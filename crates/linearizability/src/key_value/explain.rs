//! A contradiction in words, where one sentence will do.
//!
//! Most contradictions are about values with one *source*: one put that can have written them, or
//! none for the value of a key that was never put (`epochs` tells the values apart). The key has
//! such a value once, from its put to its last get. Let an operation of one such value return
//! before an operation of another one is invoked. Then the whole first value comes before the whole
//! second value. Two values that would have to come before each other are a contradiction. Each
//! shape with a name has a sentence.

use super::epochs;
use super::timeline::{self, NEVER_PUT};
use super::{Contradiction, Operation};
use crate::attempts::deadlines;
use crate::text::legible;

/// Contradictions of more operations get the general sentence at once.
const MOST_OPERATIONS: usize = 1_000;

/// The reason why operations contradict each other.
pub struct Explanation {
    /// One sentence.
    pub sentence: String,
    /// The places of the operations that it names.
    pub places: Vec<usize>,
}

impl Contradiction {
    /// One sentence that says what is impossible about these operations.
    pub fn reason(&self) -> String {
        self.explain().sentence
    }

    pub(super) fn explain(&self) -> Explanation {
        let count = self.operations.len();
        let known = || Facts::new(&self.operations).explain();
        (count <= MOST_OPERATIONS).then(known).flatten().unwrap_or_else(|| Explanation {
            sentence: format!(
                "No order of these {count} operations fits both their times and the values returned."
            ),
            places: Vec::new(),
        })
    }
}

struct Facts<'a> {
    operations: &'a [Operation],
    ends: Vec<Option<u64>>, // by operation: the last moment at which it can take effect
    values: Vec<usize>,     // by operation: its value
    sources: Vec<Vec<usize>>, // by value: its puts
    // By value: the first of its operations to return, and of those that returned the last to be
    // invoked.
    extremes: Vec<Option<(usize, usize)>>,
    gets: Vec<usize>, // all answered gets, by time of invocation
}

impl<'a> Facts<'a> {
    fn new(operations: &'a [Operation]) -> Self {
        let all: Vec<&Operation> = operations.iter().collect();
        let deadlines = deadlines(&all);
        let ends: Vec<Option<u64>> =
            all.iter().zip(deadlines).map(|(operation, deadline)| operation.returned.or(deadline)).collect();
        let spans: Vec<epochs::Span<'_>> =
            all.iter().zip(&ends).map(|(operation, &end)| timeline::span(operation, end)).collect();
        let (values, count) = epochs::split(&spans);
        let mut sources = vec![Vec::new(); count];
        for put in (0..all.len()).filter(|&place| !all[place].is_get()) {
            sources[values[put]].push(put);
        }
        let mut extremes = vec![None; count];
        for place in (0..all.len()).filter(|&place| all[place].returned.is_some()) {
            let (first, last) = extremes[values[place]].get_or_insert((place, place));
            if all[place].returned < all[*first].returned {
                *first = place;
            }
            if all[place].invoked >= all[*last].invoked {
                *last = place;
            }
        }
        let mut gets: Vec<usize> =
            (0..all.len()).filter(|&place| all[place].is_get() && ends[place].is_some()).collect();
        gets.sort_by_key(|&get| all[get].invoked);
        Self { operations, ends, values, sources, extremes, gets }
    }

    fn explain(&self) -> Option<Explanation> {
        let gets = || self.gets.iter().copied();
        let first = |find: &dyn Fn(usize) -> Option<Explanation>| gets().find_map(find);
        first(&|get| self.invented(get))
            .or_else(|| first(&|get| self.stale(get)))
            .or_else(|| first(&|get| self.source_read_twice(get)))
            .or_else(|| first(&|get| self.last_put_disputed(get)))
            .or_else(|| first(&|get| self.circle(get)))
    }

    /// Whether one operation has ended, for certain, before another one is invoked.
    fn is_before(&self, one: usize, other: usize) -> bool {
        self.operations[one].returned.is_some_and(|end| end < self.operations[other].invoked)
    }

    /// All puts of the text that a get returned.
    fn puts_of(&self, get: usize) -> impl Iterator<Item = usize> {
        let text = self.operations[get].value();
        (0..self.operations.len())
            .filter(move |&place| !self.operations[place].is_get() && self.operations[place].value() == text)
    }

    /// The puts of that text that were invoked before the get returned.
    fn candidates(&self, get: usize) -> impl Iterator<Item = usize> {
        self.puts_of(get).filter(move |&put| !self.is_before(get, put))
    }

    /// The one put that can have written what this operation reads or writes.
    fn only_source(&self, place: usize) -> Option<usize> {
        match *self.sources[self.values[place]] {
            [source] if self.values[place] != NEVER_PUT => Some(source),
            _ => None,
        }
    }

    /// No put of the value was invoked before the get returned.
    fn invented(&self, get: usize) -> Option<Explanation> {
        let is_invented = !self.operations[get].value().is_empty() && self.candidates(get).next().is_none();
        is_invented.then(|| Explanation {
            sentence: format!(
                "{} returned {} although no put of that value was invoked before it returned.",
                self.name(get),
                self.value(get)
            ),
            places: vec![get],
        })
    }

    /// All puts of the value came before an operation of another value that came before the get.
    fn stale(&self, get: usize) -> Option<Explanation> {
        let is_newer = |&other: &usize| {
            let invoked = self.operations[other].invoked;
            self.operations[other].value() != self.operations[get].value()
                && self.is_before(other, get)
                && self.candidates(get).all(|put| self.ends[put].is_some_and(|end| end < invoked))
        };
        let newer = (0..self.operations.len()).find(is_newer)?;
        let did = if self.operations[newer].is_get() { "returned" } else { "put" };
        let order = if self.candidates(get).next().is_some() { ", which is newer," } else { "" };
        let mut places = vec![get, newer];
        let mut sentence = format!(
            "{} returned {} although {} had {did} {}{order} before it was invoked",
            self.name(get),
            self.value(get),
            self.name(newer),
            self.value(newer),
        );
        if let Some((attempt, retry)) = self.repeated(get) {
            let (attempt_name, retry_name) = (self.name(attempt), self.name(retry));
            sentence += &format!(", as if {attempt_name}, which {retry_name} repeats, were applied twice");
            places.extend([attempt, retry]);
        }
        Some(Explanation { sentence: sentence + ".", places })
    }

    /// A declined put of the text that the get returned, and the attempt directly after it.
    fn repeated(&self, get: usize) -> Option<(usize, usize)> {
        self.puts_of(get).filter(|&put| self.operations[put].declined.is_some()).find_map(|attempt| {
            let name = Some(&self.operations[attempt].name);
            let repeats = |&retry: &usize| self.operations[retry].retry_of.as_ref() == name;
            Some((attempt, (0..self.operations.len()).find(repeats)?))
        })
    }

    /// Two gets read one put, and an operation of another value came between them.
    fn source_read_twice(&self, later: usize) -> Option<Explanation> {
        let source = self.only_source(later)?;
        let between = |&earlier: &usize| {
            let is_between = |&other: &usize| {
                self.values[other] != self.values[later]
                    && self.is_before(earlier, other)
                    && self.is_before(other, later)
            };
            if self.values[earlier] != self.values[later] {
                return None;
            }
            Some((earlier, (0..self.operations.len()).find(is_between)?))
        };
        let (earlier, other) = self.gets.iter().find_map(between)?;
        let twice = match self.operations[source].returned {
            Some(_) => "",
            None => ", as if that put were applied twice",
        };
        Some(Explanation {
            sentence: format!(
                "{} and {} can both only have read {}, and {} came between{twice}.",
                self.name(earlier),
                self.name(later),
                self.name(source),
                self.name(other),
            ),
            places: vec![earlier, later, source, other],
        })
    }

    /// Two gets disagree on which of two puts came last, although both had ended.
    fn last_put_disputed(&self, get: usize) -> Option<Explanation> {
        let own = self.only_source(get)?;
        let disagrees = |&other: &usize| {
            let source = self.only_source(other)?;
            let are_over = self.is_before(source, get) && self.is_before(own, other);
            (source != own && are_over).then_some((other, source))
        };
        let (other, source) = self.gets.iter().find_map(disagrees)?;
        Some(Explanation {
            sentence: format!(
                "{} returned {} and {} returned {}, each after both {} and {} had ended: they disagree on which \
                 put came last.",
                self.name(get),
                self.value(get),
                self.name(other),
                self.value(other),
                self.name(own),
                self.name(source),
            ),
            places: vec![get, other, own, source],
        })
    }

    /// Two values, each of which has to come before the other.
    fn circle(&self, get: usize) -> Option<Explanation> {
        self.only_source(get)?;
        let own = self.extremes[self.values[get]]?;
        let conflicts = |other: usize| {
            self.only_source(other).filter(|_| self.values[other] != self.values[get])?;
            let others = self.extremes[self.values[other]]?;
            let is_circle = self.is_before(own.0, others.1) && self.is_before(others.0, own.1);
            is_circle.then_some(others)
        };
        let others = (0..self.operations.len()).find_map(conflicts)?;
        let before = |one, other| format!("{} ended before {}", self.name(one), self.name(other));
        let (value, other) = (self.value(own.0), self.value(others.0));
        Some(Explanation {
            sentence: format!(
                "{value} was put once and so was {other}, but {value} came before {other} ({}) and {other} before \
                 {value} ({}).",
                before(own.0, others.1),
                before(others.0, own.1),
            ),
            places: vec![own.0, own.1, others.0, others.1],
        })
    }

    fn name(&self, place: usize) -> String {
        let kind = if self.operations[place].is_get() { "get" } else { "put" };
        format!("{kind} {}", legible(&self.operations[place].name))
    }

    fn value(&self, place: usize) -> String {
        format!("\"{}\"", legible(self.operations[place].value()))
    }
}
