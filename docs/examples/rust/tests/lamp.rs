//! The example does what it says: under faults, on a store that keeps its promises and on one that does not.

use std::path::Path;
use std::process::Command;

/// Exit code, and what was said, of `lamp run` with this spec.
fn run(spec: &str, seed: u64) -> (Option<i32>, String) {
    let results = tempfile::tempdir().expect("a temporary directory");
    let output = Command::new(env!("CARGO_BIN_EXE_lamp"))
        .args(["run", spec, "--seed", &seed.to_string(), "--out"])
        .arg(results.path())
        .output()
        .expect("the example");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), said)
}

#[test]
fn a_lamp_is_held_by_a_store_that_works_and_violated_by_one_that_reads_what_is_stale() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let spec = folder.join("lamp.toml");
    let (code, said) = run(&spec.to_string_lossy(), 1);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("lamp-tells-the-truth"), "{said}");

    let text = std::fs::read_to_string(&spec).expect("the spec");
    let store = folder.join("store");
    let defect = format!(
        "system = {:?}\ndefects = [\"stale-read\"]",
        store.display().to_string()
    );
    let broken = text.replace("system = \"./store\"", &defect);
    assert_ne!(text, broken);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), broken).expect("a spec");
    // A stale read shows where nobody switched the lamp meanwhile, so not in every run.
    let mut runs = (1..=5).map(|seed| run(&file.path().to_string_lossy(), seed));
    let violated = runs.find(|(code, _)| *code == Some(1));
    let (_, said) = violated.expect("no stale read was found in five runs");
    assert!(said.contains("lamp-tells-the-truth"), "{said}");
}

#[test]
fn it_is_all_of_duress_with_its_own_added() {
    let listed = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_lamp")).arg(command).output();
        String::from_utf8(output.expect("the example").stdout).expect("text")
    };
    assert!(listed("workloads").contains("lamp: switches a lamp"));
    assert!(listed("properties").contains("lamp-tells-the-truth: whoever looks"));
}
