//! `duress report`: judge a run from its directory and write its pages; also the last step of `duress run`.

use std::process::ExitCode;

use duress_results::data::RunData;
use duress_results::rundir::RunDir;
use duress_results::{junit, report, terminal};

use crate::cli::ReportArgs;
use crate::commands::{colour, fail, print, print_json};
use crate::exit;
use crate::judge::{RunFacts, judge, notes, seed_of};
use crate::spec::Spec;

#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error(transparent)]
    Spec(#[from] crate::spec::SpecError),
    #[error("read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path}: {source}")]
    History {
        path: String,
        source: duress_checker::history::jsonl::JsonlError,
    },
    #[error(transparent)]
    Dir(#[from] duress_results::rundir::RunDirError),
    #[error(transparent)]
    Load(#[from] duress_results::data::LoadError),
}

/// Opens the run and judges it.
pub fn main(args: &ReportArgs) -> ExitCode {
    match RunDir::open(&args.run) {
        Ok(dir) => judge_and_print(&dir, args.json),
        Err(error) => fail(&error, exit::USAGE),
    }
}

/// Judges a run, writes verdict.json, report.html and junit.xml, and prints what it came to.
pub fn judge_and_print(dir: &RunDir, json: bool) -> ExitCode {
    match write(dir) {
        Ok(data) => {
            if json {
                print_json(&data.verdict);
            } else {
                print(terminal::closing(&data.verdict, dir, colour()));
            }
            ExitCode::from(data.verdict.exit_code)
        }
        Err(error) => fail(&error, exit::HARNESS_FAILURE),
    }
}

fn write(dir: &RunDir) -> Result<RunData, ReportError> {
    let spec = Spec::read(&dir.spec())?;
    let path = dir.history();
    let bytes = std::fs::read(&path).map_err(|source| ReportError::Read {
        path: path.display().to_string(),
        source,
    })?;
    // The last line of a run that was killed may be half a line.
    let bytes = duress_checker::history::jsonl::complete_lines(&bytes);
    let history =
        duress_checker::history::jsonl::read_events(bytes).map_err(|source| ReportError::History {
            path: path.display().to_string(),
            source,
        })?;
    let seed = seed_of(&history).or(spec.seed).unwrap_or_default();
    let started = notes(&history, "run")
        .find_map(|(_, value)| Some(value.get("started")?.as_str()?.to_owned()))
        .unwrap_or_default();
    let facts = RunFacts {
        started,
        reproduce: format!("duress run {} --seed {seed}", dir.spec().display()),
        model: spec.model(),
    };
    let verdict = judge(&spec, seed, &history, facts);
    drop(history);
    dir.write_verdict(&verdict)?;
    dir.write_junit(&junit::render(&verdict))?;
    let data = RunData::load(dir)?;
    report::write(&data, dir)?;
    Ok(data)
}
