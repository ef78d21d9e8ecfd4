//! Runs the transcripts beside this file: requests in, bytes out.
//!
//! ```text
//! > SET a "b c"          a request of connection 1: words, in quotes if they have spaces
//! +OK                    its reply, line by line
//! 2> GET a               a request of connection 2
//! $3
//! b c
//! >> PING\r\n*1\r\n$4    bytes as they are, with escapes
//! +PONG
//! (closes)               the connection closes
//! ```
//!
//! An empty line of a reply is `(empty)`. Lines with `#` are comments. `#: password secret` sets a
//! password, `#: not compared` says that Redis 7.0 has other replies. All other transcripts run
//! against a real Redis, too. `UPDATE_GOLDENFILES=1 cargo test --test frontend` writes the replies
//! anew; commit a changed one only when it is understood.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kvstore::bytes::Bytes;
use kvstore::frontend::redis::connection::Settings;

use super::real::{self, Client};
use super::world::{World, request, words};

/// One input of a transcript, and the lines after it.
#[derive(Debug)]
struct Step {
    line: String,
    connection: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    closes: bool,
}

fn transcripts() -> Vec<(PathBuf, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frontend/transcripts");
    let files = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> =
        files.map(|path| (path.clone(), fs::read_to_string(path).expect("readable"))).collect();
    files.sort();
    assert!(files.len() > 5, "the transcripts are gone");
    files
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        if let Some((connection, input)) = input(line) {
            let (line, output) = (line.to_string(), Vec::new());
            steps.push(Step { line, connection, input, output, closes: false });
        } else {
            let step = steps.last_mut().expect("a request comes first");
            if line == "(closes)" {
                step.closes = true;
            } else {
                step.output.extend(if line == "(empty)" { Vec::new() } else { unescaped(line) });
                step.output.extend(b"\r\n");
            }
        }
    }
    steps
}

/// The connection and the bytes, if the line is an input.
fn input(line: &str) -> Option<(u64, Vec<u8>)> {
    let (number, rest) = line.split_at(line.find('>').filter(|place| *place < 2)?);
    let number = if number.is_empty() { 1 } else { number.parse().ok()? };
    match rest.strip_prefix(">> ") {
        Some(raw) => Some((number, unescaped(raw))),
        None => Some((number, request(&words(rest.strip_prefix("> ")?)))),
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let quoted = format!("\"{}\"", text.replace('"', "\\\""));
    words(&quoted).concat()
}

fn lines(output: &[u8]) -> String {
    let text = output.escape_ascii().to_string().replace("\\\"", "\"").replace("\\'", "'");
    let lines = text.split_inclusive("\\r\\n").map(|line| line.strip_suffix("\\r\\n").unwrap_or(line));
    let shown = lines.map(|line| match line.strip_prefix('#') {
        Some(rest) => format!("\\x23{rest}\n"),
        None if line.is_empty() => "(empty)\n".into(),
        None => format!("{line}\n"),
    });
    shown.collect()
}

fn password(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("#: password "))
}

/// A transcript with the replies of the front end.
fn transcript(text: &str) -> String {
    let password = password(text).map(Bytes::from);
    let mut world = World::new(Settings { password, ..Settings::default() });
    let mut written = String::new();
    for line in text.lines() {
        if line.starts_with('#') || line.is_empty() {
            written += &format!("{line}\n");
        } else if let Some((connection, bytes)) = input(line) {
            let output = world.send(connection, &bytes);
            let end = if world.connection(connection).is_over() { "(closes)\n" } else { "" };
            written += &format!("{line}\n{}{end}", lines(&output));
        }
    }
    written
}

#[test]
fn replies_are_those_of_the_transcripts() {
    for (path, text) in transcripts() {
        let written = transcript(&text);
        if std::env::var_os("UPDATE_GOLDENFILES").is_some() {
            fs::write(&path, written).expect("writable");
        } else {
            assert_eq!(written, text, "{}", path.display());
        }
    }
}

#[test]
fn redis_has_the_same_replies() {
    for (path, text) in transcripts() {
        if text.contains("#: not compared") {
            continue;
        }
        let Some(mut server) = real::start(password(&text)) else { return };
        let mut clients: BTreeMap<u64, Client> = BTreeMap::new();
        for step in steps(&text) {
            let client = clients.entry(step.connection).or_insert_with(|| Client::connect(&mut server));
            client.send(&step.input);
            let reply = client.read(step.output.len());
            let place = format!("{}: {}", path.display(), step.line);
            assert_eq!(lines(&reply), lines(&step.output), "{place}");
            assert!(!step.closes || client.is_closed(), "{place}: Redis does not close");
        }
    }
}

#[test]
fn any_pieces_of_the_bytes_have_the_same_replies() {
    for (path, text) in transcripts() {
        let password = password(&text).map(Bytes::from);
        let settings = Settings { password, ..Settings::default() };
        let (mut whole, mut pieces) = (World::new(settings.clone()), World::new(settings));
        for (number, step) in steps(&text).iter().enumerate() {
            let expected = whole.send(step.connection, &step.input);
            let size = number % 7 + 1;
            let output: Vec<u8> =
                step.input.chunks(size).flat_map(|piece| pieces.send(step.connection, piece)).collect();
            assert_eq!(lines(&output), lines(&expected), "{}: {}", path.display(), step.line);
        }
    }
}
