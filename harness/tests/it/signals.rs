//! Ctrl-C and its kind at every moment of a run: it ends in order, soon, judges what there is, and leaves nothing.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::compose;
use crate::host::{Bench, HostState, duress, start_until, wait_for};

/// From the signal to the end, on a machine that has other things to do. All of what is interrupted here lasts a minute
/// and more.
const LIMIT: Duration = Duration::from_secs(15);

fn spec(nodes: &str, rest: &str) -> String {
    format!(
        "name = \"signals\"\nproperties = [\"linearizable\"]\n[cluster.local]\nsystem = \"specimen\"\n{nodes}\n[workload.register]\nkeys = 3\n{rest}\n"
    )
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a pid")), signal).expect("a signal");
}

/// Stops the programs of all nodes, as nothing of Duress' own would: so whatever is asked of them takes its time.
fn stop_nodes(bench: &Bench) {
    let nodes = bench.processes_of("specimen");
    assert!(nodes.len() >= 3, "only {nodes:?}");
    for pid in nodes {
        kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGSTOP).expect("SIGSTOP");
    }
}

/// Sends a signal to a run that has come to `needle`, and looks how it ends. `first` happens before.
fn interrupted(spec: &str, needle: &str, signal: Signal, first: impl FnOnce(&Bench)) {
    let before = HostState::now();
    let bench = Bench::new(spec);
    let mut child = start_until(&bench, 1, needle);
    first(&bench);
    bench.look_at_namespaces();
    let sent = Instant::now();
    send(&child, signal);
    let status = wait_for("end of the run", LIMIT, || child.try_wait().expect("a child"));
    let took = sent.elapsed();
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(took < LIMIT, "{took:?}");
    let verdict = bench.verdict();
    assert_eq!(verdict["cut_short"], true, "{said}");
    assert!(verdict["harness_failure"].is_null(), "{verdict}");
    assert!(said.contains("interrupted"), "{said}");
    assert!(bench.latest().join("report.html").is_file());
    before.wait_until_back(&bench, Duration::from_secs(10));
}

/// Waits until the history has this, too.
fn until(bench: &Bench, needle: &str) {
    wait_for(needle, Duration::from_secs(60), || {
        bench.history().contains(needle).then_some(())
    });
}

#[test]
fn while_nodes_are_waited_for() {
    // Two members that don't exist: the one that does never has a leader.
    let nodes = "nodes = 1\nready = \"5m\"\nargs = [\"--peer\", \"n8=10.77.0.98:8080\", \"--peer\", \"n9=10.77.0.99:8080\"]";
    interrupted(&spec(nodes, ""), "\"deploy\"", Signal::SIGINT, |bench| {
        wait_for("program of the node", Duration::from_secs(30), || {
            (!bench.processes_of("specimen").is_empty()).then_some(())
        });
    });
}

#[test]
fn while_the_load_warms_up() {
    let text = spec("nodes = 3", "[time]\nwarm-up = \"5m\"");
    interrupted(&text, "\"warm-up\"", Signal::SIGTERM, |_| {});
}

#[test]
fn while_a_fault_is_in_force() {
    let faults = "[time]\nwarm-up = \"100ms\"\nfaults = \"5m\"\n[[faults.at]]\nat = \"10ms\"\nlength = \"4m\"\nkind = \"pause\"\n\
                  targets = \"leader\"";
    interrupted(&spec("nodes = 3", faults), "\"verify\"", Signal::SIGHUP, |_| {});
}

#[test]
fn while_recovery_is_waited_for() {
    let time = "[time]\nwarm-up = \"100ms\"\nfaults = \"2s\"\nrecovery = \"5m\"";
    interrupted(&spec("nodes = 3", time), "\"faults\"", Signal::SIGINT, |bench| {
        stop_nodes(bench);
        until(bench, "\"recovery\"");
    });
}

/// With operations that take minutes, and two of them in all.
const SLOW: &str = "[load.open]\nrate = 0.001\nprocesses = 1\n[client]\ntimeout = \"5m\"\n[time]\nwarm-up = \"1s\"\n\
                    faults = \"2s\"\nrecovery = \"1s\"";

#[test]
fn while_each_key_is_read_a_last_time() {
    interrupted(&spec("nodes = 3", SLOW), "\"faults\"", Signal::SIGTERM, |bench| {
        stop_nodes(bench);
        until(bench, "\"final-reads\"");
    });
}

#[test]
fn while_operations_don_t_end() {
    let busy = SLOW.replace("rate = 0.001", "rate = 50");
    interrupted(&spec("nodes = 3", &busy), "\"faults\"", Signal::SIGINT, |bench| {
        stop_nodes(bench);
        until(bench, "\"recovered\"");
    });
}

#[test]
fn the_second_one_quits_and_says_how_to_heal() {
    let before = HostState::now();
    // What is stopped from outside takes its second to be taken down, which is when the second signal comes.
    let bench = Bench::new(&spec("nodes = 3", "[time]\nwarm-up = \"5m\""));
    let mut child = start_until(&bench, 1, "\"warm-up\"");
    stop_nodes(&bench);
    bench.look_at_namespaces();
    send(&child, Signal::SIGTERM);
    let mut stderr = child.stderr.take().expect("a pipe");
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("again to quit") {
        let mut piece = [0; 256];
        let length = stderr.read(&mut piece).expect("text");
        assert!(
            length > 0,
            "it ended without a word: {}",
            String::from_utf8_lossy(&said)
        );
        said.extend(&piece[..length]);
    }
    send(&child, Signal::SIGTERM);
    let status = wait_for("end", Duration::from_secs(5), || {
        child.try_wait().expect("a child")
    });
    stderr.read_to_end(&mut said).expect("text");
    let said = String::from_utf8_lossy(&said);
    assert_eq!(status.code(), Some(3), "{said}");
    let heal = format!("`duress heal {}`", bench.latest().display());
    assert!(said.contains(&heal), "{said}");
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn an_ignored_hangup_stays_ignored() {
    let bench = Bench::new(&spec(
        "nodes = 1",
        "[time]\nwarm-up = \"2s\"\nfaults = \"1s\"\n[evidence]\nok = 1\nok-of-each = 1",
    ));
    let run = bench.run_command(1);
    let mut words = vec![run.get_program().to_owned()];
    words.extend(run.get_args().map(std::ffi::OsStr::to_owned));
    let mut child = std::process::Command::new("nohup")
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nohup");
    wait_for("warm-up", Duration::from_secs(60), || {
        let runs = bench.spec().with_file_name("runs");
        (runs.join("latest").exists() && bench.history().contains("\"warm-up\"")).then_some(())
    });
    send(&child, Signal::SIGHUP);
    child.wait().expect("an end");
    assert_eq!(bench.verdict()["cut_short"], false);
}

/// Nobody reads standard error, and the pipe is full: the controller is held up as soon as it says something.
#[test]
fn a_controller_that_stands_still_is_noticed_and_goes_on() {
    let bench = Bench::new(&spec(
        "nodes = 1",
        "[time]\nwarm-up = \"100ms\"\nfaults = \"1s\"\n[evidence]\nok = 1\nok-of-each = 1",
    ));
    let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
    let flags = OFlag::from_bits_truncate(fcntl(writer.as_fd(), FcntlArg::F_GETFL).expect("flags"));
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).expect("flags");
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags)).expect("flags");
    let mut child = bench
        .run_command(1)
        .stdout(Stdio::null())
        .stderr(writer)
        .spawn()
        .expect("the binary starts");
    let runs = bench.spec().with_file_name("runs");
    let log = || std::fs::read_to_string(runs.join("latest/duress.log")).unwrap_or_default();
    let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        wait_for("word of the watchdog", Duration::from_secs(40), || {
            log()
                .contains("the controller of this run has stood still for 1")
                .then_some(())
        });
    }));
    // Whatever comes of it, the run must not stay.
    let drain = std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = reader.read_to_end(&mut rest);
    });
    let status = wait_for("end of the run", Duration::from_secs(60), || {
        child.try_wait().expect("a child")
    });
    drain.join().expect("the rest");
    noticed.expect("the watchdog says so");
    assert_eq!(status.code(), Some(0), "{}", log());
    assert!(log().contains("the controller goes on, after"), "{}", log());
}

/// A container of the image of etcd that runs, and where nothing ever answers.
const MUTE: &str = "services:\n  n1:\n    image: duress/etcd:3.5.1\n    entrypoint: [\"sleep\", \"600\"]\n";

/// Runs it until its container is there; the run waits for its readiness from then on.
fn compose_until_made() -> Option<(Bench, Child)> {
    if !compose::engine_or_skip() {
        return None;
    }
    let cluster =
        "[cluster.compose]\nsystem = \"etcd\"\nfile = \"mute.yaml\"\nnodes = [\"n1\"]\nready = \"5m\"\n";
    let bench = Bench::new(&format!("name = \"mute\"\n{cluster}[workload.register]\n"));
    std::fs::write(bench.spec().with_file_name("mute.yaml"), MUTE).expect("a compose file");
    let child = start_until(&bench, 3, "\"deploy\"");
    let run = bench.latest();
    wait_for("container", Duration::from_secs(60), || {
        let made = compose::on_engine(&run);
        made.iter()
            .any(|thing| thing.starts_with("container"))
            .then_some(())
    });
    Some((bench, child))
}

#[test]
fn while_containers_come_up() {
    let before = HostState::now();
    let Some((bench, mut child)) = compose_until_made() else {
        return;
    };
    let run = bench.latest();
    send(&child, Signal::SIGTERM);
    let status = wait_for("end of the run", 2 * LIMIT, || child.try_wait().expect("a child"));
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!(status.code(), Some(2), "{said}");
    assert_eq!(compose::on_engine(&run), Vec::<String>::new(), "{said}");
    assert_eq!(bench.verdict()["cut_short"], true);
    before.wait_until_back(&bench, Duration::from_secs(10));
}

#[test]
fn the_second_one_leaves_containers_and_says_so() {
    let before = HostState::now();
    let Some((bench, mut child)) = compose_until_made() else {
        return;
    };
    let run = bench.latest();
    for _ in 0..2 {
        send(&child, Signal::SIGINT);
        // Two of a kind that come at once are one.
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = wait_for("end", Duration::from_secs(5), || {
        child.try_wait().expect("a child")
    });
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(
        said.contains(&format!("`duress heal {}`", run.display())),
        "{said}"
    );
    let healed = duress(["heal".as_ref(), run.as_os_str()]);
    assert_eq!(
        healed.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&healed.stderr)
    );
    assert_eq!(compose::on_engine(&run), Vec::<String>::new());
    before.wait_until_back(&bench, Duration::from_secs(10));
}
