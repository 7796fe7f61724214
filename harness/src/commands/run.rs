//! `duress run`: deploy, break, check, report.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::commands::arguments::parse_faults_time;
use crate::commands::{fail, report};
use crate::duration::SpecDuration;
use crate::exit;
use crate::runs::one;
use crate::runs::plan::{Overrides, Plan};

/// Deploy a cluster, break it, check what its clients saw, write a report
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  duress run cluster/systems/specimen/register.toml --seed 7\n\nCtrl-C ends the run in order: it \
                      heals, takes the cluster down and judges what there is.\nA second one quits at once, and says how to heal."
)]
pub struct Args {
    /// The spec, a TOML file
    pub spec: PathBuf,
    /// Draw everything random from this seed, whatever the spec says
    #[arg(long)]
    pub seed: Option<u64>,
    /// Length of the part under faults, whatever the spec says, e.g. 60s
    #[arg(long, value_parser = parse_faults_time)]
    pub time: Option<SpecDuration>,
    /// Runs are kept below `runs` in this folder
    #[arg(long, default_value = "results")]
    pub out: PathBuf,
    /// Print verdict.json to standard output instead of the summary
    #[arg(long)]
    pub json: bool,
    /// Print nothing but the verdict
    #[arg(long, short)]
    pub quiet: bool,
}

/// Does all of it.
pub fn main(args: &Args) -> ExitCode {
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
