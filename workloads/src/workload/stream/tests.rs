//! Processes against a store of streams that never fails by itself.

use std::collections::BTreeSet;

use rand::SeedableRng;

use super::*;
use crate::generator::WorkloadParameters;

/// What it takes to answer.
#[derive(Default)]
struct Store {
    epochs: BTreeMap<String, u64>,
    partitions: BTreeMap<String, Vec<Value>>,
    /// Of the group.
    offsets: BTreeMap<String, u64>,
}

impl Store {
    /// What comes of an operation; `None`: it fails.
    fn answer(&mut self, op: &Op) -> Option<Value> {
        if !matches!(op.f, "init" | "send" | "poll" | "txn" | "subscribe") {
            return Some(op.value.clone());
        }
        let steps = Step::all(&op.value).expect("steps");
        if steps.contains(&Step::Abort) {
            return None;
        }
        steps.iter().map(|step| self.step(step)).collect()
    }

    fn step(&mut self, step: &Step) -> Option<Value> {
        Some(match step {
            Step::Init(producer) => {
                let epoch = self.epochs.entry(producer.clone()).or_default();
                *epoch += 1;
                json!(["init", producer, epoch])
            }
            Step::As(session) => {
                let current = self.epochs.get(&session.producer) == Some(&session.epoch);
                current.then(|| step.to_json())?
            }
            Step::Send(partition, message) => {
                let partition = self.partitions.entry(partition.clone()).or_default();
                partition.push(message.clone());
                json!(["send", partition, [partition.len() - 1, message]])
            }
            Step::Poll(from, max) => {
                let show = |(partition, from): (&String, &u64)| {
                    let messages = self.partitions.get(partition).into_iter().flatten();
                    let pairs = (0u64..).zip(messages).skip(*from as usize).take(*max as usize);
                    (partition.clone(), pairs.map(|pair| json!(pair)).collect())
                };
                let shown: serde_json::Map<String, Value> = from.iter().map(show).collect();
                json!(["poll", shown])
            }
            Step::Join(member) => {
                let next = |name: &String| (name.clone(), self.offsets.get(name).copied().unwrap_or(0));
                let offsets: BTreeMap<String, u64> = member.partitions.iter().map(next).collect();
                json!(["join", {"generation": 1, "offsets": offsets}])
            }
            Step::Commit(offsets) => {
                let offsets = offsets.iter().flat_map(|offsets| offsets.offsets.clone());
                self.offsets.extend(offsets);
                step.to_json()
            }
            Step::CommitAgain(..) | Step::Abort => step.to_json(),
        })
    }
}

struct Bench {
    stream: Stream,
    store: Store,
    rng: ChaCha12Rng,
}

impl Bench {
    fn new(spec: StreamSpec) -> Self {
        Bench {
            stream: Stream::new(&spec).expect("a valid spec"),
            store: Store::default(),
            rng: ChaCha12Rng::seed_from_u64(1),
        }
    }

    fn asked(&mut self, process: u64) -> Op {
        self.stream.next(process, &mut self.rng)
    }

    /// The outcome of an operation, of which the workload is told.
    fn ended(&mut self, process: u64, op: &Op) -> bool {
        let answer = self.store.answer(op);
        match &answer {
            Some(result) => self.stream.observe(process, op, result),
            None => self.stream.unanswered(process, op, EventType::Fail),
        }
        answer.is_some()
    }

    fn step(&mut self, process: u64) -> Op {
        let op = self.asked(process);
        self.ended(process, &op);
        op
    }

    /// Steps until it asks for this, which is not answered yet.
    fn until(&mut self, process: u64, f: &str) -> Op {
        for _ in 0..1000 {
            let op = self.asked(process);
            if op.f == f {
                return op;
            }
            self.ended(process, &op);
        }
        panic!("process {process} never asks for {f}");
    }
}

fn session(op: &Op) -> step::Session {
    match Step::all(&op.value).expect("steps").first() {
        Some(Step::As(session)) => session.clone(),
        other => panic!("{other:?}"),
    }
}

fn sends(op: &Op) -> Vec<(String, Value)> {
    let steps = Step::all(&op.value).into_iter().flatten();
    let sends = steps.filter_map(|step| match step {
        Step::Send(partition, message) => Some((partition, message)),
        _ => None,
    });
    sends.collect()
}

const SENDERS: StreamSpec = StreamSpec {
    partitions: 2,
    workers: 0,
    send: 5.0,
    poll: 0.0,
    txn: 5.0,
    size: 3,
    abort: 0.0,
    late: 0.0,
    replay: 0.0,
    stall: 0.0,
    stall_ms: 200,
    session_ms: 2000,
};

#[test]
fn sequences_and_transactions_count_up_from_where_a_session_began() {
    let mut bench = Bench::new(SENDERS);
    assert_eq!(bench.step(7).value, json!([["init", "s0"]]));
    let (mut sequence, mut txn, mut seen) = (0, 0, BTreeSet::new());
    for _ in 0..200 {
        let op = bench.step(7);
        let session = session(&op);
        assert_eq!((session.epoch, session.sequence), (1, sequence), "{op:?}");
        if op.f == "txn" {
            txn += 1;
            assert_eq!(session.txn, Some(txn));
        }
        for (_, message) in sends(&op) {
            sequence += 1;
            assert!(seen.insert(message.to_string()), "{message} is sent twice");
        }
    }
    assert!(txn > 50 && sequence > 250);
}

#[test]
fn whoever_failed_begins_another_session_and_whoever_is_lost_is_replaced_under_the_same_name() {
    let mut bench = Bench::new(SENDERS);
    bench.step(7);
    let op = bench.asked(7);
    bench.stream.unanswered(7, &op, EventType::Fail);
    assert_eq!(bench.step(7).value, json!([["init", "s0"]]));
    let op = bench.asked(7);
    assert_eq!((session(&op).epoch, session(&op).sequence), (2, 0));
    bench.stream.unanswered(7, &op, EventType::Info);
    assert_eq!(bench.step(8).value, json!([["init", "s0"]]));
    assert_eq!(session(&bench.step(8)).epoch, 3);
}

#[test]
fn a_worker_makes_an_output_of_each_input_and_commits_how_far_it_came() {
    let mut bench = Bench::new(StreamSpec {
        workers: 1,
        txn: 0.0,
        ..SENDERS
    });
    bench.step(1);
    (0..100).for_each(|_| drop(bench.step(0)));
    let txn = bench.until(1, "txn");
    let outputs = sends(&txn);
    assert!((1..=3).contains(&outputs.len()), "{txn:?}");
    let (partition, output) = &outputs[0];
    assert_eq!(output["by"], "t0");
    assert_eq!(output["epoch"], session(&txn).epoch);
    let input = output["input"].as_array().expect("an input");
    assert_eq!(json!(partition.replace("out", "in")), input[0]);
    (0..2000).for_each(|_| drop(bench.step(1)));
    let made = |partition: &str| {
        let messages = bench.store.partitions[partition].iter();
        let inputs = messages.map(|message| message["input"][1].as_u64().expect("an offset"));
        inputs.collect::<Vec<_>>()
    };
    for (partition, input) in [("out0", "in0"), ("out1", "in1")] {
        let made = made(partition);
        assert_eq!(made, (0..made.len() as u64).collect::<Vec<_>>(), "{partition}");
        assert_eq!(bench.store.offsets[input], made.len() as u64);
    }
}

#[test]
fn while_a_worker_stalls_another_takes_its_name_and_it_goes_on_as_if_nothing_had_happened() {
    let mut bench = Bench::new(StreamSpec {
        workers: 1,
        stall: 1.0,
        ..SENDERS
    });
    let hold = {
        bench.step(0);
        for process in [1, 1, 1, 1] {
            bench.step(process);
        }
        bench.until(0, "hold")
    };
    assert!((100..=300).contains(&hold.value["ms"].as_u64().unwrap_or(0)));
    let taken = bench.step(1);
    assert_eq!(taken.value, json!([["init", "t0"]]));
    bench.ended(0, &hold);
    let zombie = bench.asked(0);
    assert_eq!((zombie.f, session(&zombie).epoch), ("txn", 1));
    assert!(!bench.ended(0, &zombie), "it is fenced");
    assert_eq!(bench.step(0).value, json!([["init", "s0"]]), "in exchange");
}

#[test]
fn the_commit_before_comes_late_in_the_midst_of_the_next_transaction() {
    let mut bench = Bench::new(StreamSpec {
        send: 0.0,
        late: 1.0,
        ..SENDERS
    });
    bench.step(7);
    let first = Step::all(&bench.step(7).value).expect("steps");
    assert!(!first.contains(&Step::CommitAgain(0, None)) && first.last() == Some(&Step::Commit(None)));
    for before in 1..50 {
        let steps = Step::all(&bench.step(7).value).expect("steps");
        let late = steps
            .iter()
            .position(|step| *step == Step::CommitAgain(before, None));
        assert_eq!(late, Some(steps.len() - 2), "{steps:?}");
    }
}

#[test]
fn a_replay_is_a_former_send_to_the_letter() {
    let mut bench = Bench::new(StreamSpec {
        replay: 0.3,
        ..SENDERS
    });
    let ops: Vec<Op> = (0..300).map(|_| bench.step(7)).collect();
    let replays: Vec<usize> = (0..ops.len()).filter(|&at| ops[at].f == "replay").collect();
    assert!(replays.len() > 20);
    for at in replays {
        let former = ops[..at].iter().find(|op| op.value == ops[at].value);
        assert_eq!(former.map(|op| op.f), Some("send"));
    }
}

#[test]
fn at_the_end_nothing_is_open_and_every_partition_is_read_to_its_end() {
    let mut bench = Bench::new(StreamSpec {
        workers: 1,
        ..SENDERS
    });
    for process in [0, 1, 2].into_iter().cycle().take(900) {
        bench.step(process);
    }
    let mut read: BTreeMap<String, u64> = BTreeMap::new();
    let mut begun = BTreeSet::new();
    let mut asking: VecDeque<u64> = (10..14).collect();
    while let Some(process) = asking.pop_front() {
        let Some(op) = bench.stream.closing(process) else {
            continue;
        };
        // Some are lost, and others come in their place.
        if process == 11 {
            bench.stream.unanswered(process, &op, EventType::Info);
            asking.push_back(15);
            continue;
        }
        match op.f {
            "init" => drop(begun.insert(op.value.to_string())),
            _ => assert_eq!(begun.len(), bench.store.epochs.len(), "something may be open yet"),
        }
        let result = bench.store.answer(&op).expect("an answer");
        for (partition, offset) in step::polled(&result) {
            let end = read.entry(partition).or_default();
            *end = (*end).max(offset + 1);
        }
        bench.stream.observe(process, &op, &result);
        asking.push_back(process);
    }
    for (partition, messages) in &bench.store.partitions {
        assert_eq!(read.get(partition), Some(&(messages.len() as u64)), "{partition}");
    }
    assert_eq!(read.len(), 4);
}

#[test]
fn only_what_is_used_is_asked_for() {
    let asked =
        |spec: &StreamSpec| -> Vec<&str> { spec.operations().iter().map(|operation| operation.f).collect() };
    assert_eq!(asked(&SENDERS), ["init", "assign", "send", "poll", "txn"]);
    let none = StreamSpec { txn: 0.0, ..SENDERS };
    assert_eq!(asked(&none), ["init", "assign", "send", "poll"]);
    assert!(asked(&StreamSpec::default()).contains(&"subscribe"));
    let error = Stream::new(&StreamSpec {
        send: 0.0,
        txn: 0.0,
        ..SENDERS
    });
    assert!(error.is_err_and(|error| error.key == "send"));
}
