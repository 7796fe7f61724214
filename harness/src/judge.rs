//! From what is on disk to a verdict.
//!
//! A run is judged from its directory alone (`spec.toml` and `history.jsonl`), never from what the controller remembers,
//! so that a run that was cut off is judged by the same code as one that ended well. The harness leaves notes in the
//! history, as events of the nemesis:
//!
//! ```json
//! {"index":0,"time":0,"process":"nemesis","type":"info","f":"run","value":{"format":1,"name":"register","seed":7}}
//! {"index":1,"time":5,"process":"nemesis","type":"info","f":"phase","value":{"phase":"warm-up"}}
//! {"index":9,"time":9,"process":"nemesis","type":"info","f":"harness-failure","value":{"what":"agent died"}}
//! ```
//!
//! The phase `end` says that nothing was cut off.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use duress_checker::evidence::{Evidence, Needs, Requirement};
use duress_checker::history::{Event, History, Process};
use duress_checker::invariants::{self, Restarts, Series};
use duress_checker::linearizability::CheckError;
use duress_checker::verdict::{Budget, PropertyVerdict, Verdict};
use duress_checker::{consistency, converged, linearizability, liveness, mutex, set};
use duress_results::verdict_file::{Overall, Phase, VERDICT_FORMAT, VerdictFile};
use serde_json::Value;

use crate::exit;
use crate::interrupt::Interrupt;
use crate::spec::{ClusterSpec, Property, Spec};

/// Name of the last phase: a history without it was cut short.
pub const END: &str = duress_checker::history::END_PHASE;

/// What is known of a run beside its spec and its history.
#[derive(Clone, Debug)]
pub struct RunFacts {
    /// When it began, RFC 3339, UTC.
    pub started: String,
    /// The command that does it again.
    pub reproduce: String,
    /// What nodes said of themselves.
    pub series: Series,
    /// Ends the checking early.
    pub interrupt: Option<Interrupt>,
}

/// Judges every property of `spec` on `history`.
pub fn judge(spec: &Spec, seed: u64, history: &[Event], facts: RunFacts) -> VerdictFile {
    let budget = Budget {
        time_ms_max: u64::try_from(spec.check.time.0.as_millis()).unwrap_or(u64::MAX),
        // More than can be addressed is as much as there is.
        memory_bytes_max: spec.check.memory_mib.saturating_mul(1 << 20),
    };
    let restarts = Restarts::of(history);
    let properties: Vec<PropertyVerdict> = (spec.properties.iter())
        .map(|property| match property {
            Property::Linearizable => {
                linearizable(history, spec.workload.model(), budget, facts.interrupt.as_ref())
            }
            Property::Converged => converged::converged(history),
            Property::MutualExclusion => mutex::mutual_exclusion(history),
            Property::NothingLost => set::nothing_lost(history),
            Property::OneLeaderPerTerm => invariants::one_leader_per_term(&facts.series),
            Property::TermsNeverGoBack => invariants::terms_never_go_back(&facts.series, &restarts),
            Property::AppliedNeverGoesBack => invariants::applied_never_goes_back(&facts.series, &restarts),
            Property::Recovers => liveness::recovers(history),
        })
        .collect();

    let needs = Needs {
        ok_min: spec.evidence.ok,
        ok_of_each_f_min: spec.evidence.ok_of_each,
        faults_verified: spec.evidence.faults_verified,
    };
    let mut evidence = Evidence::of(history, needs);
    if let Some(missing) = faults_missing(spec, &evidence) {
        evidence.requirements.push(missing);
    }
    if let Some(missing) = final_ops_missing(history) {
        evidence.requirements.push(missing);
    }
    let phases: Vec<Phase> = notes(history, "phase")
        .filter_map(|(time, value)| {
            Some(Phase {
                name: value.get("phase")?.as_str()?.to_owned(),
                start: time,
            })
        })
        .collect();
    let cut_short =
        phases.last().is_none_or(|phase| phase.name != END) || notes(history, "interrupted").next().is_some();
    let harness_failure = notes(history, "harness-failure")
        .filter_map(|(_, value)| Some(value.get("what")?.as_str()?.to_owned()))
        .next();

    let (overall, summary) = conclude(&properties, &evidence, harness_failure.as_deref(), cut_short);
    VerdictFile {
        format: VERDICT_FORMAT,
        duress: env!("CARGO_PKG_VERSION").to_owned(),
        name: spec.name.clone(),
        seed,
        started: facts.started,
        duration_ms: history.last().map_or(0, |event| event.time / 1_000_000),
        overall,
        exit_code: exit::code(overall),
        summary,
        properties,
        evidence,
        harness_failure,
        cut_short,
        phases,
        cluster: describe(&spec.cluster),
        reproduce: facts.reproduce,
    }
}

fn linearizable(
    events: &[Event],
    model: &str,
    budget: Budget,
    interrupt: Option<&Interrupt>,
) -> PropertyVerdict {
    let checked = History::from_events(events)
        .map_err(CheckError::from)
        .and_then(|history| check_until(&history, model, budget, interrupt));
    let asked = interrupt.is_some_and(Interrupt::asked);
    let checked = checked.map(|mut verdict| {
        if let (true, Verdict::Inconclusive { reason }) = (asked, &mut verdict.verdict) {
            "it was interrupted while it was checked; `duress report` checks it as a whole"
                .clone_into(reason);
            verdict.detail.clear();
        }
        verdict
    });
    checked.unwrap_or_else(|error| PropertyVerdict {
        property: linearizability::PROPERTY.to_owned(),
        verdict: Verdict::Inconclusive {
            reason: error.to_string(),
        },
        detail: String::new(),
    })
}

/// Whether a history is linearizable, on all cores, and if it is not, what it keeps instead.
pub fn check(history: &History, model: &str, budget: Budget) -> Result<PropertyVerdict, CheckError> {
    check_until(history, model, budget, None)
}

/// More than any checker may spend.
const BEYOND_ALL_BUDGETS: Duration = Duration::from_secs(1_000_000);

/// The clock by which checkers spend their budgets. Budgets are counted from moments of it: once a run is to end it leaps
/// with each look, so that all of them are spent.
struct Clock<'a> {
    start: Instant,
    interrupt: Option<&'a Interrupt>,
    leaps: AtomicU32,
}

impl<'a> Clock<'a> {
    fn start(interrupt: Option<&'a Interrupt>) -> Self {
        Clock {
            start: Instant::now(),
            interrupt,
            leaps: AtomicU32::new(0),
        }
    }

    fn elapsed(&self) -> Duration {
        let real = self.start.elapsed();
        if !self.interrupt.is_some_and(Interrupt::asked) {
            return real;
        }
        let leaps = self.leaps.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        real + BEYOND_ALL_BUDGETS * leaps
    }
}

/// The same, but what is undecided when `interrupt` asks stays so.
fn check_until(
    history: &History,
    model: &str,
    budget: Budget,
    interrupt: Option<&Interrupt>,
) -> Result<PropertyVerdict, CheckError> {
    let clock = Clock::start(interrupt);
    let elapsed = || clock.elapsed();
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let verdict = linearizability::check_parallel(history, model, budget, &elapsed, threads)?;
    Ok(consistency::judged(history, model, verdict, budget, &elapsed))
}

/// Seed and all that the first event of a history says of its run.
pub fn seed_of(history: &[Event]) -> Option<u64> {
    notes(history, "run").find_map(|(_, value)| value.get("seed")?.as_u64())
}

/// What the harness noted under this name, and when.
pub fn notes<'a>(history: &'a [Event], f: &'a str) -> impl Iterator<Item = (u64, &'a Value)> {
    (history.iter())
        .filter(move |event| event.process == Process::Nemesis && event.f == f)
        .map(|event| (event.time, &event.value))
}

/// A spec that asks for faults, and a history in which none was even tried.
fn faults_missing(spec: &Spec, evidence: &Evidence) -> Option<Requirement> {
    let planned = !(spec.faults.mix.is_empty() && spec.faults.at.is_empty());
    let asked = planned && spec.evidence.faults_verified;
    (asked && evidence.faults_planned == 0).then(|| Requirement {
        what: "faults".to_owned(),
        needed: "at least 1".to_owned(),
        seen: "0".to_owned(),
        met: false,
    })
}

/// Final operations that were never answered leave what was lost unseen.
fn final_ops_missing(history: &[Event]) -> Option<Requirement> {
    let (_, value) = notes(history, "final-ops").last()?;
    let (answered, asked) = (value.get("answered")?.as_u64()?, value.get("asked")?.as_u64()?);
    Some(Requirement {
        what: "final reads answered".to_owned(),
        needed: asked.to_string(),
        seen: answered.to_string(),
        met: answered >= asked,
    })
}

/// A violation outranks everything; then a harness failure, since what it left proves nothing; then doubt.
fn conclude(
    properties: &[PropertyVerdict],
    evidence: &Evidence,
    harness_failure: Option<&str>,
    cut_short: bool,
) -> (Overall, String) {
    let violated: Vec<&PropertyVerdict> = properties
        .iter()
        .filter(|p| matches!(p.verdict, Verdict::Violated { .. }))
        .collect();
    if let Some(first) = violated.first() {
        let Verdict::Violated { witness } = &first.verdict else {
            unreachable!("filtered above")
        };
        return (
            Overall::Violated,
            format!("{} is violated: {}", first.property, witness.summary),
        );
    }
    if let Some(failure) = harness_failure {
        return (
            Overall::HarnessFailure,
            format!("the test could not be run or trusted: {failure}"),
        );
    }
    let undecided = properties.iter().find_map(|property| match &property.verdict {
        Verdict::Inconclusive { reason } => Some(format!("{} is undecided: {reason}", property.property)),
        _ => None,
    });
    if let Some(undecided) = undecided {
        return (Overall::Inconclusive, undecided);
    }
    if let Some(shortfall) = evidence.shortfall() {
        return (
            Overall::Inconclusive,
            format!("nothing was violated, but the evidence falls short: {shortfall}"),
        );
    }
    if cut_short {
        let summary = "nothing was violated until the run was cut short".to_owned();
        return (Overall::Inconclusive, summary);
    }
    let names: Vec<&str> = properties
        .iter()
        .map(|property| property.property.as_str())
        .collect();
    let summary = format!(
        "{} held over {} acknowledged operations and {} verified faults",
        names.join(", "),
        evidence.operations.ok,
        evidence.faults_verified
    );
    (Overall::Held, summary)
}

fn describe(cluster: &ClusterSpec) -> String {
    let (system, nodes) = (cluster.system(), cluster.node_names().len());
    match cluster {
        ClusterSpec::Local(local) if local.defects.is_empty() => format!("local, {nodes} nodes, {system}"),
        ClusterSpec::Local(local) => {
            format!(
                "local, {nodes} nodes, {system} with defect {}",
                local.defects.join(", ")
            )
        }
        ClusterSpec::Compose(compose) => {
            let version = compose
                .version
                .as_ref()
                .map(|version| format!(" {version}"))
                .unwrap_or_default();
            format!("compose, {nodes} nodes, {system}{version}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_spends_every_budget_and_none_before() {
        let interrupt = Interrupt::unheard();
        let clock = Clock::start(Some(&interrupt));
        assert!(clock.elapsed() < Duration::from_secs(60));
        interrupt.ask_now();
        // Of a budget that was given before, and of one that is given now.
        let week = Duration::from_secs(7 * 24 * 3600);
        let now = clock.elapsed();
        assert!(now > week);
        assert!(clock.elapsed() > now + week);
    }
}
