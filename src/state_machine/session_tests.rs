use super::*;

const LIMIT: usize = 1_000;

fn request(mid: &str) -> Request {
    Request { mid: digest(&[mid.as_bytes()]), number: number(mid), content: 7 }
}

fn record(session: &mut Session, mid: &str) -> Fate {
    let request = request(mid);
    let fate = session.fate(&request);
    if fate == Fate::New {
        session.record(&request, &Reply::Ok, LIMIT);
    }
    fate
}

fn fresh() -> Session {
    Session::new(1, Tombstone::default())
}

fn done() -> Fate {
    Fate::Done(Some(Reply::Ok))
}

/// A session that has recorded the requests with these MIDs, all of which were new.
fn session(mids: impl Iterator<Item = String>) -> Session {
    let mut session = fresh();
    for mid in mids {
        assert_eq!(record(&mut session, &mid), Fate::New, "{mid}");
    }
    session
}

fn random_mids(seed: u64, length: usize, of: &'static [u8]) -> impl Iterator<Item = String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(move || (0..length).map(|_| of[rng.usize(..of.len())] as char).collect())
}

fn hex(n: usize) -> String {
    format!("{n:x}")
}

#[test]
fn repeated_request_is_recognised_and_another_under_its_mid_refused() {
    let mut session = session(["m".into()].into_iter());
    assert_eq!(record(&mut session, "m"), done());
    assert_eq!(session.fate(&Request { content: 8, ..request("m") }), Fate::Reused);
    assert_eq!(session.fate(&request("m")), done());
}

#[test]
fn numbered_request_is_done_never_again_however_late_it_comes() {
    for count in [SESSION_WINDOW + 1, 10 * SESSION_WINDOW] {
        let session = session((0..count).map(hex));
        let fate = |n: usize| session.fate(&request(&hex(n)));
        assert!((0..count - SESSION_WINDOW).all(|n| fate(n) == Fate::Forgotten));
        assert!((count - SESSION_WINDOW..count).all(|n| fate(n) == done()));
        assert!((count..2 * count).all(|n| fate(n) == Fate::New));
        assert_eq!(session.len(), SESSION_WINDOW);
        assert!(session.chunks.len() <= SESSION_WINDOW / CHUNK + 1);
    }
}

#[test]
fn numbers_count_however_they_are_written() {
    let ways: [fn(usize) -> String; 5] = [
        |n| n.to_string(),
        |n| format!("{n:X}"),
        |n| format!("{n:032x}"),
        |n| format!("{}", 1_764_000_000_000_000_000 + 1_000 * n as u64),
        |n| format!("{:x}", 17 * n),
    ];
    for way in ways {
        let session = session((0..3 * SESSION_WINDOW).map(way));
        assert_eq!(session.fate(&request(&way(5))), Fate::Forgotten, "{}", way(5));
    }
}

#[test]
fn numbers_out_of_order_are_done_once_each() {
    // Every seventh is delayed by 800 others, and all by up to a hundred.
    let mut rng = fastrand::Rng::with_seed(1);
    let delay = |n: usize| if n.is_multiple_of(7) { 800 } else { 0 };
    let mut order: Vec<(usize, usize)> = (0..20_000).map(|n| (n + delay(n) + rng.usize(..100), n)).collect();
    order.sort_unstable();
    let session = session(order.iter().map(|(_, n)| hex(*n)));
    assert!((0..18_000).all(|n| session.fate(&request(&hex(n))) == Fate::Forgotten));
    assert_eq!(session.len(), SESSION_WINDOW);
}

#[test]
fn random_mid_that_is_new_is_never_refused_and_is_remembered_for_the_longer_window() {
    let alphabets: [(usize, &[u8]); 4] = [
        (16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
        (16, b"0123456789abcdef"),
        (12, b"0123456789"),
        (32, b"0123456789abcdef"),
    ];
    for (seed, (length, of)) in alphabets.into_iter().enumerate() {
        let mids = || random_mids(seed as u64, length, of);
        let more = 2 * SESSION_WINDOW;
        let session = session(mids().take(NAMES_WINDOW + more));
        assert_eq!(session.len(), NAMES_WINDOW);
        assert_eq!(session.settled, None);
        assert!(mids().skip(more).take(9).all(|mid| session.fate(&request(&mid)) == done()));
        assert!(session.chunks.len() <= 5 * CHUNK_PART, "{}", session.chunks.len());
        assert!(
            session.bytes() <= (NAMES_WINDOW + NAMES_WINDOW / CHUNK_PART) * REQUEST_BYTES + SESSION_BYTES
        );
    }
}

#[test]
fn name_that_is_used_again_after_it_was_forgotten_is_a_new_one() {
    let names = || (0..NAMES_WINDOW).map(|n| format!("x{n}"));
    let mut session = session(names());
    assert_eq!(record(&mut session, "y"), Fate::New);
    assert_eq!(record(&mut session, "x0"), Fate::New, "`y` took its place");
    assert_eq!(record(&mut session, "x0"), done());
    assert_eq!(record(&mut session, "x9"), done());
}

#[test]
fn client_that_begins_to_count_is_recognised_and_its_session_shrinks() {
    let random = random_mids(1, 16, b"0123456789abcdef").take(NAMES_WINDOW);
    let session = session(random.chain((0..3 * NAMES_WINDOW).map(hex)));
    assert_eq!(session.len(), SESSION_WINDOW);
    assert_eq!(session.fate(&request("0")), Fate::Forgotten);
    assert!(session.chunks.len() <= SESSION_WINDOW / CHUNK + 1);
}

#[test]
fn number_far_ahead_of_the_others_refuses_none_of_them() {
    let mids = (0..9 * SESSION_WINDOW).map(|n| if n == SESSION_WINDOW { "f".repeat(16) } else { hex(n) });
    let session = session(mids);
    assert_eq!(session.fate(&request(&hex(9 * SESSION_WINDOW))), Fate::New);
    assert_eq!(session.fate(&request("0")), Fate::Forgotten);
}

#[test]
fn client_that_stops_counting_keeps_its_settled_numbers() {
    let mut session = session((0..2 * SESSION_WINDOW).map(hex));
    for mid in random_mids(1, 16, b"GHIJKLMNOPQRSTUVWXYZ").take(2 * NAMES_WINDOW) {
        assert_eq!(record(&mut session, &mid), Fate::New);
    }
    assert_eq!(session.fate(&request("0")), Fate::Forgotten);
    assert_eq!(session.len(), NAMES_WINDOW);
}

#[test]
fn mid_that_is_no_number_has_none() {
    for mid in ["", "m1", "+1", "-1", "1.5", "0x1f", " 1", "fffffffffffffffff", "18446744073709551616"] {
        assert_eq!(number(mid), None, "{mid:?}");
    }
    assert_eq!(number("0"), Some(0));
    assert_eq!(number("000"), Some(0));
    assert_eq!(number("fFfFffffffffffff"), Some(u64::MAX));
    assert_eq!(number("18446744073709551615"), Some(u64::MAX));
}

#[test]
fn oldest_replies_are_dropped_beyond_the_limit() {
    let mut session = fresh();
    let reply = |n: usize| match n % 3 {
        0 => Reply::Integer(n as i64),
        _ => Reply::Bytes("0123456789".repeat(n % 9).into()),
    };
    for n in 0..500 {
        session.record(&request(&hex(n)), &reply(n), LIMIT);
        assert!(session.reply_bytes <= LIMIT);
        let total: usize = session.chunks.iter().map(|chunk| chunk.reply_bytes).sum();
        assert_eq!(session.reply_bytes, total);
    }
    let fate = |n: usize| session.fate(&request(&hex(n)));
    assert_eq!(fate(499), Fate::Done(Some(reply(499))));
    assert_eq!(fate(480), Fate::Done(Some(reply(480))));
    assert_eq!(fate(1), Fate::Done(None));
    assert_eq!(fate(3), Fate::Done(Some(reply(3))), "a reply without bytes is kept");
    session.record(&request("long"), &Reply::Bytes("x".repeat(LIMIT).into()), LIMIT);
    assert_eq!(session.fate(&request("long")), Fate::Done(None));
    assert_eq!(
        session.fate(&request(&hex(499))),
        Fate::Done(Some(reply(499))),
        "others are not dropped for it"
    );
}

#[test]
fn replies_go_with_their_requests() {
    let mut session = fresh();
    for n in 0..9 * SESSION_WINDOW {
        session.record(&request(&hex(n)), &Reply::Bytes("0123456789".into()), usize::MAX);
    }
    let held = (session.next - session.chunks[0].base) as usize;
    assert!(held < SESSION_WINDOW + CHUNK);
    assert_eq!(session.reply_bytes, 26 * held);
    assert_eq!(session.bytes(), SESSION_BYTES + (REQUEST_BYTES + 26) * held);
}

#[test]
fn copy_shares_all_chunks_but_the_last() {
    let mut session = session((0..SESSION_WINDOW).map(hex));
    let copy = session.clone();
    assert_eq!(record(&mut session, "ffff"), Fate::New);
    assert_eq!(copy.fate(&request("ffff")), Fate::New);
    let shared = copy.chunks.iter().filter(|chunk| session.chunks.iter().any(|own| Arc::ptr_eq(own, chunk)));
    assert!(shared.count() >= copy.chunks.len() - 1);
}

#[test]
fn only_numbers_of_a_client_that_counts_stay_refused_after_its_session() {
    let settled = |session: Session| session.tombstone().settled;
    assert_eq!(settled(fresh()), None);
    for count in [1, 2, 3, 100, 9 * SESSION_WINDOW] {
        assert_eq!(settled(session((0..count).map(hex))), Some(count as u64 - 1));
    }
    let mixed = (0..100).map(|n| hex(n ^ 7));
    assert_eq!(settled(session(mixed)), Some(103), "out of order");
    for (seed, count) in [(1, 40), (2, 1_000), (3, 5_000)] {
        let mids = || random_mids(seed, 16, b"0123456789abcdef").take(count);
        let tombstone = session(mids()).tombstone();
        assert_eq!(tombstone.settled, None);
        assert_eq!(tombstone.greatest, mids().filter_map(|mid| number(&mid)).max());
    }
    let names = session(random_mids(4, 16, b"GHIJKLMNOPQRSTUVWXYZ").take(40)).tombstone();
    assert_eq!(names, Tombstone::default());
    assert!(names.is_new(&request("7")) && !names.is_new(&request("x")));
}

#[test]
fn request_with_a_greater_number_than_all_others_is_new_without_a_search() {
    let mut session = Session::new(1, Tombstone { settled: Some(9), greatest: None });
    assert_eq!(session.fate(&request("9")), Fate::Forgotten);
    assert_eq!(session.fate(&request("a")), Fate::New);
    session.record(&request("20"), &Reply::Ok, LIMIT);
    session.record(&request("x"), &Reply::Ok, LIMIT);
    for mid in ["20", "020", "x"] {
        let known = session.fate(&request(mid));
        assert_eq!(known == Fate::New, mid == "020", "{mid}");
    }
    assert_eq!(session.fate(&request("21")), Fate::New);
}

#[test]
fn session_is_the_same_after_it_was_taken_apart() {
    let counting: fn(usize) -> String = hex;
    let names: fn(usize) -> String = |n| format!("name-{n}");
    let late: fn(usize) -> String = |n| hex(if n.is_multiple_of(4) { n.saturating_sub(30) } else { n + 1 });
    let begins_to_count: fn(usize) -> String = |n| if n < 3_000 { format!("-{n}") } else { hex(n) };
    for mids in [counting, names, late, begins_to_count] {
        let mut session = fresh();
        for n in 0..9_000 {
            let reply = if n % 7 == 0 { Reply::Bytes(hex(n).into()) } else { Reply::Integer(n as i64) };
            let request = request(&mids(n));
            if session.fate(&request) == Fate::New {
                session.record(&request, &reply, LIMIT);
            }
            if n < 40 || n % 97 == 0 || (1_000..1_100).contains(&n) {
                let parts = session.parts();
                let requests = session.requests(parts.base).cloned().collect();
                assert_eq!(Session::restore(&parts, requests).as_ref(), Some(&session), "{n}");
            }
        }
        assert!(session.first == 0 || session.rising > RISING, "it is worth a test");
    }
}

#[test]
fn parts_that_no_session_has_are_refused() {
    let session = session((0..3 * SESSION_WINDOW).map(hex));
    let parts = session.parts();
    let requests: Vec<Remembered> = session.requests(parts.base).cloned().collect();
    let restore = |change: fn(&mut Parts)| {
        let mut parts = parts.clone();
        change(&mut parts);
        Session::restore(&parts, requests.clone())
    };
    assert_eq!(restore(|_| {}), Some(session));
    let changes: [fn(&mut Parts); 12] = [
        |parts| parts.first = parts.base + parts.chunks[0],
        |parts| parts.first = 0,
        |parts| parts.first += SESSION_WINDOW as u64,
        |parts| parts.chunks = Vec::new(),
        |parts| parts.chunks[0] += 1,
        |parts| parts.chunks.push(0),
        |parts| parts.chunks[0] = u64::MAX,
        |parts| parts.base = u64::MAX,
        |parts| parts.base -= 1,
        |parts| parts.greatest = Some(5),
        |parts| parts.settled = Some(u64::MAX),
        |parts| parts.replies_from = u64::MAX,
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_eq!(restore(change), None, "{n}");
    }
}
