//! Redis with Sentinel: what a primary acknowledges while it is cut off is lost, unless clients wait for a replica.

use std::path::Path;
use std::process::Command;

use crate::compose::on_engine;
use crate::host::Bench;

const REDIS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/systems/redis");

const IMAGE: &str = "duress/redis:7.0";

/// Whether the image is there. In CI it must be.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests has to see that some did not"
)]
fn image_or_skip() -> bool {
    let inspected = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    if inspected.is_ok_and(|output| output.status.success()) {
        return true;
    }
    let missing = format!("there is no container engine with {IMAGE}; run `make images`");
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI this must run, but {missing}"
    );
    eprintln!("\n*** SKIPPED, nothing was tested: {missing} ***\n");
    false
}

/// A spec that ships, with its paths made absolute and its second partition left out.
fn shipped(name: &str) -> String {
    let path = Path::new(REDIS).join(name);
    let text = std::fs::read_to_string(&path).expect("a spec");
    let mut spec: toml::Table = text.parse().expect("TOML");
    let folder = path.parent().expect("a folder");
    let cluster = &mut spec["cluster"]["compose"];
    for key in ["system", "file"] {
        let full = folder.join(cluster[key].as_str().expect("a path"));
        let full = full.canonicalize().expect("it is there");
        cluster[key] = full.to_str().expect("UTF-8").into();
    }
    spec["time"]["faults"] = "20s".into();
    spec["faults"]["at"].as_array_mut().expect("faults").truncate(1);
    spec.to_string()
}

#[test]
fn writes_of_a_primary_that_is_cut_off_are_lost_unless_clients_wait_for_a_replica() {
    if !image_or_skip() {
        return;
    }
    for (spec, code, overall) in [
        ("defects/set.toml", 1, "violated"),
        ("set-wait.toml", 0, "held"),
    ] {
        let bench = Bench::new(&shipped(spec));
        let verdict = bench.run(1, code);
        assert_eq!(verdict["overall"], overall, "{spec}: {verdict}");
        assert_eq!(verdict["evidence"]["faults_verified"], 1, "{spec}: {verdict}");
        assert_eq!(on_engine(&bench.latest()), Vec::<String>::new());
    }
}
