//! How long deciding takes: `cargo bench -p duress-checker [-- FILTER]`. One thread; prints a table
//! of the time computed.
//!
//! Histories are generated, one seed a cell, and decided under the usual budget of 60 s and 2 GiB. A cell shows the time
//! and what was found. `stale` cells have one read near the end that returns an old value; with few values and many
//! open or unknown writes that may well be explained, and then the history holds.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use duress_checker::generate::{self, Shape};
use duress_checker::history::History;
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
    if !name.contains(filter) {
        return;
    }
    let cells: Vec<String> = lengths.iter().map(|&length| cell(&make(length), model)).collect();
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
    let shape = |length, concurrency, info_percent| Shape {
        length,
        concurrency,
        info_percent,
        stale: false,
        seed: 7,
    };
    for info in [0, 5] {
        for concurrency in [5, 10] {
            let name = |what: &str| format!("{what}, {info} % info, c={concurrency}");
            row(&filter, &name("queue"), &lengths, "queue", |length| {
                generate::queue(shape(length, concurrency, info))
            });
            row(&filter, &name("set"), &lengths, "set", |length| {
                generate::set(shape(length, concurrency, info))
            });
            row(&filter, &name("kv of 10 keys"), &lengths, "kv", |length| {
                generate::map(shape(length, concurrency, info))
            });
        }
    }
    println!("\n| history | 1,000,000 | 10,000,000 |\n|---|---|---|");
    let large = [1_000_000, 10_000_000];
    row(
        &filter,
        "large register, unique values, 5 % info, c=100",
        &large,
        "cas-register",
        |length| generate::register(shape(length, 100, 5), None),
    );
    row(&filter, "large queue, c=10", &large[..1], "queue", |length| {
        generate::queue(shape(length, 10, 0))
    });
    row(&filter, "large set, c=10", &large[..1], "set", |length| {
        generate::set(shape(length, 10, 0))
    });
}
