//! `junit.xml`: the run as CI systems read it.
//!
//! One test suite a run, one test case a property, and a test case each for the evidence and, where the harness failed,
//! for the harness:
//!
//! ```xml
//! <testsuites>
//!   <testsuite name="register" tests="2" failures="1" errors="0" …>
//!     <testcase classname="duress.register" name="linearizable"><failure message="read of …">…</failure></testcase>
//!     <testcase classname="duress.register" name="evidence"/>
//!   </testsuite>
//! </testsuites>
//! ```
//!
//! A violated property is a `failure`. What is inconclusive, evidence that falls short, a run that was cut short and a
//! harness that failed are an `error`, because most CI systems count `skipped` as green, and green is what such a run is
//! not.

use std::fmt::Write;

use duress_checker::verdict::Verdict;

use crate::format::printable;
use crate::terminal;
use crate::verdict_file::VerdictFile;

/// The whole file.
pub fn render(verdict: &VerdictFile) -> String {
    let cases = cases(verdict);
    let count = |wanted: &str| cases.iter().filter(|case| case.tag() == Some(wanted)).count();
    let seconds = verdict.duration_ms as f64 / 1e3;
    let counts = format!(
        r#"tests="{}" failures="{}" errors="{}" skipped="0" time="{seconds:.3}""#,
        cases.len(),
        count("failure"),
        count("error"),
    );
    let name = attribute(&verdict.name);
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"duress\" {counts}>\n  <testsuite \
         name=\"{name}\" {counts} timestamp=\"{}\">\n    <properties>\n",
        attribute(verdict.started.trim_end_matches('Z')),
    );
    for (property, value) in [
        ("seed", verdict.seed.to_string()),
        ("duress", verdict.duress.clone()),
        ("cluster", verdict.cluster.clone()),
        ("reproduce", verdict.reproduce.clone()),
    ] {
        let _ = writeln!(
            xml,
            "      <property name=\"{property}\" value=\"{}\"/>",
            attribute(&value)
        );
    }
    xml.push_str("    </properties>\n");
    for case in &cases {
        let _ = write!(
            xml,
            "    <testcase classname=\"duress.{name}\" name=\"{}\" time=\"0\"",
            attribute(&case.name)
        );
        match (&case.outcome, case.tag()) {
            (Outcome::Failure { message, text } | Outcome::Error { message, text, .. }, Some(tag)) => {
                let kind = case.kind();
                let _ = write!(
                    xml,
                    ">\n      <{tag} type=\"{kind}\" message=\"{}\">{}</{tag}>\n    </testcase>\n",
                    attribute(message),
                    element(text),
                );
            }
            _ => xml.push_str("/>\n"),
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

struct Case {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failure {
        message: String,
        text: String,
    },
    Error {
        kind: &'static str,
        message: String,
        text: String,
    },
}

impl Case {
    fn tag(&self) -> Option<&'static str> {
        match self.outcome {
            Outcome::Passed => None,
            Outcome::Failure { .. } => Some("failure"),
            Outcome::Error { .. } => Some("error"),
        }
    }

    fn kind(&self) -> &'static str {
        match self.outcome {
            Outcome::Error { kind, .. } => kind,
            _ => "violated",
        }
    }
}

fn cases(verdict: &VerdictFile) -> Vec<Case> {
    let mut cases: Vec<Case> = (verdict.properties.iter())
        .map(|property| Case {
            name: property.property.clone(),
            outcome: match &property.verdict {
                Verdict::Held => Outcome::Passed,
                Verdict::Violated { witness } => Outcome::Failure {
                    message: witness.summary.clone(),
                    text: terminal::witness(witness),
                },
                Verdict::Inconclusive { reason } => error("inconclusive", reason, &property.detail),
            },
        })
        .collect();
    let shortfall = match (verdict.evidence.shortfall(), verdict.cut_short) {
        (Some(shortfall), _) => Some(shortfall),
        (None, true) => Some("the run was cut short".to_owned()),
        (None, false) => None,
    };
    cases.push(Case {
        name: "evidence".to_owned(),
        outcome: shortfall.map_or(Outcome::Passed, |shortfall| error("evidence", &shortfall, "")),
    });
    if let Some(failure) = &verdict.harness_failure {
        cases.push(Case {
            name: "harness".to_owned(),
            outcome: error("harness-failure", failure, ""),
        });
    }
    cases
}

fn error(kind: &'static str, message: &str, text: &str) -> Outcome {
    Outcome::Error {
        kind,
        message: message.to_owned(),
        text: text.to_owned(),
    }
}

fn element(text: &str) -> String {
    (printable(text).replace('&', "&amp;"))
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// As [`element`], for between double quotes; a newline there would be read as a space.
fn attribute(text: &str) -> String {
    element(text)
        .replace('"', "&quot;")
        .replace('\n', "&#10;")
        .replace('\t', "&#9;")
}
