//! Less of something: measured at the nodes, by other means than the nemesis has.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use duress_checker::history::FaultStep;
use duress_cluster::procfs::living;

use super::groups::{Guest, group_of, is_held, share};
use super::lab::{Lab, sh, wait_until};
use super::stage::Stage;

/// Held until the test cancels it.
const LONG_MS: u64 = 60_000;

const CPU: &str = r#"{"kind":"cpu-squeeze","percent":20,"targets":["n1"]}"#;
const MEMORY: &str = r#"{"kind":"memory-squeeze","limit":"32MiB","targets":["n1"]}"#;
const DESCRIPTORS: &str = r#"{"kind":"file-descriptors","targets":["n1"]}"#;
const NEIGHBOURS: &str = r#"{"kind":"noisy-neighbour","cpu":4,"targets":["n1"]}"#;

async fn finish(stage: &Stage, run: tokio::task::JoinHandle<Result<(), duress_nemesis::NemesisError>>) {
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
}

/// What of a stage's nodes is in a group that Duress made, and such groups of its run.
fn held(lab: &Lab, controller: &str) -> Vec<u32> {
    let pids = (1..=2).flat_map(|node| lab.pids(node));
    // Those that fork all the time end while they are looked at.
    let held = |pid: &u32| {
        living(*pid).is_some() && std::panic::catch_unwind(|| is_held(*pid, controller)).unwrap_or(false)
    };
    pids.filter(held).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gets_no_more_of_a_processor_than_it_is_left() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let (_first, busy) = Guest::busy(lab, 1);
    let before = share(busy);
    let run = stage.begin(&[(CPU, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    let group = group_of(busy, "cpu");
    let squeezed = share(busy);
    // One that starts while it lasts shares what there is.
    let (_second, later) = Guest::busy(lab, 1);
    wait_until("the other one to be held", || is_held(later, "cpu").then_some(()));
    let (both, others) = (share(busy), share(later));
    assert!(held(lab, "cpu").len() >= 5 && lab.pids(2).iter().all(|pid| !held(lab, "cpu").contains(pid)));
    finish(&stage, run).await;
    stage.assert_proven(0);
    assert!(
        before > 0.3 && (0.05..0.26).contains(&squeezed),
        "{before} and then {squeezed}"
    );
    assert!(both + others < 0.3, "{both} and {others}");
    let said = stage.event(0, FaultStep::Recheck).await.detail;
    assert!(said.contains("% of a processor, of at most 20 %"), "{said}");
    assert!(share(busy) > 0.3, "it has all of its time again");
    assert!(!group.exists() && held(lab, "cpu").is_empty());
}

/// A pipeline that holds so many bytes of memory at once; true if it came to its end.
fn holds(lab: &Lab, bytes: &str) -> bool {
    let script = format!("head -c {bytes} /dev/zero | tail -n 1 | wc -c");
    let pid = lab.place(1).pid.to_string();
    let output = std::process::Command::new("nsenter")
        .args(["-t", &pid, "-n", "-p", "bash", "-o", "pipefail", "-c"])
        // Only once it is held, as a program would be that has run before.
        .arg(format!("sleep 1; {script}"))
        .stdin(Stdio::null())
        .output()
        .expect("nsenter");
    output.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_gets_no_more_memory_than_it_is_left() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    assert!(holds(lab, "100M"));
    let run = stage.begin(&[(MEMORY, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    let group = group_of(lab.pids(1)[0], "memory");
    assert_eq!(
        fs::read_to_string(group.join("memory.limit_in_bytes"))
            .unwrap()
            .trim(),
        "33554432"
    );
    assert!(
        !holds(lab, "100M"),
        "the kernel let it have three times the limit"
    );
    assert!(holds(lab, "2M"));
    finish(&stage, run).await;
    stage.assert_proven(0);
    let said = stage.event(0, FaultStep::Recheck).await.detail;
    assert!(said.contains("where the kernel ended 1 processes"), "{said}");
    assert!(holds(lab, "100M") && !group.exists() && held(lab, "memory").is_empty());
}

/// Opens a file again and again, and keeps the last answer in a file.
const OPENER: &str = "import errno, os, sys, time
while True:
    try:
        os.close(os.open('/dev/null', os.O_RDONLY))
        said = b'open'
    except OSError as error:
        said = errno.errorcode[error.errno].encode()
    os.pwrite(3, said.ljust(8), 0)
    time.sleep(0.01)
";

#[tokio::test(flavor = "multi_thread")]
async fn a_node_opens_no_more_files_than_it_is_left() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let dir = tempfile::tempdir().unwrap();
    let said = dir.path().join("said");
    fs::write(&said, "").unwrap();
    let script = format!("exec python3 -c \"$0\" 3<> {}", said.display());
    let _opener = Guest::start(lab, 1, &["bash", "-c", &script, OPENER]);
    let until = |what: &str| {
        wait_until(what, || {
            (fs::read_to_string(&said).unwrap().trim() == what).then_some(())
        });
    };
    until("open");
    let limits = || {
        sh(&format!(
            "for pid in {}; do grep 'Max open files' /proc/$pid/limits || true; done",
            lab.pids(1)[0]
        ))
    };
    let before = limits();
    let run = stage.begin(&[(DESCRIPTORS, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    until("EMFILE");
    assert_ne!(limits(), before);
    finish(&stage, run).await;
    stage.assert_proven(0);
    until("open");
    assert_eq!(limits(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn neighbours_take_a_node_its_time_and_are_gone_with_the_fault() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let (_guest, busy) = Guest::busy(lab, 1);
    let run = stage.begin(&[(NEIGHBOURS, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    let group = group_of(busy, "cpu");
    let neighbours: Vec<u32> = fs::read_to_string(group.join("cgroup.procs"))
        .unwrap()
        .lines()
        .map(|pid| pid.parse().unwrap())
        .collect();
    let neighbours: Vec<u32> = neighbours
        .into_iter()
        .filter(|pid| !lab.pids(1).contains(pid) && living(*pid).is_some())
        .collect();
    let processors = std::thread::available_parallelism().unwrap().get() as f64;
    let during = share(busy);
    assert!(
        during < (processors / 5.0).min(1.0) + 0.2,
        "{during} of a processor beside four that want one"
    );
    finish(&stage, run).await;
    stage.assert_proven(0);
    assert!(
        neighbours.len() >= 4 && neighbours.iter().all(|pid| living(*pid).is_none()),
        "{neighbours:?}"
    );
    assert!(!group.exists() && held(lab, "cpu").is_empty());
}

/// All four, at nodes of their own where they need the same group.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_agent_is_killed_the_journal_gives_everything_back() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let (_guest, busy) = Guest::busy(lab, 1);
    let limits = |pid: u32| fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let before = (limits(busy), group_of(busy, "cpu"), group_of(busy, "memory"));
    let run = stage.begin(&[
        (CPU, LONG_MS),
        (MEMORY, LONG_MS),
        (DESCRIPTORS, LONG_MS),
        (r#"{"kind":"noisy-neighbour","cpu":2,"targets":["n2"]}"#, LONG_MS),
    ]);
    for id in 0..4 {
        stage.event(id, FaultStep::Verify).await;
    }
    let groups = [group_of(busy, "cpu"), group_of(busy, "memory")];
    let of_neighbours = group_of(wait_until("a process", || lab.pids(2).first().copied()), "cpu");
    assert!(is_held(busy, "cpu") && is_held(busy, "memory") && limits(busy) != before.0);
    sh(&format!("kill -KILL {}", stage.agent_pid()));
    run.await.unwrap().unwrap_err();
    let theirs = |group: &std::path::Path| {
        fs::read_to_string(group.join("cgroup.procs"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    let lab_pids = lab.pids(2).len();
    wait_until("the neighbours to end with the agent", || {
        (theirs(&of_neighbours) <= lab_pids + 1).then_some(())
    });
    let (_cluster, report, _dir, _key) = stage.heal().await;
    assert_eq!(report.failed, [""; 0]);
    assert_eq!(
        (limits(busy), group_of(busy, "cpu"), group_of(busy, "memory")),
        before
    );
    assert!(
        groups.iter().chain([&of_neighbours]).all(|group| !group.exists()),
        "{report:?}"
    );
}

/// What outlives a node is removed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn the_group_of_a_node_that_is_gone_goes_too() {
    let stage = Stage::new(1).await;
    let lab = &stage.cluster.lab;
    let run = stage.begin(&[(CPU, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    let group = group_of(wait_until("a process", || lab.pids(1).first().copied()), "cpu");
    sh(&format!("kill -KILL {}", lab.place(1).pid));
    wait_until("the node to end", || {
        living(lab.place(1).pid).is_none().then_some(())
    });
    assert!(group.exists());
    run.abort();
    let _ = run.await;
    sh(&format!("kill -KILL {}", stage.agent_pid()));
    let (_cluster, report, ..) = stage.heal().await;
    assert_eq!(report.failed, [""; 0]);
    assert!(!group.exists(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_squeeze_of_a_node_is_left_out() {
    let stage = Stage::new(1).await;
    let run = stage.begin(&[(CPU, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    stage.begin_from(1, &[(CPU, 1)]).await.unwrap().unwrap();
    let prepare = stage.event(1, FaultStep::Prepare).await;
    assert!(prepare.detail.contains("is in force at n1"), "{prepare:?}");
    stage.begin_from(2, &[(NEIGHBOURS, 1)]).await.unwrap().unwrap();
    assert!(stage.bit(2).unwrap_err().contains("another fault holds n1"));
    tokio::time::sleep(Duration::from_millis(1)).await;
    finish(&stage, run).await;
}
