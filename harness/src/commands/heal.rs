//! `duress heal`: mend what a dead run may have left broken.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use duress_nemesis::heal_from_journal;
use duress_results::rundir::RunDir;
use serde_json::json;

use crate::cli::HealArgs;
use crate::commands::{fail, print, print_json};
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
