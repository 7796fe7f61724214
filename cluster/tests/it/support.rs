//! What the tests share.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use duress_cluster::local::{Isolation, LocalCluster, LocalSpec, isolate};
use duress_cluster::{Cluster as _, NodeProgram, ProgramState};
use nix::sched::{CloneFlags, setns};

pub type Test = (&'static str, fn());

/// Isolates this thread and runs the future on it.
pub fn isolated<F: Future>(body: impl FnOnce(Isolation) -> F) -> F::Output {
    let isolation = isolate().expect("these tests need root, or user namespaces");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(body(isolation))
}

/// `n1`… each running `sh -c SCRIPT`.
pub fn shells(count: usize, script: &str) -> Vec<NodeProgram> {
    let shell = |index| NodeProgram {
        name: format!("n{index}"),
        argv: ["sh", "-c", script].map(String::from).into(),
        env: BTreeMap::new(),
    };
    (1..=count).map(shell).collect()
}

pub async fn deploy(isolation: Isolation, nodes: Vec<NodeProgram>, dir: &Path) -> LocalCluster {
    LocalCluster::deploy(isolation, LocalSpec::new(nodes, dir))
        .await
        .unwrap()
}

/// Runs `body` on a thread in the namespace of the process.
pub fn within<T: Send + 'static>(pid: u32, namespace: &str, body: impl FnOnce() -> T + Send + 'static) -> T {
    let namespace = File::open(format!("/proc/{pid}/ns/{namespace}")).unwrap();
    let enter = move || {
        setns(namespace, CloneFlags::empty()).unwrap();
        body()
    };
    std::thread::spawn(enter).join().unwrap()
}

/// Polls until it is true. What is polled for is outside this process, and tells nobody.
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !check() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for the program's end and says how it ended.
pub async fn end_of(cluster: &LocalCluster, node: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match cluster.state(node).await.unwrap() {
            ProgramState::Stopped { how } => return how,
            ProgramState::Running => assert!(Instant::now() < deadline, "{node} still runs"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// All processes that live. A zombie doesn't: it has ended, and waits for whoever adopted it to notice.
pub fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let lives = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
        status.is_ok_and(|status| !status.contains("\nState:\tZ"))
    };
    pids.filter(lives).collect()
}

/// A namespace that is held open: the kernel would soon give the number of one that ended to a new one, perhaps to
/// that of another test.
pub struct Namespace {
    link: String,
    _held: File,
}

const KINDS: [&str; 4] = ["net", "mnt", "pid", "uts"];

/// The namespaces of a process, without those that it shares with this thread.
pub fn namespaces(pid: u32) -> Vec<Namespace> {
    let link = |of: &str, kind: &str| std::fs::read_link(format!("/proc/{of}/ns/{kind}")).ok();
    let own = KINDS
        .iter()
        .filter(|kind| link(&pid.to_string(), kind) != link("thread-self", kind));
    let hold = |kind: &&str| {
        let path = format!("/proc/{pid}/ns/{kind}");
        let held = File::open(&path).unwrap();
        let link = std::fs::read_link(&path).unwrap().to_string_lossy().into_owned();
        Namespace { link, _held: held }
    };
    own.map(hold).collect()
}

/// The processes that live in any of these.
pub fn processes_in(namespaces: &[Namespace]) -> Vec<u32> {
    let inside = |pid: &u32| {
        KINDS.iter().any(|kind| {
            let link = std::fs::read_link(format!("/proc/{pid}/ns/{kind}"));
            link.is_ok_and(|link| namespaces.iter().any(|namespace| *link == *namespace.link))
        })
    };
    processes().into_iter().filter(inside).collect()
}

/// The interfaces of this thread's network namespace.
pub fn interfaces() -> Vec<String> {
    let text = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    text.lines()
        .skip(2)
        .map(|line| line.split(':').next().unwrap().trim().to_owned())
        .collect()
}
