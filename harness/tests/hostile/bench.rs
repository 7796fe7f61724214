//! Runs a spec with this very binary as `duress`, and measures what that takes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What the controller may have in memory at most, whatever it is told, in KiB.
const MEMORY_MAX: u64 = 300 * 1024;

/// How a run ended.
pub struct Run {
    dir: tempfile::TempDir,
    pub code: Option<i32>,
    pub said: String,
    pub took: Duration,
}

/// Operations on one node by how they ended.
#[derive(Debug, Default)]
pub struct Outcomes {
    pub ok: usize,
    pub fail: usize,
    pub info: usize,
    /// Why of the last one nobody knows.
    pub error: String,
}

/// This binary.
pub fn exe() -> PathBuf {
    std::env::current_exe().expect("a path")
}

/// `duress run` on the spec to its end; panics if it takes more than [`MEMORY_MAX`]. `shell` comes before, e.g.
/// `ulimit -n 200`.
pub fn run(spec: &str, shell: &str, watch: impl Fn(&Child, &Path)) -> Run {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("spec.toml");
    std::fs::write(&path, spec).expect("a spec");
    let log = std::fs::File::create(dir.path().join("said")).expect("a file");
    let start = Instant::now();
    let mut child = Command::new("sh")
        .args(["-c", &format!("{shell}\nexec \"$@\""), "sh"])
        .arg(exe())
        .args(["run", "--seed", "1", "--out"])
        .arg(dir.path())
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a descriptor"))
        .stderr(log)
        .spawn()
        .expect("a shell");
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        peak = peak.max(peak_memory(child.id()));
        watch(&child, dir.path());
        let took = start.elapsed();
        if took > Duration::from_secs(90) || peak >= MEMORY_MAX {
            child.kill().expect("a child");
            child.wait().expect("a dead child");
            panic!(
                "after {took:?} and with {peak} KiB the run has not ended: {}",
                said(&dir)
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let run = Run {
        code: status.code(),
        said: said(&dir),
        took: start.elapsed(),
        dir,
    };
    assert!(peak > 0, "nothing was measured: {}", run.said);
    run
}

fn said(dir: &tempfile::TempDir) -> String {
    std::fs::read_to_string(dir.path().join("said")).unwrap_or_default()
}

/// `VmHWM` of a process, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

impl Run {
    /// Directory of the run.
    pub fn latest(&self) -> PathBuf {
        let path = self.dir.path().join("runs/latest").canonicalize();
        path.unwrap_or_else(|error| panic!("{error}: {}", self.said))
    }

    pub fn history(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.latest().join("history.jsonl")).expect("a history");
        assert!(text.len() < 20 << 20, "the history has {} bytes", text.len());
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        text.lines().map(line).collect()
    }

    /// Of every node, for a client that makes one attempt. Only writes and cas where `writes`.
    pub fn outcomes(&self, writes: bool) -> BTreeMap<String, Outcomes> {
        let mut nodes: BTreeMap<String, Outcomes> = BTreeMap::new();
        for event in self.history() {
            let Some(node) = event["attempts"][0]["node"].as_str() else {
                continue;
            };
            if writes && event["f"] == "read" {
                continue;
            }
            let outcomes = nodes.entry(node.to_owned()).or_default();
            match event["type"].as_str() {
                Some("ok") => outcomes.ok += 1,
                Some("fail") => outcomes.fail += 1,
                _ => outcomes.info += 1,
            }
            if let Some(error) = event["error"].as_str() {
                assert!(error.len() < 1200, "an error of {} bytes", error.len());
                if event["type"] == "info" {
                    error.clone_into(&mut outcomes.error);
                }
            }
        }
        nodes
    }

    /// What the history says of the harness' own failure.
    pub fn failure(&self) -> Option<String> {
        let history = self.history();
        let note = history.iter().find(|event| event["f"] == "harness-failure")?;
        Some(note["value"]["what"].as_str()?.to_owned())
    }
}
