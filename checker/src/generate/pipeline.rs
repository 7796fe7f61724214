//! Consume, transform, produce: a group whose workers take turns, each with a session of its own, over one partition.

use serde_json::{Map, Value, json};

use super::deliveries::{Deliveries, Writer};
use super::random::Random;
use crate::history::{Event, EventType};

/// What the streams hold, and who works.
struct Pipeline<'a> {
    writer: Writer<'a>,
    random: Random,
    inputs: Vec<u32>,
    outputs: Vec<Value>,
    /// Up to where the group has come.
    committed: usize,
    /// Of the session that works.
    epoch: u64,
    worker: u64,
    /// Numbers attempts, so that no two outputs are equal.
    attempts: u64,
}

/// Messages in `in`, of each of which one output is made in `out` together with how far the group has come: workers are replaced, abort, and
/// get no answers, and those that were replaced are refused. In the end everything is polled.
pub fn pipeline_deliveries(shape: Deliveries, write: &mut dyn FnMut(Event)) {
    let mut pipeline = Pipeline {
        writer: Writer::new(write),
        random: Random::new(shape.seed),
        inputs: Vec::new(),
        outputs: Vec::new(),
        committed: 0,
        epoch: 0,
        worker: 1,
        attempts: 0,
    };
    pipeline.take_over();
    while pipeline.inputs.len() < shape.messages as usize || pipeline.committed < pipeline.inputs.len() {
        if pipeline.inputs.len() < shape.messages as usize && pipeline.random.percent(50) {
            pipeline.send();
            continue;
        }
        match pipeline.random.below(10) {
            0 => pipeline.take_over(),
            1 => pipeline.zombie(),
            _ => pipeline.work(shape.info_percent),
        }
    }
    pipeline.take_over();
    let all = [
        (
            "in",
            pipeline.inputs.iter().map(|message| json!(message)).collect(),
        ),
        ("out", pipeline.outputs.clone()),
    ];
    let pairs = |(name, messages): (&str, Vec<Value>)| {
        let pairs: Vec<Value> = (0..)
            .zip(messages)
            .map(|pair: (u64, Value)| json!(pair))
            .collect();
        (name.to_owned(), json!(pairs))
    };
    let shown: Map<String, Value> = all.into_iter().map(pairs).collect();
    pipeline.done(
        0,
        "poll",
        json!([["poll"]]),
        EventType::Ok,
        json!([["poll", shown]]),
    );
}

impl Pipeline<'_> {
    fn done(&mut self, process: u64, f: &str, asked: Value, kind: EventType, answered: Value) {
        self.writer.event(process, EventType::Invoke, f, asked);
        self.writer.event(process, kind, f, answered);
    }

    fn send(&mut self) {
        let (offset, message) = (self.inputs.len(), self.inputs.len() as u32);
        self.inputs.push(message);
        let asked = json!([["send", "in", message]]);
        self.done(
            0,
            "send",
            asked,
            EventType::Ok,
            json!([["send", "in", [offset, message]]]),
        );
    }

    /// Another process begins a session and is told how far the group has come.
    fn take_over(&mut self) {
        self.worker += 1;
        self.epoch += 1;
        let answered = json!([["init", "t", self.epoch]]);
        self.done(
            self.worker,
            "init",
            json!([["init", "t"]]),
            EventType::Ok,
            answered,
        );
        self.join();
    }

    fn join(&mut self) {
        let mut member = json!({"group": "g", "member": "t", "partitions": ["in"]});
        let asked = json!([["join", member]]);
        member["offsets"] = json!({"in": self.committed});
        self.done(
            self.worker,
            "subscribe",
            asked,
            EventType::Ok,
            json!([["join", member]]),
        );
    }

    /// A transaction of up to three outputs, as it is asked for and as it is answered.
    fn transaction(&mut self, epoch: u64) -> (Value, Value, Vec<Value>) {
        let count = 1 + self.random.below(3) as usize;
        let end = (self.committed + count).min(self.inputs.len());
        let mut asked = vec![json!(["as", {"producer": "t", "epoch": epoch, "sequence": 0, "txn": 1}])];
        let mut answered = asked.clone();
        let mut outputs = Vec::new();
        for input in self.committed..end {
            self.attempts += 1;
            let output = json!({"input": ["in", input], "by": "t", "epoch": epoch, "attempt": self.attempts});
            asked.push(json!(["send", "out", output]));
            answered.push(json!([
                "send",
                "out",
                [self.outputs.len() + outputs.len(), output]
            ]));
            outputs.push(output);
        }
        let commit =
            json!(["commit", {"group": "g", "member": "t", "generation": 1, "offsets": {"in": end}}]);
        asked.push(commit.clone());
        answered.push(commit);
        (json!(asked), json!(answered), outputs)
    }

    fn work(&mut self, info_percent: u64) {
        if self.committed == self.inputs.len() {
            return;
        }
        let (asked, answered, outputs) = self.transaction(self.epoch);
        if self.random.percent(info_percent) {
            if self.random.percent(50) {
                self.committed += outputs.len();
                self.outputs.extend(outputs);
            }
            self.done(self.worker, "txn", asked.clone(), EventType::Info, asked);
            self.take_over();
        } else if self.random.percent(10) {
            self.done(self.worker, "txn", asked.clone(), EventType::Fail, asked);
            self.join();
        } else {
            self.committed += outputs.len();
            self.outputs.extend(outputs);
            self.done(self.worker, "txn", asked, EventType::Ok, answered);
        }
    }

    /// Whoever was replaced goes on, and is refused.
    fn zombie(&mut self) {
        if self.epoch > 1 && self.committed < self.inputs.len() {
            let (asked, _, _) = self.transaction(self.epoch - 1);
            self.done(1, "txn", asked.clone(), EventType::Fail, asked);
        }
    }
}
