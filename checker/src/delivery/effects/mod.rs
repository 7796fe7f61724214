//! Effects: what requests that were tried again did to a counter, a list or a set in the end.
//!
//! ```text
//! add 5 ok, add 3 info … read → 8      the acknowledged ones, and one of the ambiguous ones
//! add 5 ok, add 3 info … read → 10     some effect came twice
//! append "r1" ok … read → ["r1","r1"]  twice, and which one
//! ```
//!
//! The state that counts is the last that was read once every request had ended that is known to. It must be what the acknowledged
//! requests did, plus what any of those of unknown outcome did. Of a counter that is a sum: where all amounts are equal, or few
//! sums are possible, every case is told; where a loss and a duplicate cancel out, nothing shows it. A list of ids of requests tells of
//! each. An id that is asked for twice is a request that was tried again, and counts once.

mod amounts;

use std::collections::BTreeMap;

use serde_json::Value;

use super::anomaly::{Anomaly, Cause};
use super::findings::{Finding, Findings, cause};
use super::journal::{Journal, Request, TouchKind};
use crate::history::values::FastMap;
use crate::history::{EventType, Val};

/// What was done to one object.
#[derive(Default)]
struct Object {
    /// Positions of the touches.
    effects: Vec<u32>,
    states: Vec<u32>,
}

/// Judges every object.
pub(super) fn judge(journal: &Journal) -> Findings {
    let mut findings = Findings::default();
    let mut objects: BTreeMap<Val, Object> = BTreeMap::new();
    for (position, touch) in (0..).zip(&journal.touches) {
        let object = objects.entry(touch.stream).or_default();
        match touch.kind {
            TouchKind::Effect => object.effects.push(position),
            TouchKind::State => object.states.push(position),
            _ => {}
        }
    }
    for (name, object) in &objects {
        findings.stream(*name);
        of_object(journal, *name, object, &mut findings);
    }
    findings
}

fn of_object(journal: &Journal, name: Val, object: &Object, findings: &mut Findings) {
    let touch = |position: &u32| &journal.touches[*position as usize];
    let requests = || object.effects.iter().map(|effect| journal.request(touch(effect)));
    findings.messages += object.effects.len() as u64;
    findings.acknowledged += requests().filter(|request| request.is_ok()).count() as u64;
    let ambiguous = requests().filter(|request| request.is_unknown()).count() as u64;
    if object.effects.is_empty() {
        return;
    }
    let settled = requests()
        .filter(|request| !request.is_unknown())
        .map(|request| request.end);
    let settled = settled.max().unwrap_or(0);
    let last = (object.states.iter())
        .filter(|state| journal.request(touch(state)).index > settled)
        .max_by_key(|state| journal.request(touch(state)).index);
    let Some(last) = last.map(touch) else {
        findings.ambiguous.unknown += ambiguous;
        findings.leave(format!(
            "{} was not read after its last effect",
            named(journal, name)
        ));
        return;
    };
    findings.deliveries += 1;
    let state = journal.values.json(last.value);
    let read = Read {
        journal,
        name,
        request: last.request,
    };
    match &state {
        Value::Array(ids) => ledger(&read, object, ids, findings),
        Value::Null
            if object
                .effects
                .iter()
                .any(|effect| !is_amount(journal, touch(effect).value)) =>
        {
            ledger(&read, object, &[], findings);
        }
        _ => match state.as_i64().or(state.is_null().then_some(0)) {
            Some(sum) => amounts::judge(&read, object, sum, findings),
            None => {
                findings.ambiguous.unknown += ambiguous;
                findings.leave(format!(
                    "{} reads as {}, which is neither a number nor a list",
                    named(journal, name),
                    crate::history::shortened(&state.to_string())
                ));
            }
        },
    }
}

fn is_amount(journal: &Journal, value: Val) -> bool {
    journal.values.int(value).is_some()
}

fn named(journal: &Journal, name: Val) -> String {
    match name {
        Val::NONE => "the state".to_owned(),
        name => crate::history::shortened(&journal.values.json(name).to_string()),
    }
}

/// The last state of one object.
struct Read<'a> {
    journal: &'a Journal,
    name: Val,
    /// Position of the request that read it.
    request: u32,
}

impl Read<'_> {
    fn finding(&self, anomaly: Anomaly, cause: Cause, value: Val, by: Vec<u32>, sentence: String) -> Finding {
        let mut requests = by;
        requests.push(self.request);
        Finding {
            anomaly,
            cause,
            stream: self.name,
            value,
            requests,
            sentence,
        }
    }
}

/// What became of one id.
#[derive(Default)]
struct Asked {
    by: Vec<u32>,
    ok: bool,
    unknown: bool,
    shown: u64,
}

/// A list or set of ids of requests.
fn ledger(read: &Read<'_>, object: &Object, ids: &[Value], findings: &mut Findings) {
    let journal = read.journal;
    let mut asked: FastMap<String, (Val, Asked)> = FastMap::default();
    for &effect in &object.effects {
        let touch = &journal.touches[effect as usize];
        let request: &Request = journal.request(touch);
        let id = journal.values.json(touch.value).to_string();
        let (_, entry) = asked.entry(id).or_insert_with(|| (touch.value, Asked::default()));
        entry.by.push(touch.request);
        entry.ok |= request.outcome == EventType::Ok;
        entry.unknown |= request.is_unknown();
    }
    for id in ids {
        let id = id.to_string();
        match asked.get_mut(&id) {
            Some((_, entry)) => entry.shown += 1,
            None => {
                let sentence = format!(
                    "{} is there, and nobody had asked for it",
                    crate::history::shortened(&id)
                );
                let finding = read.finding(
                    Anomaly::PhantomEffect,
                    Cause::Unknown,
                    Val::NONE,
                    Vec::new(),
                    sentence,
                );
                findings.add(finding);
            }
        }
    }
    let mut asked: Vec<(String, (Val, Asked))> = asked.into_iter().collect();
    asked.sort_by_key(|(_, (_, asked))| asked.by[0]);
    for (id, (value, asked)) in asked {
        if asked.unknown && !asked.ok {
            match asked.shown {
                // It may still come.
                0 => findings.ambiguous.unknown += 1,
                _ => findings.ambiguous.appeared += 1,
            }
        }
        let first = &journal.requests[asked.by[0] as usize];
        let why = match asked.by.len() {
            1 => cause(journal, Some(first), None),
            _ => Cause::ClientRetry,
        };
        let id = crate::history::shortened(&id);
        let (anomaly, sentence) = match (asked.ok, asked.unknown, asked.shown) {
            (true, _, 0) => (
                Anomaly::LostEffect,
                format!("{id} was acknowledged, and is not there"),
            ),
            (false, false, 1..) => (Anomaly::AbortedEffect, format!("{id} had failed, and is there")),
            (_, _, shown @ 2..) => (Anomaly::DuplicateEffect, format!("{id} is there {shown} times")),
            _ => continue,
        };
        findings.add(read.finding(anomaly, why, value, asked.by, sentence));
    }
}
