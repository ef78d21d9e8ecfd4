//! Runs the cluster in virtual time from many seeds. If a run fails, it shows how.

mod findings;
mod page;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use clap::Parser;
use findings::{Findings, report, report_coverage, report_figures, seconds, show_progress};
use kvstore::sim::batch::{processors, run_many};
use kvstore::sim::bugs::Bug;
use kvstore::sim::minimise::{Minimal, minimise};
use kvstore::sim::plan::Plan;
use kvstore::sim::recorder::Heading;
use kvstore::sim::scenario::Source;
use kvstore::sim::trace::excerpt;
use kvstore::sim::{Outcome, record, run, swarm};
use kvstore::tuning::Tuning;
use kvstore::{err_line as eprintln, out as print, out_line as println};
use page::Page;
use parking_lot::Mutex;

/// The explorer found a failure, or never reached a counter.
const EXIT_FOUND: u8 = 1;
/// The command line makes no sense.
const EXIT_USAGE: u8 = 2;

/// The number of lines of a failure's transcript that are shown at once.
const LINES_SHOWN: usize = 100;

/// Runs a whole cluster in virtual time, thousands of times, with different faults each time.
#[derive(Debug, Parser)]
#[command(name = "explore", version, after_help = AFTER_HELP)]
struct Options {
    /// Number of seeds to run.
    #[arg(long, value_name = "N", default_value_t = 1_000, conflicts_with_all = ["forever", "seed"])]
    seeds: u64,

    /// Run seeds until one fails.
    #[arg(long, conflicts_with = "seed")]
    forever: bool,

    /// The first seed.
    #[arg(long, value_name = "SEED", default_value_t = 0)]
    first: u64,

    /// Run only this seed.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,

    /// Number of threads; by default one for each processor.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,

    /// A scenario of run.py, or a plan in a file, instead of the plans that the seeds draw.
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// Tuning that replaces the plan's, with the keys of a plan: `{"topology": "relay"}`.
    #[arg(long, value_name = "JSON")]
    tuning: Option<String>,

    /// Write the transcript of the one seed to stdout.
    #[arg(long, requires = "seed", conflicts_with_all = ["seeds", "forever"])]
    trace: bool,

    /// Write all messages, events and requests of the one seed to a file, as run.py --trace does.
    #[arg(long, value_name = "FILE", requires = "seed", conflicts_with_all = ["seeds", "forever"])]
    trace_file: Option<PathBuf>,

    /// Draw the one seed as an HTML page, as run.py --report does.
    #[arg(long, value_name = "FILE", requires = "seed", conflicts_with_all = ["seeds", "forever"])]
    report: Option<PathBuf>,

    /// Show a failure as the seed found it, without a search for the shortest plan that fails.
    #[arg(long)]
    no_minimise: bool,

    /// The file for the plan of a failure, after the search for the shortest one.
    #[arg(long, value_name = "FILE", default_value = "target/explore/failure.json")]
    save: PathBuf,

    /// Put a known bug around each replica; `list` names them all, `all` hunts each of them with at
    /// most --seeds seeds and prints a table.
    #[arg(long, value_name = "NAME")]
    bug: Option<String>,
}

const AFTER_HELP: &str = r#"Exit codes: 0 nothing found, 1 a rule was broken or a counter stayed at 0, 2 bad command line or file.

Examples:
  explore --seeds 10000              ten thousand seeds
  explore --seed 17 --trace          the transcript of one of them
  explore --seed 17 --report run.html
  explore --scenario configs/crash-4.json --seeds 100
  explore --scenario configs/simple-2.json --tuning '{"topology": "relay"}'
  explore --bug votes-twice          how soon a known bug is found"#;

/// A reason to end, as a line for the user.
struct Refusal(String);

fn main() -> ExitCode {
    let options = Options::parse();
    // A panic in a run is a finding like any other, so the explorer reports it with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    match explore(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FOUND),
        Err(Refusal(message)) => {
            eprintln!("explore: {message}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn explore(options: &Options) -> Result<bool, Refusal> {
    let source = match &options.scenario {
        Some(path) => Some(Source::read(path).map_err(|error| Refusal(error.to_string()))?),
        None => None,
    };
    let tuning = options.tuning.as_deref().map_or(Ok(TuningChanges::default()), TuningChanges::read)?;
    if source.is_none() && tuning.0.contains_key("reads") {
        // A lease must not meet the wild clock drift that seeds draw for runs without leases.
        return Err(Refusal(
            "--tuning: each seed draws its own reads; only a --scenario can change them".to_owned(),
        ));
    }
    let explorer = Explorer { options, source, tuning };
    match options.bug.as_deref() {
        Some("list") => {
            println!("{:<22}what it does", "bug");
            Bug::ALL.iter().for_each(|bug| println!("{:<22}{}", bug.name(), bug.description()));
            Ok(true)
        }
        Some("all") => explorer.hunt_all(),
        Some(name) => explorer.explore(Some(find_bug(name)?)),
        None => explorer.explore(None),
    }
}

fn find_bug(name: &str) -> Result<Bug, Refusal> {
    let unknown = || Refusal(format!("--bug {name}: no such bug (--bug list names them)"));
    Bug::ALL.iter().copied().find(|bug| bug.name() == name).ok_or_else(unknown)
}

/// The argument of `--tuning`: some of the keys of [`Tuning`].
#[derive(Default)]
struct TuningChanges(serde_json::Map<String, serde_json::Value>);

impl TuningChanges {
    /// Refuses keys that no tuning has, and values that contradict the default tuning.
    fn read(text: &str) -> Result<Self, Refusal> {
        let refusal = |error: &dyn std::fmt::Display| Refusal(format!("--tuning: {error}"));
        let changes = Self(serde_json::from_str(text).map_err(|error| refusal(&error))?);
        let changed = changes.apply(&Tuning::DEFAULT).map_err(|error| refusal(&error))?;
        changed.check().map_err(|error| refusal(&error))?;
        Ok(changes)
    }

    fn apply(&self, tuning: &Tuning) -> serde_json::Result<Tuning> {
        let mut json = serde_json::to_value(tuning)?;
        for (name, value) in &self.0 {
            json[name] = value.clone();
        }
        serde_json::from_value(json)
    }
}

struct Explorer<'a> {
    options: &'a Options,
    source: Option<Source>,
    tuning: TuningChanges,
}

impl Explorer<'_> {
    fn plan(&self, seed: u64) -> Plan {
        let plan = self.source.as_ref().map_or_else(|| swarm::plan(seed), |source| source.plan(seed));
        let tuning = self.tuning.apply(&plan.tuning).unwrap_or_else(|_| unreachable!("read refuses others"));
        Plan { tuning, ..plan }
    }

    fn explore(&self, bug: Option<Bug>) -> Result<bool, Refusal> {
        if let Some(seed) = self.options.seed {
            return self.show_one(seed, bug);
        }
        let count = if self.options.forever { u64::MAX - self.options.first } else { self.options.seeds };
        let started = Instant::now();
        let findings = self.run_many(count, bug, true);
        report(&findings, started.elapsed());
        if let Some(seed) = findings.failure {
            self.show_failure(seed, bug)?;
            return Ok(false);
        }
        println!("Every rule holds in all {} seeds.", findings.runs);
        if self.source.is_some() {
            report_figures(&findings.figures);
            return Ok(true);
        }
        Ok(report_coverage(&findings))
    }

    /// Runs the seeds until one fails.
    fn run_many(&self, count: u64, bug: Option<Bug>, shown: bool) -> Findings {
        let seeds = self.options.first..self.options.first.saturating_add(count);
        let jobs = self.options.jobs.map_or_else(processors, usize::from);
        let done = AtomicBool::new(false);
        let findings = Mutex::new(Findings::default());
        let take = |outcome| findings.lock().take(outcome, self.source.is_some());
        let failure = std::thread::scope(|scope| {
            if shown {
                scope.spawn(|| show_progress(&findings, &done));
            }
            let failure = run_many(seeds, jobs, |seed| self.plan(seed), bug, take);
            done.store(true, Ordering::Relaxed);
            failure
        });
        Findings { failure, ..findings.into_inner() }
    }

    fn show_one(&self, seed: u64, bug: Option<Bug>) -> Result<bool, Refusal> {
        let page = match &self.options.report {
            Some(path) => Some(Page::new(path, self.options.trace_file.as_deref())?),
            None => None,
        };
        let outcome = match page.as_ref().map(Page::trace).or(self.options.trace_file.as_deref()) {
            None => run(&self.plan(seed), bug, self.options.trace),
            Some(path) => self.record(path, seed, bug)?,
        };
        if let Some(page) = page {
            page.draw()?;
        }
        if self.options.trace {
            print!("{}", outcome.trace);
        }
        outcome.unmet.iter().for_each(|unmet| eprintln!("seed {seed}: {unmet}"));
        match outcome.violation {
            None => {
                eprintln!(
                    "seed {seed}: every rule holds for {:.3} virtual seconds",
                    seconds(outcome.virtual_us)
                );
                Ok(true)
            }
            Some(violation) if self.options.trace => {
                println!("{violation}");
                Ok(false)
            }
            Some(_) => self.show_failure(seed, bug).map(|()| false),
        }
    }

    /// Runs a plan and writes its trace to a file, which is created before the run.
    fn record(&self, path: &Path, seed: u64, bug: Option<Bug>) -> Result<Outcome, Refusal> {
        let refused = |error: std::io::Error| Refusal(format!("{}: {error}", path.display()));
        let file = File::create(path).map_err(refused)?;
        let scenario = self.options.scenario.as_deref().and_then(Path::file_stem);
        let heading = Heading {
            scenario: scenario.map_or_else(|| "swarm".to_owned(), |name| name.to_string_lossy().into_owned()),
            command: self.repeats(seed),
        };
        let (outcome, written) = record(&self.plan(seed), bug, &heading, Box::new(file));
        written.map_err(refused)?;
        Ok(outcome)
    }

    /// Prints the seed, the rule, the command that repeats the run, and the shortest plan that
    /// fails with its transcript.
    fn show_failure(&self, seed: u64, bug: Option<Bug>) -> Result<(), Refusal> {
        let plan = self.plan(seed);
        if let Some(violation) = run(&plan, bug, false).violation {
            println!("\nseed {seed}: {violation}");
        }
        println!("replay: {}", self.repeats(seed));
        if self.options.no_minimise {
            return Ok(());
        }
        let Some(Minimal { plan: minimal, violation, runs }) = minimise(&plan, bug) else {
            return Ok(());
        };
        let (faults, all) = (minimal.faults.len(), plan.faults.len());
        println!("\nWith {faults} of {all} faults (found in {runs} runs): {violation}");
        let numbered = minimal.faults.iter().enumerate();
        numbered.for_each(|(number, fault)| println!("  fault {number}: {fault}"));
        save(&self.options.save, &minimal)?;
        let trace = run(&minimal, bug, true).trace;
        println!("\n{}", excerpt(&trace, violation.at_us, LINES_SHOWN).join("\n"));
        println!("{violation}");
        println!(
            "\nall {} lines: {} --trace",
            trace.lines().count(),
            self.command(Some(&self.options.save), seed)
        );
        Ok(())
    }

    /// The command that repeats a run as the seed drew it.
    fn repeats(&self, seed: u64) -> String {
        let tuning = self.options.tuning.as_ref().map(|tuning| format!(" --tuning '{tuning}'"));
        self.command(self.options.scenario.as_deref(), seed) + &tuning.unwrap_or_default()
    }

    fn command(&self, scenario: Option<&Path>, seed: u64) -> String {
        let bug = self.options.bug.as_ref().map(|bug| format!(" --bug {bug}")).unwrap_or_default();
        let scenario = scenario.map(|path| format!(" --scenario {}", path.display())).unwrap_or_default();
        format!("cargo run --release --bin explore --{bug}{scenario} --seed {seed}")
    }

    /// Hunts every bug, and prints the number of seeds that each one took.
    fn hunt_all(&self) -> Result<bool, Refusal> {
        println!("| bug | what it does | seeds | found as |\n|---|---|---|---|");
        let mut found_all = true;
        for &bug in Bug::ALL {
            let findings = self.run_many(self.options.seeds, Some(bug), false);
            let Some(seed) = findings.failure else {
                println!("| `{bug}` | {} | not within {} | |", bug.description(), self.options.seeds);
                found_all = false;
                continue;
            };
            let violation = run(&self.plan(seed), Some(bug), false).violation;
            let rule = violation.map_or("", |violation| violation.rule);
            let seeds = seed - self.options.first + 1;
            println!("| `{bug}` | {} | {seeds} | {rule} |", bug.description());
        }
        Ok(found_all)
    }
}

/// Writes a plan down, so that it can be run again.
fn save(path: &Path, plan: &Plan) -> Result<(), Refusal> {
    let refused = |error: std::io::Error| Refusal(format!("{}: {error}", path.display()));
    let json = serde_json::to_string_pretty(plan).map_err(|error| Refusal(error.to_string()))?;
    path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(refused)?;
    std::fs::write(path, json + "\n").map_err(refused)
}
