//! Entries, messages and replicas as text, for transcripts that people read.

use std::fmt;

use super::message::{
    Acknowledgement, AppendEntries, AppendOutcome, Body, InstallSnapshot, LogTail, Message, RequestVote,
};
use super::node::{Node, Role};
use super::types::{Command, Entry, Payload};
use crate::id::Id;

impl<C: Command> fmt::Display for Entry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)?;
        match &self.payload {
            Payload::Noop => Ok(()),
            Payload::Command(command) => write!(f, ":{command}"),
        }
    }
}

impl<C: Command> fmt::Display for Message<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = self.term;
        match &self.body {
            Body::RequestVote(request) => {
                let kind = if request.pre_vote { "RequestPreVote" } else { "RequestVote" };
                let transfer = if request.transfer { " transfer" } else { "" };
                let RequestVote { last_log_index, last_log_term, .. } = request;
                write!(f, "{kind} term={term} last={last_log_index}@{last_log_term}{transfer}")
            }
            Body::RequestVoteResponse(response) => {
                let kind = if response.pre_vote { "PreVote" } else { "Vote" };
                write!(f, "{kind} term={term} {}", if response.granted { "granted" } else { "refused" })
            }
            Body::AppendEntries(append) => write!(f, "AppendEntries term={term} {append}"),
            Body::RelayEntries(relay) => {
                let (leader, way) = (relay.leader.number(), numbers(relay.way.iter()));
                let (acknowledged, append) = (numbers(ids(&relay.acknowledged)), &relay.append);
                write!(f, "RelayEntries term={term} leader={leader} acks={acknowledged} way={way} {append}")
            }
            Body::RelayEntriesResponse(response) => {
                let acknowledged = numbers(ids(&response.acknowledged));
                write!(f, "Relayed term={term} {} acks={acknowledged}", response.match_index)
            }
            Body::LogTail(tail) => {
                let LogTail { prev_log_index, prev_log_term, entries } = tail;
                let entries: Vec<String> = entries.iter().map(Entry::to_string).collect();
                write!(f, "LogTail term={term} prev={prev_log_index}@{prev_log_term} [{}]", entries.join(" "))
            }
            Body::InstallSnapshot(install) => {
                let InstallSnapshot { snapshot, chunk, .. } = install;
                let last = if install.is_last { " last" } else { "" };
                write!(f, "InstallSnapshot term={term} {snapshot} chunk={chunk}{last}")
            }
            Body::StaleTerm => write!(f, "StaleTerm term={term}"),
            Body::TimeoutNow => write!(f, "TimeoutNow term={term}"),
            Body::AppendEntriesResponse(response) => match response.outcome {
                AppendOutcome::Matched { match_index } => write!(f, "Matched term={term} {match_index}"),
                AppendOutcome::Conflict { prev_log_index, conflict_term, conflict_index } => {
                    write!(
                        f,
                        "Conflict term={term} at={prev_log_index} hint={conflict_index}@{conflict_term}"
                    )
                }
                AppendOutcome::Receiving { snapshot, chunks } => {
                    write!(f, "Receiving term={term} {snapshot} chunks={chunks}")
                }
            },
        }
    }
}

impl<C: Command> fmt::Display for AppendEntries<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let &Self { prev_log_index, prev_log_term, leader_commit, ref entries, .. } = self;
        let entries: Vec<String> = entries.iter().map(Entry::to_string).collect();
        write!(f, "prev={prev_log_index}@{prev_log_term} commit={leader_commit} [{}]", entries.join(" "))
    }
}

/// The numbers of replicas in their order: `3,4`.
fn numbers<'a>(ids: impl Iterator<Item = &'a Id>) -> String {
    let numbers: Vec<String> = ids.map(|id| id.number().to_string()).collect();
    numbers.join(",")
}

fn ids(acknowledged: &[Acknowledgement]) -> impl Iterator<Item = &Id> {
    acknowledged.iter().map(|acknowledgement| &acknowledgement.id)
}

/// A replica's present role and term.
pub fn describe<C: Command>(node: &Node<C>) -> String {
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
