//! How long deciding takes: `cargo bench -p duress-checker [-- WORDS]`. One thread; prints tables of the time computed,
//! of cells whose names have all the words.
//!
//! Histories are generated, one seed a cell, and decided under the usual budget of 60 s and 2 GiB. A cell shows the time,
//! the memory past 50 MiB, and what was found. `stale` cells have one read near the end that returns an old value; with
//! few values and many open or unknown writes that may well be explained, and then the history holds. A row of the
//! register grid meets its target if every cell is decided within the budget, and no slower than by Porcupine
//! ([`porcupine`]).
#![allow(clippy::print_stdout)]

mod objects;
mod porcupine;

use std::time::Instant;

use duress_checker::generate::{self, Shape};
use duress_checker::history::History;
use duress_checker::linearizability::check_history;
use duress_checker::verdict::{Budget, Verdict};
use porcupine::Took;

const LENGTHS: [u32; 3] = [1_000, 10_000, 100_000];
/// Cells shorter than this are timed several times.
const SHORT_MS: f64 = 100.0;

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

struct Cell {
    millis: f64,
    grown_mib: u64,
    found: &'static str,
}

impl Cell {
    fn measure(history: &History, model: &str) -> Cell {
        // Resets the peak; where that is not allowed, peaks are those of the whole program.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let before = peak_mib();
        let computed = computed_nanos();
        let start = Instant::now();
        let verdict = check_history(history, model, Budget::default(), &|| start.elapsed());
        let elapsed = start.elapsed().as_secs_f64() * 1000.0;
        let computed = computed_nanos().zip(computed);
        let computed = computed.map_or(elapsed, |(after, before)| (after - before) as f64 / 1e6);
        // The kernel counts in ticks of some milliseconds, so what is short is timed by the clock, the best of a few.
        let millis = if computed < SHORT_MS {
            let again = (0..8).map(|_| {
                let start = Instant::now();
                let _ = check_history(history, model, Budget::default(), &|| start.elapsed());
                start.elapsed().as_secs_f64() * 1000.0
            });
            again.fold(elapsed, f64::min)
        } else {
            computed
        };
        Cell {
            millis,
            grown_mib: peak_mib().saturating_sub(before),
            found: match verdict.map(|verdict| verdict.verdict) {
                Ok(Verdict::Held) => "held",
                Ok(Verdict::Violated { .. }) => "violated",
                Ok(Verdict::Inconclusive { .. }) => "UNDECIDED",
                Err(_) => "ERROR",
            },
        }
    }

    fn decided(&self) -> bool {
        matches!(self.found, "held" | "violated")
    }

    fn show(&self) -> String {
        let memory = match self.grown_mib {
            0..=50 => String::new(),
            mib => format!(" {mib} MiB"),
        };
        format!("{:.1} ms{memory} {}", self.millis, self.found)
    }
}

/// The words that choose among the cells.
struct Filter(Vec<String>);

impl Filter {
    fn takes(&self, name: &str) -> bool {
        let mut words = self.0.iter();
        // So that c=5 is not c=50.
        words.all(|word| {
            format!(" {} ", name.replace(',', "")).contains(&format!(" {} ", word.replace(',', "")))
        })
    }
}

fn row(filter: &Filter, name: &str, lengths: &[u32], model: &str, make: impl Fn(u32) -> History) {
    row_with(filter, name, lengths, model, "", make);
}

/// A row with a last cell.
fn row_with(
    filter: &Filter,
    name: &str,
    lengths: &[u32],
    model: &str,
    last: &str,
    make: impl Fn(u32) -> History,
) {
    if filter.takes(name) {
        let cells = lengths
            .iter()
            .map(|&length| Cell::measure(&make(length), model).show());
        let last = Some(last.to_owned()).filter(|last| !last.is_empty());
        println!(
            "| {name} | {} |",
            cells.chain(last).collect::<Vec<_>>().join(" | ")
        );
    }
}

/// How the register grid compares with Porcupine.
#[derive(Default)]
struct Comparison {
    logarithms: f64,
    compared: u32,
    slower: u32,
    cells: u32,
    undecided: u32,
    undecided_there: u32,
}

impl Comparison {
    /// Adds a cell; whether it meets its target.
    fn add(&mut self, cell: &Cell, there: Took) -> bool {
        self.cells += 1;
        self.undecided += u32::from(!cell.decided());
        let mut slower = false;
        match there {
            Took::Millis(millis) if cell.decided() => {
                slower = cell.millis > millis;
                self.logarithms += (millis / cell.millis).ln();
                self.compared += 1;
            }
            Took::Millis(_) => {}
            Took::Time | Took::Memory | Took::NotTried => self.undecided_there += 1,
        }
        self.slower += u32::from(slower);
        cell.decided() && !slower
    }

    fn print(&self) {
        if self.compared > 0 {
            let mean = (self.logarithms / f64::from(self.compared)).exp();
            println!(
                "\n{} cells, {} undecided. Where Porcupine decided ({} cells): {mean:.0} times faster in the geometric mean, \
                 {} slower. {} cells that it left undecided or had no chance at are not in the mean.",
                self.cells, self.undecided, self.compared, self.slower, self.undecided_there
            );
        }
    }
}

fn registers(filter: &Filter) {
    println!("| history | 1,000 | 10,000 | 100,000 | target |\n|---|---|---|---|---|");
    let mut comparison = Comparison::default();
    for (values, label) in [(None, "unique values"), (Some(5), "5 values")] {
        for info_percent in [0, 1, 5] {
            for stale in [false, true] {
                for concurrency in [5, 10, 20, 50, 100] {
                    let kind = if stale { "stale" } else { "valid" };
                    let name = format!("register, {label}, {info_percent} % info, {kind}, c={concurrency}");
                    if !filter.takes(&name) {
                        continue;
                    }
                    let there = porcupine::took(values.is_none(), info_percent, stale, concurrency);
                    let mut met = true;
                    let cells = LENGTHS.iter().zip(there).map(|(&length, there)| {
                        let shape = Shape {
                            length,
                            concurrency,
                            info_percent,
                            stale,
                            seed: 7,
                        };
                        let cell = Cell::measure(&generate::register(shape, values), "cas-register");
                        met &= comparison.add(&cell, there);
                        cell.show()
                    });
                    let cells = cells.collect::<Vec<_>>().join(" | ");
                    println!("| {name} | {cells} | {} |", if met { "met" } else { "misses" });
                }
            }
        }
    }
    comparison.print();
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

fn main() {
    let filter = Filter(
        std::env::args()
            .skip(1)
            .filter(|arg| !arg.starts_with("--"))
            .collect(),
    );
    registers(&filter);
    println!("\n| history | 1,000 | 10,000 | 100,000 |\n|---|---|---|---|");
    for stale in [false, true] {
        for concurrency in [5, 10, 50] {
            let kind = if stale { "stale" } else { "valid" };
            let name = format!("register, unique values and deletes, 5 % info, {kind}, c={concurrency}");
            row(&filter, &name, &LENGTHS, "cas-register", |length| {
                let shape = Shape {
                    stale,
                    ..shape(length, concurrency, 5)
                };
                generate::register_with_deletes(shape, None, 25)
            });
        }
    }
    objects::objects(&filter);
    objects::large(&filter);
    objects::reading(&filter);
    objects::published(&filter);
}
