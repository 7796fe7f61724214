//! Writes a history of deliveries that keeps its promise, as long as you like: something to measure `duress check` with.
//!
//! ```text
//! cargo run --release -p duress-checker --example deliveries -- stream 10000000 | zstd > history.jsonl.zst
//! duress check history.jsonl.zst --stream --property exactly-once --memory-mib 16384
//! ```
//!
//! As `cargo bench -p duress-checker --bench deliveries` has them: five clients that send, five that receive, seed 7; of a queue what is left is
//! drained, of a stream of ten partitions each client polls everything. A third word is how many of a hundred operations have no known outcome.
#![allow(clippy::print_stderr)]

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use duress_checker::generate::{Deliveries, queue_deliveries, stream_deliveries};
use duress_checker::history::{Event, jsonl};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).map_or(Some(0), |word| word.parse::<u32>().ok());
    let (Some(shape), Some(messages), Some(info_percent)) = (words.first(), number(1), number(2)) else {
        eprintln!("usage: deliveries queue|stream MESSAGES [INFO-PERCENT]");
        return ExitCode::from(64);
    };
    let deliveries = Deliveries {
        messages,
        clients: 5,
        info_percent: info_percent.into(),
        seed: 7,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut failed = None;
    let mut write = |event: Event| {
        if failed.is_none() {
            failed = jsonl::write_event(&mut out, &event).err();
        }
    };
    match shape.as_str() {
        "queue" => queue_deliveries(deliveries, &mut write),
        _ => stream_deliveries(deliveries, 10, &mut write),
    }
    match failed.map_or_else(|| out.flush(), Err) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the history can't be written: {error}");
            ExitCode::FAILURE
        }
    }
}
