//! The tables of calibration.

use std::collections::BTreeSet;

use duress_checker::verdict::Verdict;
use duress_results::verdict_file::{Overall, VerdictFile};
use duress_specimen::Defect;

use super::interval::share;
use super::{Series, Sort, count};
use crate::spec::Spec;

/// Median of what `of` gives for the runs that have it.
fn median(series: &Series, of: impl Fn(&VerdictFile) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = series
        .runs
        .iter()
        .filter_map(|(_, run)| of(run.as_ref().ok()?))
        .collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Seconds from the first operation under load to the last operation of the first witness.
fn seconds_to_violation(verdict: &VerdictFile) -> Option<f64> {
    let witness = verdict
        .properties
        .iter()
        .find_map(|property| match &property.verdict {
            Verdict::Violated { witness } => Some(witness),
            _ => None,
        })?;
    let end = witness
        .operations
        .iter()
        .filter_map(|operation| operation.completed)
        .max()?;
    let start = verdict
        .phases
        .iter()
        .find(|phase| phase.name == "warm-up")
        .map_or(0, |phase| phase.start);
    Some(end.saturating_sub(start) as f64 / 1e9)
}

/// Correct specs, then defects; where `all` specs of the folder were run, also the defects that none of them is about.
pub fn table(series: &[Series], all: bool) -> String {
    let mut text = String::from(
        "### Correct: must hold\n\n\
         | spec | held | violated (false alarms) | inconclusive | harness failures | ok operations, median | faults verified, median |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    for series in series.iter().filter(|series| series.sort == Sort::Correct) {
        let (held, violated) = (count(series, Overall::Held), count(series, Overall::Violated));
        let inconclusive = count(series, Overall::Inconclusive);
        let total = series.runs.len();
        text.push_str(&format!(
            "| `{}` | {held} of {total} | {} | {} | {} | {} | {} |\n",
            series.spec.name,
            share(violated, total),
            share(inconclusive, total),
            total - held - violated - inconclusive,
            number(median(series, |verdict| Some(
                verdict.evidence.operations.ok as f64
            ))),
            number(median(series, |verdict| Some(
                verdict.evidence.faults_verified as f64
            ))),
        ));
    }
    text.push_str(
        "\n### Known defects: must be found\n\n\
         | defect | what it is | violated | triggered | found | held without it | seconds of load until the violation, median | length of \
         the part under faults |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for found in series.iter().filter(|series| series.sort == Sort::Defect) {
        let (name, what) = defect(&found.spec);
        let seconds = median(found, seconds_to_violation);
        let control = format!("{}-control", found.spec.name);
        let control = series.iter().find(|series| series.spec.name == control);
        text.push_str(&format!(
            "| `{name}` | {what} | {} | {} | {} | {} | {} | {} |\n",
            properties_violated(found),
            triggered(found),
            share(count(found, Overall::Violated), found.runs.len()),
            control.map_or("–".to_owned(), |control| {
                share(count(control, Overall::Held), control.runs.len())
            }),
            seconds.map_or("–".to_owned(), |seconds| format!("{seconds:.1}")),
            found.spec.time.faults,
        ));
    }
    let planted = |name: &str| {
        let defects = |series: &Series| series.spec.cluster.defects().iter().any(|defect| defect == name);
        series.iter().any(defects)
    };
    // A folder of specs for the specimen has to account for all that can be planted in it.
    if all && Defect::ALL.iter().any(|defect| planted(defect.name())) {
        for defect in Defect::ALL.iter().filter(|defect| !planted(defect.name())) {
            text.push_str(&format!(
                "| `{}` | {} | – | – | not measured: revealed by {} | – | – | – |\n",
                defect.name(),
                defect.what(),
                defect.revealed_by()
            ));
        }
    }
    text
}

/// In how many runs nodes counted that a defect made a difference; a dash where they count nothing.
fn triggered(series: &Series) -> String {
    let verdicts = || series.runs.iter().filter_map(|(_, run)| run.as_ref().ok());
    match verdicts().any(|verdict| !verdict.diverged.is_empty()) {
        true => {
            let did = |verdict: &&VerdictFile| verdict.diverged.values().any(|count| *count > 0);
            share(verdicts().filter(did).count(), series.runs.len())
        }
        false => "–".to_owned(),
    }
}

/// Name of what a spec is to find, and what it is.
fn defect(spec: &Spec) -> (String, String) {
    let planted = spec.cluster.defects().join(", ");
    match Defect::ALL.iter().find(|defect| defect.name() == planted) {
        Some(defect) => (planted, defect.what().to_owned()),
        None => (spec.name.clone(), spec.description.clone()),
    }
}

/// Names of the properties that any run of a series violated.
fn properties_violated(series: &Series) -> String {
    let properties = (series.runs.iter())
        .filter_map(|(_, run)| run.as_ref().ok())
        .flat_map(|verdict| &verdict.properties);
    let violated: BTreeSet<&str> = properties
        .filter(|property| matches!(property.verdict, Verdict::Violated { .. }))
        .map(|property| property.property.as_str())
        .collect();
    if violated.is_empty() {
        return "–".to_owned();
    }
    violated.into_iter().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use duress_checker::evidence::Evidence;
    use duress_results::verdict_file::VERDICT_FORMAT;

    use super::*;
    use crate::spec::Source;

    fn run(overall: Overall, diverged: u64) -> (u64, Result<VerdictFile, String>) {
        let verdict = VerdictFile {
            format: VERDICT_FORMAT,
            duress: String::new(),
            name: String::new(),
            seed: 1,
            started: String::new(),
            duration_ms: 0,
            overall,
            exit_code: 0,
            summary: String::new(),
            properties: Vec::new(),
            evidence: Evidence::default(),
            harness_failure: None,
            cut_short: false,
            phases: Vec::new(),
            cluster: String::new(),
            diverged: [("split-cas".to_owned(), diverged)].into(),
            clients: Vec::new(),
            reproduce: String::new(),
        };
        (1, Ok(verdict))
    }

    #[test]
    fn never_triggered_is_told_from_triggered_and_not_seen() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/systems/specimen/defects/split-cas.toml");
        let (spec, ..) = Source::read(&path).unwrap().resolve().unwrap();
        let mut control = spec.clone();
        control.name.push_str("-control");
        let series = |spec, sort, runs| Series {
            path: path.clone(),
            spec,
            sort,
            runs,
        };
        let found = vec![
            run(Overall::Violated, 3),
            run(Overall::Held, 2),
            run(Overall::Held, 0),
        ];
        let all = [
            series(control, Sort::Control, vec![run(Overall::Held, 0)]),
            series(spec, Sort::Defect, found),
        ];
        let table = table(&all, false);
        let row = table.lines().find(|line| line.starts_with("| `split-cas`"));
        let row = row.expect("a row");
        let cells = "| – | 2 of 3 (9.4–99 %) | 1 of 3 (0.8–91 %) | 1 of 1 (2.5–100 %) | – | 10s |";
        assert!(row.ends_with(cells), "{row}");
        assert!(
            !table.contains("split-cas-control"),
            "a control has no row of its own"
        );
    }
}
