//! No format makes the readers panic.
#![no_main]

use duress_checker::formats::{Format, read, read_history};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for format in [Format::Guess, Format::Json, Format::Edn, Format::Log] {
        let _ = read(bytes, format);
    }
    let _ = read_history(bytes, Format::Guess);
});
