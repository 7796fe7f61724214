//! `duress run`: deploy, break, check, report.

use std::process::ExitCode;

use crate::cli::RunArgs;
use crate::commands::{fail, report};
use crate::exit;
use crate::runs::one;
use crate::runs::plan::{Overrides, Plan};

/// Does all of it.
pub fn main(args: &RunArgs) -> ExitCode {
    let overrides = Overrides {
        seed: args.seed,
        faults_time: args.time,
    };
    let plan = match Plan::read(&args.spec, overrides) {
        Ok(plan) => plan,
        Err(error) => return fail(&error, exit::USAGE),
    };
    match one::run(plan, &args.out, args.quiet) {
        Ok(finished) => report::judge_and_print(&finished.dir, args.json, Some(&finished.interrupt)),
        Err(error) => fail(&*error, exit::HARNESS_FAILURE),
    }
}
