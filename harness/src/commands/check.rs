//! `duress check`: judge a history from anywhere, as a whole or while it is being written.
//!
//! Exit codes: 0 held, 1 violated, 2 inconclusive, 64 the file is no history or the command line is wrong. `--json` and
//! `--quiet` change what is printed, never the code.

mod input;
mod stream;

use std::process::ExitCode;

use duress_checker::formats::{self, Format};
use duress_checker::history::Remarks;
use duress_checker::linearizability::{CheckError, with_model};
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};

use crate::cli::CheckArgs;
use crate::commands::{colour, fail, print_json, print_painted};
use crate::exit;
use crate::judge;

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
    #[error("{path}, line {line}: {source}")]
    LineCheck {
        path: String,
        line: u64,
        source: CheckError,
    },
}

/// Reads, judges, prints.
pub fn main(args: &CheckArgs) -> ExitCode {
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

fn check(args: &CheckArgs) -> Result<PropertyVerdict, CheckFailure> {
    let path = args.history.display().to_string();
    let mib = args.memory_mib;
    let memory_bytes_max = mib
        .checked_mul(1 << 20)
        .filter(|&bytes| bytes > 0)
        .ok_or(CheckFailure::Memory { mib })?;
    let budget = Budget {
        time_ms_max: u64::try_from(args.time.0.as_millis()).unwrap_or(u64::MAX),
        memory_bytes_max,
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
        return with_model(&args.model, lines).map_err(check_failed)?;
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
    let history = formats::read_history_within(&text, Format::Guess, memory_bytes_max)
        .map_err(|source| failed(input::Failure::Format(source)))?;
    // The columns are all that is needed from here on.
    drop(text);
    let mut verdict = judge::check(&history, &args.model, budget).map_err(check_failed)?;
    tell_what_was_skipped(&mut verdict, &history.remarks);
    Ok(verdict)
}

/// Warnings are part of the verdict already; what was left out on purpose is of interest only where a person reads a
/// history of which they don't know what is in it.
fn tell_what_was_skipped(verdict: &mut PropertyVerdict, remarks: &Remarks) {
    for skipped in remarks.skipped() {
        verdict.detail += &format!("; {skipped}");
    }
}
