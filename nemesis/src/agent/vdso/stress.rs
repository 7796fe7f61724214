//! Patched and restored thousands of times under threads that do nothing but read clocks: none crashes, none reads what is neither
//! the true time nor the wrong one.
//!
//! `DURESS_CLOCK_CYCLES=20000` asks for more.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use duress_cluster::procfs::living;
use nix::libc;

use super::measure::measure;
use super::patch::{self, Applied, State, Tag, apply, restore};
use super::skew::{CLOCKS, Clock, SECOND, Skew, now_ns};
use crate::agent::protocol::{Mark, Process};

const OFFSET_NS: i64 = 3600 * SECOND;
/// Sends the threads signals, as runtimes do that preempt theirs.
const VARIABLE: &str = "DURESS_TEST_READ_CLOCKS";

fn cycles() -> u32 {
    let asked = std::env::var("DURESS_CLOCK_CYCLES").ok();
    asked.map_or(2000, |cycles| cycles.parse().expect("a number of cycles"))
}

extern "C" fn handle(_signal: libc::c_int) {
    // Long enough that others find the thread in here.
    for n in 0..200 {
        std::hint::black_box(n);
    }
}

/// One reading by each of the three functions, with what the kernel says before and after.
fn read(function: u64) -> (i64, i64, i64, i64) {
    let before = now_ns(0).expect("the time");
    // SAFETY: each function writes one value of its type, to which the pointer is valid.
    let (shown, granularity) = unsafe {
        match function % 3 {
            0 => {
                let mut time: libc::timespec = std::mem::zeroed();
                libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time);
                (time.tv_sec * SECOND + time.tv_nsec, 0)
            }
            1 => {
                let mut time: libc::timeval = std::mem::zeroed();
                libc::gettimeofday(&raw mut time, std::ptr::null_mut());
                (time.tv_sec * SECOND + time.tv_usec * 1000, 1000)
            }
            _ => (libc::time(std::ptr::null_mut()) * SECOND, SECOND + 20_000_000),
        }
    };
    (
        before - granularity - 1000,
        shown,
        now_ns(0).expect("the time"),
        granularity,
    )
}

/// Not a test: two threads that read clocks until the input ends.
#[test]
#[ignore = "is run by the test below"]
fn reads() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    // SAFETY: the handler does nothing that is not safe in one.
    unsafe { libc::signal(libc::SIGUSR1, handle as *const () as usize) };
    let (right, wrong, bad) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    let one = |tid: &AtomicU64| {
        // SAFETY: gettid(2) takes nothing.
        tid.store(unsafe { libc::gettid() } as u64, Ordering::SeqCst);
        for function in 0.. {
            let (from, shown, to, _) = read(function);
            let counter = match shown {
                shown if (from..=to).contains(&shown) => &right,
                shown if (from + OFFSET_NS..=to + OFFSET_NS).contains(&shown) => &wrong,
                _ => &bad,
            };
            counter.fetch_add(1, Ordering::Relaxed);
            if over.load(Ordering::Relaxed) {
                return;
            }
        }
    };
    let tids = [AtomicU64::new(0), AtomicU64::new(0)];
    thread::scope(|scope| {
        for tid in &tids {
            scope.spawn(|| one(tid));
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                for tid in &tids {
                    let tid = tid.load(Ordering::SeqCst);
                    if tid != 0 {
                        // SAFETY: tkill(2) takes numbers, and the thread is one of ours.
                        unsafe { libc::syscall(libc::SYS_tkill, tid, libc::SIGUSR1) };
                    }
                }
                thread::sleep(Duration::from_micros(300));
            }
        });
        let mut said = std::io::stdout();
        writeln!(said, "\nready")
            .and_then(|()| said.flush())
            .expect("a reader");
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        over.store(true, Ordering::Relaxed);
    });
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    // Where nobody reads any more, nobody wants to know.
    let counts = format!("\ncounted {} {} {}\n", count(&right), count(&wrong), count(&bad));
    let _ = std::io::stdout().write_all(counts.as_bytes());
}

/// A program of ours that reads clocks.
fn reader() -> (Child, BufReader<std::process::ChildStdout>, Process) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "agent::vdso::stress::reads",
            "--ignored",
            "--nocapture",
        ])
        .env(VARIABLE, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
    await_line(&mut output, "ready");
    let pid = child.id();
    let process = Process {
        pid,
        started: living(pid).expect("it runs").started,
        state: 'R',
        entered: false,
        machine: 0,
    };
    (child, output, process)
}

fn await_line(output: &mut impl BufRead, begin: &str) -> String {
    loop {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).expect("its output"), 0, "it ended");
        if line.starts_with(begin) {
            return line;
        }
    }
}

fn tag(fault: u64) -> Tag {
    let mark = Mark::of_seal("0badcafe").expect("a mark");
    Tag { mark, fault }
}

fn skew(offset_ns: i64, rate: i64, period_ns: i64) -> Skew {
    Skew {
        clocks: vec![Clock::Realtime],
        offset_ns,
        rate,
        period_ns,
        anchors_ns: [now_ns(0).expect("the time"); CLOCKS],
    }
}

#[test]
fn processes_that_are_killed_while_a_thread_of_theirs_is_led_on_hold_up_nobody() {
    let (said, hears) = std::sync::mpsc::channel();
    thread::spawn(move || {
        for round in 0..100 {
            let (mut child, _output, process) = reader();
            let killed = thread::spawn(move || {
                thread::sleep(Duration::from_micros(round * 97));
                child.kill().expect("SIGKILL");
                child
            });
            let mut looks = 0;
            while let Some(_readings) = measure(&process, &[Clock::Realtime]).expect("a look") {
                looks += 1;
            }
            // The one that traces is also its parent, and may have heard of its end already.
            let _ = killed.join().expect("a child").wait();
            said.send(looks).expect("somebody hears");
        }
    });
    let looks: Vec<u32> = (0..100)
        .map(|round| {
            let looks = hears.recv_timeout(Duration::from_secs(30));
            looks.unwrap_or_else(|why| panic!("round {round}: {why}"))
        })
        .collect();
    assert!(
        looks.iter().any(|looks| *looks > 0),
        "none was read before it was killed"
    );
}

#[test]
fn threads_that_read_clocks_see_the_true_time_or_the_wrong_one_and_go_on() {
    let (mut child, mut output, process) = reader();
    let (tag, skew) = (tag(7), skew(OFFSET_NS, 0, 0));
    for cycle in 0..cycles() {
        assert_eq!(
            apply(&process, &tag, &skew).expect("a patch"),
            Applied::Now,
            "cycle {cycle}"
        );
        assert!(restore(&process, &tag).expect("a restoration"), "cycle {cycle}");
        let state = patch::look(&process, &tag, None).expect("a look");
        assert_eq!(state, Some(State::Pristine), "cycle {cycle}");
    }
    drop(child.stdin.take());
    let line = await_line(&mut output, "counted");
    let counts: Vec<u64> = line
        .split(' ')
        .skip(1)
        .map(|n| n.trim().parse().expect("a number"))
        .collect();
    assert!(child.wait().expect("an end").success());
    let [right, wrong, bad] = counts[..] else {
        panic!("{line}")
    };
    assert_eq!(bad, 0, "of {right} true and {wrong} wrong readings");
    assert!(
        right > 1000 && wrong > 1000,
        "{right} true and {wrong} wrong readings"
    );
    let mut said = std::io::stdout();
    let _ = writeln!(
        said,
        "{} cycles, {right} true and {wrong} wrong readings, {bad} bad",
        cycles()
    );
}

#[test]
fn what_the_assembler_shows_is_what_the_function_says() {
    let (mut child, _output, process) = reader();
    let faults = [
        skew(-OFFSET_NS, 0, 0),
        skew(7, -super::skew::RATE_ONE, 0),
        skew(0, super::skew::RATE_ONE / 3, 0),
        skew(0, -4295, 0),
        skew(OFFSET_NS, 12345, 3_000_000),
    ];
    for (fault, skew) in (0..).zip(&faults) {
        let tag = tag(fault);
        assert_eq!(apply(&process, &tag, skew).expect("a patch"), Applied::Now);
        for _ in 0..50 {
            let readings = measure(&process, &[Clock::Realtime, Clock::Monotonic])
                .expect("readings")
                .expect("it lives");
            for reading in readings {
                let truth = reading.truth_ns.expect("the kernel was asked");
                assert_eq!(reading.shown_ns, skew.shown_ns(reading.clock, truth), "{skew:?}");
                assert!((reading.between_ns.0..=reading.between_ns.1).contains(&truth));
            }
        }
        assert!(restore(&process, &tag).expect("a restoration"));
    }
    child.kill().expect("it is ours");
    child.wait().expect("an end");
}

#[test]
fn bytes_that_are_not_ours_stay() {
    let (mut child, _output, process) = reader();
    let (ours, others) = (tag(1), tag(2));
    let skew = skew(OFFSET_NS, 0, 0);
    assert_eq!(apply(&process, &others, &skew).expect("a patch"), Applied::Now);
    let before = patch::look(&process, &others, Some(&skew)).expect("a look");
    assert!(!restore(&process, &ours).expect("nothing to do"));
    assert!(matches!(
        apply(&process, &ours, &skew).expect("a look"),
        Applied::Unfit(_)
    ));
    assert_eq!(
        patch::look(&process, &others, Some(&skew)).expect("a look"),
        before
    );
    // The same number, another process: what is written down is dead.
    let dead = Process {
        started: process.started + 1,
        ..process
    };
    assert!(!restore(&dead, &others).expect("nothing to do"));
    assert_eq!(
        apply(&dead, &others, &skew).expect("nothing to do"),
        Applied::Gone
    );
    assert!(restore(&process, &others).expect("a restoration"));
    child.kill().expect("it is ours");
    child.wait().expect("an end");
}
