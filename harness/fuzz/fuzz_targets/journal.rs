//! No journal makes `heal` panic, and none that is not sealed by this key is acted on.
//!
//! The first byte says what the rest is: a journal as it stands, the label of a controller, or entries that are sealed as a run
//! would, of which one byte is then changed.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;

use duress_cluster::{Controller, Key};
use duress_nemesis::agent::protocol::Hello;
use duress_nemesis::journal::{Entry, JOURNAL_FILE, Journal};
use duress_nemesis::heal_from_journal;
use libfuzzer_sys::fuzz_target;

/// Another boot than this one: nothing that is written down can be looked for here.
const BOOT: &str = "another";

thread_local! {
    static FOLDER: RefCell<Option<(tempfile::TempDir, Key)>> = const { RefCell::new(None) };
}

fn sealed(path: &PathBuf, key: &Key, text: &[u8]) {
    // As if it were dead: of an earlier process with this one's number.
    let controller = Controller {
        started: 1,
        ..Controller::this()
    };
    let journal = Journal::create(path, key, controller).expect("a journal");
    let hello = Hello {
        version: 3,
        pid: 1,
        boot: BOOT.to_owned(),
    };
    journal.begin(&hello, Vec::new()).expect("a first line");
    for line in text.split(|byte| *byte == b'\n') {
        if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
            journal.write(&entry).expect("a line");
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&what, rest)) = bytes.split_first() else {
        return;
    };
    FOLDER.with_borrow_mut(|folder| {
        let (folder, key) =
            folder.get_or_insert_with(|| (tempfile::tempdir().expect("a folder"), Key::of_this_process()));
        let path = folder.path().join(JOURNAL_FILE);
        let _ = std::fs::remove_file(&path);
        match what % 4 {
            0 => {
                std::fs::write(&path, rest).expect("a journal");
                let report = heal_from_journal(&path, key).expect("a file that can be read");
                assert!(report.done.is_empty(), "{report:?}");
            }
            1 => {
                if let Ok(text) = std::str::from_utf8(rest)
                    && let Ok(controller) = text.parse::<Controller>()
                {
                    let _ = controller.why_spared();
                    assert_eq!(controller.to_string().parse(), Ok(controller));
                }
            }
            2 => {
                sealed(&path, key, rest);
                let report = heal_from_journal(&path, key).expect("a journal of this key");
                assert!(report.failed.is_empty(), "{report:?}");
            }
            _ => {
                sealed(&path, key, rest);
                let mut text = std::fs::read(&path).expect("a journal");
                let at = rest.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31) + usize::from(*byte)) % text.len();
                text[at] ^= 1 << (at % 7);
                std::fs::write(&path, &text).expect("a journal");
                let _ = heal_from_journal(&path, key).expect("a file that can be read");
            }
        }
    });
});
