//! How long it takes to judge deliveries: `cargo bench -p duress-checker --bench deliveries [-- MESSAGES]`, a million by default.
//!
//! Histories are generated in pieces of text, as `history.jsonl` has them, read line by line, and judged; only reading and judging
//! is timed, by the time that the thread has computed where the kernel tells. Memory is the peak of the whole program.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use duress_checker::delivery::{self, Collector, Order, Promise, Terms};
use duress_checker::generate::{Deliveries, queue_deliveries, stream_deliveries};
use duress_checker::history::{Event, jsonl};

/// Bytes of text that are made before they are read.
const PIECE: usize = 1 << 20;

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Seconds that this thread has computed.
fn computed(start: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse::<u64>().ok());
    nanos.map_or_else(|| start.elapsed().as_secs_f64(), |nanos| nanos as f64 / 1e9)
}

#[derive(Default)]
struct Reading {
    collector: Collector,
    piece: Vec<u8>,
    events: u64,
    seconds: f64,
}

impl Reading {
    fn take(&mut self, event: &Event, start: Instant) {
        jsonl::write_event(&mut self.piece, event).expect("memory takes all");
        self.events += 1;
        if self.piece.len() > PIECE {
            self.read(start);
        }
    }

    fn read(&mut self, start: Instant) {
        let before = computed(start);
        for line in self
            .piece
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if self.collector.line(line).is_none() {
                let event = jsonl::parse_event(line).expect("an event that was written");
                self.collector.event(event).expect("an operation on messages");
            }
        }
        self.seconds += computed(start) - before;
        self.piece.clear();
    }
}

fn measure(name: &str, messages: u32, order: Order, make: impl Fn(&mut dyn FnMut(Event))) {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let start = Instant::now();
    let mut reading = Reading::default();
    make(&mut |event| reading.take(&event, start));
    reading.read(start);
    let Reading {
        collector,
        events,
        seconds,
        ..
    } = reading;
    let before = computed(start);
    let journal = collector.finish().expect("operations on messages");
    let findings = {
        let terms = Terms {
            order,
            ..Terms::of(Promise::ExactlyOnce)
        };
        delivery::judge(&journal, terms).expect("something to judge")
    };
    let judging = computed(start) - before;
    println!(
        "| {name} | {messages} | {events} | {seconds:.2} s | {judging:.2} s | {} MiB | {:?} |",
        peak_mib(),
        findings.strongest().into_iter().collect::<Vec<_>>()
    );
}

fn main() {
    let asked = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let messages = asked.unwrap_or(1_000_000);
    println!(
        "| history | messages | events | reading | judging | peak memory | kept |\n|---|---|---|---|---|---|---|"
    );
    for info_percent in [0, 5] {
        let shape = Deliveries {
            messages,
            clients: 5,
            info_percent,
            seed: 7,
        };
        let name = format!("queue, {info_percent} % info, order of the whole queue");
        measure(&name, messages, Order::Global, |write| {
            queue_deliveries(shape, write)
        });
        let name = format!("stream of 10 partitions, {info_percent} % info");
        measure(&name, messages, Order::Usual, |write| {
            stream_deliveries(shape, 10, write)
        });
    }
}
