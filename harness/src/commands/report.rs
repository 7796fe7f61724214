//! `duress report`: judge a run from its directory and write its pages.

use std::path::PathBuf;
use std::process::ExitCode;

use duress_results::rundir::RunDir;
use duress_results::terminal;

use crate::commands::{colour, fail, print_json, print_painted};
use crate::exit;
use crate::interrupt::Interrupt;
use crate::runs::judged;

/// Write report.html, junit.xml and verdict.json of a run again, also of one that was cut off
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  duress report results/runs/latest")]
pub struct Args {
    /// The run's directory
    #[arg(default_value = "results/runs/latest")]
    pub run: PathBuf,
    /// Print verdict.json to standard output instead of the summary
    #[arg(long)]
    pub json: bool,
}

/// Opens the run and judges it.
pub fn main(args: &Args) -> ExitCode {
    match RunDir::open(&args.run) {
        Ok(dir) => judge_and_print(&dir, args.json, None),
        Err(error) => fail(&error, exit::USAGE),
    }
}

/// Judges a run, writes its pages, and prints what it came to; also the last step of `duress run`.
pub fn judge_and_print(dir: &RunDir, json: bool, interrupt: Option<&Interrupt>) -> ExitCode {
    match judged::write(dir, interrupt) {
        Ok(data) => {
            if json {
                print_json(&data.verdict);
            } else {
                print_painted(terminal::closing(&data.verdict, dir, colour()));
            }
            ExitCode::from(data.verdict.exit_code)
        }
        Err(error) => fail(&error, exit::HARNESS_FAILURE),
    }
}
