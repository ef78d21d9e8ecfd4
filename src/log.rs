//! Lines for stderr that can neither kill nor stop the process.
//!
//! A replica does not choose its stderr: it may be closed, a full device, or a pipe without a
//! reader. A thread of its own writes the lines, so a write can stop only that thread. The queue in
//! front of it is bounded. A line that finds no room, or whose write fails, is lost and counted.
//! The next line that gets through follows a line with the count.
//!
//! Log records, panics and the one-line errors of the command line all take this way, and all of
//! them have the same form.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// How many lines may wait to be written.
const MAX_LINES: usize = 1_024;

/// How long a line may be; the rest of a longer one is cut off.
const MAX_LINE_BYTES: usize = 4_096;

/// How long [`flush`] waits for a stderr that takes nothing.
const STUCK: Duration = Duration::from_millis(50);

/// How long [`flush`] waits in all.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);

/// How many warnings from one place in the code are shown per [`WARNING_SPAN`].
const MAX_WARNINGS: u32 = 5;

/// The span that warnings are counted in.
const WARNING_SPAN: Duration = Duration::from_secs(1);

/// The form of all lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line for people.
    Text,
    /// An object of JSON on a line.
    Json,
}

/// Whether lines are JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);

/// Lines have this form from now on.
pub fn set_format(format: Format) {
    IS_JSON.store(format == Format::Json, Ordering::Relaxed);
}

/// Starts the log: records up to `level`, and panics, become lines for stderr. Repeated warnings
/// and errors are limited to a few per second.
pub fn start(level: LevelFilter, format: Format) {
    set_format(format);
    let limit = RepeatLimit::new(|line| write_line(Level::WARN, line));
    let registry = tracing_subscriber::registry().with(level).with(limit);
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Line(stderr())).with_ansi(false);
    // A second log in one process changes nothing.
    let _started = match format {
        Format::Text => registry.with(lines).try_init(),
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| write_line(Level::ERROR, &panic.to_string())));
}

/// Hands a line to the thread that writes to stderr. Never waits for that.
pub fn write_line(level: Level, line: &str) {
    stderr().push(&formed(level, line));
}

/// A line that is no record of its own, in the form of the log.
fn formed(level: Level, line: &str) -> Cow<'_, str> {
    if IS_JSON.load(Ordering::Relaxed) { json_line(level, line).into() } else { line.into() }
}

/// A record of the log, as its JSON form has it.
#[derive(Serialize)]
struct Record<'a> {
    timestamp: &'a str,
    level: &'a str,
    message: &'a str,
    target: &'a str,
}

/// A line as an object of JSON that is no longer than a line may be.
fn json_line(level: Level, line: &str) -> String {
    let mut timestamp = String::new();
    // A string takes all text.
    let _written = SystemTime.format_time(&mut Writer::new(&mut timestamp));
    let (mut end, target) = (line.len().min(MAX_LINE_BYTES), "kvstore");
    loop {
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let message = line[..end].strip_prefix("kvstore: ").unwrap_or(&line[..end]);
        let record = Record { timestamp: &timestamp, level: level.as_str(), message, target };
        let json = serde_json::to_string(&record).unwrap_or_default();
        if json.len() <= MAX_LINE_BYTES {
            return json;
        }
        end /= 2; // escapes make a text longer
    }
}

/// Waits until all lines are written, but not for a stderr that takes nothing.
pub fn flush() {
    stderr().flush(FLUSH_LIMIT, || {
        let stderr = io::stderr();
        let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(1)
    });
}

fn stderr() -> &'static Arc<Queue> {
    static STDERR: OnceLock<Arc<Queue>> = OnceLock::new();
    STDERR.get_or_init(|| Queue::start(io::stderr()))
}

/// Lines on their way to one destination.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<String>,
    is_writing: bool,
    lost: u64,
}

impl Queue {
    /// A queue whose own thread writes to `destination`.
    fn start(destination: impl Write + Send + 'static) -> Arc<Self> {
        let queue = Arc::new(Self::default());
        let writer = Arc::clone(&queue);
        let write = move || writer.write_to(destination);
        // Without a thread the lines are lost as soon as the queue is full.
        let _refused = thread::Builder::new().name("log".to_owned()).spawn(write);
        queue
    }

    fn push(&self, line: &str) {
        let mut state = self.state.lock();
        if state.lines.len() < MAX_LINES {
            let mut end = line.len().min(MAX_LINE_BYTES);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            state.lines.push_back(line[..end].trim_end().to_owned() + "\n");
            self.changed.notify_all();
        } else {
            state.lost += 1;
        }
    }

    fn write_to(&self, mut destination: impl Write) {
        let mut state = self.state.lock();
        loop {
            let Some(mut line) = state.lines.pop_front() else {
                self.changed.wait(&mut state);
                continue;
            };
            let lost = state.lost;
            if lost > 0 {
                let gap = format!("lines that were lost here: {lost}");
                line.insert_str(0, &format!("{}\n", formed(Level::WARN, &gap)));
            }
            state.is_writing = true;
            drop(state);
            let result = destination.write_all(line.as_bytes());
            state = self.state.lock();
            state.is_writing = false;
            match result {
                Ok(()) => state.lost -= lost,
                Err(_) => state.lost += 1,
            }
            self.changed.notify_all();
        }
    }

    fn flush(&self, limit: Duration, takes_more: impl Fn() -> bool) {
        let limit = Instant::now() + limit;
        let mut state = self.state.lock();
        while (state.is_writing || !state.lines.is_empty()) && Instant::now() < limit {
            if self.changed.wait_for(&mut state, STUCK).timed_out() && !takes_more() {
                return;
            }
        }
    }
}

/// One record on its way into a queue; the formatter writes it in one piece.
struct Line(&'static Arc<Queue>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        if bytes.len() > MAX_LINE_BYTES && IS_JSON.load(Ordering::Relaxed) {
            // The part of an object is no object; the beginning of the record says enough.
            self.0.push(&json_line(Level::WARN, &line));
        } else {
            self.0.push(&line);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets only so many warnings and errors per second through from each place in the code.
struct RepeatLimit<F> {
    places: Mutex<HashMap<Place, Span>>, // one per place in the code that has warned
    report: F,
}

/// A place in the code.
#[derive(PartialEq, Eq, Hash)]
struct Place {
    file: &'static str,
    line: u32,
}

/// The records of one place since the start of its current span.
struct Span {
    since: Instant,
    records: u32,
}

impl<F: Fn(&str)> RepeatLimit<F> {
    fn new(report: F) -> Self {
        Self { places: Mutex::default(), report }
    }

    /// Whether a record from this place may be shown now.
    fn admits(&self, place: Place, name: &str, now: Instant) -> bool {
        let mut places = self.places.lock();
        let seen = places.entry(place).or_insert(Span { since: now, records: 0 });
        if now.saturating_duration_since(seen.since) >= WARNING_SPAN {
            let hidden = seen.records.saturating_sub(MAX_WARNINGS);
            *seen = Span { since: now, records: 0 };
            if hidden > 0 {
                (self.report)(&format!("warnings like the next one that were not shown: {hidden} ({name})"));
            }
        }
        seen.records = seen.records.saturating_add(1);
        seen.records <= MAX_WARNINGS
    }
}

impl<S: Subscriber, F: Fn(&str) + 'static> Layer<S> for RepeatLimit<F> {
    fn event_enabled(&self, event: &Event<'_>, _context: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        let (file, line) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        *metadata.level() > Level::WARN
            || self.admits(Place { file, line }, metadata.target(), Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel as channel;

    use super::*;

    /// Only a test that fails waits so long.
    const TEST_TIMEOUT: Duration = Duration::from_secs(60);

    /// A destination that passes on what it is given, and each of whose writes waits for a permit:
    /// a success or a failure.
    struct Gate {
        permits: channel::Receiver<io::Result<()>>,
        written: channel::Sender<String>,
    }

    impl Write for Gate {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.permits.recv().map_err(io::Error::other)??;
            let _gone = self.written.send(String::from_utf8_lossy(bytes).into_owned());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gate() -> (channel::Sender<io::Result<()>>, channel::Receiver<String>, Arc<Queue>) {
        let (permits_in, permits) = channel::unbounded();
        let (written, lines) = channel::unbounded();
        (permits_in, lines, Queue::start(Gate { permits, written }))
    }

    #[test]
    fn stuck_destination_stops_neither_writers_nor_flush_and_lines_are_counted() {
        let (permits, lines, queue) = gate();
        queue.push("first");
        while !queue.state.lock().is_writing {
            thread::yield_now();
        }
        for n in 0..MAX_LINES + 7 {
            queue.push(&n.to_string());
        }
        queue.flush(TEST_TIMEOUT, || false);
        for _ in 0..=MAX_LINES {
            permits.send(Ok(())).expect("the thread lives");
        }
        assert_eq!(lines.recv().expect("written"), "first\n");
        assert_eq!(lines.recv().expect("written"), "lines that were lost here: 7\n0\n");
        assert_eq!(lines.recv().expect("written"), "1\n");
        assert_eq!(lines.iter().take(MAX_LINES - 2).count(), MAX_LINES - 2);
        assert_eq!(queue.state.lock().lines.len(), 0);
    }

    #[test]
    fn failed_writes_are_counted_and_the_next_line_says_so() {
        let (permits, lines, queue) = gate();
        for line in ["lost", "lost too", "kept"] {
            queue.push(line);
        }
        permits.send(Err(io::ErrorKind::StorageFull.into())).expect("the thread lives");
        permits.send(Err(io::ErrorKind::BrokenPipe.into())).expect("the thread lives");
        permits.send(Ok(())).expect("the thread lives");
        assert_eq!(lines.recv().expect("written"), "lines that were lost here: 2\nkept\n");
    }

    #[test]
    fn flush_waits_for_a_slow_destination() {
        let (permits, lines, queue) = gate();
        queue.push("slow");
        queue.flush(TEST_TIMEOUT, || {
            permits.send(Ok(())).expect("the thread lives");
            true
        });
        assert_eq!(lines.try_recv().as_deref(), Ok("slow\n"));
    }

    #[test]
    fn long_line_is_cut_between_characters() {
        let (permits, lines, queue) = gate();
        permits.send(Ok(())).expect("the thread lives");
        queue.push(&"ä".repeat(MAX_LINE_BYTES).replacen('ä', "a", 1));
        assert_eq!(lines.recv().expect("written").len(), MAX_LINE_BYTES);
    }

    #[test]
    fn line_of_json_is_an_object_that_fits_into_a_line() {
        let long = "\n".repeat(10 * MAX_LINE_BYTES) + "\u{1}";
        for line in ["kvstore: can't listen: \"x\"", "thread panicked at a:1:\nä", "", &long] {
            let json = json_line(Level::ERROR, line);
            assert!(json.len() <= MAX_LINE_BYTES && json.lines().count() == 1, "{json}");
            let record: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!((&record["level"], &record["target"]), (&"ERROR".into(), &"kvstore".into()));
            let message = record["message"].as_str().expect("a text");
            assert!(line.ends_with(message) || line.starts_with(message), "{message}");
            assert!(record["timestamp"].as_str().is_some_and(|time| time.ends_with('Z')), "{json}");
        }
    }

    #[test]
    fn repeated_warnings_are_limited_and_the_rest_counted() {
        let reported = Mutex::new(Vec::new());
        let limit = RepeatLimit::new(|line: &str| reported.lock().push(line.to_owned()));
        let start = Instant::now();
        let admits = |line, now| limit.admits(Place { file: "file", line }, "module", now);
        assert_eq!((0..100).filter(|_| admits(1, start)).count(), MAX_WARNINGS as usize);
        assert!(admits(2, start), "another place has its own limit");
        assert!(reported.lock().is_empty());
        assert!(admits(1, start + WARNING_SPAN));
        assert_eq!(*reported.lock(), ["warnings like the next one that were not shown: 95 (module)"]);
        assert!(admits(2, start + WARNING_SPAN));
        assert_eq!(reported.lock().len(), 1, "nothing was hidden there");
    }
}
