//! The two readers of `history.jsonl` accept the same bytes and see the same operations.
#![no_main]

use duress_checker::history::{History, jsonl};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let quick = jsonl::read_history(bytes).ok();
    let slow = jsonl::read_events(bytes).ok().and_then(|events| History::from_events(&events).ok());
    let shown = |history: History| -> Vec<_> {
        let rows = 0..history.rows.len() as u32;
        rows.map(|row| history.witness_op(row, String::new())).collect()
    };
    assert_eq!(quick.map(shown), slow.map(shown));
});
