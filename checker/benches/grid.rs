//! How long deciding takes: `cargo bench -p duress-checker [-- FILTER]`. One thread; prints a table
//! of the time computed.
//!
//! Histories are generated, one seed a cell, and decided under the usual budget of 60 s and 2 GiB. A cell shows the time
//! and what was found. `stale` cells have one read near the end that returns an old value; with few values and many
//! open or unknown writes that may well be explained, and then the history holds.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use duress_checker::formats::{Format, read_history as read_any};
use duress_checker::generate::{self, Shape};
use duress_checker::history::History;
use duress_checker::history::jsonl::read_history;
use duress_checker::linearizability::check_history;
use duress_checker::verdict::{Budget, Verdict};

/// Peak resident memory since the last reset, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Nanoseconds that this thread has computed: on a machine that others use too, the clock on the wall says little.
fn computed_nanos() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    stat.split(' ').next()?.parse().ok()
}

fn cell(history: &History, model: &str) -> String {
    // Resets the peak; where that is not allowed, peaks are those of the whole program.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = peak_mib();
    let computed = computed_nanos();
    let start = Instant::now();
    let verdict = check_history(history, model, Budget::default(), &|| start.elapsed());
    let elapsed = start.elapsed().as_secs_f64() * 1000.0;
    let computed = computed_nanos().zip(computed);
    // The kernel counts in ticks of some milliseconds, so what is short is timed by the clock, the best of a few.
    let millis = if elapsed < 100.0 {
        let again = (0..8).map(|_| {
            let start = Instant::now();
            let _ = check_history(history, model, Budget::default(), &|| start.elapsed());
            start.elapsed().as_secs_f64() * 1000.0
        });
        again.fold(elapsed, f64::min)
    } else {
        computed.map_or(elapsed, |(after, before)| (after - before) as f64 / 1e6)
    };
    let found = match verdict.map(|verdict| verdict.verdict) {
        Ok(Verdict::Held) => "held",
        Ok(Verdict::Violated { .. }) => "violated",
        Ok(Verdict::Inconclusive { .. }) => "UNDECIDED",
        Err(_) => "ERROR",
    };
    let grown = peak_mib().saturating_sub(before);
    let memory = if grown > 50 {
        format!(" {grown} MiB")
    } else {
        String::new()
    };
    format!("{millis:.1} ms{memory} {found}")
}

fn row(filter: &str, name: &str, lengths: &[u32], model: &str, make: impl Fn(u32) -> History) {
    row_with(filter, name, lengths, model, "", make);
}

/// A row with a last cell.
fn row_with(
    filter: &str,
    name: &str,
    lengths: &[u32],
    model: &str,
    last: &str,
    make: impl Fn(u32) -> History,
) {
    if !name.contains(filter) {
        return;
    }
    let mut cells: Vec<String> = lengths.iter().map(|&length| cell(&make(length), model)).collect();
    if !last.is_empty() {
        cells.push(last.to_owned());
    }
    println!("| {name} | {} |", cells.join(" | "));
}

fn main() {
    let filter = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with("--"))
        .unwrap_or_default();
    let lengths = [1_000, 10_000, 100_000];
    println!("| history | 1,000 | 10,000 | 100,000 |\n|---|---|---|---|");
    for (values, label) in [(None, "unique values"), (Some(5), "5 values")] {
        for info_percent in [0, 1, 5] {
            for stale in [false, true] {
                for concurrency in [5, 10, 20, 50, 100] {
                    let kind = if stale { "stale" } else { "valid" };
                    let name = format!("register, {label}, {info_percent} % info, {kind}, c={concurrency}");
                    row(&filter, &name, &lengths, "cas-register", |length| {
                        let shape = Shape {
                            length,
                            concurrency,
                            info_percent,
                            stale,
                            seed: 7,
                        };
                        generate::register(shape, values)
                    });
                }
            }
        }
    }
    objects(&filter);
    large(&filter);
    reading(&filter);
    published(&filter);
}

fn shape(length: u32, concurrency: u32, info_percent: u64) -> Shape {
    Shape {
        length,
        concurrency,
        info_percent,
        stale: false,
        seed: 7,
    }
}

type Make = fn(Shape) -> History;

/// Objects that are no single register: name, model, generator, and what a million operations may take.
const OBJECTS: [(&str, &str, Make, &str); 7] = [
    ("queue", "queue", generate::queue, "250 ms"),
    ("set", "set", generate::set, "60 ms"),
    ("kv of 10 keys", "kv", generate::map, ""),
    ("stack", "stack", generate::stack, ""),
    ("counter", "counter", generate::counter, ""),
    ("log with offsets", "log", generate::log, ""),
    ("mutex", "mutex", generate::mutex, ""),
];

fn objects(filter: &str) {
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

fn large(filter: &str) {
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

fn reading(filter: &str) {
    let name = "reading history.jsonl, register, unique values, 5 % info, c=100";
    if !name.contains(filter) {
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
fn published(filter: &str) {
    let name = "published etcd logs";
    let Some(directory) = std::env::var_os("DURESS_VECTORS").filter(|_| name.contains(filter)) else {
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
