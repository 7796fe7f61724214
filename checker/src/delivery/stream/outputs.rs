//! Consume, transform, produce: whether each message that is consumed makes one output, whatever was tried again.
//!
//! An output is a message that names its input, the partition and offset that it was made from, and where there are several producers for
//! one work, whose and of which epoch it is:
//!
//! ```text
//! ["send", "out", {"input": ["in", 17], "by": "t1", "epoch": 3, "attempt": 2}]
//! ```
//!
//! What else is in it makes it differ from outputs of other attempts. An output counts if its request ended `ok`, or if a poll shows a
//! message of that request; of one of unknown outcome that nobody polled it is not known whether it is there.

use std::collections::BTreeMap;

use super::groups::Groups;
use super::log::Logs;
use crate::delivery::anomaly::{Anomaly, Cause};
use crate::delivery::findings::{Finding, Findings, cause, stream_cause};
use crate::delivery::journal::{Journal, NONE, Touch, TouchKind};
use crate::history::values::FastMap;
use crate::history::{EventType, Val};

/// Outputs of one input.
#[derive(Default)]
pub(super) struct Made<'a> {
    /// Those that count.
    pub counted: Vec<&'a Touch>,
    /// Those of which nobody knows whether they are there.
    pub unknown: Vec<&'a Touch>,
}

/// Outputs, by the partition and offset that they were made from.
pub(super) type ByInput<'a> = BTreeMap<(Val, u64), Made<'a>>;

/// `missing-output`, `duplicate-output`, `output-before-input` and `zombie-output`, and what groups say of it.
pub(super) fn judge(journal: &Journal, logs: &Logs, findings: &mut Findings) {
    if !journal.has(TouchKind::Output) {
        return;
    }
    let mut made = ByInput::new();
    for touch in journal
        .touches
        .iter()
        .filter(|touch| touch.kind == TouchKind::Output)
    {
        let made = made.entry((touch.stream, touch.at)).or_default();
        match (logs.committed(touch), journal.request(touch).outcome) {
            (true, _) => made.counted.push(touch),
            (false, EventType::Fail) => {}
            (false, _) => made.unknown.push(touch),
        }
    }
    // The first request to send what lies at a position.
    let mut inputs: FastMap<(Val, u64), &Touch> = FastMap::default();
    for touch in &journal.touches {
        if matches!(touch.kind, TouchKind::Send | TouchKind::Receive) && touch.at != NONE {
            inputs.entry((touch.stream, touch.at)).or_insert(touch);
        }
    }
    let mut partitions: BTreeMap<Val, u64> = BTreeMap::new();
    for (&(partition, offset), made) in made.iter().filter(|(_, made)| !made.counted.is_empty()) {
        let last = partitions.entry(partition).or_default();
        *last = offset.max(*last);
        if let [first, second, ..] = made.counted.as_slice() {
            let sentence = format!(
                "{} outputs were made of offset {offset} of {}",
                made.counted.len(),
                name(journal, partition)
            );
            add(
                journal,
                Anomaly::DuplicateOutput,
                &[first, second],
                sentence,
                findings,
            );
        }
        let input = inputs.get(&(partition, offset)).copied();
        for output in &made.counted {
            // Who polled it knows that it is there; who sent it must have asked for that.
            let late = input.is_none_or(|input| journal.request(input).index > journal.request(output).end);
            if late {
                let sentence = format!(
                    "an output was made of offset {offset} of {}, where nobody had sent or polled anything",
                    name(journal, partition)
                );
                add(journal, Anomaly::OutputBeforeInput, &[output], sentence, findings);
            }
        }
    }
    missing(journal, logs, &made, &partitions, findings);
    zombies(journal, logs, findings);
}

/// Messages of which nothing was made although something was made of one behind them, or a group has come past them.
fn missing(
    journal: &Journal,
    logs: &Logs,
    made: &ByInput<'_>,
    partitions: &BTreeMap<Val, u64>,
    findings: &mut Findings,
) {
    let groups = Groups::of(journal, logs);
    for (&partition, &last) in partitions {
        for (offset, message) in logs.messages(partition) {
            let there = made.get(&(partition, offset));
            if there.is_some_and(|made| !made.counted.is_empty()) {
                continue;
            }
            let unknown = there.map_or([].as_slice(), |made| made.unknown.as_slice());
            let what = || {
                let partition = name(journal, partition);
                format!("nothing was made of offset {offset} of {partition}, though")
            };
            let passed = groups.passed(partition, offset);
            let passed = passed.filter(|passed| groups.none_came(unknown, passed.settled));
            let (anomaly, sentence) = match passed {
                Some(passed) => (
                    Anomaly::CommittedWithoutOutput,
                    format!("{} its group has come to offset {}", what(), passed.next),
                ),
                None if unknown.is_empty() && offset < last => (
                    Anomaly::MissingOutput,
                    format!("{} something was made of offset {last}", what()),
                ),
                None => continue,
            };
            // Looking for it goes through everything.
            let input = |touch: &&Touch| touch.stream == partition && touch.value == message;
            let shown = match findings.kept_all(anomaly) {
                true => None,
                false => journal.touches.iter().find(input),
            };
            let shown = shown.map(|touch| touch.request).into_iter();
            let said = passed.map(|passed| journal.request_at(passed.request));
            findings.add(Finding {
                anomaly,
                cause: cause(journal, said, said),
                stream: partition,
                value: message,
                requests: shown.chain(passed.map(|passed| passed.request)).collect(),
                sentence,
            });
        }
    }
    groups.behind(findings);
}

/// An output that counts, and where it lies.
struct Placed<'a> {
    place: u32,
    epoch: u32,
    send: &'a Touch,
}

/// Outputs that lie behind one of a later epoch of the same producer.
fn zombies(journal: &Journal, logs: &Logs, findings: &mut Findings) {
    // By partition and producer.
    let mut sent: BTreeMap<(Val, Val), Vec<Placed<'_>>> = BTreeMap::new();
    for pair in journal.touches.windows(2) {
        let [send, output] = pair else { continue };
        // An output stands behind the send that it was made by.
        if output.kind != TouchKind::Output || !logs.committed(send) {
            continue;
        }
        let place = logs.log(send).and_then(|log| log.place_of(send));
        let about = journal.values.list(output.key);
        if let Some((place, &[by, epoch])) = place.zip(about.and_then(<[Val]>::first_chunk::<2>))
            && let Some(epoch) = epoch.as_small()
        {
            let placed = Placed { place, epoch, send };
            sent.entry((send.stream, by)).or_default().push(placed);
        }
    }
    for outputs in sent.values_mut() {
        outputs.sort_unstable_by_key(|output| output.place);
        let mut newest: Option<&Placed<'_>> = None;
        for output in outputs.iter() {
            match newest {
                Some(before) if output.epoch < before.epoch => {
                    let sentence = format!(
                        "an output of epoch {} lies behind one of epoch {}",
                        output.epoch, before.epoch
                    );
                    add(
                        journal,
                        Anomaly::ZombieOutput,
                        &[output.send, before.send],
                        sentence,
                        findings,
                    );
                }
                _ => newest = Some(output),
            }
        }
    }
}

/// About the output that is named first.
fn add(journal: &Journal, anomaly: Anomaly, outputs: &[&Touch], sentence: String, findings: &mut Findings) {
    let shown = outputs[0];
    let send = send_of(journal, shown);
    let last = outputs.last().map(|last| journal.request(last));
    findings.add(Finding {
        anomaly,
        cause: match stream_cause(journal, Some(send), last) {
            Cause::Unknown if journal.other_sessions(outputs) => Cause::SessionChange,
            Cause::Unknown if journal.changed_hands(shown, last) => Cause::Rebalance,
            likely => likely,
        },
        stream: send.stream,
        value: send.value,
        requests: outputs.iter().map(|output| output.request).collect(),
        sentence,
    });
}

/// The send of an output, which has its input as its stream.
pub(super) fn send_of<'a>(journal: &'a Journal, output: &'a Touch) -> &'a Touch {
    let mut touches = journal.touches_of(output.request).iter();
    let send = touches.find(|touch| touch.value == output.value && touch.kind == TouchKind::Send);
    send.unwrap_or(output)
}

pub(super) fn name(journal: &Journal, partition: Val) -> String {
    crate::history::shortened(&journal.values.json(partition).to_string())
}
