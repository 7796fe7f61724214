//! Log files of nodes are kept at the end of a run: what a system names in `logs`.

use std::path::Path;

use crate::compose::engine_or_skip;
use crate::host::Bench;

const SYSTEM: &str = include_str!("../../../cluster/systems/specimen/system.toml");
const COMPOSE_FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../cluster/systems/specimen/containers/compose.yaml"
);

const REST: &str = r#"
properties = ["linearizable"]
[workload.register]
[load.open]
rate = 100
[evidence]
ok = 10
ok-of-each = 1
[time]
warm-up = "500ms"
faults = "1s"
"#;

/// Runs the specimen as a system of its own, with these log files.
fn run(cluster: &str, logs: &str) -> Bench {
    let bench = Bench::new(&format!("name = \"logs\"\n{REST}\n{cluster}"));
    let folder = bench.spec().with_file_name("mine");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("system.toml"), format!("logs = {logs}\n{SYSTEM}")).expect("a system");
    let verdict = bench.run(1, 0);
    assert_eq!(verdict["overall"], "held", "{verdict}");
    bench
}

fn kept(bench: &Bench, node: &str) -> Vec<String> {
    let folder = bench.latest().join("nodes").join(node).join("logs");
    let entries = std::fs::read_dir(folder).expect("log files");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn said(bench: &Bench) -> String {
    std::fs::read_to_string(bench.latest().join("duress.log")).expect("a log")
}

#[test]
fn of_sandboxes_those_in_the_data_directory() {
    let bench = run(
        "[cluster.local]\nsystem = \"./mine\"\nnodes = 3\n",
        r#"["{data}/log.wal", "{data}/none.log", "/etc/hostname"]"#,
    );
    for node in ["n1", "n2", "n3"] {
        assert_eq!(kept(&bench, node), ["log.wal"]);
        let copy = bench.latest().join("nodes").join(node).join("logs/log.wal");
        assert!(std::fs::metadata(copy).expect("a file").len() > 0);
        for file in ["{data}/none.log", "/etc/hostname"] {
            let note = format!("{node}: {file} was not kept");
            assert!(said(&bench).contains(&note), "{note}\n{}", said(&bench));
        }
    }
}

#[test]
fn of_containers_any_regular_file() {
    if !engine_or_skip() {
        return;
    }
    let file = Path::new(COMPOSE_FILE).canonicalize().expect("the compose file");
    let bench = run(
        &format!(
            "[cluster.compose]\nsystem = \"./mine\"\nfile = {file:?}\nnodes = [\"n1\", \"n2\", \"n3\", \"n4\", \"n5\"]\n"
        ),
        r#"["{data}/log.wal", "/etc/hostname", "/data", "/etc/none"]"#,
    );
    for node in ["n1", "n5"] {
        assert_eq!(kept(&bench, node), ["etc-hostname", "log.wal"]);
        for file in ["/data", "/etc/none"] {
            let note = format!("{node}: {file} was not kept");
            assert!(said(&bench).contains(&note), "{note}\n{}", said(&bench));
        }
    }
}
