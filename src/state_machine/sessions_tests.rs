use super::*;
use crate::command::Command;
use crate::operation::Operation;
use crate::request::RequestId;

const ROOMY: SessionLimits = SessionLimits { count: 100, bytes: 1 << 30, reply_bytes: 1_000 };

struct Log {
    sessions: Sessions,
    limits: SessionLimits,
    index: Revision,
}

impl Log {
    fn new(limits: SessionLimits) -> Self {
        Self { sessions: Sessions::default(), limits, index: 0 }
    }

    /// The reply to a request; a request that is done is answered with its index.
    fn apply(&mut self, client: u16, mid: &str) -> Reply {
        self.index += 1;
        let (client, request) = of(client, mid);
        if let Some(reply) = self.sessions.admit(self.index, client, &request, &self.limits) {
            return reply;
        }
        let reply = Reply::Integer(self.index as i64);
        self.sessions.record(client, &request, &reply, &self.limits);
        reply
    }

    fn done(&mut self, client: u16, mid: &str) {
        assert_eq!(self.apply(client, mid), Reply::Integer(self.index as i64), "{client} {mid}");
    }

    fn refused(&mut self, client: u16, mid: &str, refusal: Refusal) {
        assert_eq!(self.apply(client, mid), Reply::Error(refusal), "{client} {mid}");
    }
}

fn of(client: u16, mid: &str) -> (Id, Request) {
    let client = Id::new(client).expect("not reserved");
    let command = Command::One(Operation::Flush);
    (client, Request::of(&RequestId { client, mid: mid.into() }, &command))
}

#[test]
fn use_of_a_session_counts_once_for_each_sixteenth_of_the_sessions() {
    let mut log = Log::new(SessionLimits { count: 3 * USE_PART, ..ROOMY });
    log.done(1, "a");
    log.done(2, "a");
    let least_recent = |log: &Log| log.sessions.by_use.get_min().map(|(_, client)| client.number());
    log.done(1, "b");
    assert_eq!(least_recent(&log), Some(1), "too soon after its first use");
    log.done(2, "b");
    log.done(1, "c");
    assert_eq!(least_recent(&log), Some(2));
}

#[test]
fn session_that_was_used_least_recently_expires() {
    let mut log = Log::new(SessionLimits { count: 3, ..ROOMY });
    for client in [1, 2, 3] {
        log.done(client, "m");
    }
    assert_eq!(log.apply(1, "m"), Reply::Integer(1), "a repetition is a use");
    log.done(4, "m");
    assert_eq!(log.sessions.size().0, 3);
    assert_eq!(log.apply(1, "m"), Reply::Integer(1));
    assert_eq!(log.apply(3, "m"), Reply::Integer(3));
    log.refused(2, "m", Refusal::SessionExpired);
}

#[test]
fn sessions_expire_when_all_take_too_many_bytes() {
    let mut log = Log::new(SessionLimits { bytes: 100_000, ..ROOMY });
    for n in 0..5_000 {
        log.done(1 + n % 50, &format!("{n:x}"));
        let (_, bytes) = log.sessions.size();
        let total: usize = log.sessions.open.values().map(|session| session.bytes()).sum();
        assert!(bytes <= log.limits.bytes && bytes == total, "{bytes} {total}");
    }
    let (count, _) = log.sessions.size();
    assert!((5..50).contains(&count), "{count}");
    assert_eq!(log.sessions.tombstones.len(), 50 - count);
    assert_eq!(log.sessions.by_use.len(), count);
}

#[test]
fn one_session_alone_does_not_expire() {
    let mut log = Log::new(SessionLimits { count: 0, bytes: 0, ..ROOMY });
    log.done(1, "a");
    log.done(1, "b");
    assert_eq!(log.apply(1, "a"), Reply::Integer(1));
    assert_eq!(log.sessions.size().0, 1);
}

#[test]
fn request_after_its_session_expired_is_refused_however_often_it_comes() {
    let mut log = Log::new(SessionLimits { count: 1, ..ROOMY });
    log.done(1, "x");
    log.done(2, "x");
    for _ in 0..3 {
        log.refused(1, "x", Refusal::SessionExpired);
    }
    log.done(1, "y");
    let (client, request) = of(1, "x");
    assert_eq!(log.sessions.remembered(client, &request), Some(Reply::Error(Refusal::SessionExpired)));
}

#[test]
fn number_that_was_never_used_is_done_at_once_after_a_session_expired() {
    let mut log = Log::new(SessionLimits { count: 1, ..ROOMY });
    for n in 0..100 {
        log.done(1, &format!("{n:x}"));
    }
    log.done(2, "x");
    log.done(1, "64");
    log.refused(1, "63", Refusal::Forgotten);
    log.refused(1, "0", Refusal::Forgotten);
    log.done(2, "65");
    log.refused(1, "63", Refusal::SessionExpired);
    log.refused(1, "64", Refusal::Forgotten);
    log.done(1, "65");
}

#[test]
fn numbers_that_came_out_of_order_stay_refused_after_their_session_expired() {
    let mut log = Log::new(SessionLimits { count: 1, ..ROOMY });
    log.done(1, "e6");
    log.done(1, "a8");
    log.done(2, "x");
    log.refused(1, "a8", Refusal::SessionExpired);
    log.refused(1, "e6", Refusal::Forgotten);
    log.done(1, "e7");
}

#[test]
fn request_that_would_be_refused_for_an_expired_session_is_new_until_the_log_has_it() {
    let mut log = Log::new(SessionLimits { count: 1, ..ROOMY });
    log.done(1, "x");
    log.done(2, "x");
    let (client, request) = of(1, "x");
    assert_eq!(log.sessions.remembered(client, &request), None);
}

#[test]
fn refused_numbers_stay_refused_after_a_second_session_expired() {
    let mut log = Log::new(SessionLimits { count: 1, ..ROOMY });
    for n in 10..20 {
        log.done(1, &n.to_string());
    }
    log.done(2, "x");
    log.refused(1, "x", Refusal::SessionExpired);
    log.done(2, "1");
    log.refused(1, "15", Refusal::SessionExpired);
    log.refused(1, "16", Refusal::Forgotten);
    log.done(1, "20");
}
