//! The findings of many runs, and the texts that tell them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvstore::micros::Micros;
use kvstore::sim::coverage::Coverage;
use kvstore::sim::{Figures, Outcome};
use kvstore::{err_line as eprintln, out_line as println};
use parking_lot::Mutex;

/// Time between two displays of progress.
const PROGRESS: Duration = Duration::from_secs(2);

/// This many seeds reach every counter that coverage requires.
const SEEDS_FOR_COVERAGE: u64 = 1_000;

/// The findings of many runs together.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) runs: u64,
    pub(crate) virtual_us: Micros,
    pub(crate) coverage: Coverage,
    pub(crate) figures: Vec<Figures>,
    pub(crate) failure: Option<u64>, // the least seed that failed
}

impl Findings {
    /// Adds those of another run.
    pub(crate) fn take(&mut self, outcome: Outcome, figures: bool) {
        self.runs += 1;
        self.virtual_us += outcome.virtual_us;
        self.coverage += &outcome.coverage;
        if figures {
            self.figures.push(outcome.figures);
        }
    }
}

pub(crate) fn seconds(span: Micros) -> f64 {
    span as f64 / 1e6
}

/// Says how far the runs are until they are done.
pub(crate) fn show_progress(findings: &Mutex<Findings>, done: &AtomicBool) {
    let started = Instant::now();
    let mut shown = Duration::ZERO;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(50));
        if started.elapsed() >= shown + PROGRESS {
            shown = started.elapsed();
            eprintln!("{}", summary(&findings.lock(), shown));
        }
    }
}

fn summary(findings: &Findings, elapsed: Duration) -> String {
    let Findings { runs, virtual_us, coverage, .. } = findings;
    let rate = *runs as f64 / elapsed.as_secs_f64().max(1e-9);
    let hours = seconds(*virtual_us) / 3_600.0;
    let (Coverage { faults, events, .. }, all) = (coverage, coverage.all().len());
    let reached = all - coverage.missing().len();
    format!(
        "{runs} seeds, {rate:.0} per second, {hours:.2} virtual hours, {faults} faults, {events} events, \
         coverage {reached}/{all}"
    )
}

pub(crate) fn report(findings: &Findings, elapsed: Duration) {
    println!("{} in {:.1} s", summary(findings, elapsed), elapsed.as_secs_f64());
}

/// Prints the counters. Returns false if enough seeds were run and one required counter stayed at
/// 0.
pub(crate) fn report_coverage(findings: &Findings) -> bool {
    for (name, count, _) in findings.coverage.all() {
        println!("  {:<24}{count}", name.replace('_', " "));
    }
    let missing = findings.coverage.missing();
    if findings.runs < SEEDS_FOR_COVERAGE || missing.is_empty() {
        return true;
    }
    println!("never reached: {}", missing.join(", "));
    false
}

/// Prints minimum, median and maximum of the figures by which a scenario is judged.
pub(crate) fn report_figures(figures: &[Figures]) {
    let row = |name: &str, of: fn(&Figures) -> u64| {
        let mut values: Vec<u64> = figures.iter().map(of).collect();
        values.sort_unstable();
        if let (Some(least), Some(most)) = (values.first(), values.last()) {
            println!("  {name:<24}{least} / {} / {most}", values[values.len() / 2]);
        }
    };
    println!("  {:<24}minimum / median / maximum", "");
    row("messages", |figures| figures.messages);
    row("failures", |figures| figures.failures as u64);
    row("duplicates", |figures| figures.duplicates as u64);
    row("redirects", |figures| figures.redirects as u64);
    row("early reads", |figures| figures.early_reads as u64);
    row("median latency (us)", |figures| figures.median_latency_us);
    row("p99 latency (us)", |figures| figures.p99_latency_us);
    row("puts: p50 (us)", |figures| figures.puts.p50_us);
    row("puts: p99 (us)", |figures| figures.puts.p99_us);
    row("gets: p50 (us)", |figures| figures.gets.p50_us);
    row("gets: p99 (us)", |figures| figures.gets.p99_us);
    row("next election (us)", |figures| figures.election_us);
    row("recovery (us)", |figures| figures.recovery_us);
}
