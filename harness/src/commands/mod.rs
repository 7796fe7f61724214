//! One module for each command of the command line. Only these print and decide exit codes.

pub mod calibrate;
pub mod catalogue;
pub mod check;
pub mod doctor;
pub mod heal;
pub mod report;
pub mod run;
pub mod try_system;

use std::fmt::Display;
use std::process::ExitCode;

pub use crate::output::colour;
use crate::{exit, output};

/// Prints an error with its causes, and gives the exit code back.
pub fn fail(error: &dyn std::error::Error, code: u8) -> ExitCode {
    let mut text = format!("duress: {error}");
    let mut cause = error.source();
    while let Some(source) = cause {
        // Errors that quote their source would say everything twice.
        if !text.contains(&source.to_string()) {
            text.push_str(&format!(": {source}"));
        }
        cause = source.source();
    }
    output::err(&format!("{}\n", text.trim_end()));
    ExitCode::from(code)
}

/// Prints what clap says: help as it is, and what is wrong with arguments with these made harmless.
pub fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader that has gone is not an error.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    output::err(&error.render().to_string());
    ExitCode::from(exit::USAGE)
}

/// Prints what is wrong with arguments.
pub fn usage_error(what: &str) -> ExitCode {
    output::err(&format!("duress: {what}\n"));
    ExitCode::from(exit::USAGE)
}

/// Prints to standard output.
pub fn print(text: impl Display) {
    output::out(&text.to_string());
}

/// Prints what `duress_results::terminal` has painted.
pub fn print_painted(text: impl Display) {
    output::out_painted(&text.to_string());
}

/// Prints a value as JSON.
pub fn print_json<T: serde::Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => output::out_json(&format!("{text}\n")),
        Err(error) => unreachable!("plain data has a JSON form: {error}"),
    }
}

/// Runs one node of the specimen until it is told to stop.
pub fn specimen(args: duress_specimen::Args) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error, crate::exit::HARNESS_FAILURE),
    };
    match runtime.block_on(duress_specimen::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}
