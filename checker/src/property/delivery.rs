//! `at-most-once`, `at-least-once` and `exactly-once`: what became of every message.
//!
//! ```text
//! exactly-once
//! exactly-once:until=delivered,order=producer
//! ```
//!
//! What is wrong with a message is decided in [`delivery`](crate::delivery); here it is decided whether that breaks the promise, and
//! told. Of what doesn't break it, `detail` says how often it happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::lives::{operations, proof};
use crate::delivery::{self, Anomaly, Collector, Finding, Findings, Journal, Promise, Terms};
use crate::history::{Event, FaultTrace, Operation, Process, Token, Trace, record_step};
use crate::property::claim::{About, Property, PropertyKind, Settings, Source, Streamed};
use crate::verdict::{Proof, PropertyVerdict, Witness};

/// A promise of delivery, with its terms.
#[derive(Clone, Copy)]
pub struct Delivery {
    terms: Terms,
    about: &'static About,
}

const PARAMETERS: &[(&str, &str)] = &[
    (
        "order",
        "whose messages come in the order of their sends: none, key, partition, producer, global; by default none of a queue, partition \
         of a stream",
    ),
    (
        "until",
        "where the promise ends: delivered, acknowledged, applied; by default as far as the history shows",
    ),
    (
        "isolation",
        "how far transactions of a stream are apart from each other: none, kafka, read-committed, consistent-view, serializable; by default \
         kafka, whose transactions lie between each other and poll what is committed",
    ),
];

/// A promise without parameters.
const fn plain(promise: Promise, about: &'static About) -> Delivery {
    Delivery {
        terms: Terms::of(promise),
        about,
    }
}

const fn about(name: &'static str, claim: &'static str) -> About {
    About {
        name,
        claim,
        kind: PropertyKind::Safety,
        judges: Source::Operations,
        parameters: PARAMETERS,
    }
}

/// No message twice.
pub const AT_MOST_ONCE: Delivery = plain(
    Promise::AtMostOnce,
    &about(
        "at-most-once",
        "of messages and effects: none is delivered or applied twice, and none that nobody sent",
    ),
);
/// No message lost.
pub const AT_LEAST_ONCE: Delivery = plain(
    Promise::AtLeastOnce,
    &about(
        "at-least-once",
        "of messages and effects: none is lost that was acknowledged, and none comes that nobody sent",
    ),
);
/// No message lost, and none twice.
pub const EXACTLY_ONCE: Delivery = plain(
    Promise::ExactlyOnce,
    &about(
        "exactly-once",
        "of messages and effects: each that was acknowledged is delivered or applied once, whatever was retried",
    ),
);

/// Every combination of parameters, by name. There are 432, made once.
static WITH_PARAMETERS: LazyLock<Vec<Delivery>> = LazyLock::new(|| {
    let of = |terms: Terms| {
        let about = match terms.promise {
            Promise::AtMostOnce => AT_MOST_ONCE.about,
            Promise::AtLeastOnce => AT_LEAST_ONCE.about,
            Promise::ExactlyOnce => EXACTLY_ONCE.about,
        };
        let name = terms.name().leak();
        let about = Box::leak(Box::new(About { name, ..*about }));
        Delivery { terms, about }
    };
    Terms::all().map(of).collect()
});

/// The promise of this name with these parameters, `order=key,until=delivered`, in any order; `None` if that is no promise.
pub(super) fn with(name: &str, parameters: &str) -> Option<Result<&'static dyn Property, String>> {
    let promise = Promise::ALL.into_iter().find(|promise| promise.name() == name)?;
    Some(Terms::of(promise).with(parameters).and_then(|terms| {
        let found = WITH_PARAMETERS.iter().find(|delivery| delivery.terms == terms);
        let found = found.map(|delivery| delivery as &dyn Property);
        found.ok_or_else(|| format!("{} can't be claimed", terms.name()))
    }))
}

impl Property for Delivery {
    fn about(&self) -> &'static About {
        self.about
    }

    fn judge(&self, trace: &Trace<'_>, _: &Settings<'_>) -> PropertyVerdict {
        let journal = match journal(trace) {
            Ok(journal) => journal,
            Err(reason) => return self.about.inconclusive(reason, String::new()),
        };
        self.judged(&journal, trace)
    }

    fn stream(&self, memory_bytes_max: usize) -> Option<Box<dyn Streamed>> {
        Some(Box::new(Streaming {
            delivery: *self,
            collector: Collector::default(),
            faults: BTreeMap::new(),
            events: 0,
            end: 0,
            memory_bytes_max,
        }))
    }
}

/// A promise that is being judged event by event.
struct Streaming {
    delivery: Delivery,
    collector: Collector,
    faults: BTreeMap<u64, FaultTrace>,
    events: u64,
    end: u64,
    memory_bytes_max: usize,
}

/// After so many events it is looked at what memory they take.
const LOOK_AT_MEMORY: u64 = 1 << 16;

impl Streaming {
    /// Counts one more event of a client.
    fn counted(&mut self) -> Result<(), String> {
        self.events += 1;
        if self.events.is_multiple_of(LOOK_AT_MEMORY) && self.collector.bytes() > self.memory_bytes_max {
            let mib = self.memory_bytes_max >> 20;
            return Err(format!("the messages take more than {mib} MiB of memory"));
        }
        Ok(())
    }
}

impl Streamed for Streaming {
    fn line(&mut self, line: &[u8]) -> Result<bool, String> {
        let Some(time) = self.collector.line(line) else {
            return Ok(false);
        };
        self.end = time;
        self.counted().map(|()| true)
    }

    fn event(&mut self, event: Event) -> Result<(), String> {
        self.end = event.time;
        if event.process == Process::Nemesis {
            record_step(&mut self.faults, &event);
            return Ok(());
        }
        self.counted()?;
        self.collector.event(event).map_err(|error| error.to_string())
    }

    fn finish(self: Box<Self>) -> PropertyVerdict {
        let Streaming {
            delivery,
            collector,
            faults,
            end,
            ..
        } = *self;
        let trace = Trace {
            faults,
            end,
            ..Trace::default()
        };
        match collector.finish() {
            Ok(mut journal) => {
                journal.restarts = restarts(&trace);
                delivery.judged(&journal, &trace)
            }
            Err(error) => delivery.about.inconclusive(error.to_string(), String::new()),
        }
    }
}

fn journal(trace: &Trace<'_>) -> Result<Journal, String> {
    let mut collector = Collector::default();
    for operation in trace.operations().map_err(|error| error.to_string())? {
        collector
            .operation(operation)
            .map_err(|error| error.to_string())?;
    }
    let mut journal = collector.finish().map_err(|error| error.to_string())?;
    mark_sent_again(&mut journal, trace);
    journal.restarts = restarts(trace);
    Ok(journal)
}

/// When nodes were being restarted.
fn restarts(trace: &Trace<'_>) -> Vec<(u64, u64)> {
    let restarts = |fault: &FaultTrace| {
        let restarts = fault.steps.iter().any(|step| step.event.restarts(&fault.kind));
        restarts.then(|| fault.in_force(trace.end)).flatten()
    };
    trace.faults.values().filter_map(restarts).collect()
}

/// Notes which requests were sent once more when they had ended.
fn mark_sent_again(journal: &mut Journal, trace: &Trace<'_>) {
    let again: BTreeSet<&Token> = trace.sent_again.iter().map(|again| &again.token).collect();
    if again.is_empty() {
        return;
    }
    let operations = trace.paired();
    for request in &mut journal.requests {
        let at = operations.partition_point(|operation| operation.invoke.index < request.index);
        let token = operations.get(at).and_then(Operation::token);
        request.sent_again = token.is_some_and(|token| again.contains(&token));
    }
}

impl Delivery {
    fn judged(&self, journal: &Journal, trace: &Trace<'_>) -> PropertyVerdict {
        match delivery::judge(journal, self.terms) {
            Ok(findings) => self.verdict(journal, findings, trace),
            Err(reason) => self.about.inconclusive(reason, String::new()),
        }
    }

    fn verdict(&self, journal: &Journal, mut findings: Findings, trace: &Trace<'_>) -> PropertyVerdict {
        let promise = self.terms.promise;
        let broken: Vec<(Anomaly, u64)> = findings.broken(promise).collect();
        let detail = detail(&mut findings, promise);
        let kept = |finding: &&Finding| Findings::breaks(finding.anomaly, promise);
        if let Some(first) = findings.kept.iter().find(kept) {
            let names: Vec<String> = broken
                .iter()
                .map(|(anomaly, count)| format!("{count} {}", anomaly.name()))
                .collect();
            let witness = Witness {
                summary: format!("{} ({})", first.sentence, names.join(", ")),
                key: Some(journal.values.json(first.stream)).filter(|key| !key.is_null()),
                proof: Proof::Messages(proof(journal, &findings, promise, trace)),
                operations: operations(journal, first, trace),
                minimal: true,
                ..Witness::default()
            };
            return self.about.violated(witness, detail);
        }
        let doubt = |anomaly| findings.counts.get(&anomaly).copied().unwrap_or(0);
        let (stuck, unseen) = (doubt(Anomaly::Stuck), doubt(Anomaly::Unseen));
        let reason = if let Some(reason) = findings.unjudged {
            reason
        } else if findings.deliveries == 0 {
            "nothing was delivered".to_owned()
        } else if promise.forbids_loss() && findings.acknowledged == 0 {
            "nothing was acknowledged, so nothing could be lost".to_owned()
        } else if promise.forbids_loss() && stuck > 0 {
            format!(
                "{stuck} that were acknowledged were not delivered, and the queue was not drained: end with a drain, or dequeue until \
                 nothing comes"
            )
        } else if promise.forbids_loss() && unseen > 0 {
            format!(
                "{unseen} that were acknowledged had not been polled at the end: poll until nothing comes"
            )
        } else {
            return self.about.held(detail);
        };
        self.about.inconclusive(reason, detail)
    }
}

/// What happened, in one line: what is wrong is in the witness.
fn detail(findings: &mut Findings, promise: Promise) -> String {
    let mut parts = vec![
        format!("{} messages or effects", findings.messages),
        format!("{} acknowledged", findings.acknowledged),
    ];
    let strongest: Vec<String> = (findings.strongest().into_iter().rev())
        .map(|(promise, count)| match promise {
            Some(promise) => format!("{count} kept {}", promise.name()),
            None => format!("{count} kept no promise"),
        })
        .collect();
    if !strongest.is_empty() {
        parts.push(format!(
            "of the queues, partitions or objects {}",
            strongest.join(", ")
        ));
    }
    let asked = findings.ambiguous;
    if asked.appeared + asked.did_not + asked.unknown > 0 {
        parts.push(format!(
            "of unknown outcome: {} appeared, {} did not, {} can't be known",
            asked.appeared, asked.did_not, asked.unknown
        ));
    }
    if findings.redeliveries > 0 {
        parts.push(format!(
            "{} redeliveries{}",
            findings.redeliveries,
            spread(&mut findings.redelivered_after)
        ));
    }
    if findings.latency.count() > 0 {
        parts.push(format!("end to end{}", spread(&mut findings.latency)));
    }
    let rest = findings
        .counts
        .iter()
        .filter(|(anomaly, _)| !Findings::breaks(**anomaly, promise));
    parts.extend(rest.map(|(anomaly, count)| format!("{count} {}", anomaly.name())));
    parts.join("; ")
}

fn spread(spread: &mut delivery::Spread) -> String {
    let ms = |nanos: Option<u64>| format!("{:.1} ms", nanos.unwrap_or(0) as f64 / 1e6);
    let [half, most, all] = [50, 99, 100].map(|percent| ms(spread.percentile(percent)));
    format!(" {half} (median), {most} (99 %), {all} (longest)")
}
