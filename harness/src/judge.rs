//! From what is on disk to a verdict: gathers what `duress-checker` needs, and what a run was.
//!
//! A run is judged from its directory alone (`spec.toml`, `history.jsonl` and what nodes said of themselves), never from
//! what the controller remembers, so that a run that was cut off is judged by the same code as one that ended well. What
//! is true is decided in `duress_checker::property`.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use duress_checker::evidence::{Evidence, Needs};
use duress_checker::history::{History, Trace};
use duress_checker::model::CheckError;
use duress_checker::property::linearizable;
use duress_checker::property::overall::conclude;
use duress_checker::property::{Property, Settings, judge as judge_property};
use duress_checker::verdict::{Budget, PropertyVerdict};
use duress_results::verdict_file::{VERDICT_FORMAT, VerdictFile};

use crate::exit;
use crate::interrupt::Interrupt;
use crate::spec::{ClusterSpec, Spec};

/// Judges every property of `spec` on the trace of a run. `reproduce` is the command that does the run again; what is
/// undecided when `interrupt` asks stays so.
pub fn judge(
    spec: &Spec,
    seed: u64,
    trace: &Trace<'_>,
    reproduce: String,
    interrupt: Option<&Interrupt>,
) -> VerdictFile {
    let model = spec.workload.about().model;
    let properties: Vec<PropertyVerdict> = (spec.properties.iter())
        .map(|claim| property(claim.property(), trace, model, budget(spec), interrupt))
        .collect();
    let needs = Needs {
        ok_min: spec.evidence.ok,
        ok_of_each_f_min: spec.evidence.ok_of_each,
        faults_verified: spec.evidence.faults_verified,
        faults_asked: !(spec.faults.mix.is_empty() && spec.faults.at.is_empty()),
    };
    let evidence = Evidence::of(trace, needs);
    let (overall, summary) = conclude(&properties, &evidence, trace);
    VerdictFile {
        format: VERDICT_FORMAT,
        duress: env!("CARGO_PKG_VERSION").to_owned(),
        name: spec.name.clone(),
        seed,
        started: trace.run.clone().unwrap_or_default().started,
        duration_ms: trace.end / 1_000_000,
        overall,
        exit_code: exit::code(overall),
        summary,
        properties,
        evidence,
        harness_failure: trace.harness_failure.clone(),
        cut_short: trace.cut_short(),
        phases: trace.phases.clone(),
        cluster: describe(&spec.cluster),
        diverged: trace.diverged.clone(),
        clients: trace.run.clone().unwrap_or_default().clients,
        reproduce,
    }
}

/// What the checkers may spend on a run of this spec.
pub fn budget(spec: &Spec) -> Budget {
    Budget {
        time_ms_max: u64::try_from(spec.check.time.0.as_millis()).unwrap_or(u64::MAX),
        // More than can be addressed is as much as there is.
        memory_bytes_max: spec.check.memory_mib.saturating_mul(1 << 20),
    }
}

/// Judges one property, on all cores.
pub fn property(
    property: &dyn Property,
    trace: &Trace<'_>,
    model: Option<&str>,
    budget: Budget,
    interrupt: Option<&Interrupt>,
) -> PropertyVerdict {
    with_settings(model, budget, interrupt, |settings| {
        judge_property(property, trace, settings)
    })
}

/// Whether a history in columns is linearizable, on all cores, and if it is not, what it keeps instead.
pub fn check(history: &History, model: &str, budget: Budget) -> Result<PropertyVerdict, CheckError> {
    with_settings(Some(model), budget, None, |settings| {
        linearizable::judge_history(history, settings)
    })
}

fn with_settings<T>(
    model: Option<&str>,
    budget: Budget,
    interrupt: Option<&Interrupt>,
    judge: impl FnOnce(&Settings<'_>) -> T,
) -> T {
    let clock = Clock::start(interrupt);
    let cut_short = || {
        let why = "it was interrupted while it was checked; `duress report` checks it as a whole";
        interrupt.is_some_and(Interrupt::asked).then(|| why.to_owned())
    };
    judge(&Settings {
        model,
        budget,
        elapsed: &|| clock.elapsed(),
        threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        cut_short: &cut_short,
    })
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

fn describe(cluster: &ClusterSpec) -> String {
    let (system, nodes) = (cluster.system(), cluster.node_names().len());
    match cluster {
        ClusterSpec::Local(_) | ClusterSpec::Ssh(_) => {
            let defects = match cluster.defects() {
                [] => String::new(),
                defects => format!(" with defect {}", defects.join(", ")),
            };
            format!("{}, {nodes} nodes, {system}{defects}", cluster.name())
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
