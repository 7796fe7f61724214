//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use duress_workloads::clients::ReadMode;

use crate::duration::Span;
use crate::spec::{self, Claim};

/// Puts a real cluster under duress and says, with evidence, which of its promises held.
#[derive(Debug, Parser)]
#[command(name = "duress", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0   every property held, and the evidence suffices
  1   some property was violated
  2   inconclusive: budget spent, or the evidence does not suffice
  3   harness failure: the test could not be run or trusted
  64  the command line or the spec is wrong";

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

/// Everything that `duress` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Deploy a cluster, break it, check what its clients saw, write a report
    #[command(
        after_help = "Example:\n  duress run cluster/systems/specimen/register.toml --seed 7\n\nCtrl-C ends the run in order: it \
                      heals, takes the cluster down and judges what there is.\nA second one quits at once, and says how to heal."
    )]
    Run(RunArgs),
    /// Judge a history from anywhere
    #[command(after_help = check_help())]
    Check(CheckArgs),
    /// Write report.html, junit.xml and verdict.json of a run again, also of one that was cut off
    #[command(after_help = "Example:\n  duress report results/runs/latest")]
    Report(ReportArgs),
    /// Mend what a dead run may have left broken
    #[command(
        after_help = "Example:\n  duress heal              # every run below results/runs\n  duress heal results/runs/register/20260102T030405Z-7\n\n\
                      A run whose controller is alive is left alone and named. Nothing is done on the word of a label or a journal\n\
                      that does not prove, with the key in DURESS_STATE, /var/lib/duress or ~/.local/state/duress, that this user's\n\
                      Duress wrote it.\n\n\
                      Exit codes:\n  0   all that was found is mended, or belongs to a living run\n  3   something may still be broken, or a \
                      run that was named is alive\n  64  there is no such run"
    )]
    Heal(HealArgs),
    /// Say what this machine can do, and how to get what it can't
    #[command(after_help = "Example:\n  duress doctor --json")]
    Doctor(ListArgs),
    /// List the faults: what they do, their parameters, how they are verified
    #[command(after_help = "Example:\n  duress faults")]
    Faults(ListArgs),
    /// List the systems that can be deployed
    #[command(after_help = "Example:\n  duress systems")]
    Systems(ListArgs),
    /// List the workloads
    #[command(after_help = "Example:\n  duress workloads")]
    Workloads(ListArgs),
    /// List the properties that can be claimed, and what each judges
    #[command(after_help = "Example:\n  duress properties --json")]
    Properties(ListArgs),
    /// Deploy a system, ask each operation of its client once, and show what is sent, answered, and what that is taken for
    #[command(
        after_help = "Examples:\n  duress try specimen\n  duress try ./mine --file ./mine/compose.yaml --services a,b,c\n  duress \
                      try cluster/systems/etcd --file cluster/systems/etcd/compose-3.yaml\n\nCtrl-C takes the cluster down. What nodes \
                      wrote is kept below try/runs in the folder of --out.\n\nExit codes:\n  0   every operation ended as it \
                      must with one client and no faults\n  1   some did not: the client misunderstands the system, or is \
                      misunderstood\n  3   harness failure, or interrupted\n  64  the command line or the system's definition is wrong"
    )]
    Try(TryArgs),
    /// Measure what is detected: correct specs over many seeds, and every planted defect
    #[command(after_help = "Example:\n  duress calibrate cluster/systems/specimen --out docs/calibration.md")]
    Calibrate(CalibrateArgs),
    /// The one that breaks: reads JSON lines, answers in JSON lines
    #[command(hide = true)]
    Agent,
    /// The init process of a local sandbox
    #[command(hide = true, disable_help_flag = true)]
    Sandbox {
        /// For the sandbox itself.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<std::ffi::OsString>,
    },
    /// One node of the specimen
    #[command(hide = true)]
    Specimen(duress_specimen::Args),
}

/// `duress run`
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The spec, a TOML file
    pub spec: PathBuf,
    /// Draw everything random from this seed, whatever the spec says
    #[arg(long)]
    pub seed: Option<u64>,
    /// Length of the part under faults, whatever the spec says, e.g. 60s
    #[arg(long, value_parser = parse_faults_time)]
    pub time: Option<Span>,
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

/// `duress check`
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The history, or a run's directory; - is standard input. A history.jsonl, Jepsen's EDN or JSON, the log of a Jepsen test. A line that is
    /// not understood is refused (exit code 64); events of the nemesis and other lines of a log are skipped and counted
    pub history: PathBuf,
    /// Judge line by line and forget what is settled, until the end or the first violation: for a history.jsonl that is
    /// still being written, or too long for memory. Empty lines and a last line that is cut off are passed over
    #[arg(long)]
    pub stream: bool,
    /// What is claimed of the history; `duress properties` lists what can be. Of a run's directory it is what its spec claims
    #[arg(long, value_parser = parse_property, conflicts_with = "stream")]
    pub property: Option<Claim>,
    /// What the system would do with one client and no faults; `linearizable` needs it
    #[arg(long)]
    pub model: Option<String>,
    /// Time to spend, e.g. 5m. By default 60s; for a run's directory what its spec says
    #[arg(long, value_parser = parse_check_time)]
    pub time: Option<Span>,
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

/// `duress report`
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// The run's directory
    #[arg(default_value = "results/runs/latest")]
    pub run: PathBuf,
    /// Print verdict.json to standard output instead of the summary
    #[arg(long)]
    pub json: bool,
}

/// `duress heal`
#[derive(Clone, Debug, Args)]
pub struct HealArgs {
    /// Directories of runs; all of them when none is named
    pub runs: Vec<PathBuf>,
    /// Runs are kept below `runs` in this folder
    #[arg(long, default_value = "results")]
    pub out: PathBuf,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Commands that only list.
#[derive(Clone, Copy, Debug, Args)]
pub struct ListArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `duress try`
#[derive(Clone, Debug, Args)]
pub struct TryArgs {
    /// A system that ships, or a folder with a system.toml: with a slash, or a dot in front
    pub system: String,
    /// The compose file, of a system that comes in containers. By default compose.yaml in its folder
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Services of the compose file that are nodes, e.g. n1,n2,n3. By default n1 and so on, as many as there are nodes
    #[arg(long, value_delimiter = ',')]
    pub services: Vec<String>,
    /// Number of nodes. By default what the system says
    #[arg(long, value_parser = parse_nodes)]
    pub nodes: Option<usize>,
    /// Version of the system, where its compose file takes one
    #[arg(long)]
    pub version: Option<String>,
    /// How to read: linearizable, lease or local
    #[arg(long, value_parser = parse_read, default_value = "linearizable")]
    pub read: Read,
    /// What nodes wrote is kept below `try/runs` in this folder
    #[arg(long, default_value = "results")]
    pub out: PathBuf,
}

/// A way to read, as on a command line.
#[derive(Clone, Copy, Debug)]
pub struct Read(pub ReadMode);

/// `duress calibrate`
#[derive(Clone, Debug, Args)]
pub struct CalibrateArgs {
    /// A folder with specs that must hold, and a folder `defects` with specs that must be violated
    pub specs: PathBuf,
    /// Seeds for each spec that must hold
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(..=SEEDS_MAX))]
    pub seeds: u64,
    /// Seeds for each defect
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(..=SEEDS_MAX))]
    pub defect_seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(..=u64::MAX - SEEDS_MAX))]
    pub first_seed: u64,
    /// Only specs whose name contains this
    #[arg(long)]
    pub only: Option<String>,
    /// Runs at a time
    #[arg(long, default_value_t = 1, value_parser = parse_jobs)]
    pub jobs: usize,
    /// Write the table to this file as Markdown
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Runs are kept below `runs` in this folder
    #[arg(long, default_value = "results")]
    pub runs: PathBuf,
}

/// Runs of one spec: more would take months.
const SEEDS_MAX: u64 = 1_000_000;

/// Nodes of a system that is only tried.
const NODES_MAX: usize = 50;

/// Runs at a time, each with a cluster of its own.
const JOBS_MAX: usize = 256;

fn parse_span(text: &str) -> Result<Span, String> {
    humantime::parse_duration(text)
        .map(Span)
        .map_err(|error| format!("{error}; write e.g. 500ms, 30s or 2m"))
}

fn parse_property(text: &str) -> Result<Claim, String> {
    Claim::named(text).map_err(|error| error.to_string())
}

fn parse_faults_time(text: &str) -> Result<Span, String> {
    let time = parse_span(text)?;
    spec::faults_time(time).map(|()| time)
}

fn parse_check_time(text: &str) -> Result<Span, String> {
    let time = parse_span(text)?;
    spec::check_time(time).map(|()| time)
}

fn parse_memory(text: &str) -> Result<usize, String> {
    let mib: u64 = text
        .parse()
        .map_err(|error| format!("{error}; write MiB, e.g. 2048"))?;
    spec::check_memory(mib)?;
    usize::try_from(mib).map_err(|error| error.to_string())
}

fn parse_nodes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(nodes @ 1..=NODES_MAX) => Ok(nodes),
        _ => Err(format!("use 1 to {NODES_MAX}")),
    }
}

fn parse_read(text: &str) -> Result<Read, String> {
    let read = serde_json::from_value(text.into());
    read.map(Read).map_err(|error| error.to_string())
}

fn parse_jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=JOBS_MAX) => Ok(jobs),
        _ => Err(format!("use 1 to {JOBS_MAX}")),
    }
}
