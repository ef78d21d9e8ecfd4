//! A contradiction of commands as a picture and a sentence.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::sync::Arc;

use super::operation::{Command, Operation, Outcome, Reply, Ttl, When};
use super::parts::{Calls, Part};
use crate::contradiction::{self, Smallest};
use crate::diagram::{self, MOST_ROWS, Row};
use crate::key_value::Refusal;
use crate::text::{legible, printable_up_to};

/// The longest operation that is shown whole, in characters.
const OPERATION_LENGTH: usize = 60;

/// Operations that no order explains.
///
/// Its `Display` draws them, at most forty, and says which one cannot have its replies. Beside the
/// operations the picture has the *expiries*: the windows in which keys with a time to live end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The keys that were judged together.
    pub keys: Vec<Arc<str>>,
    /// The operations by time of invocation. They contradict each other, and the checker can leave
    /// out no operation of them that changes nothing.
    pub operations: Vec<Operation>,
    /// The place among `operations` of the one that returns first among those that no order
    /// reaches.
    pub refused: usize,
    /// The places of the other operations that return until then, and of some pending ones, in an
    /// order that explains them.
    pub order: Vec<usize>,
    /// By operation: the last moment at which it can take effect.
    latest: Vec<Option<u64>>,
    expiries: Vec<ShownExpiry>,
}

/// The end of a key that has a time to live.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ShownExpiry {
    of: usize,
    key: Arc<str>,
    from: u64,
    to: Option<u64>,
}

impl Contradiction {
    pub(super) fn new(history: &[Operation], part: &Part<'_>, calls: &Calls<'_>, found: &Smallest) -> Self {
        let operations = found.tasks.iter().filter_map(|&task| part.operations.get(task).copied());
        let mut shown: Vec<(&Operation, Option<u64>)> = operations.collect();
        add_retries(history, &mut shown);
        shown.sort_by_key(|(operation, _)| operation.invoked);
        let place = |task: usize| {
            let (wanted, _) = part.operations.get(task)?;
            shown.iter().position(|&(operation, _)| std::ptr::eq(operation, *wanted))
        };
        let refused = place(found.refused).unwrap_or_default();
        // The end of a key that only the refused operation begins explains nothing.
        let others = calls.expiries.iter().filter(|expiry| place(expiry.of) != Some(refused));
        let expiries = others.filter_map(|expiry| {
            let key = Arc::clone(part.keys[expiry.key]);
            Some(ShownExpiry { of: place(expiry.of)?, key, from: expiry.from, to: expiry.to })
        });
        Self {
            keys: part.keys.iter().copied().cloned().collect(),
            refused,
            order: found.order.iter().filter_map(|&task| place(task)).collect(),
            expiries: expiries.collect(),
            latest: shown.iter().map(|&(_, latest)| latest).collect(),
            operations: shown.into_iter().map(|(operation, _)| operation.clone()).collect(),
        }
    }

    /// One sentence that says which operation cannot have its replies.
    pub fn reason(&self) -> String {
        let name = |place: &usize| legible(&self.operations[*place].name);
        let refused =
            self.operations.get(self.refused).map_or_else(String::new, |refused| self.describe(refused));
        let order: Vec<String> = self.order.iter().map(name).collect();
        contradiction::sentence(self.operations.len(), &name(&self.refused), &refused, &order)
    }

    /// The rows that are shown: those of the refused operation and of the latest ones.
    fn rows(&self) -> Vec<Row> {
        let count = self.operations.len();
        let mut shown: Vec<usize> = (count.saturating_sub(MOST_ROWS)..count).collect();
        if !shown.contains(&self.refused) && count > 0 {
            shown[0] = self.refused;
        }
        let expiries = self.expiries.iter().filter(|expiry| shown.contains(&expiry.of));
        let mut rows: Vec<(u64, Row)> = shown.iter().map(|&place| self.row(place)).collect();
        rows.extend(expiries.map(|expiry| (expiry.from, self.expiry_row(expiry))));
        rows.sort_by_key(|&(from, _)| from);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn row(&self, place: usize) -> (u64, Row) {
        let operation = &self.operations[place];
        let (answered, note) = match &operation.outcome {
            Outcome::Replied { at, .. } => (Some(*at), ""),
            Outcome::Aborted { at } => (Some(*at), "aborted"),
            Outcome::Declined(declined) => match declined.with {
                Refusal::Fail => (declined.at, "fail"),
                Refusal::Redirect => (declined.at, "redirect"),
            },
            Outcome::Unknown => (None, "unknown"),
        };
        let row = Row {
            client: legible(&operation.client),
            operation: self.describe(operation),
            invoked: operation.invoked,
            end: self.latest[place],
            answered,
            note,
            name: legible(&operation.name),
        };
        (operation.invoked, row)
    }

    fn expiry_row(&self, expiry: &ShownExpiry) -> Row {
        let key =
            if self.keys.len() > 1 { format!(" of \"{}\"", legible(&expiry.key)) } else { String::new() };
        Row {
            client: "(clock)".to_owned(),
            operation: format!("end{key}"),
            invoked: expiry.from,
            end: expiry.to,
            answered: expiry.to,
            note: "",
            name: format!("ttl of {}", legible(&self.operations[expiry.of].name)),
        }
    }

    fn describe(&self, operation: &Operation) -> String {
        let mut text = String::new();
        for (key, value) in &operation.watched {
            let _ = write!(text, "{} is {}; ", quoted(key), absent_or_quoted(value.as_deref()));
        }
        for (place, (key, command)) in operation.commands.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            let key = if self.keys.len() > 1 { format!("{}: ", quoted(key)) } else { String::new() };
            let _ = write!(text, "{separator}{key}{}", described(command));
            if let Some(reply) = operation.replies().and_then(|replies| replies.get(place)) {
                let _ = write!(text, "{}", replied(command, reply));
            }
        }
        printable_up_to(OPERATION_LENGTH, &text)
    }
}

/// Adds the operations that repeat those that are shown: an answer to them is the reason why a
/// declined one has no effect any more.
fn add_retries<'a>(history: &'a [Operation], shown: &mut Vec<(&'a Operation, Option<u64>)>) {
    let mut names: HashSet<&str> = shown.iter().map(|(operation, _)| &*operation.name).collect();
    loop {
        let is_new = |operation: &&Operation| {
            let repeats = operation.retry_of.as_deref().is_some_and(|before| names.contains(before));
            repeats && !operation.is_get() && !names.contains(&*operation.name)
        };
        let new: Vec<&Operation> = history.iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        names.extend(new.iter().map(|operation| &*operation.name));
        shown.extend(new.into_iter().map(|operation| (operation, operation.returned())));
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = self.operations.len().saturating_sub(MOST_ROWS);
        diagram::draw(f, &self.rows(), hidden)?;
        write!(f, "\n{}", self.reason())
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", legible(text))
}

fn absent_or_quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "absent".to_owned(), quoted)
}

/// The command in words.
fn described(command: &Command) -> String {
    match command {
        Command::Get => "get".to_owned(),
        Command::Set { value, when, ttl } => {
            format!("put {}{}{}", quoted(value), condition(when), lifetime(*ttl))
        }
        Command::Delete { when } => format!("delete{}", condition(when)),
        Command::Increment { by } => format!("increment {by}"),
        Command::Append { value } => format!("append {}", quoted(value)),
        Command::Expire { ttl } => format!("expire{}", lifetime(Ttl::After(*ttl))),
        Command::Persist => "persist".to_owned(),
    }
}

fn condition(when: &When) -> String {
    match when {
        When::Always => String::new(),
        When::Absent => " if absent".to_owned(),
        When::Present => " if present".to_owned(),
        When::Is(value) => format!(" if {}", quoted(value)),
        When::AbsentOr(value) => format!(" if absent or {}", quoted(value)),
        When::IsNot(value) => format!(" if not {}", quoted(value)),
    }
}

fn lifetime(ttl: Ttl) -> String {
    match ttl {
        Ttl::Unlimited => String::new(),
        Ttl::Keep => " (same ttl)".to_owned(),
        Ttl::After(ttl) => format!(" for {ttl:?}"),
    }
}

/// The reply in words, behind its command.
fn replied(command: &Command, reply: &Reply) -> String {
    match reply {
        Reply::Value(value) => format!(" → {}", absent_or_quoted(value.as_deref())),
        Reply::Empty => " → \"\"".to_owned(),
        Reply::Done(true) if matches!(command, Command::Set { when: When::Always, .. }) => String::new(),
        Reply::Done(true) => " → done".to_owned(),
        Reply::Done(false) => " → not done".to_owned(),
        Reply::Number(number) => format!(" → {number}"),
        Reply::Refused => " → error".to_owned(),
    }
}
