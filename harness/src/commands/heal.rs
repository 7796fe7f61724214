//! `duress heal`: heal what a dead run may have left broken. Runs that are alive are left alone.

use std::path::PathBuf;
use std::process::ExitCode;

use duress_cluster::compose::Healed;
use duress_cluster::ssh::HostAddress;
use duress_nemesis::heal_with_hosts;
use duress_results::rundir::RunDir;
use serde::Serialize;

use crate::ad_hoc;
use crate::commands::hosts::HostArgs;
use crate::commands::{fail, print, print_json};
use crate::exit;
use crate::key;
use crate::runs::store::{self, journal_path};

mod on_engines;
mod on_hosts;

use on_engines::Engines;
use on_hosts::Hosts;

/// Heal what a dead run may have left broken
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Example:\n  duress heal              # every run below results/runs\n  duress heal results/runs/register/20260102T030405Z-7\n  duress heal --on root@10.0.0.11,root@10.0.0.12\n  duress heal --engine ssh://root@10.0.0.11\n\n\
                      A run whose controller is alive is left alone and named. Nothing is done on the word of a label or a journal\n\
                      that does not prove, with the key in DURESS_STATE, /var/lib/duress or ~/.local/state/duress, that this user's\n\
                      Duress wrote it.\n\n\
                      Exit codes:\n  0   all that was found is healed, or belongs to a living run\n  3   something may still be broken, or a \
                      run that was named is alive\n  64  there is no such run"
)]
pub struct Args {
    /// Directories of runs; all of them when none is named
    pub runs: Vec<PathBuf>,
    /// Runs are kept below `runs` in this folder
    #[arg(long, default_value = "results")]
    pub out: PathBuf,
    /// Hosts on which to heal what dead runs may have left, over SSH
    #[arg(long, value_delimiter = ',', value_name = "HOST")]
    pub on: Vec<HostAddress>,
    #[command(flatten)]
    #[allow(missing_docs)] // its fields have their own
    pub hosts: HostArgs,
    /// Container engines on which to remove what dead runs may have left, beside that of the environment: addresses, or names of docker contexts
    #[arg(long, value_delimiter = ',', value_name = "ENGINE")]
    pub engine: Vec<String>,
    /// The folder with ca.pem, cert.pem and key.pem for engines that are reached by TLS
    #[arg(long, value_name = "FOLDER")]
    pub certificates: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Heals the runs that are named, or all of them.
pub fn main(args: &Args) -> ExitCode {
    let mut dirs = Vec::new();
    for path in &args.runs {
        match RunDir::open(path) {
            Ok(dir) => dirs.push(dir),
            Err(error) => return fail(&error, exit::USAGE),
        }
    }
    if args.runs.is_empty() {
        dirs = store::all(&args.out);
        dirs.extend(store::all(&ad_hoc::root(&args.out)));
    }

    let key = match key::of_this_user() {
        Ok(key) => key,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    let mut code = ExitCode::SUCCESS;
    let mut all = Vec::new();
    // First: with a container goes all that was in force in it, and a user who may talk to the engine may not be root here.
    let engines = match Engines::heal(&args.engine, args.certificates.as_deref(), &key) {
        Ok((engines, healed)) => {
            all.extend(healed.into_iter().map(HealedRun::from));
            engines
        }
        Err(error) => {
            code = fail(&error, exit::HARNESS_FAILURE);
            Engines::default()
        }
    };
    let mut hosts = match Hosts::reach(&args.on, &args.hosts) {
        Ok(hosts) => hosts,
        Err(error) => return fail(&error, exit::HARNESS_FAILURE),
    };
    for dir in dirs {
        let journal = journal_path(&dir);
        if journal.symlink_metadata().is_err() {
            continue;
        }
        let run = &dir;
        let report = heal_with_hosts(&journal, &key, &mut |entry, host, faults| {
            let on_engine = engines.faults_on(run.path(), &host.host);
            on_engine.unwrap_or_else(|| hosts.heal(run.path(), entry, host, faults))
        });
        match report {
            Ok(report) => {
                // A run that is named must be healed; without names, only dead runs are.
                let refused = report.spared.is_some() && !args.runs.is_empty();
                if refused || !report.failed.is_empty() {
                    code = ExitCode::from(exit::HARNESS_FAILURE);
                }
                all.push(HealedRun {
                    run: dir.path().display().to_string(),
                    done: report.done,
                    failed: report.failed,
                    spared: report.spared,
                });
            }
            Err(error) => code = fail(&error, exit::HARNESS_FAILURE),
        }
    }
    match hosts.left() {
        Ok(left) if left.is_empty() => {}
        Ok(left) => {
            code = ExitCode::from(exit::HARNESS_FAILURE);
            all.extend(left.into_iter().map(|(host, failed)| HealedRun {
                run: host,
                done: Vec::new(),
                failed,
                spared: None,
            }));
        }
        Err(error) => code = fail(&error, exit::HARNESS_FAILURE),
    }
    if args.json {
        print_json(&all);
        return code;
    }
    let lines: String = all.iter().map(HealedRun::lines).collect();
    print(if lines.is_empty() {
        "nothing to heal\n"
    } else {
        &lines
    });
    code
}

/// What was done about one run.
#[derive(Serialize)]
struct HealedRun {
    /// Its directory, or its name on the engine.
    run: String,
    /// What was healed, or needed no healing.
    done: Vec<String>,
    /// What may still be broken.
    failed: Vec<String>,
    /// Why it was left alone.
    spared: Option<String>,
}

impl From<Healed> for HealedRun {
    fn from(healed: Healed) -> HealedRun {
        let removed = healed.removed.into_iter().map(|thing| format!("removed {thing}"));
        HealedRun {
            run: healed.run,
            done: removed.chain(healed.notes).collect(),
            failed: Vec::new(),
            spared: healed.spared,
        }
    }
}

impl HealedRun {
    fn lines(&self) -> String {
        let spared = self.spared.iter().map(|why| format!("left alone: {why}"));
        (self.done.iter().chain(&self.failed).cloned())
            .chain(spared)
            .map(|line| format!("{}: {line}\n", self.run))
            .collect()
    }
}
