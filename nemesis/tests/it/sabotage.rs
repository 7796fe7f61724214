//! Faults that don't bite are never proven to: the injection is made a no-op, undone half-way, or aimed at nodes that can't
//! be hurt.
//!
//! Each is tried [`rounds`] times. `scripts/sabotage` tries each a hundred times, and prints how often it was not proven. Every kind has
//! its row in [`super::sabotage_rows`].

use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;

use duress_checker::history::FaultStep;
use duress_nemesis::agent::protocol::{Mark, Process};
use duress_nemesis::kinds::pause::Held;
use duress_nemesis::{AgentClient, AgentEnd};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::lab::{Lab, sh, wait_until};
use super::stage::Stage;

/// Held until the test cancels it.
const LONG_MS: u64 = 60_000;
/// As long as a restart waits for what it asked to end.
const SHORT_MS: u64 = 100;

const PARTITION: &str = r#"{"kind":"partition","shape":"one","targets":["n1"]}"#;
const CLIENTS: &str = r#"{"kind":"partition","shape":"clients","targets":["n1"]}"#;
const PAUSE: &str = r#"{"kind":"pause","targets":["n1"]}"#;
const KILL: &str = r#"{"kind":"kill","targets":["n1"]}"#;
const RESTART: &str = r#"{"kind":"restart","targets":["n1"]}"#;

pub fn rounds() -> u64 {
    std::env::var("DURESS_SABOTAGE").map_or(3, |rounds| rounds.parse().expect("a number of rounds"))
}

/// Answers a command in the agent's stead, which then never hears of it.
pub type AnswerInstead = fn(&Value) -> Option<Value>;

/// An agent that some commands never reach.
pub async fn sabotaged(argv: &[String], mark: &Mark, answer_instead: AnswerInstead) -> AgentClient {
    let mut agent = tokio::process::Command::new(&argv[0])
        .args(&argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("an agent");
    let (mut to_agent, from_agent) = (agent.stdin.take().unwrap(), agent.stdout.take().unwrap());
    let (input, asked) = tokio::io::duplex(1 << 20);
    let (answers, output) = tokio::io::duplex(1 << 20);
    let answers = Arc::new(tokio::sync::Mutex::new(answers));
    let to_us = Arc::clone(&answers);
    tokio::spawn(async move {
        let mut asked = BufReader::new(asked).lines();
        while let Ok(Some(line)) = asked.next_line().await {
            let request: Value = serde_json::from_str(&line).expect("a request");
            if let Some(answer) = answer_instead(&request) {
                let line = format!("{}\n", json!({"id": request["id"], "ok": answer}));
                to_us.lock().await.write_all(line.as_bytes()).await.unwrap();
            } else if to_agent.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        let mut lines = BufReader::new(from_agent).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = answers
                .lock()
                .await
                .write_all(format!("{line}\n").as_bytes())
                .await;
        }
    });
    let ended = async move {
        let status = agent.wait().await.expect("an end");
        AgentEnd::seen(status.to_string(), status.success())
    };
    AgentClient::greet(input, output, ended, mark)
        .await
        .expect("an agent that answers")
}

/// How often a fault that was sabotaged was proven all the same.
pub struct Tally {
    row: Value,
    rounds: u64,
    proven: u64,
}

impl Tally {
    pub fn new(fault: &str, said: &str) -> Tally {
        let fault: Value = serde_json::from_str(fault).expect("a fault");
        let row = json!({"kind": fault["kind"], "fault": fault, "said": said});
        Tally {
            row,
            rounds: 0,
            proven: 0,
        }
    }

    pub fn add(&mut self, bit: Result<(), String>, said: &str, round: u64) {
        self.rounds += 1;
        match bit {
            Ok(()) => self.proven += 1,
            Err(why) => assert!(why.contains(said), "{}, round {round}: {why}", self.row),
        }
    }

    /// Writes a line for `scripts/sabotage`, where it asks for one.
    pub fn end(mut self) {
        (self.row["rounds"], self.row["proven"]) = (json!(self.rounds), json!(self.proven));
        if let Some(table) = std::env::var_os("DURESS_SABOTAGE_TABLE") {
            let file = std::fs::File::options().append(true).create(true).open(table);
            file.and_then(|mut file| file.write_all(format!("{}\n", self.row).as_bytes()))
                .expect("the table");
        }
        assert!(self.rounds > 0 && self.proven == 0, "{}", self.row);
    }
}

/// Runs a fault again and again, with `sabotage` between its verification and its end, and expects that it is never proven.
pub async fn never_proven(stage: &Stage, fault: &str, sabotage: impl Fn(&Lab), said: &str) {
    never_proven_after(stage, fault, nothing, sabotage, said).await;
}

/// The same with `prepare` before each round, whose outcome is held until it is over.
pub async fn never_proven_after<T>(
    stage: &Stage,
    fault: &str,
    prepare: impl Fn(&Lab) -> T,
    sabotage: impl Fn(&Lab),
    said: &str,
) {
    let mut tally = Tally::new(fault, said);
    for round in 0..rounds() {
        let prepared = prepare(&stage.cluster.lab);
        let run = stage.begin(&[(fault, LONG_MS)]);
        stage.any_of(0, &[FaultStep::Verify, FaultStep::CleanUp]).await;
        sabotage(&stage.cluster.lab);
        stage.cancel.send_replace(true);
        run.await.unwrap().unwrap();
        stage.cancel.send_replace(false);
        tally.add(stage.bit(0), said, round);
        stage.forget();
        drop(prepared);
    }
    tally.end();
}

/// The same for faults that end by themselves, or can't even begin.
pub async fn never_bites(stage: &Stage, fault: &str, said: &str) {
    let mut tally = Tally::new(fault, said);
    for round in 0..rounds() {
        stage.begin(&[(fault, SHORT_MS)]).await.unwrap().unwrap();
        tally.add(stage.bit(0), said, round);
        stage.forget();
    }
    tally.end();
}

pub fn nothing(_: &Lab) {}

/// Signals every process of these nodes until none is left that `done` does not like the state of: they fork all the time.
fn signal_all(lab: &Lab, nodes: std::ops::RangeInclusive<usize>, signal: &str, done: fn(char) -> bool) {
    for node in nodes {
        wait_until("a signal to be felt by all", || {
            let pids = lab.pids(node);
            let left: Vec<String> = (pids.iter())
                .filter(|pid| !done(lab.state(**pid)))
                .map(u32::to_string)
                .collect();
            if left.is_empty() {
                return Some(());
            }
            // One that has ended since is no error.
            sh(&format!("kill -{signal} {} || true", left.join(" ")));
            None
        });
    }
}

pub fn stop_all(lab: &Lab, nodes: std::ops::RangeInclusive<usize>) {
    signal_all(lab, nodes, "STOP", |state| state == 'T');
}

fn wake_all(lab: &Lab, nodes: std::ops::RangeInclusive<usize>) {
    signal_all(lab, nodes, "CONT", |state| state != 'T');
}

pub fn end_all(lab: &Lab, nodes: std::ops::RangeInclusive<usize>) {
    signal_all(lab, nodes, "KILL", |state| matches!(state, 'X' | 'Z'));
}

pub fn is_injection(request: &Value, kind: &str) -> bool {
    request["do"] == "inject" && request["kind"] == kind
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_partition_that_cuts_nothing() {
    let swallow = |request: &Value| is_injection(request, "partition").then(|| json!({"micros": 1}));
    let stage = Stage::with_saboteur(3, swallow).await;
    never_proven(&stage, PARTITION, nothing, "were heard").await;
    never_proven(&stage, CLIENTS, nothing, "were heard").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_partition_that_is_undone() {
    let stage = Stage::new(3).await;
    let flush = |lab: &Lab| {
        for node in 1..=3 {
            lab.at(node, "iptables -F; ip6tables -F");
        }
    };
    never_proven(&stage, PARTITION, flush, "is gone").await;
    // One rule of many, in one family, at one node.
    let chain_first = |lab: &Lab| {
        lab.at(
            2,
            "iptables -D $(iptables -S | sed -n \"s/^-A \\(.* -s .*\\)/\\1/p\" | head -1)",
        );
    };
    never_proven(
        &stage,
        PARTITION,
        chain_first,
        "the rule that drops packets of 10.9.0.1 is gone",
    )
    .await;
    let passed_by = |lab: &Lab| {
        lab.at(1, "iptables -I INPUT -s 10.9.0.2 -j ACCEPT");
    };
    never_proven(&stage, PARTITION, passed_by, "stand before the jump").await;
    assert!((1..=3).all(|node| !stage.cluster.lab.rules(node).contains("DURESS")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_is_undone_and_put_back() {
    let stage = Stage::new(3).await;
    let flush_and_restore = |lab: &Lab| {
        for node in 1..=3 {
            lab.at(
                node,
                "iptables-save > /tmp/$$; iptables -F; iptables-restore < /tmp/$$; rm /tmp/$$",
            );
        }
    };
    let mut tally = Tally::new(PARTITION, "went back from");
    for round in 0..rounds() {
        let run = stage.begin(&[(PARTITION, LONG_MS)]);
        stage.event(0, FaultStep::Verify).await;
        // After a look that has seen the counters.
        tokio::time::sleep(std::time::Duration::from_millis(1200)).await;
        flush_and_restore(&stage.cluster.lab);
        stage.cancel.send_replace(true);
        run.await.unwrap().unwrap();
        stage.cancel.send_replace(false);
        tally.add(stage.bit(0), "went back from", round);
        stage.forget();
    }
    tally.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_nodes_that_stand_still() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    stop_all(lab, 1..=3);
    never_proven(&stage, PARTITION, nothing, "nobody was hurt").await;
    // From the node that is cut off nobody hears anything either way.
    wake_all(lab, 1..=3);
    stop_all(lab, 1..=1);
    never_proven(&stage, PARTITION, nothing, "nobody was hurt").await;
    never_proven(&stage, CLIENTS, nothing, "nobody was hurt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_nodes_that_are_dead() {
    let stage = Stage::new(3).await;
    end_all(&stage.cluster.lab, 1..=3);
    never_proven(&stage, PARTITION, nothing, "nobody was hurt").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_of_nodes_that_say_nothing_to_each_other() {
    let stage = Stage::silent(3).await;
    never_proven(&stage, PARTITION, nothing, "not one packet of the system").await;
    never_proven(&stage, CLIENTS, nothing, "not one packet of the system").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_pause_that_stops_nothing() {
    let swallow = |request: &Value| {
        let held = Held {
            node: "n1".to_owned(),
            processes: vec![Process {
                pid: 1,
                started: 1,
                state: 'T',
                entered: false,
                machine: 0,
            }],
            newly: 1,
        };
        is_injection(request, "pause").then(|| json!([held]))
    };
    let stage = Stage::with_saboteur(1, swallow).await;
    never_proven(&stage, PAUSE, nothing, "processes run").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_pause_that_is_undone() {
    let stage = Stage::new(1).await;
    let wake = |lab: &Lab| {
        let pids: Vec<String> = lab.pids(1).iter().map(u32::to_string).collect();
        sh(&format!("kill -CONT {}", pids.join(" ")));
    };
    never_proven(&stage, PAUSE, wake, "processes run").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_a_node_that_stands_still() {
    let stage = Stage::new(1).await;
    stop_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, PAUSE, "stopped already").await;
    end_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, PAUSE, "no process runs there").await;
}

/// By a look in between, long before the pause is to end.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_is_noticed_while_it_lasts() {
    let stage = Stage::new(1).await;
    let run = stage.begin(&[(PAUSE, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    let pids: Vec<String> = stage.cluster.lab.pids(1).iter().map(u32::to_string).collect();
    sh(&format!("kill -CONT {}", pids.join(" ")));
    let seen = stage.event(0, FaultStep::Recheck).await;
    assert!(seen.detail.contains("processes run"), "{seen:?}");
    // Stopped again, which proves nothing of the time before.
    sh(&format!("kill -STOP {}", pids.join(" ")));
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
    assert!(stage.bit(0).is_err());
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_kill_that_ends_nothing() {
    let swallow = |request: &Value| {
        let survivor = json!([{"node": "n1", "processes": [{"pid": 1, "started": 0, "state": 'S'}]}]);
        match request["do"].as_str() {
            Some("signal") => Some(survivor),
            // The processes that it claims to have ended live.
            Some("alive") => Some(survivor[0]["processes"].clone()),
            _ => None,
        }
    };
    let stage = Stage::with_saboteur(1, swallow).await;
    never_proven(&stage, KILL, nothing, "1 processes live").await;
    never_bites(&stage, RESTART, "1 processes live").await;
    // One that says that it ended nothing.
    let stage = Stage::with_saboteur(1, |request| (request["do"] == "signal").then(|| json!([]))).await;
    never_proven(&stage, KILL, nothing, "no process was there").await;
    never_bites(&stage, RESTART, "no process was there").await;
}

/// All but one of its processes end.
#[tokio::test(flavor = "multi_thread")]
pub async fn a_restart_that_somebody_survives() {
    let survivor =
        |request: &Value| (request["do"] == "alive").then(|| json!([{"pid": 1, "started": 0, "state": 'S'}]));
    let stage = Stage::with_saboteur(1, survivor).await;
    never_bites(&stage, RESTART, "1 processes live").await;
}

#[tokio::test(flavor = "multi_thread")]
pub async fn a_kill_that_is_undone() {
    let stage = Stage::new(1).await;
    let cluster = Arc::clone(&stage.cluster);
    let start = move |_: &Lab| cluster.run("n1");
    never_proven(&stage, KILL, start, "its program runs again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_of_a_node_that_is_dead() {
    let stage = Stage::new(1).await;
    end_all(&stage.cluster.lab, 1..=1);
    never_bites(&stage, KILL, "no process runs there").await;
    never_bites(&stage, RESTART, "no process runs there").await;
}
