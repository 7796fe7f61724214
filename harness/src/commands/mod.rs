//! The commands: a file each, with its arguments, its help and what it does, and a line of the table below. Only these
//! print and decide exit codes.

mod arguments;
pub mod calibrate;
pub mod check;
pub mod completions;
pub mod doctor;
pub mod fault;
pub mod faults;
pub mod heal;
mod hosts;
pub mod init;
mod inner;
pub mod man;
pub mod properties;
pub mod report;
pub mod run;
pub mod systems;
pub mod try_system;
pub mod workloads;

use std::fmt::Display;
use std::process::ExitCode;

use clap::Subcommand;

pub use crate::output::colour;
use crate::{exit, output};

/// Makes [`Command`] of the table: the name of each command, in CamelCase, and its module with `Args` and `main`.
macro_rules! commands {
    ($($name:ident($module:ident);)*) => {
        /// Everything that `duress` does.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $(
                #[allow(missing_docs)] // said at its arguments
                $name($module::Args),
            )*
            #[command(flatten)]
            #[allow(missing_docs)]
            Inner(inner::Command),
        }

        impl Command {
            /// Does it.
            pub fn main(&self) -> ExitCode {
                match self {
                    $(Command::$name(args) => $module::main(args),)*
                    Command::Inner(command) => command.main(),
                }
            }
        }
    };
}

commands! {
    Run(run);
    Check(check);
    Report(report);
    Heal(heal);
    Init(init);
    Doctor(doctor);
    Fault(fault);
    Faults(faults);
    Systems(systems);
    Workloads(workloads);
    Properties(properties);
    Try(try_system);
    Calibrate(calibrate);
    Completions(completions);
    Man(man);
}

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
