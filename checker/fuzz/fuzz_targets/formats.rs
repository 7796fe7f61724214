//! No format makes a reader panic, and every way of reading sees the same.
#![no_main]

use duress_checker::formats::{Format, may_be_history, read, read_history, read_history_within};
use duress_checker::history::History;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let shown = |history: &History| -> Vec<_> {
        let rows = 0..history.rows.len() as u32;
        rows.map(|row| history.witness_op(row, String::new())).collect()
    };
    for format in [Format::Guess, Format::Json, Format::Edn, Format::Log] {
        let events = read(bytes, format).ok();
        let slow = events.and_then(|events| History::from_events(&events).ok());
        let quick = read_history(bytes, format).ok();
        assert_eq!(quick.as_ref().map(shown), slow.as_ref().map(shown), "{format:?}");
        assert_eq!(
            quick.as_ref().map(|history| history.remarks.open),
            slow.as_ref().map(|history| history.remarks.open)
        );
        // As much as a text of this length may take, or an error, and never something else.
        if let Ok(bounded) = read_history_within(bytes, format, bytes.len() + 4096) {
            assert_eq!(Some(shown(&bounded)), quick.as_ref().map(shown));
        }
    }
    if read_history(bytes, Format::Guess).is_ok() {
        assert!(may_be_history(bytes).is_ok());
    }
});
