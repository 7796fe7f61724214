//! `duress heal`: mend what a dead run may have left broken.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use duress_cluster::ClusterError;
use duress_cluster::compose::{self, Healed, Scope};
use duress_nemesis::heal_from_journal;
use duress_results::rundir::RunDir;
use serde_json::json;

use crate::cli::HealArgs;
use crate::commands::{fail, print, print_json};
use crate::deploy::socket;
use crate::exit;
use crate::run::journal_path;

/// Heals the runs that are named, or all of them.
pub fn main(args: &HealArgs) -> ExitCode {
    let mut dirs = Vec::new();
    for path in &args.runs {
        match RunDir::open(path) {
            Ok(dir) => dirs.push(dir),
            Err(error) => return fail(&error, exit::USAGE),
        }
    }
    if args.runs.is_empty() {
        dirs = runs_below(&args.out.join("runs"))
            .iter()
            .filter_map(|path| RunDir::open(path).ok())
            .collect();
    }

    let mut code = ExitCode::SUCCESS;
    let mut all = Vec::new();
    for dir in dirs {
        let journal = journal_path(&dir);
        if !journal.exists() {
            continue;
        }
        match heal_from_journal(&journal) {
            Ok(report) => {
                if !args.json {
                    for line in report.done.iter().chain(&report.failed) {
                        print(format_args!("{}: {line}\n", dir.path().display()));
                    }
                }
                if !report.failed.is_empty() {
                    code = ExitCode::from(exit::HARNESS_FAILURE);
                }
                all.push(json!({"run": dir.path(), "done": report.done, "failed": report.failed}));
            }
            Err(error) => code = fail(&error, exit::HARNESS_FAILURE),
        }
    }
    match heal_engine() {
        Ok(healed) => {
            for run in healed {
                if !args.json {
                    print(engine_lines(&run));
                }
                let failed: Vec<String> = Vec::new();
                all.push(
                    json!({"run": run.run, "done": run.removed, "failed": failed, "spared": run.spared}),
                );
            }
        }
        Err(error) => code = fail(&error, exit::HARNESS_FAILURE),
    }
    if args.json {
        print_json(&all);
    } else if all
        .iter()
        .all(|run| run["done"] == json!([]) && run["failed"] == json!([]))
    {
        print("nothing to heal\n");
    }
    code
}

/// Removes what dead runs left on the container engine. Where there is no engine, nothing can be left on it.
fn heal_engine() -> Result<Vec<Healed>, ClusterError> {
    let docker_host = std::env::var("DOCKER_HOST").ok();
    let socket = Path::new(socket(docker_host.as_deref()));
    if !socket.exists() {
        return Ok(Vec::new());
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ClusterError::Io {
            what: "start a runtime".to_owned(),
            source,
        })?;
    runtime.block_on(compose::heal(socket, &Scope::Dead))
}

fn engine_lines(run: &Healed) -> String {
    match &run.spared {
        Some(why) => format!("{}: left alone: {why}\n", run.run),
        None => run
            .removed
            .iter()
            .map(|thing| format!("{}: removed {thing}\n", run.run))
            .collect(),
    }
}

/// `<runs>/<name>/<time>-<seed>`. What can't be read holds nothing that could be healed.
fn runs_below(runs: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.is_dir() && !path.is_symlink())
            .collect();
        paths.sort();
        paths
    };
    list(runs).iter().flat_map(|name| list(name)).collect()
}
