//! What proves that a promise of delivery is broken: the anomalies, and the lives of single messages.
//!
//! ```text
//! 4.102 s  process 7  n2  enqueue, attempt 1: timeout after 150 ms      fault 3 (pause of n2)
//! 4.271 s  process 7  n1  enqueue, attempt 2: answered after 4.1 ms     fault 3 (pause of n2)
//! 4.275 s  process 7  n1  enqueue acknowledged                          fault 3 (pause of n2)
//! ```

use crate::delivery::{Finding, Findings, Journal, Promise, Touch, TouchKind};
use crate::history::{Attempt, EventType, Operation, SentAgain, Trace};
use crate::verdict::{AnomalyProof, LifeProof, MessagesProof, MomentProof};

/// Every anomaly that breaks the promise, and the lives of the first messages.
pub(super) fn proof(
    journal: &Journal,
    findings: &Findings,
    promise: Promise,
    trace: &Trace<'_>,
) -> MessagesProof {
    let anomalies = findings.broken(promise).map(|(anomaly, count)| AnomalyProof {
        name: anomaly.name().to_owned(),
        count,
        causes: (findings.causes.iter())
            .filter(|((other, _), _)| *other == anomaly)
            .map(|((_, cause), count)| (cause.name().to_owned(), *count))
            .collect(),
    });
    let anomalies = anomalies.collect();
    let mut lives: Vec<LifeProof> = Vec::new();
    for finding in findings
        .kept
        .iter()
        .filter(|finding| Findings::breaks(finding.anomaly, promise))
    {
        let another = lives.iter().all(|life| life.anomaly != finding.anomaly.name());
        if another {
            lives.push(life(journal, finding, trace));
        }
    }
    MessagesProof { anomalies, lives }
}

fn operation<'t, 'a>(journal: &Journal, request: u32, trace: &'t Trace<'a>) -> Option<&'t Operation<'a>> {
    let index = journal.requests[request as usize].index;
    let operations = trace.paired();
    let at = operations.partition_point(|operation| operation.invoke.index < index);
    operations
        .get(at)
        .filter(|operation| operation.invoke.index == index)
}

/// What happened to one message, attempt by attempt.
fn life(journal: &Journal, finding: &Finding, trace: &Trace<'_>) -> LifeProof {
    let mut touches = journal.life(finding.stream, finding.value);
    // What shows that something is wrong with it may be about another message, or about the whole group.
    for &request in &finding.requests {
        if touches.iter().all(|touch| touch.request != request) {
            touches.extend(telling(journal, request));
        }
    }
    touches.sort_by_key(|touch| journal.request(touch).index);
    let mut moments = Vec::new();
    for touch in touches {
        let Some(operation) = operation(journal, touch.request, trace) else {
            continue;
        };
        let tried = |attempt: &Attempt, which: &str| MomentProof {
            time: attempt.start,
            process: operation.process,
            node: Some(attempt.node.clone()),
            what: format!("{}, {which}: {}", operation.f(), ended(attempt)),
            faults: faults(trace, attempt.start, attempt.end),
        };
        let attempts = operation.attempts();
        for (number, attempt) in (1..).zip(attempts).filter(|_| attempts.len() > 1) {
            moments.push(tried(attempt, &format!("attempt {number}")));
        }
        let again = again(journal, &touch, operation, trace);
        moments.extend(again.map(|attempt| tried(attempt, "sent again")));
        let request = journal.request(&touch);
        let end = operation.completion;
        let time = end.map_or(request.invoked, |end| end.time);
        let about = match (touch.value == finding.value, touch.kind) {
            (false, TouchKind::Send) => {
                let message = crate::history::shortened(&journal.values.json(touch.value).to_string());
                format!(" of {message}")
            }
            (false, TouchKind::Commit) => format!(" up to offset {}", touch.at),
            (false, TouchKind::Dealt) => format!(", told to go on from offset {}", touch.at),
            _ => String::new(),
        };
        moments.push(MomentProof {
            time,
            process: operation.process,
            node: end.and_then(|end| end.node.clone()),
            what: format!("{}{about} {}", operation.f(), told(touch.kind, request.outcome)),
            faults: faults(trace, request.invoked, time),
        });
    }
    moments.sort_by_key(|moment| moment.time);
    LifeProof {
        message: journal.values.json(finding.value),
        stream: Some(journal.values.json(finding.stream)).filter(|stream| !stream.is_null()),
        anomaly: finding.anomaly.name().to_owned(),
        cause: finding.cause.name().to_owned(),
        sentence: finding.sentence.clone(),
        moments,
    }
}

/// Attempts that were made when the operation had ended.
fn again<'t>(
    journal: &Journal,
    touch: &Touch,
    operation: &Operation<'_>,
    trace: &'t Trace<'_>,
) -> impl Iterator<Item = &'t Attempt> {
    let sent_again = journal.request(touch).sent_again;
    let token = operation.token().filter(|_| sent_again);
    let of = move |again: &&SentAgain| token.as_ref() == Some(&again.token);
    trace
        .sent_again
        .iter()
        .filter(of)
        .flat_map(|again| &again.attempts)
}

/// What one request did that says the most of it.
fn telling(journal: &Journal, request: u32) -> Option<Touch> {
    let kinds = [TouchKind::Dealt, TouchKind::Send, TouchKind::Commit];
    let touches = journal.touches_of(request).iter();
    let of = |kind| touches.clone().find(|touch| touch.kind == kind).copied();
    kinds.into_iter().find_map(of)
}

/// `answered after 3 ms`, `timeout after 150 ms`.
fn ended(attempt: &Attempt) -> String {
    let how = attempt.error.as_deref().unwrap_or("answered");
    let ms = attempt.end.saturating_sub(attempt.start) as f64 / 1e6;
    match ms < 10.0 {
        true => format!("{how} after {ms:.1} ms"),
        false => format!("{how} after {ms:.0} ms"),
    }
}

/// The faults that were in force at some time between two moments, as people name them.
fn faults(trace: &Trace<'_>, from: u64, to: u64) -> Vec<String> {
    let during = trace.faults.iter().filter(|(_, fault)| {
        let in_force = fault.in_force(trace.end);
        in_force.is_some_and(|(injected, healed)| injected <= to && healed >= from)
    });
    during
        .map(|(id, fault)| format!("fault {id} ({})", fault.name()))
        .collect()
}

fn told(kind: TouchKind, outcome: EventType) -> &'static str {
    match (kind, outcome) {
        (TouchKind::Receive, EventType::Ok) => "delivered it",
        (TouchKind::Receive, EventType::Fail) => "showed it, and failed",
        (TouchKind::Receive, _) => "showed it, and has no known outcome",
        (TouchKind::Replay, _) => "of its send, after that was answered",
        (_, EventType::Ok) => "acknowledged",
        (_, EventType::Fail) => "failed",
        _ => "has no known outcome",
    }
}

/// The operations that show a finding, in order of invocation.
pub(super) fn operations(
    journal: &Journal,
    finding: &Finding,
    trace: &Trace<'_>,
) -> Vec<crate::verdict::WitnessOp> {
    let mut requests = finding.requests.clone();
    requests.sort_by_key(|&request| journal.requests[request as usize].index);
    requests.dedup();
    let shown = requests.into_iter().filter_map(|request| {
        let touches = journal.touches.iter().filter(|touch| touch.request == request);
        let mut of = touches.filter(|touch| touch.value == finding.value && touch.stream == finding.stream);
        let note = match of.next() {
            Some(touch) => told(touch.kind, journal.requests[request as usize].outcome),
            None => "",
        };
        Some(operation(journal, request, trace)?.witness(note))
    });
    shown.collect()
}
