//! The faults: what was done to whom, whether it is proven, and how long the system took to work again.

use std::collections::BTreeMap;

use duress_checker::history::{FaultStep, FaultTrace, StepResult, TimedStep};
use maud::{Markup, html};
use serde_json::Value;

use crate::data::{FaultRecord, Recovery, RunData};
use crate::format::{counted, cut, duration, moment, quantity};
use crate::plots;

use super::figure;

/// What a machine's evidence may take up on the page.
const EVIDENCE_LENGTH_MAX: usize = 2000;

/// Faults that are shown in full. The history has them all.
const FAULTS_MAX: usize = 300;

pub(super) fn section(run: &RunData) -> Markup {
    let asked = asked_for(run.schedule.as_deref());
    html! {
        section id="faults" {
            h2 { "Faults" }
            @if run.faults.is_empty() {
                p.nothing { "No fault was injected." }
            } @else {
                div.scroll {
                    table.stack.faults {
                        thead { tr { th.number { "#" } th { "Fault" } th { "In force" } th { "Proven to bite" } th { "Proven healed" } th { "Recovery" } } }
                        tbody { @for fault in run.faults.iter().take(FAULTS_MAX) { (row(fault, &asked)) } }
                    }
                }
                @if run.faults.len() > FAULTS_MAX {
                    p.quiet { "and " (counted((run.faults.len() - FAULTS_MAX) as u64, "more fault")) " in the history" }
                }
                p.quiet.key {
                    strong { "Recovery" } " is the time from heal to the first operation that completed ok: at any node, and at a node that the fault was on. "
                    strong { "Silence" } " is the longest time without one, from injection to recovery."
                }
                @for plot in plots::measured(run) { (figure(&plot)) }
            }
        }
    }
}

/// The parameters of each fault of a schedule by its number, as the spec has them: `by -5m · targets minority`.
fn asked_for(schedule: Option<&str>) -> BTreeMap<u64, String> {
    let schedule: Value = schedule
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let faults = schedule["faults"].as_array().map_or(&[][..], Vec::as_slice);
    let asked = |planned: &Value| {
        let mut parameters = planned["fault"].as_object()?.clone();
        parameters.remove("kind");
        Some((planned["id"].as_u64()?, pairs(&Value::Object(parameters))))
    };
    faults.iter().filter_map(asked).collect()
}

fn row(fault: &FaultRecord, asked: &BTreeMap<u64, String>) -> Markup {
    html! {
        tr {
            td.number data-label="#" { (fault.id) }
            td data-label="Fault" {
                strong { (fault.trace.kind) }
                div.quiet { (fault.trace.targets().join(", ")) }
                @if let Some(asked) = asked.get(&fault.id).filter(|asked| !asked.is_empty()) {
                    div.quiet { "asked: " (cut(asked, 200)) }
                }
            }
            td.force data-label="In force" { (in_force(&fault.trace)) }
            td data-label="Proven to bite" { (proven_to_bite(&fault.trace)) }
            td data-label="Proven healed" { (proven_healed(&fault.trace)) }
            td.force data-label="Recovery" { (recovery(fault.trace.healed_at().map(|_| fault.recovery))) }
        }
        tr.more {
            td {}
            td colspan="5" {
                details {
                    summary { (counted(fault.trace.steps.len() as u64, "step")) }
                    ol.steps { @for step in &fault.trace.steps { (step_line(step)) } }
                }
            }
        }
    }
}

fn in_force(fault: &FaultTrace) -> Markup {
    html! {
        @match (fault.injected_at(), fault.healed_at()) {
            (Some(from), Some(to)) => {
                (moment(from)) " – " (moment(to))
                div.quiet { (duration(to.saturating_sub(from))) }
            }
            (Some(from), None) => { (moment(from)) " – " span.badge.inconclusive { "? never healed" } }
            (None, _) => span.badge.inconclusive { "? never injected" },
        }
    }
}

/// What was seen when it began and right before it was healed, or what is missing.
fn proven_to_bite(fault: &FaultTrace) -> Markup {
    html! {
        @match fault.bit() {
            Ok(()) => {
                span.badge.held { "✓ proven" }
                @for step in [FaultStep::Verify, FaultStep::Recheck].into_iter().filter_map(|step| fault.step(step)) {
                    div { (cut(&step.event.detail, 300)) }
                }
                (numbers(fault))
            }
            Err(why) => { span.badge.inconclusive { "? not proven" } div { (cut(&why, 300)) } (numbers(fault)) }
        }
    }
}

/// Of each thing that was measured: what was asked, what was read while it was in force, and what once it was healed.
fn numbers(fault: &FaultTrace) -> Markup {
    let mut things: BTreeMap<(&str, &str), [Vec<f64>; 3]> = BTreeMap::new();
    for step in &fault.steps {
        for number in &step.event.measured {
            let [asked, seen, healed] = things.entry((&number.what, &number.unit)).or_default();
            asked.extend(number.asked);
            match step.event.step {
                FaultStep::VerifyHealed => healed.push(number.seen),
                _ => seen.push(number.seen),
            }
        }
    }
    html! {
        @for ((what, unit), [asked, seen, healed]) in &things {
            div.numbers {
                strong { (what) }
                @for (word, values) in [("asked", asked), ("measured", seen), ("healed", healed)] {
                    @if let Some(span) = span(values, unit) { " · " (word) " " (span) }
                }
            }
        }
    }
}

/// `99.8 ms to 101 ms`; `None`: nothing was read.
fn span(values: &[f64], unit: &str) -> Option<String> {
    let (least, most) = (
        values.iter().copied().min_by(f64::total_cmp)?,
        values.iter().copied().max_by(f64::total_cmp)?,
    );
    let (from, to) = (quantity(least, unit), quantity(most, unit));
    Some(if from == to {
        from
    } else {
        format!("{from} to {to}")
    })
}

fn proven_healed(fault: &FaultTrace) -> Markup {
    html! {
        @match fault.step(FaultStep::VerifyHealed) {
            Some(step) => { (badge(step)) div { (cut(&step.event.detail, 300)) } }
            None => span.badge.inconclusive { "? not looked at" },
        }
    }
}

/// `None`: it was never healed.
fn recovery(recovery: Option<Recovery>) -> Markup {
    let shown = |nanos: Option<u64>| nanos.map_or("never".to_owned(), duration);
    html! {
        @if let Some(recovery) = recovery {
            div { "any node " strong { (shown(recovery.any)) } }
            div { "a target " strong { (shown(recovery.target)) } }
            @if recovery.silence_max > 0 { div.quiet { "silence " (duration(recovery.silence_max)) } }
        } @else {
            "–"
        }
    }
}

fn step_line(step: &TimedStep) -> Markup {
    html! {
        li {
            span.time { (moment(step.time)) } " " strong { (name(step.event.step)) } " " (badge(step)) " " (cut(&step.event.detail, 1000))
            @if !step.event.evidence.is_null() {
                div.pairs { (pairs(&step.event.evidence)) }
            }
        }
    }
}

/// `dropped_packets 312 · links [["n1","n2"]]`.
fn pairs(evidence: &Value) -> String {
    let text = match evidence {
        Value::Object(fields) => (fields.iter())
            .map(|(name, value)| format!("{name}\u{a0}{}", shortest(value)))
            .collect::<Vec<_>>()
            .join(" · "),
        other => shortest(other),
    };
    cut(&text, EVIDENCE_LENGTH_MAX)
}

fn shortest(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_u64()
            .map_or_else(|| number.to_string(), crate::format::count),
        other => other.to_string(),
    }
}

fn badge(step: &TimedStep) -> Markup {
    html! {
        @match step.event.result {
            StepResult::Installed => span.badge.held { "✓ " (done(step.event.step)) },
            StepResult::Mismatch => span.badge.inconclusive { "≠ mismatch" },
            StepResult::Skipped => span.badge.inconclusive { "– skipped" },
            StepResult::Indeterminate => span.badge.inconclusive { "? indeterminate" },
        }
    }
}

/// What a step is that ended as it should.
fn done(step: FaultStep) -> &'static str {
    match step {
        FaultStep::Prepare => "prepared",
        FaultStep::Inject => "injected",
        FaultStep::Verify | FaultStep::Recheck | FaultStep::VerifyHealed => "confirmed",
        FaultStep::Heal => "healed",
        FaultStep::CleanUp => "cleaned up",
    }
}

fn name(step: FaultStep) -> &'static str {
    match step {
        FaultStep::Prepare => "prepare",
        FaultStep::Inject => "inject",
        FaultStep::Verify => "verify",
        FaultStep::Recheck => "recheck",
        FaultStep::Heal => "heal",
        FaultStep::VerifyHealed => "verify healed",
        FaultStep::CleanUp => "clean up",
    }
}
