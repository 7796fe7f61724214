//! Deliveries: a queue with acknowledgements, and a partitioned stream, with clients whose answers get lost.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::random::Random;
use crate::history::{Event, EventType, Process};

/// What deliveries are to be made.
#[derive(Clone, Copy, Debug)]
pub struct Deliveries {
    /// Messages that are sent.
    pub messages: u32,
    /// Clients that send, and as many that receive.
    pub clients: u32,
    /// Of a hundred operations so many have an unknown outcome.
    pub info_percent: u64,
    /// What everything random is drawn from.
    pub seed: u64,
}

struct Client {
    process: u64,
    /// What it asks for, if it waits for an answer, and whether that has been done.
    asked: Option<(&'static str, Value, bool)>,
    answer: Value,
    /// What it was given and has not acknowledged.
    holds: Option<u32>,
}

/// Hands over events one by one, so that they need not all be kept.
pub(super) struct Writer<'a> {
    next: u64,
    write: &'a mut dyn FnMut(Event),
}

impl<'a> Writer<'a> {
    pub fn new(write: &'a mut dyn FnMut(Event)) -> Self {
        Writer { next: 0, write }
    }

    pub fn event(&mut self, process: u64, kind: EventType, f: &str, value: Value) {
        let index = self.next;
        self.next += 1;
        (self.write)(Event {
            index,
            time: index * 1000,
            process: Process::Client(process),
            kind,
            f: f.to_owned(),
            key: None,
            value,
            node: None,
            attempts: Vec::new(),
            error: None,
            extra: Map::new(),
        });
    }
}

/// A first-in-first-out queue with acknowledgements that delivers exactly once up to the acknowledgement: what a client takes
/// and never hears of goes back to the front. In the end it is drained.
pub fn queue_deliveries(shape: Deliveries, write: &mut dyn FnMut(Event)) {
    let Deliveries {
        messages,
        clients,
        info_percent,
        seed,
    } = shape;
    let mut random = Random::new(seed);
    let mut writer = Writer::new(write);
    let mut queue: VecDeque<u32> = VecDeque::new();
    let count = 2 * clients.max(1);
    let mut processes = u64::from(count);
    let client = |process: u64| Client {
        process,
        asked: None,
        answer: Value::Null,
        holds: None,
    };
    let mut all: Vec<Client> = (0..processes).map(client).collect();
    let mut sent = 0;
    // What clients took and never heard of, until it comes back.
    let mut away: Vec<u32> = Vec::new();
    loop {
        if !away.is_empty() && random.percent(5) {
            away.drain(..).for_each(|message| queue.push_front(message));
        }
        let at = random.below(u64::from(count)) as usize;
        let sends = at < count as usize / 2;
        let client = &mut all[at];
        match &mut client.asked {
            None => {
                let (f, value) = match (sends, client.holds) {
                    (true, _) if sent == messages => {
                        if all
                            .iter()
                            .take(count as usize / 2)
                            .all(|client| client.asked.is_none())
                        {
                            break;
                        }
                        continue;
                    }
                    (true, _) => {
                        sent += 1;
                        ("enqueue", json!(sent - 1))
                    }
                    (false, Some(message)) => ("ack", json!(message)),
                    (false, None) => ("dequeue", Value::Null),
                };
                writer.event(client.process, EventType::Invoke, f, value.clone());
                client.asked = Some((f, value, false));
            }
            Some((f, value, done)) if !*done => {
                *done = true;
                client.answer = value.clone();
                match *f {
                    // A request may get lost, too: half of those that are not answered.
                    _ if random.percent(info_percent) => {
                        let applied = random.percent(50);
                        if applied && *f == "enqueue" {
                            queue.push_back(value.as_u64().unwrap_or(0) as u32);
                        }
                        if applied && *f == "dequeue" {
                            away.extend(queue.pop_front());
                        }
                        let f = *f;
                        writer.event(client.process, EventType::Info, f, Value::Null);
                        // An acknowledgement that got lost makes its message come again.
                        if f == "ack"
                            && !applied
                            && let Some(message) = client.holds
                        {
                            queue.push_front(message);
                        }
                        *client = Client {
                            process: processes,
                            asked: None,
                            answer: Value::Null,
                            holds: None,
                        };
                        processes += 1;
                    }
                    "enqueue" => queue.push_back(value.as_u64().unwrap_or(0) as u32),
                    "dequeue" => {
                        client.holds = queue.pop_front();
                        client.answer = json!(client.holds);
                    }
                    _ => client.holds = None,
                }
            }
            Some((f, ..)) => {
                let (f, answer) = (*f, client.answer.take());
                writer.event(client.process, EventType::Ok, f, answer);
                client.asked = None;
            }
        }
    }
    away.drain(..).for_each(|message| queue.push_front(message));
    // Consumers come to an end, and what is left is drained.
    for client in all.iter_mut().skip(count as usize / 2) {
        if let Some((f, value, done)) = client.asked.take() {
            match (f, done) {
                ("dequeue", false) => {
                    client.holds = queue.pop_front();
                    client.answer = json!(client.holds);
                }
                ("ack", false) => {
                    client.holds = None;
                    client.answer = value;
                }
                _ => {}
            }
            writer.event(client.process, EventType::Ok, f, client.answer.take());
        }
        if let Some(message) = client.holds.take() {
            writer.event(client.process, EventType::Invoke, "ack", json!(message));
            writer.event(client.process, EventType::Ok, "ack", json!(message));
        }
    }
    writer.event(processes, EventType::Invoke, "drain", Value::Null);
    let left: Vec<u32> = queue.into();
    writer.event(processes, EventType::Ok, "drain", json!(left));
}

/// Partitions to which clients send in transactions of one or two messages, and from which others poll, each all of its own
/// partitions, in order. In the end everything is polled.
pub fn stream_deliveries(shape: Deliveries, partitions: u32, write: &mut dyn FnMut(Event)) {
    let Deliveries {
        messages,
        clients,
        info_percent,
        seed,
    } = shape;
    let mut random = Random::new(seed);
    let mut writer = Writer::new(write);
    let (partitions, clients) = (partitions.max(1) as usize, clients.max(1) as usize);
    let mut logs: Vec<Vec<u32>> = vec![Vec::new(); partitions];
    let keys: Vec<Value> = (0..partitions).map(|key| json!(key)).collect();
    let mut senders: Vec<(u64, Option<(Value, Value)>)> =
        (0..clients as u64).map(|process| (process, None)).collect();
    // Where each stands in each partition.
    let mut pollers: Vec<Vec<usize>> = vec![vec![0; partitions]; clients];
    let mut processes = 2 * clients as u64;
    for poller in 0..clients as u64 {
        for kind in [EventType::Invoke, EventType::Ok] {
            writer.event(clients as u64 + poller, kind, "assign", json!(keys));
        }
    }
    let mut sent = 0;
    while sent < messages || senders.iter().any(|(_, open)| open.is_some()) {
        let at = random.below(2 * clients as u64) as usize;
        if at >= clients {
            let poller = at - clients;
            poll(&mut writer, at as u64, &logs, &mut pollers[poller], 3);
            continue;
        }
        let (process, open) = &mut senders[at];
        if let Some((_, answer)) = open.take() {
            writer.event(*process, EventType::Ok, "send", answer);
            continue;
        }
        if sent == messages {
            continue;
        }
        let mut asked = Vec::new();
        let mut answered = Vec::new();
        let lost = random.percent(info_percent);
        let applied = !lost || random.percent(50);
        for _ in 0..=random.below(2).min(u64::from(messages - sent - 1)) {
            let partition = random.below(partitions as u64) as usize;
            asked.push(json!(["send", partition, sent]));
            answered.push(json!(["send", partition, [logs[partition].len(), sent]]));
            if applied {
                logs[partition].push(sent);
            }
            sent += 1;
        }
        writer.event(*process, EventType::Invoke, "send", json!(asked));
        match lost {
            true => {
                writer.event(*process, EventType::Info, "send", json!(asked));
                *process = processes;
                processes += 1;
            }
            false => *open = Some((json!(asked), json!(answered))),
        }
    }
    for (poller, stands) in pollers.iter_mut().enumerate() {
        poll(&mut writer, (clients + poller) as u64, &logs, stands, usize::MAX);
    }
}

fn poll(writer: &mut Writer<'_>, process: u64, logs: &[Vec<u32>], stands: &mut [usize], most: usize) {
    let mut shown = Map::new();
    for (partition, (log, stand)) in logs.iter().zip(stands).enumerate() {
        let end = log.len().min(stand.saturating_add(most));
        let pairs: Vec<Value> = (*stand..end).map(|offset| json!([offset, log[offset]])).collect();
        if !pairs.is_empty() {
            shown.insert(partition.to_string(), json!(pairs));
        }
        *stand = end;
    }
    writer.event(process, EventType::Invoke, "poll", json!([["poll"]]));
    writer.event(process, EventType::Ok, "poll", json!([["poll", shown]]));
}
