//! A spec is refused in words that name a line, or can be planned.
#![no_main]

use std::cell::RefCell;

use duress::spec::{Spec, SpecError};
use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: RefCell<Option<tempfile::TempDir>> = const { RefCell::new(None) };
}

fuzz_target!(|bytes: &[u8]| {
    FOLDER.with_borrow_mut(|folder| {
        let folder = folder.get_or_insert_with(|| tempfile::tempdir().expect("a folder"));
        let path = folder.path().join("spec.toml");
        std::fs::write(&path, bytes).expect("a spec");
        match Spec::read(&path) {
            Ok(spec) => {
                let nodes = spec.cluster.node_names();
                // What a schedule is refused for, is said; nothing else may happen.
                let _ = duress_nemesis::plan(&spec.faults, &nodes, 1, spec.time.faults.0);
            }
            // Not UTF-8, say, whose line is named in another way.
            Err(error @ SpecError::Read { .. }) => drop(error.to_string()),
            Err(error) => assert!(error.to_string().contains("line "), "{error}"),
        }
    });
});
