//! A group that consumes and makes nothing: members take turns, commit what they polled, and are replaced before they do.

use serde_json::{Value, json};

use super::deliveries::{Deliveries, Writer};
use super::random::Random;
use crate::history::{Event, EventType};

/// Messages in `in`, which one member of a group after the other polls and commits. Members are replaced with what they polled uncommitted,
/// which comes again to the next; polls and commits get no answers. In the end everything is polled and committed.
pub fn group_deliveries(shape: Deliveries, write: &mut dyn FnMut(Event)) {
    let mut random = Random::new(shape.seed);
    let mut group = Group {
        writer: Writer::new(write),
        committed: 0,
        next: 0,
        member: 0,
        generation: 0,
    };
    let mut sent = 0;
    group.join();
    while sent < shape.messages || group.committed < sent {
        let lost = random.percent(shape.info_percent);
        match random.below(10) {
            0..4 if sent < shape.messages => {
                group.send(sent);
                sent += 1;
            }
            // Another one takes over, or the same one says that it is still there.
            4 => group.join(),
            5 => group.again(),
            6..8 if group.next > group.committed => group.commit(lost.then(|| random.percent(50))),
            _ => group.poll((group.next + 3).min(sent), lost),
        }
    }
}

struct Group<'a> {
    writer: Writer<'a>,
    /// Up to where the group has come.
    committed: u32,
    /// Up to where its member has polled.
    next: u32,
    member: u64,
    generation: u64,
}

impl Group<'_> {
    fn done(&mut self, process: u64, f: &str, asked: Value, end: EventType, told: Value) {
        self.writer.event(process, EventType::Invoke, f, asked);
        self.writer.event(process, end, f, told);
    }

    fn send(&mut self, message: u32) {
        self.done(
            0,
            "send",
            json!([["send", "in", message]]),
            EventType::Ok,
            json!([["send", "in", [message, message]]]),
        );
    }

    fn join(&mut self) {
        self.member += 1;
        self.generation += 1;
        self.again();
    }

    fn again(&mut self) {
        let mut member = json!({"group": "g", "member": format!("m{}", self.member), "partitions": ["in"]});
        let asked = json!([["join", member]]);
        (member["generation"], member["offsets"]) = (json!(self.generation), json!({"in": self.committed}));
        self.next = self.committed;
        self.done(
            self.member,
            "subscribe",
            asked,
            EventType::Ok,
            json!([["join", member]]),
        );
    }

    fn poll(&mut self, to: u32, lost: bool) {
        let pairs: Vec<[u32; 2]> = (self.next..to).map(|offset| [offset, offset]).collect();
        let asked = json!([["poll"]]);
        if lost {
            self.done(self.member, "poll", asked.clone(), EventType::Info, Value::Null);
            self.join();
        } else {
            self.next = to;
            self.done(
                self.member,
                "poll",
                asked,
                EventType::Ok,
                json!([["poll", {"in": pairs}]]),
            );
        }
    }

    /// `lost`: nobody knows of it, and whether it happened.
    fn commit(&mut self, lost: Option<bool>) {
        let value = json!([["commit", {"group": "g", "offsets": {"in": self.next}}]]);
        let end = match lost {
            Some(_) => EventType::Info,
            None => EventType::Ok,
        };
        if lost != Some(false) {
            self.committed = self.next;
        }
        self.done(self.member, "commit", value.clone(), end, value);
        if lost.is_some() {
            self.join();
        }
    }
}
