//! Checks a history file: `check FILE --model MODEL [--quiet]`.
//!
//! Exit codes as of `duress check`: 0 held, 1 violated, 2 inconclusive, 64 bad input.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::time::Instant;

use duress_checker::formats::{self, Format};
use duress_checker::linearizability::check_history;
use duress_checker::verdict::{Budget, Verdict};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "check").collect();
    let quiet = args.iter().any(|arg| arg == "--quiet");
    let model = args
        .iter()
        .position(|arg| arg == "--model")
        .and_then(|at| args.get(at + 1));
    let (Some(file), Some(model)) = (args.first(), model) else {
        eprintln!("usage: check FILE --model MODEL [--quiet]");
        return ExitCode::from(64);
    };
    let judged = std::fs::read(file)
        .map_err(|error| error.to_string())
        .and_then(|bytes| {
            let history = formats::read_history(&bytes, Format::Guess).map_err(|error| error.to_string())?;
            let start = Instant::now();
            let verdict = check_history(&history, model, Budget::default(), &|| start.elapsed());
            verdict.map_err(|error| error.to_string())
        });
    match judged {
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::from(64)
        }
        Ok(judged) => {
            if !quiet {
                match serde_json::to_string_pretty(&judged) {
                    Ok(text) => println!("{text}"),
                    Err(error) => eprintln!("{error}"),
                }
            }
            match judged.verdict {
                Verdict::Held => ExitCode::SUCCESS,
                Verdict::Violated { .. } => ExitCode::from(1),
                Verdict::Inconclusive { .. } => ExitCode::from(2),
            }
        }
    }
}
