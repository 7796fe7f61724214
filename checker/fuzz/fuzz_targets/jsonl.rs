//! The two readers of `history.jsonl` accept the same bytes, see the same operations and note the same; and a stream
//! takes what they take.
#![no_main]

use std::time::Duration;

use duress_checker::history::{History, Remarks, jsonl};
use duress_checker::object::register::Register;
use duress_checker::stream::Stream;
use duress_checker::verdict::Budget;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let quick = jsonl::read_history(bytes).ok();
    let events = jsonl::read_events(bytes).ok();
    let slow = events.as_ref().and_then(|events| History::from_events(events).ok());
    let shown = |history: &History| -> Vec<_> {
        let rows = 0..history.rows.len() as u32;
        rows.map(|row| history.witness_op(row, String::new())).collect()
    };
    assert_eq!(quick.as_ref().map(shown), slow.as_ref().map(shown));
    // Only who reads the bytes knows that a line was cut off.
    let noted = |history: &History| Remarks {
        cut: false,
        ..history.remarks
    };
    assert_eq!(quick.as_ref().map(noted), slow.as_ref().map(noted));

    let model = Register { cas: true };
    let mut stream = Stream::new(&model, Budget::default());
    for event in events.iter().flatten() {
        if stream.push(event, &|| Duration::ZERO).is_err() {
            return;
        }
    }
    // A stream keeps larger numbers of processes.
    if let Some(quick) = &quick {
        assert_eq!(noted(quick), stream.remarks());
    }
});
