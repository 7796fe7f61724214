//! `duress fault`: break containers that run already, for a while, and say what came of it.

mod found;
mod parameters;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duress_checker::history::FaultStep;
use duress_cluster::ClusterError;
use duress_nemesis::Rehearsal;
use duress_results::rundir::RunDir;

use self::found::find;
use self::parameters::Written;
use self::plan::{Plan, Refusal};
use crate::ad_hoc::{self, AdHoc, Ended, Fate, Probe, Tell, Told};
use crate::commands::arguments::{parse_agent, parse_faults_time, parse_span};
use crate::commands::hosts::HostArgs;
use crate::commands::{fail, print, print_json, usage_error};
use crate::duration::SpecDuration;
use crate::interrupt::{Interrupt, Interrupted};
use crate::runs::failure::Failure;
use crate::spec::AgentHome;
use crate::{exit, key, output};

/// Break containers that run already for a while, and say whether it is proven; no spec and no workload
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  duress fault partition --shape bridge --on shop --for 30s\n  duress fault packets --delay 200ms \
                      --targets db-1 --on shop --nodes db-1,db-2,db-3\n  duress fault pause --on some-container --for 10s\n  duress fault partition --shape halves --on \
                      host:db1,host:db2,host:db3 --for 30s\n  duress \
                      fault kill --targets n2 --on shop --dry-run\n  duress fault --plan faults.toml --on shop --abort-when 'curl -fs \
                      localhost:8080/health'\n\nA plan is a file with the table [faults] of a spec, and the time that is for it, e.g. for = \
                      \"5m\".\n\nFaults are healed when their time is over, at Ctrl-C, and when this program dies; should its agent be killed \
                      too, `duress heal` does it.\n\nExit codes:\n  0   each fault is proven to have been in force, and to be gone\n  2   all \
                      is healed, but some fault was not done, not as asked, or can't be confirmed\n  3   something may still be broken, or \
                      Duress itself failed\n  64  the command line or the plan is wrong"
)]
pub struct Args {
    /// The kind of fault; `duress faults` tells what there is
    #[arg(required_unless_present = "plan")]
    pub kind: Option<String>,
    #[command(flatten)]
    #[allow(missing_docs)] // from the catalogue of faults
    pub parameters: Written,
    /// What is broken: compose projects, or containers, by name; or hosts, over SSH
    #[arg(
        long,
        required = true,
        value_delimiter = ',',
        value_name = "PROJECT|CONTAINER|host:HOST"
    )]
    pub on: Vec<String>,
    /// The services or containers of these that are nodes, e.g. n1,n2,n3. By default all
    #[arg(long, value_delimiter = ',')]
    pub nodes: Vec<String>,
    /// The network on which they are broken. By default all that they are on
    #[arg(long)]
    pub network: Option<String>,
    /// How long a fault lasts, or the time that a plan is for. By default 30s, or what the plan says
    #[arg(long = "for", value_name = "TIME", value_parser = parse_faults_time)]
    pub time: Option<SpecDuration>,
    /// A file with a table [faults], instead of a kind
    #[arg(long, value_name = "FILE", conflicts_with = "kind")]
    pub plan: Option<PathBuf>,
    /// Say what would be done, as commands of everyday tools, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Heal at once when this shell command has failed for a while: a health probe, tried every second
    #[arg(long, value_name = "COMMAND")]
    pub abort_when: Option<String>,
    /// For how long it may fail
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_span)]
    pub abort_after: SpecDuration,
    /// Draw what is random from this seed
    #[arg(long)]
    pub seed: Option<u64>,
    /// Where the agent runs: child, container or auto
    #[arg(long, default_value = "auto", value_parser = parse_agent)]
    pub agent: AgentHome,
    /// Journals are kept below `ad-hoc` in this folder
    #[arg(long, default_value = "results")]
    pub out: PathBuf,
    /// Print what became of each fault as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[allow(missing_docs)] // its fields have their own
    pub hosts: HostArgs,
}

/// Why there were no faults.
#[derive(Debug, thiserror::Error)]
enum Never {
    #[error("{0}")]
    Wrong(#[from] Refusal),
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl From<ClusterError> for Never {
    fn from(error: ClusterError) -> Never {
        match error {
            // What is not there, or can't be broken, is a mistake of the command line.
            ClusterError::UnknownNode { .. } | ClusterError::Unsupported { .. } => {
                Refusal::Arguments(error.to_string()).into()
            }
            error => Failure::from(error).into(),
        }
    }
}

/// Does all of it.
pub fn main(args: &Args) -> ExitCode {
    match faults(args) {
        Ok(code) => code,
        Err(Never::Wrong(Refusal::Arguments(what))) => usage_error(&what),
        Err(Never::Wrong(Refusal::Plan(error))) => fail(&error, exit::USAGE),
        Err(Never::Failed(failure)) => fail(&failure, exit::HARNESS_FAILURE),
    }
}

fn faults(args: &Args) -> Result<ExitCode, Never> {
    let plan = Plan::read(args)?;
    let failed = |error: &dyn std::error::Error| Failure::Other(error.to_string());
    let key = key::of_this_user().map_err(|error| failed(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(&error))?;
    let interrupt = Interrupt::listen(Interrupted::Faults).map_err(|error| failed(&error))?;
    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    runtime.block_on(async {
        let run = format!("fault-{}-{}", plan.seed, std::process::id());
        let found = find(args, &run).await?;
        let schedule = plan.schedule(&found.names())?;
        found.refuse(&schedule)?;
        let dir = RunDir::create(&ad_hoc::root(&args.out), &plan.name, &started, plan.seed);
        let dir = dir.map_err(|error| failed(&error))?;
        interrupt.run_is_in(dir.path());
        let faults = AdHoc {
            broken: found.in_the_name_of(&run, dir.path(), &key, args.agent),
            dir: &dir,
            key,
            interrupt,
            abort_when: args.abort_when.clone().map(|command| Probe {
                command,
                after: args.abort_after.0,
            }),
            tell: tell(args.json, plan.window),
        };
        if args.dry_run {
            let rehearsals = faults.rehearse(&schedule).await?;
            return Ok(rehearsed(&rehearsals, args.json));
        }
        let ended = faults.run(&schedule).await?;
        Ok(ended_with(&ended, args.json))
    })
}

/// Shows each fault when it is in force, on standard error, and when it is over.
fn tell(json: bool, window: Duration) -> Tell {
    Arc::new(move |told| {
        let last = told.steps.last().map(|event| event.step);
        if told.fate == Fate::InForce && last == Some(FaultStep::Verify) {
            let window = humantime::format_duration(window);
            output::err(&format!(
                "{told}\n(healed after {window} at the latest, and at Ctrl-C)\n"
            ));
        }
        if told.is_over() && !json {
            print(format_args!("{told}\n"));
        }
    })
}

fn ended_with(ended: &Ended, json: bool) -> ExitCode {
    if let Some(why) = &ended.aborted {
        output::err(&format!("duress: healed before its time: {why}\n"));
    }
    if json {
        print_json(&ended.faults);
    }
    let left = |told: &Told| told.healed == Some(false);
    if ended.faults.iter().any(left) {
        return ExitCode::from(exit::HARNESS_FAILURE);
    }
    match ended.faults.iter().all(Told::is_proven) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::INCONCLUSIVE),
    }
}

fn rehearsed(rehearsals: &[Rehearsal], json: bool) -> ExitCode {
    if json {
        print_json(&rehearsals);
    } else {
        for rehearsal in rehearsals {
            print(lines(rehearsal));
        }
    }
    match rehearsals.iter().all(|rehearsal| rehearsal.refused.is_none()) {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(exit::INCONCLUSIVE),
    }
}

fn lines(rehearsal: &Rehearsal) -> String {
    let kind = rehearsal.kind;
    match &rehearsal.refused {
        None => {
            let lines: String = rehearsal
                .by_hand
                .iter()
                .map(|line| format!("  {line}\n"))
                .collect();
            format!(
                "{kind} of {}: nothing is done; by hand it would be:\n{lines}",
                rehearsal.targets.join(", ")
            )
        }
        Some(why) => format!("{kind}: can't be done: {why}\n"),
    }
}
