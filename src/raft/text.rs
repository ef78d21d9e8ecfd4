//! How entries, messages and replicas are written down, in transcripts that people read.

use std::fmt;

use super::message::{AppendOutcome, Body, Message};
use super::node::{Node, Role};
use super::types::{Entry, Payload};

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)?;
        match &self.payload {
            Payload::Noop => Ok(()),
            Payload::Command(command) => write!(f, ":{}={}", command.key, shortened(&command.value)),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = self.term;
        match &self.body {
            Body::RequestVote(request) => {
                let kind = if request.pre_vote { "RequestPreVote" } else { "RequestVote" };
                write!(f, "{kind} term={term} last={}@{}", request.last_log_index, request.last_log_term)
            }
            Body::RequestVoteResponse(response) => {
                let kind = if response.pre_vote { "PreVote" } else { "Vote" };
                write!(f, "{kind} term={term} {}", if response.granted { "granted" } else { "refused" })
            }
            Body::AppendEntries(append) => {
                let entries: Vec<String> = append.entries.iter().map(Entry::to_string).collect();
                let (prev, prev_term) = (append.prev_log_index, append.prev_log_term);
                let (commit, entries) = (append.leader_commit, entries.join(" "));
                write!(f, "AppendEntries term={term} prev={prev}@{prev_term} commit={commit} [{entries}]")
            }
            Body::AppendEntriesResponse(response) => match response.outcome {
                AppendOutcome::Matched { match_index } => write!(f, "Matched term={term} {match_index}"),
                AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                    write!(
                        f,
                        "Conflict term={term} at={prev_log_index} hint={conflict_index}@{conflict_term}"
                    )
                }
            },
        }
    }
}

/// Enough of a value to tell it from others.
pub fn shortened(value: &str) -> String {
    match value.char_indices().nth(12) {
        Some((end, _)) if value.len() > 16 => format!("{}…", &value[..end]),
        _ => value.to_owned(),
    }
}

/// What a replica is at the moment.
pub fn describe(node: &Node) -> String {
    let term = node.hard_state().current_term;
    match &node.role {
        Role::Follower(_) => match node.leader() {
            Some(leader) => format!("follows {} in term {term}", leader.number()),
            None => format!("follows nobody in term {term}"),
        },
        Role::Candidate(candidate) if candidate.pre_vote => format!("is a pre-candidate in term {term}"),
        Role::Candidate(_) => format!("is a candidate in term {term}"),
        Role::Leader(_) => format!("leads term {term}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_values_are_shortened() {
        assert_eq!(shortened("0123456789abcdef"), "0123456789abcdef");
        assert_eq!(shortened("0123456789abcdefg"), "0123456789ab…");
        assert_eq!(shortened("ä".repeat(12).as_str()), "ä".repeat(12), "never in the middle of a character");
        assert_eq!(shortened("ä".repeat(13).as_str()), format!("{}…", "ä".repeat(12)));
    }
}
