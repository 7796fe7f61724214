//! Systems that ship as files alone: their specs come out as their pages say.

use std::path::Path;
use std::process::Command;

use toml::Table;

use crate::compose::on_engine;
use crate::host::Bench;

const SYSTEMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/systems");

/// Whether this image is there. In CI it must be.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
pub fn image_or_skip(image: &str) -> bool {
    let inspected = Command::new("docker").args(["image", "inspect", image]).output();
    if inspected.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let missing = format!("there is no container engine with {image}; run `make images`");
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run, but {missing}"
    );
    eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
    false
}

/// A spec that ships, with its paths made absolute. `change` makes it shorter.
pub fn shipped(name: &str, change: impl FnOnce(&mut Table)) -> String {
    let path = Path::new(SYSTEMS).join(name);
    let text = std::fs::read_to_string(&path).expect("a spec");
    let mut spec: Table = text.parse().expect("TOML");
    let folder = path.parent().expect("a folder");
    let cluster = &mut spec["cluster"]["compose"];
    for key in ["system", "file"] {
        let full = folder.join(cluster[key].as_str().expect("a path"));
        let full = full.canonicalize().expect("it is there");
        cluster[key] = full.to_str().expect("UTF-8").into();
    }
    change(&mut spec);
    spec.to_string()
}

#[test]
fn writes_of_a_redis_primary_that_is_cut_off_are_lost_unless_clients_wait_for_a_replica() {
    if !image_or_skip("duress/redis:7.0") {
        return;
    }
    for (spec, code, overall) in [
        ("redis/defects/set.toml", 1, "violated"),
        ("redis/set-wait.toml", 0, "held"),
    ] {
        let bench = Bench::new(&shipped(spec, |spec| {
            spec["time"]["faults"] = "20s".into();
            spec["faults"]["at"].as_array_mut().expect("faults").truncate(1);
        }));
        let verdict = bench.run(1, code);
        assert_eq!(verdict["overall"], overall, "{spec}: {verdict}");
        assert_eq!(verdict["evidence"]["faults_verified"], 1, "{spec}: {verdict}");
        assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    }
}

#[test]
fn registers_on_sqlite_hold_whether_it_syncs_or_not() {
    if !image_or_skip("duress/sqlite:3.40") {
        return;
    }
    for spec in ["sqlite/full.toml", "sqlite/off.toml"] {
        let bench = Bench::new(&shipped(spec, |spec| {
            spec["time"]["faults"] = "10s".into();
            spec["evidence"]["ok"] = 100.into();
        }));
        let verdict = bench.run(1, 0);
        assert_eq!(verdict["overall"], "held", "{spec}: {verdict}");
        assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    }
}
