//! `duress check`: judge a history from anywhere, as a whole or while it is being written.
//!
//! Exit codes: 0 held, 1 violated, 2 inconclusive, 64 the file is no history or the command line is wrong. `--json` and
//! `--quiet` change what is printed, never the code.

mod input;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

use duress_checker::formats::{self, Format};
use duress_checker::history::{Remarks, Series, Trace};
use duress_checker::linearizability::{CheckError, PROPERTY, with_model};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};
use duress_results::rundir::RunDir;
use duress_results::verdict_file::VerdictFile;

use crate::commands::arguments::{parse_check_time, parse_memory, parse_property};
use crate::commands::{colour, fail, print_json, print_painted};
use crate::duration::SpecDuration;
use crate::exit;
use crate::judge;
use crate::runs::judged::{Recorded, ReportError};
use crate::spec::Claim;

/// What may be spent on a history where the command line does not say; of a run its spec says it.
const TIME: SpecDuration = SpecDuration::seconds(60);
const MEMORY_MIB: usize = 2048;

#[derive(Debug, thiserror::Error)]
enum CheckFailure {
    #[error("--memory-mib {mib}: use 1 to {}", usize::MAX >> 20)]
    Memory { mib: usize },
    #[error("read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error(
        "{path}: the history takes more than {mib} MiB of memory: allow it more with --memory-mib, or judge a history.jsonl \
         with --stream, which keeps little"
    )]
    TooLarge { path: String, mib: usize },
    #[error("{path}: {source}")]
    Format {
        path: String,
        source: formats::FormatError,
    },
    #[error("{path}: {source}")]
    Check { path: String, source: CheckError },
    #[error("{path}, line {line}: {reason}; --stream takes history.jsonl only")]
    Line { path: String, line: u64, reason: String },
    #[error("{path}, line {line}: {reason}")]
    Event { path: String, line: u64, reason: String },
    #[error(
        "--stream judges linearizable and the promises of delivery; {name} takes the whole history: leave --stream out"
    )]
    NotStreamed { name: &'static str },
    #[error("--property, --model and --stream are for a history; of a run its spec says what is claimed")]
    OfRun,
    #[error("name what the operations mean with --model; `duress check --help` lists the models")]
    NoModel,
    #[error("{path}, line {line}: {source}")]
    LineCheck {
        path: String,
        line: u64,
        source: CheckError,
    },
}

/// The example, and what each model takes.
fn check_help() -> String {
    let mut help =
        "Example:\n  duress check results/runs/latest/history.jsonl --model cas-register\n\nModels:\n"
            .to_owned();
    for about in duress_checker::object::CATALOGUE {
        help.push_str(&format!("  {:<19} {}\n", about.name, about.takes));
    }
    help.push_str("\nFormats: history.jsonl, Jepsen's EDN and JSON, logs of Jepsen tests.");
    help
}

/// Judge a history from anywhere
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = check_help())]
pub struct Args {
    /// The history, or a run's directory; - is standard input. A history.jsonl, Jepsen's EDN or JSON, the log of a Jepsen test, any of them compressed by zstd or not. A line that is
    /// not understood is refused (exit code 64); events of the nemesis and other lines of a log are skipped and counted
    pub history: PathBuf,
    /// Judge line by line: for a history.jsonl that is still being written, or too long for memory. Linearizability forgets what is
    /// settled, and ends at the first violation; promises of delivery keep little of each message. Empty lines and a last line that is cut off are passed over
    #[arg(long)]
    pub stream: bool,
    /// What is claimed of the history; `duress properties` lists what can be. Of a run's directory it is what its spec claims
    #[arg(long, value_parser = parse_property)]
    pub property: Option<Claim>,
    /// What the system would do with one client and no faults; `linearizable` needs it
    #[arg(long)]
    pub model: Option<String>,
    /// Time to spend, e.g. 5m. By default 60s; for a run's directory what its spec says
    #[arg(long, value_parser = parse_check_time)]
    pub time: Option<SpecDuration>,
    /// Memory to spend, in MiB: for reading the history, and as much again for the search. By default 2048; for a run's
    /// directory what its spec says
    #[arg(long, value_parser = parse_memory)]
    pub memory_mib: Option<usize>,
    /// Print the verdict as JSON
    #[arg(long)]
    pub json: bool,
    /// Print nothing: the exit code says it
    #[arg(long, short)]
    pub quiet: bool,
}

/// Reads, judges, prints.
pub fn main(args: &Args) -> ExitCode {
    if args.history.join("spec.toml").is_file() {
        return run(args);
    }
    match check(args) {
        Ok(verdict) => {
            if args.json {
                print_json(&verdict);
            } else if !args.quiet {
                print_painted(duress_results::terminal::property(&verdict, colour()));
            }
            ExitCode::from(match verdict.verdict {
                Verdict::Held => 0,
                Verdict::Violated { .. } => 1,
                Verdict::Inconclusive { .. } => 2,
            })
        }
        Err(error) => fail(&error, exit::USAGE),
    }
}

/// Judges what the spec of a run claims, by the code that judged it when it ended, and writes nothing.
fn run(args: &Args) -> ExitCode {
    if args.stream || args.property.is_some() || args.model.is_some() {
        return fail(&CheckFailure::OfRun, exit::USAGE);
    }
    let dir = match RunDir::open(&args.history) {
        Ok(dir) => dir,
        Err(error) => return fail(&error, exit::USAGE),
    };
    match judged(&dir, args) {
        Ok(verdict) => {
            if args.json {
                print_json(&verdict);
            } else if !args.quiet {
                print_painted(duress_results::terminal::summary(&verdict, colour()));
            }
            ExitCode::from(verdict.exit_code)
        }
        Err(error) => fail(&error, exit::HARNESS_FAILURE),
    }
}

fn judged(dir: &RunDir, args: &Args) -> Result<VerdictFile, ReportError> {
    let mut recorded = Recorded::read(dir)?;
    let limits = recorded.limits();
    limits.time = args.time.unwrap_or(limits.time);
    limits.memory_mib = args.memory_mib.unwrap_or(limits.memory_mib);
    Ok(recorded.judge(dir, None))
}

fn check(args: &Args) -> Result<PropertyVerdict, CheckFailure> {
    let path = args.history.display().to_string();
    let mib = args.memory_mib.unwrap_or(MEMORY_MIB);
    let memory_bytes_max = mib
        .checked_mul(1 << 20)
        .filter(|&bytes| bytes > 0)
        .ok_or(CheckFailure::Memory { mib })?;
    let budget = Budget {
        time_ms_max: u64::try_from(args.time.unwrap_or(TIME).0.as_millis()).unwrap_or(u64::MAX),
        memory_bytes_max,
    };
    let claim = args.property.filter(|claim| !linearizable(*claim));
    let model = match (&args.model, claim) {
        (Some(model), _) => model.as_str(),
        (None, Some(_)) => "",
        (None, None) => return Err(CheckFailure::NoModel),
    };
    let check_failed = |source| CheckFailure::Check {
        path: path.clone(),
        source,
    };
    let input = input::open(&args.history).map_err(|source| CheckFailure::Read {
        path: path.clone(),
        source,
    })?;
    if args.stream {
        let lines = stream::Lines {
            path: &path,
            input: input.reader,
            budget,
        };
        let Some(claim) = claim else {
            return with_model(model, lines).map_err(check_failed)?;
        };
        let name = claim.about().name;
        let streamed = claim.property().stream(memory_bytes_max);
        return lines.judge_streamed(streamed.ok_or(CheckFailure::NotStreamed { name })?);
    }
    let failed = |failure| match failure {
        input::Failure::Read(source) => CheckFailure::Read {
            path: path.clone(),
            source,
        },
        input::Failure::Format(formats::FormatError::Memory(_)) | input::Failure::TooLarge => {
            CheckFailure::TooLarge {
                path: path.clone(),
                mib,
            }
        }
        input::Failure::Format(source) => CheckFailure::Format {
            path: path.clone(),
            source,
        },
    };
    let text = input.read(memory_bytes_max).map_err(failed)?;
    if let Some(claim) = claim {
        let events =
            formats::read(&text, Format::Guess).map_err(|source| failed(input::Failure::Format(source)))?;
        let trace = Trace::new(&events, Series::new());
        return Ok(judge::property(claim.property(), &trace, None, budget, None));
    }
    let history = formats::read_history_within(&text, Format::Guess, memory_bytes_max)
        .map_err(|source| failed(input::Failure::Format(source)))?;
    // The columns are all that is needed from here on.
    drop(text);
    let mut verdict = judge::check(&history, model, budget).map_err(check_failed)?;
    tell_what_was_skipped(&mut verdict, &history.remarks);
    Ok(verdict)
}

/// This one has a reader and a search of its own, which keep less in memory.
fn linearizable(claim: Claim) -> bool {
    claim.about().name == PROPERTY
}

/// Warnings are part of the verdict already; what was left out on purpose is of interest only where a person reads a
/// history of which they don't know what is in it.
fn tell_what_was_skipped(verdict: &mut PropertyVerdict, remarks: &Remarks) {
    for skipped in remarks.skipped() {
        verdict.detail += &format!("; {skipped}");
    }
}
