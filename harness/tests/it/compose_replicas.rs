//! A cluster whose nodes are replicas of one service: told apart by their numbers, at addresses that the engine chooses.

use std::path::Path;
use std::time::Duration;

use crate::compose::on_engine;
use crate::compose_systems::image_or_skip;
use crate::host::{Bench, HostState};

const SYSTEM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster/systems/sqlite/http");

/// Three stores that know each other only by the name of their service, and knock at each other's ports all the time.
const COMPOSE: &str = r#"
services:
  db:
    image: duress/sqlite:3.40
    environment: {SYNCHRONOUS: "OFF"}
    scale: 3
    entrypoint:
      - bash
      - -c
      - |
        while :; do
          for peer in $$(getent ahostsv4 db | cut -d' ' -f1 | sort -u); do
            timeout 1 bash -c "echo > /dev/tcp/$$peer/8080" 2>/dev/null
          done
          sleep 0.2
        done &
        exec python3 /usr/local/lib/server.py
"#;

/// They replicate nothing, so nothing is claimed but that they come back.
fn spec(file: &Path) -> String {
    let system = Path::new(SYSTEM).canonicalize().expect("it ships");
    format!(
        "name = \"replicas\"\nproperties = [\"recovers\"]\n[cluster.compose]\nsystem = {system:?}\nfile = {file:?}\n\
         nodes = [\"db-1\", \"db-2\", \"db-3\"]\n[workload.register]\nkeys = 5\n[client]\nrouting = \"any\"\ntimeout = \"1s\"\n\
         [time]\nwarm-up = \"1s\"\nfaults = \"16s\"\n[evidence]\nok = 20\nok-of-each = 2\n\
         [[faults.at]]\nat = \"500ms\"\nlength = \"3s\"\nkind = \"partition\"\nshape = \"one\"\ntargets = [\"db-2\"]\n\
         [[faults.at]]\nat = \"6s\"\nlength = \"2s\"\nkind = \"kill\"\ntargets = [\"db-1\", \"db-3\"]\n\
         [[faults.at]]\nat = \"12s\"\nlength = \"2s\"\nkind = \"pause\"\ntargets = [\"db-3\"]\n"
    )
}

#[test]
fn replicas_of_one_service_are_broken_and_healed_one_by_one() {
    if !image_or_skip("duress/sqlite:3.40") {
        return;
    }
    let before = HostState::now();
    let bench = Bench::new("");
    let file = bench.spec().with_file_name("compose.yaml");
    std::fs::write(&file, COMPOSE).expect("a folder");
    std::fs::write(bench.spec(), spec(&file)).expect("a spec");
    let verdict = bench.run(1, 0);
    assert_eq!(verdict["overall"], "held", "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 3, "{verdict}");
    let run = bench.latest();
    assert_eq!(on_engine(&run), Vec::<String>::new());
    for node in ["db-1", "db-2", "db-3"] {
        let log = std::fs::read_to_string(run.join("nodes").join(node).join("log"));
        assert!(log.is_ok(), "no log of {node}: {log:?}");
        let asked = format!("\"node\":\"{node}\"");
        assert!(bench.history().contains(&asked), "{node} was never asked");
    }
    before.wait_until_back(&bench, Duration::from_secs(10));
}
