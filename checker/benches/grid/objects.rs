//! Cells beside the register grid: other objects, long histories, reading them, and published ones.

use std::time::Instant;

use duress_checker::formats::{Format, read_history as read_any};
use duress_checker::generate;
use duress_checker::generate::Shape;
use duress_checker::history::History;
use duress_checker::history::jsonl::read_history;
use duress_checker::linearizability::check_history;
use duress_checker::verdict::Budget;

use super::{Filter, computed_nanos, peak_mib, row_with, shape};

type Make = fn(Shape) -> History;

/// Objects that are no single register: name, model, generator, and what a million operations may take.
const OBJECTS: [(&str, &str, Make, &str); 8] = [
    ("queue", "queue", generate::queue, "250 ms"),
    ("set", "set", generate::set, "60 ms"),
    ("kv of 10 keys", "kv", generate::map, ""),
    ("bag", "unordered-queue", generate::unordered_queue, ""),
    ("stack", "stack", generate::stack, ""),
    ("counter", "counter", generate::counter, ""),
    ("log with offsets", "log", generate::log, ""),
    ("mutex", "mutex", generate::mutex, ""),
];

pub fn objects(filter: &Filter) {
    println!("\n| history | 1,000 | 10,000 | 100,000 | 1,000,000 | target |\n|---|---|---|---|---|---|");
    for (what, model, make, target) in OBJECTS {
        for info in [0, 5] {
            for concurrency in [5, 10] {
                let name = format!("{what}, {info} % info, c={concurrency}");
                // The strings of a map grow with it, and its history past what memory there is.
                let lengths = [1_000, 10_000, 100_000, 1_000_000];
                let lengths = if model == "kv" { &lengths[..3] } else { &lengths };
                let note = if model == "kv" { "– | " } else { "" };
                row_with(
                    filter,
                    &name,
                    lengths,
                    model,
                    &format!("{note}{target}"),
                    |length| make(shape(length, concurrency, info)),
                );
            }
        }
    }
}

pub fn large(filter: &Filter) {
    println!("\n| history | 100,000 | 1,000,000 | 10,000,000 | target |\n|---|---|---|---|---|");
    row_with(
        filter,
        "large register, unique values, 5 % info, c=100",
        &[100_000, 1_000_000, 10_000_000],
        "cas-register",
        "10 ms, 150 ms, 2 s and 1 GB",
        |length| generate::register(shape(length, 100, 5), None),
    );
}

/// A history as `history.jsonl`.
fn lines(history: &History) -> Vec<u8> {
    let mut events: Vec<(u32, String)> = Vec::with_capacity(history.rows.len() * 2);
    for (at, row) in history.rows.iter().enumerate() {
        let shown = history.witness_op(at as u32, String::new());
        let mut event = |position: u32, kind: &str, value: &serde_json::Value, rest: &str| {
            let line = format!(
                "{{\"index\":{position},\"time\":{},\"process\":{},\"type\":\"{kind}\",\"f\":\"{}\",\"key\":\"x\",\"value\":{value}{rest}}}\n",
                u64::from(position) * 1_203_345,
                shown.process,
                shown.f,
            );
            events.push((position, line));
        };
        event(row.invoke, "invoke", &shown.value, "");
        if let Some(result) = &shown.result {
            event(row.ret, "ok", result, ",\"node\":\"n2\",\"attempts\":[]");
        }
    }
    events.sort_unstable_by_key(|event| event.0);
    events
        .into_iter()
        .flat_map(|(_, line)| line.into_bytes())
        .collect()
}

pub fn reading(filter: &Filter) {
    let name = "reading history.jsonl, register, unique values, 5 % info, c=100";
    if !filter.takes(name) {
        return;
    }
    println!("\n| history | 1,000,000 | target |\n|---|---|---|");
    let bytes = lines(&generate::register(shape(1_000_000, 100, 5), None));
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (before, computed) = (peak_mib(), computed_nanos());
    let history = read_history(&bytes);
    let millis = computed_nanos()
        .zip(computed)
        .map_or(0, |(after, before)| (after - before) / 1_000_000);
    let grown = peak_mib().saturating_sub(before);
    let count = history.map_or(0, |history| history.rows.len());
    println!(
        "| {name} | {millis} ms for {} MiB, {grown} MiB, {count} operations | 1.5 s, 500 MB |",
        bytes.len() >> 20
    );
}

/// Logs that are not part of this repository: `DURESS_VECTORS` names the directory of Porcupine's etcd logs.
pub fn published(filter: &Filter) {
    let name = "published etcd logs";
    let Some(directory) = std::env::var_os("DURESS_VECTORS").filter(|_| filter.takes(name)) else {
        return;
    };
    let files = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let histories: Vec<History> = files
        .filter_map(|file| read_any(&std::fs::read(file.path()).ok()?, Format::Guess).ok())
        .collect();
    let best = (0..9).map(|_| {
        let start = Instant::now();
        for history in &histories {
            let _ = check_history(history, "cas-register", Budget::default(), &|| start.elapsed());
        }
        start.elapsed().as_secs_f64() * 1000.0
    });
    println!("\n| history | together | target |\n|---|---|---|");
    println!(
        "| {name}, {} of them | {:.1} ms | 10 ms |",
        histories.len(),
        best.fold(f64::MAX, f64::min)
    );
}
