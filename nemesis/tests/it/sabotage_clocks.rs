//! Wrong clocks that are not wrong, or not all of them, or not as they should be: never proven. See [`super::sabotage`].

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::clock_reader::vdso;
use super::lab::{Lab, wait_until};
use super::sabotage::{end_all, is_injection, never_bites, never_proven, nothing};
use super::stage::Stage;

const JUMP: &str = r#"{"kind":"clock-jump","by":"1h","targets":["n1"]}"#;
const ALL: [&str; 4] = [
    JUMP,
    r#"{"kind":"clock-strobe","delta":"1h","period":"10ms","targets":["n1"]}"#,
    r#"{"kind":"clock-drift","ppm":500,"targets":["n1"]}"#,
    r#"{"kind":"clock-freeze","targets":["n1"]}"#,
];

/// Claims that everything was done at all processes of the place, and does nothing.
fn claims(request: &Value) -> Option<Value> {
    let kind = request["kind"].as_str()?;
    if !is_injection(request, kind) {
        return None;
    }
    let pid = request["order"]["places"][0]["pid"].as_u64()?;
    let home = fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino();
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(other) = name.to_str().and_then(|name| name.parse::<u64>().ok()) else {
            continue;
        };
        let lives_there = fs::metadata(format!("/proc/{other}/ns/pid")).is_ok_and(|ns| ns.ino() == home);
        let stat = fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
        let started = stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(20));
        if let Some(started) = started.and_then(|started| started.parse::<u64>().ok())
            && lives_there
            && other != pid
        {
            processes.push(json!({"pid": other, "started": started, "state": "S", "entered": true}));
        }
    }
    Some(json!({"skew": request["order"]["skew"], "nodes": [["n1", processes]]}))
}

#[tokio::test(flavor = "multi_thread")]
pub async fn clocks_that_nothing_is_done_to() {
    let stage = Stage::with_saboteur(1, claims).await;
    for fault in ALL {
        never_proven(&stage, fault, nothing, "its clocks are right").await;
    }
}

/// A process at the node that only sleeps, so that its vDSO can be written to at any time.
fn sleeper(lab: &Lab) -> u32 {
    let sleeps = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line == b"sleep\x001000\0"
    };
    wait_until("a process that sleeps", || lab.pids(1).into_iter().find(sleeps))
}

/// Writes over what differs from the kernel's vDSO, as far as `which` likes its place, counted from the first byte that differs.
fn change(pid: u32, which: impl Fn(usize) -> bool, to: impl Fn(u8) -> u8) {
    let (_, pristine) = vdso("self").unwrap();
    let (base, bytes) = vdso(&pid.to_string()).unwrap();
    let memory = fs::File::options()
        .write(true)
        .open(format!("/proc/{pid}/mem"))
        .unwrap();
    let differs: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[*at] != pristine[*at])
        .collect();
    assert!(differs.len() > 100, "it is not patched");
    for at in differs.iter().filter(|at| which(**at - differs[0])) {
        memory
            .write_all_at(&[to(pristine[*at])], base + *at as u64)
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
pub async fn clocks_that_are_set_right_in_one_process() {
    let stage = Stage::new(1).await;
    let undo = |lab: &Lab| change(sleeper(lab), |_| true, |pristine| pristine);
    for fault in ALL {
        never_proven(&stage, fault, undo, "its clocks are right").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_with_a_jump_missing() {
    let stage = Stage::new(1).await;
    // The first of the functions alone shows the true time.
    let undo = |lab: &Lab| change(sleeper(lab), |at| at < 8, |pristine| pristine);
    never_proven(&stage, JUMP, undo, "the patch of its vDSO is not whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_with_a_changed_byte() {
    let stage = Stage::new(1).await;
    let spoil = |lab: &Lab| {
        let pid = sleeper(lab);
        let (_, pristine) = vdso("self").unwrap();
        let (base, bytes) = vdso(&pid.to_string()).unwrap();
        let magic = bytes.windows(8).position(|window| window == b"DURESS.1").unwrap();
        assert_eq!(pristine[magic], 0);
        let memory = fs::File::options()
            .write(true)
            .open(format!("/proc/{pid}/mem"))
            .unwrap();
        // The lowest byte of the offset: a nanosecond or so.
        let at = magic + 32;
        memory.write_all_at(&[bytes[at] ^ 1], base + at as u64).unwrap();
    };
    never_proven(&stage, JUMP, spoil, "the patch of its vDSO is not whole").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_of_a_node_that_is_dead() {
    let stage = Stage::new(1).await;
    end_all(&stage.cluster.lab, 1..=1);
    for fault in ALL {
        never_bites(&stage, fault, "no process runs there").await;
    }
}

/// Static, without a C library: it asks the kernel, and knows of no vDSO.
const RAW: &str = r#"
static long call(long number, long a, long b) {
    long result;
    __asm__ volatile ("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
    return result;
}
void _start(void) {
    long time[2], pause[2] = {0, 1000000};
    for (;;) { call(228, 0, (long) time); call(35, (long) pause, 0); }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn clocks_of_a_program_that_asks_the_kernel_itself() {
    let stage = Stage::new(1).await;
    let lab = &stage.cluster.lab;
    end_all(lab, 1..=1);
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("raw.c"), folder.path().join("raw"));
    fs::write(&source, RAW).unwrap();
    let built = Command::new("cc")
        .args(["-O1", "-static", "-nostdlib", "-fno-stack-protector", "-o"])
        .args([&program, &source])
        .status()
        .expect("a C compiler, as building Duress needs");
    assert!(built.success());
    let mut raw = Command::new("setpriv")
        .args([
            "--pdeathsig",
            "KILL",
            "nsenter",
            "-t",
            &lab.place(1).pid.to_string(),
            "-n",
            "-p",
        ])
        .arg(&program)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the program", || {
        let runs =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "raw\n");
        lab.pids(1).into_iter().find(runs)
    });
    for fault in ALL {
        never_bites(&stage, fault, "asks the kernel for the time itself").await;
    }
    end_all(lab, 1..=1);
    raw.wait().unwrap();
}
