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

use std::time::Duration;

use chrono::{DateTime, FixedOffset};
use duress_checker::verdict::Verdict;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::format::printable;
use crate::terminal;
use crate::verdict_file::VerdictFile;

/// The whole file.
pub fn render(verdict: &VerdictFile) -> String {
    let name = printable(&verdict.name);
    let class = format!("duress.{name}");
    let duration = Duration::from_millis(verdict.duration_ms);
    let mut suite = TestSuite::new(&*name);
    suite.set_time(duration);
    // A run of before there was a clock, or one that somebody made up, has none.
    if let Ok(started) = verdict.started.parse::<DateTime<FixedOffset>>() {
        suite.set_timestamp(started);
    }
    suite.add_properties([
        ("seed", &*verdict.seed.to_string()),
        ("duress", &printable(&verdict.duress)),
        ("cluster", &printable(&verdict.cluster)),
        ("reproduce", &printable(&verdict.reproduce)),
    ]);
    suite.add_test_cases(cases(verdict).into_iter().map(|mut case| {
        case.set_classname(&*class);
        case.set_time(Duration::ZERO);
        case
    }));
    let mut report = Report::new("duress");
    report.set_time(duration);
    report.add_test_suite(suite);
    report.to_string().expect("text is written to memory")
}

fn cases(verdict: &VerdictFile) -> Vec<TestCase> {
    let mut cases: Vec<TestCase> = (verdict.properties.iter())
        .map(|property| {
            let status = match &property.verdict {
                Verdict::Held => TestCaseStatus::success(),
                Verdict::Violated { witness } => {
                    let text = terminal::witness(witness);
                    unlike_success(NonSuccessKind::Failure, "violated", &witness.summary, &text)
                }
                Verdict::Inconclusive { reason } => error("inconclusive", reason, &property.detail),
            };
            TestCase::new(&*printable(&property.property), status)
        })
        .collect();
    let shortfall = match (verdict.evidence.shortfall(), verdict.cut_short) {
        (Some(shortfall), _) => Some(shortfall),
        (None, true) => Some("the run was cut short".to_owned()),
        (None, false) => None,
    };
    let evidence = shortfall.map_or_else(TestCaseStatus::success, |shortfall| {
        error("evidence", &shortfall, "")
    });
    cases.push(TestCase::new("evidence", evidence));
    if let Some(failure) = &verdict.harness_failure {
        cases.push(TestCase::new("harness", error("harness-failure", failure, "")));
    }
    cases
}

fn error(kind: &str, message: &str, text: &str) -> TestCaseStatus {
    unlike_success(NonSuccessKind::Error, kind, message, text)
}

fn unlike_success(status: NonSuccessKind, kind: &str, message: &str, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(status);
    status.set_type(kind);
    status.set_message(&*printable(message));
    status.set_description(&*printable(text));
    status
}
