//! Packets that are late or lost, measured by echo requests that kernels answer: nothing in here knows how it is done.

use std::process::Command;

use duress_checker::history::{FaultStep, StepResult};

use super::lab::{Lab, sh, wait_until};
use super::stage::Stage;

mod data;
mod records;

/// Held until the test cancels it.
pub const LONG_MS: u64 = 60_000;

const LATE: &str = r#"{"kind":"packets","delay":"100ms","shape":"one","targets":["n1"]}"#;

/// Sends echo requests (ICMP) every 10 ms, and says how many were answered, and after how many milliseconds: least, mean, most. Answers that come within 50 ms of each
/// other are a bunch.
const PING: &str = r#"
import select, socket, struct, sys, time
to, count = sys.argv[1], int(sys.argv[2])
v6 = ":" in to
s = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
s.connect((to, 0))
def request(n):
    head = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0xd0e5, n)
    words = struct.unpack("!4H", head)
    total = sum(words); total = (total >> 16) + (total & 0xffff)
    return head if v6 else head[:2] + struct.pack("!H", ~total & 0xffff) + head[4:]
sent, times, arrived = {}, {}, []
def listen(until):
    while (left := until - time.monotonic()) > 0 and len(times) < count:
        if select.select([s], [], [], left)[0]:
            data = s.recv(2000)
            now = time.monotonic()
            kind, _, _, ident, n = struct.unpack("!BBHHH", data[:8] if v6 else data[20:28])
            if kind == (129 if v6 else 0) and ident == 0xd0e5 and n in sent:
                arrived.append(now)
                times.setdefault(n, (now - sent[n]) * 1000)
for n in range(count):
    sent[n] = time.monotonic()
    s.send(request(n))
    listen(sent[n] + 0.01)
listen(time.monotonic() + 1.5)
all = list(times.values()) or [float("inf")]
bunches = 1 + sum(late - early > 0.05 for early, late in zip(arrived, arrived[1:]))
print(len(times), min(all), sum(all) / len(all), max(all), bunches)
"#;

/// What was heard of so many echo requests.
struct Ping {
    /// Milliseconds there and back; of those that came back.
    least: f64,
    mean: f64,
    most: f64,
    lost: u32,
    bunches: u32,
}

fn ping(lab: &Lab, from: usize, to: &str, count: u32) -> Ping {
    let pid = lab.place(from).pid.to_string();
    let output = Command::new("nsenter")
        .args(["-t", &pid, "-n", "python3", "-c", PING, to, &count.to_string()])
        .output()
        .expect("nsenter and python3");
    let said = String::from_utf8_lossy(&output.stdout);
    let numbers: Vec<f64> = (said.split_ascii_whitespace())
        .filter_map(|number| number.parse().ok())
        .collect();
    let [heard, least, mean, most, bunches] = numbers[..] else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    let lost = count - heard as u32;
    Ping {
        least,
        mean,
        most,
        lost,
        bunches: bunches as u32,
    }
}

/// All tables of a node, without counters and comments; those without a rule and with the policy ACCEPT are as good as none.
pub fn tables(lab: &Lab, node: usize) -> String {
    let saved = lab.at(node, "iptables-save; ip6tables-save");
    let rule = |line: &&str| line.starts_with('-') || (line.starts_with(':') && !line.contains(" ACCEPT "));
    saved
        .lines()
        .filter(rule)
        .map(|line| format!("{line}\n"))
        .collect()
}

pub async fn verified(stage: &Stage, fault: u64) {
    let event = stage
        .any_of(fault, &[FaultStep::Verify, FaultStep::CleanUp])
        .await;
    assert_eq!(
        (event.step, event.result),
        (FaultStep::Verify, StepResult::Installed),
        "{:#?}",
        stage.events(fault)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_late_on_the_links_of_the_target_and_on_no_other() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    lab.at(1, "iptables -t mangle -A INPUT -s 10.9.0.77 -j MARK --set-mark 7; iptables -A INPUT -s 10.9.0.78 -j DROP");
    let before: Vec<String> = (1..=3).map(|node| tables(lab, node)).collect();
    let run = stage.begin(&[(LATE, LONG_MS)]);
    verified(&stage, 0).await;
    for to in ["10.9.0.2", "fd09::2"] {
        let seen = ping(lab, 1, to, 20);
        assert_eq!(seen.lost, 0, "{to}");
        assert!((200.0..230.0).contains(&seen.least), "{to}: {}", seen.least);
        assert!((200.0..260.0).contains(&seen.mean), "{to}: {}", seen.mean);
        assert!(
            ping(lab, 3, to, 20).least < 50.0,
            "{to}: links of others are late"
        );
    }
    for line in before[0].lines() {
        assert!(tables(lab, 1).contains(line), "{line} is gone");
    }
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    let after: Vec<String> = (1..=3).map(|node| tables(lab, node)).collect();
    assert_eq!(after, before);
    assert!(ping(lab, 1, "10.9.0.2", 20).least < 50.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_are_lost_one_way_in_bursts_or_each_by_itself() {
    let in_two_states = r#","burst":8,"burst-loss":0.7,"loss-between":0.05"#;
    for burst in ["", r#","burst":4"#, in_two_states] {
        let stage = Stage::new(2).await;
        let lab = &stage.cluster.lab;
        let fault = format!(r#"{{"kind":"packets","loss":0.2{burst},"shape":"one-way","targets":["n1"]}}"#);
        let run = stage.begin(&[(&fault, LONG_MS)]);
        verified(&stage, 0).await;
        // A fifth of 300: 60; in bursts with a standard deviation of 17.
        let seen = ping(lab, 1, "10.9.0.2", 300);
        assert!(
            (5..=130).contains(&seen.lost),
            "{burst}: {} of 300 lost",
            seen.lost
        );
        assert!(seen.least < 50.0);
        stage.cancel.send_replace(true);
        run.await.unwrap().unwrap();
        stage.assert_proven(0);
        assert_eq!(ping(lab, 1, "10.9.0.2", 100).lost, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_on_one_link_add_up_and_healing_one_leaves_the_other() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let later =
        r#"{"kind":"packets","delay":"60ms","jitter":"30ms","distribution":"normal","targets":["n1"]}"#;
    let short = stage.begin_from(0, &[(LATE, 6_000)]);
    verified(&stage, 0).await;
    let long = stage.begin_from(1, &[(later, LONG_MS)]);
    verified(&stage, 1).await;
    let seen = ping(lab, 1, "10.9.0.2", 60);
    assert!((300.0..370.0).contains(&seen.mean), "{}", seen.mean);
    assert!(seen.most - seen.least > 40.0, "{} to {}", seen.least, seen.most);
    short.await.unwrap().unwrap();
    let seen = ping(lab, 1, "10.9.0.2", 60);
    assert!((100.0..170.0).contains(&seen.mean), "{}", seen.mean);
    stage.cancel.send_replace(true);
    long.await.unwrap().unwrap();
    for fault in [0, 1] {
        assert_eq!(stage.bit(fault), Ok(()), "{:#?}", stage.events(fault));
    }
    assert_eq!(tables(lab, 1), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_agent_cuts_nobody_off_and_its_rules_are_healed_from_the_journal() {
    let stage = Stage::new(2).await;
    let run = stage.begin(&[(LATE, LONG_MS)]);
    verified(&stage, 0).await;
    sh(&format!("kill -KILL {}", stage.agent_pid()));
    let lab = &stage.cluster.lab;
    wait_until("packets to pass", || {
        (ping(lab, 1, "10.9.0.2", 5).least < 50.0).then_some(())
    });
    assert!(tables(lab, 1).contains("DURESS"), "somebody healed");
    run.abort();
    let _ = run.await;
    let (cluster, report, _dir, _key) = stage.heal().await;
    assert!(report.failed.is_empty(), "{report:?}");
    for node in [1, 2] {
        assert_eq!(tables(&cluster.lab, node), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_controller_heals() {
    let stage = Stage::new(2).await;
    let run = stage.begin(&[(LATE, LONG_MS)]);
    verified(&stage, 0).await;
    let agent = stage.agent_pid();
    run.abort();
    let _ = run.await;
    let Stage { cluster, nemesis, .. } = stage;
    drop(nemesis);
    wait_until("the agent to end", || {
        matches!(cluster.lab.state(agent as u32), 'X' | 'Z').then_some(())
    });
    assert_eq!(tables(&cluster.lab, 1) + &tables(&cluster.lab, 2), "");
    assert!(ping(&cluster.lab, 1, "10.9.0.2", 5).least < 50.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jam_holds_packets_and_delivers_them_at_once() {
    let stage = Stage::new(2).await;
    let lab = &stage.cluster.lab;
    let jam = r#"{"kind":"packets","jam":"300ms","shape":"one-way","targets":["n1"]}"#;
    let run = stage.begin(&[(jam, LONG_MS)]);
    verified(&stage, 0).await;
    // 900 ms are three jams or parts of four.
    let seen = ping(lab, 1, "10.9.0.2", 90);
    assert_eq!(seen.lost, 0);
    assert!((3..=5).contains(&seen.bunches), "{}", seen.bunches);
    assert!((250.0..360.0).contains(&seen.most), "{}", seen.most);
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    stage.assert_proven(0);
    assert_eq!(tables(lab, 1) + &tables(lab, 2), "");
}
