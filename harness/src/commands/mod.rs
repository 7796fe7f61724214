//! One module for each command of the command line. Only these print and decide exit codes.

pub mod calibrate;
pub mod catalogue;
pub mod check;
pub mod doctor;
pub mod heal;
pub mod report;
pub mod run;

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

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
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
    ExitCode::from(code)
}

/// Prints to standard output. A reader that has gone, as after `| head`, is no error.
pub fn print(text: impl Display) {
    if let Err(error) = write!(std::io::stdout(), "{text}")
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = writeln!(std::io::stderr(), "duress: write to standard output: {error}");
    }
}

/// Prints a value as JSON.
pub fn print_json<T: serde::Serialize>(value: &T) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(format_args!("{text}\n")),
        Err(error) => unreachable!("plain data has a JSON form: {error}"),
    }
}

/// Whether standard output takes colours (<https://no-color.org>).
pub fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
