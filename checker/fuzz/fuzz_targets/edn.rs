//! The EDN reader never panics, and always gets on.
#![no_main]

use duress_checker::formats::edn::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    for _ in 0..=bytes.len() {
        match reader.next_form() {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
    panic!("more forms than bytes");
});
