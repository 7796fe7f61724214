//! `duress check`: judge a history from anywhere.

use std::process::ExitCode;
use std::time::Instant;

use duress_checker::formats::{self, Format};
use duress_checker::linearizability;
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};

use crate::cli::CheckArgs;
use crate::commands::{colour, fail, print, print_json};
use crate::exit;

#[derive(Debug, thiserror::Error)]
enum CheckFailure {
    #[error("read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Format {
        path: String,
        source: formats::FormatError,
    },
    #[error("{path}: {source}")]
    Check {
        path: String,
        source: linearizability::CheckError,
    },
}

/// Reads, judges, prints.
pub fn main(args: &CheckArgs) -> ExitCode {
    match check(args) {
        Ok(verdict) => {
            if args.json {
                print_json(&verdict);
            } else if !args.quiet {
                print(duress_results::terminal::property(&verdict, colour()));
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
    let bytes = std::fs::read(&args.history).map_err(|source| CheckFailure::Read {
        path: path.clone(),
        source,
    })?;
    let history = formats::read_history(&bytes, Format::Guess).map_err(|source| CheckFailure::Format {
        path: path.clone(),
        source,
    })?;
    let budget = Budget {
        time_ms_max: u64::try_from(args.time.0.as_millis()).unwrap_or(u64::MAX),
        memory_bytes_max: args.memory_mib << 20,
    };
    let start = Instant::now();
    linearizability::check_parallel(
        &history,
        &args.model,
        budget,
        &|| start.elapsed(),
        crate::judge::threads(),
    )
    .map_err(|source| CheckFailure::Check { path, source })
}
