//! Late and lost packets on local clusters: seen by TCP connections between the nodes, and in the report.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::host::{Bench, HostState, start_until};

const SPEC: &str = r#"
name = "packets"
properties = ["linearizable", "recovers"]
[cluster.local]
system = "specimen"
nodes = 3
latency = "10ms"
[workload.register]
[load.open]
rate = 100
[client]
timeout = "1s"
[evidence]
ok = 50
ok-of-each = 1
[time]
warm-up = "500ms"
faults = "18s"
[[faults.at]]
at = "500ms"
length = "5s"
kind = "packets"
delay = "60ms"
jitter = "20ms"
targets = ["n1"]
[[faults.at]]
at = "9s"
length = "3s"
kind = "packets"
loss = 0.2
burst = 2
duplicate = 0.2
rate = "512KiB"
log = true
capture = true
targets = ["n1"]
[[faults.at]]
at = "15s"
length = "1s"
kind = "tcp-reset"
targets = "leader"
"#;

/// Where nodes are, as the newest run's journal has them: process and first address.
pub fn nodes(run: &Path) -> Vec<(String, u64, String)> {
    let text = std::fs::read_to_string(run.join("nemesis-journal.jsonl")).expect("a journal");
    let entries = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let open = entries
        .into_iter()
        .find(|entry| entry["op"] == "open")
        .expect("a fault");
    let nodes = open["nodes"].as_array().expect("nodes").iter();
    let place = |node: &Value| {
        let place = &node["place"];
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        (
            text(&place["name"]),
            place["pid"].as_u64().expect("a process"),
            text(&place["addresses"][0]),
        )
    };
    nodes.map(place).collect()
}

/// How long a TCP connection takes from the network of a process to there, in milliseconds: the least of ten.
pub fn connect_ms(pid: u64, address: &str, port: u16) -> f64 {
    let script = format!(
        "import socket, time\ndef once():\n began = time.monotonic()\n socket.create_connection(('{address}', {port}), 5).close()\n \
         return (time.monotonic() - began) * 1000\nprint(min(once() for _ in range(10)))"
    );
    let output = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--net", "python3", "-c", &script])
        .output()
        .expect("nsenter and python3");
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said.trim().parse();
    number.unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn packets_are_late_between_nodes_and_nowhere_else() {
    let before = HostState::now();
    let bench = Bench::new(SPEC);
    let mut child = start_until(&bench, 1, "\"verify\"");
    let nodes = nodes(&bench.latest());
    let node = |wanted: &str| {
        let node = nodes.iter().find(|(name, ..)| name == wanted);
        node.unwrap_or_else(|| panic!("{wanted} in {nodes:?}"))
    };
    let (_, n1, address) = node("n1");
    let (_, n2, _) = node("n2");
    let (_, n3, of_n3) = node("n3");
    // There and back, each 40 to 80 ms late, and the 10 ms that they always are.
    let (to_n1, from_n1) = (connect_ms(*n2, address, 8080), connect_ms(*n1, of_n3, 8080));
    let others = connect_ms(*n2, of_n3, 8080);
    assert!((100.0..180.0).contains(&to_n1), "{to_n1} ms to n1");
    assert!((100.0..180.0).contains(&from_n1), "{from_n1} ms from n1");
    assert!((20.0..60.0).contains(&others), "{others} ms from n2 to n3");
    assert_ne!(n3, n2);
    let status = child.wait().expect("an end");
    let verdict = bench.verdict();
    assert_eq!(status.code(), Some(0), "{verdict}");
    assert_eq!(verdict["evidence"]["faults_verified"], 3, "{verdict}");
    assert_eq!(verdict["evidence"]["faults_healed"], 3, "{verdict}");
    let report = std::fs::read_to_string(bench.latest().join("report.html")).expect("a report");
    for asked in [
        "(asked 60.0 ms)",
        "(asked 20.0 %)",
        "(asked 524.3 kB)",
        "at both ends",
    ] {
        assert!(report.contains(asked), "{asked} is not in the report");
    }
    for file in ["packets-1.jsonl", "packets-1.pcap"] {
        let length = std::fs::metadata(bench.latest().join("nodes/n1").join(file)).map(|file| file.len());
        assert!(length.is_ok_and(|length| length > 1000), "{file}");
    }
    let log = std::fs::read_to_string(bench.latest().join("duress.log")).expect("a log");
    assert!(
        log.contains("latency of the cluster: 6 of 6 directed links"),
        "{log}"
    );
    before.wait_until_back(&bench, Duration::from_secs(10));
}
