//! Whole faults: six steps, proven by looking at the nodes with other eyes than the nemesis'.

use std::collections::BTreeSet;
use std::time::Duration;

use duress_checker::history::{FaultStep, StepResult};
use duress_nemesis::bound::Limits;

use super::lab::Lab;
use super::stage::Stage;

/// Held until the test cancels it.
const LONG_MS: u64 = 60_000;

async fn finish(stage: &Stage, run: tokio::task::JoinHandle<Result<(), duress_nemesis::NemesisError>>) {
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leader_alone() {
    let stage = Stage::new(3).await;
    let run = stage.begin(&[(r#"{"kind":"partition","shape":"leader"}"#, LONG_MS)]);
    let verified = stage.event(0, FaultStep::Verify).await;
    assert_eq!(verified.targets, ["n2"]);
    let lab = &stage.cluster.lab;
    for (from, to, heard) in [
        (1, 2, false),
        (2, 1, false),
        (2, 3, false),
        (1, 3, true),
        (3, 1, true),
    ] {
        assert_eq!(lab.hears(from, to, false), heard, "n{from} to n{to}");
    }
    finish(&stage, run).await;
    stage.assert_proven(0);
    assert!(lab.hears(1, 2, false) && lab.hears(2, 3, true));
    assert!((1..=3).all(|node| !lab.rules(node).contains("DURESS")));
    let healed = stage.event(0, FaultStep::Heal).await;
    assert!(
        healed.evidence["dropped"][0]["packets"].as_u64().unwrap() > 0,
        "{healed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_bites_as_planned() {
    let stage = Stage::new(5).await;
    let shapes = [
        "one",
        "halves",
        "majority-minority",
        "majorities-ring",
        "bridge",
        "one-way",
        "clients",
    ];
    for shape in shapes {
        let run = stage.begin(&[(&format!(r#"{{"kind":"partition","shape":"{shape}"}}"#), 1)]);
        run.await.unwrap().unwrap();
        stage.assert_proven(0);
        let planned: BTreeSet<String> =
            serde_json::from_value(stage.events(0)[0].evidence["links"].clone()).unwrap();
        let silent: BTreeSet<String> =
            serde_json::from_value(stage.events(0)[2].evidence["silent"].clone()).unwrap();
        let silent: BTreeSet<String> = silent
            .iter()
            .map(|link| link.split_once('/').unwrap().0.to_owned())
            .collect();
        assert_eq!(silent, planned, "{shape}");
        stage.forget();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latency_of_a_cluster_hurts_nobody() {
    let stage = Stage::new(3).await;
    let latency = stage.nemesis.set_latency(Duration::from_millis(5)).await;
    latency.unwrap();
    let limits = Limits {
        hurt_max: Some(1),
        damage_max: None,
    };
    let two = r#"{"kind":"pause","targets":["n2","n3"]}"#;
    let held = stage.begin_within(limits, 0, &[(two, LONG_MS)]);
    assert_eq!(stage.event(0, FaultStep::Verify).await.targets.len(), 1);
    finish(&stage, held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_nodes_are_hurt_at_a_time_than_may_be() {
    let stage = Stage::new(3).await;
    let limits = Limits {
        hurt_max: Some(1),
        damage_max: None,
    };
    let kill = |node: &str| format!(r#"{{"kind":"kill","targets":["{node}"]}}"#);
    let cut = |node: &str| format!(r#"{{"kind":"partition","shape":"one","targets":["{node}"]}}"#);
    // One that is healed counts no more.
    let healed = stage.begin_within(limits, 0, &[(&kill("n1"), 1)]);
    healed.await.unwrap().unwrap();
    let two = r#"{"kind":"pause","targets":["n2","n3"]}"#;
    let held = stage.begin_within(limits, 1, &[(two, LONG_MS)]);
    let paused = stage.event(1, FaultStep::Verify).await.targets;
    assert_eq!(paused.len(), 1);
    let prepared = stage.event(1, FaultStep::Prepare).await.detail;
    assert!(prepared.contains("spared by hurt-max = 1"), "{prepared}");
    // Nobody else is hurt: not by a kill, and not by a partition, which can't be about fewer. The same node again may be.
    let other = if paused[0] == "n2" { "n3" } else { "n2" };
    let more = [kill("n1"), cut(other), cut(&paused[0])];
    let more: Vec<(&str, u64)> = more.iter().map(|fault| (fault.as_str(), 1)).collect();
    stage.begin_within(limits, 2, &more).await.unwrap().unwrap();
    for id in [2, 3] {
        let [only] = &stage.events(id)[..] else {
            panic!("{:?}", stage.events(id))
        };
        assert_eq!(
            (only.step, only.result),
            (FaultStep::Prepare, StepResult::Skipped)
        );
        assert!(only.optional, "the run does without it");
        assert!(
            only.detail.starts_with("spared by hurt-max = 1"),
            "{}",
            only.detail
        );
    }
    assert_eq!(
        stage.event(4, FaultStep::Prepare).await.result,
        StepResult::Installed
    );
    finish(&stage, held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_all_that_runs_and_nothing_else() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    let run = stage.begin(&[(r#"{"kind":"pause","targets":["n1","n3"]}"#, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    for (node, stopped) in [(1, true), (2, false), (3, true)] {
        let states = lab.states(node);
        assert_eq!(
            states.iter().all(|state| *state == 'T'),
            stopped,
            "n{node}: {states:?}"
        );
        assert_eq!(lab.keeper_state(node), 'S', "keepers are spared");
    }
    finish(&stage, run).await;
    stage.assert_proven(0);
    assert!((1..=3).all(|node| !lab.states(node).contains(&'T')));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_ends_all_and_starts_again() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    let before = lab.pids(2);
    let run = stage.begin(&[(r#"{"kind":"kill","targets":"leader"}"#, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    assert_eq!(lab.pids(2), [0; 0]);
    assert!(!lab.pids(1).is_empty() && !lab.pids(3).is_empty());
    finish(&stage, run).await;
    stage.assert_proven(0);
    assert!(lab.pids(2).len() >= 2 && lab.pids(2).iter().all(|pid| !before.contains(pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_over_at_once() {
    let stage = Stage::new(1).await;
    let before = stage.cluster.lab.pids(1);
    stage
        .begin(&[(r#"{"kind":"restart","targets":"one"}"#, 5000)])
        .await
        .unwrap()
        .unwrap();
    stage.assert_proven(0);
    let after = stage.cluster.lab.pids(1);
    assert!(!after.is_empty() && after.iter().all(|pid| !before.contains(pid)));
    assert!(
        stage.events(0)[1].detail.contains("on SIGTERM"),
        "{:?}",
        stage.events(0)[1]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_overlap_and_heal_on_their_own() {
    let stage = Stage::new(4).await;
    let run = stage.begin(&[
        (r#"{"kind":"partition","shape":"one","targets":["n1"]}"#, LONG_MS),
        (r#"{"kind":"pause","targets":["n3"]}"#, LONG_MS),
    ]);
    for id in 0..2 {
        stage.event(id, FaultStep::Verify).await;
    }
    // Each shares part of what it does with one that is in force already.
    let short = stage.begin_from(
        2,
        &[
            (r#"{"kind":"partition","shape":"one","targets":["n2"]}"#, 1),
            (r#"{"kind":"pause","targets":["n3","n4"]}"#, 1),
        ],
    );
    short.await.unwrap().unwrap();
    stage.assert_proven(2);
    stage.assert_proven(3);
    assert_eq!(
        stage.events(3)[0].targets,
        ["n4"],
        "n3 can't be hurt by another pause"
    );
    let lab = &stage.cluster.lab;
    assert!(!lab.hears(1, 2, false) && !lab.hears(3, 1, true) && lab.hears(2, 4, false));
    assert!(lab.states(3).iter().all(|state| *state == 'T') && !lab.states(4).contains(&'T'));
    finish(&stage, run).await;
    stage.assert_proven(0);
    stage.assert_proven(1);
    assert!(lab.hears(1, 2, false) && !lab.states(3).contains(&'T'));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_skipped_and_says_why() {
    let stage = Stage::new(2).await;
    stage.roles.send_replace(duress_cluster::Roles::default());
    let run = stage.begin(&[
        (r#"{"kind":"pause","targets":"leader"}"#, 1),
        (r#"{"kind":"kill","targets":["n1"]}"#, LONG_MS),
    ]);
    assert!(
        stage
            .event(0, FaultStep::Prepare)
            .await
            .detail
            .contains("no leader")
    );
    assert_eq!(
        (stage.events(0).len(), stage.events(0)[0].result),
        (1, StepResult::Skipped)
    );
    stage.event(1, FaultStep::Verify).await;
    stage.forget();
    stage
        .begin(&[(r#"{"kind":"kill","targets":["n1"]}"#, 1)])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stage.events(0).len(), 1);
    assert_eq!(stage.events(0)[0].result, StepResult::Skipped);
    assert!(
        stage.events(0)[0].detail.contains("no process runs there"),
        "{:?}",
        stage.events(0)
    );
    finish(&stage, run).await;
    stage.forget();
    stage
        .begin(&[(r#"{"kind":"pause","targets":"one"}"#, 1)])
        .await
        .unwrap()
        .unwrap();
    assert!(
        stage.events(0)[0].detail.contains("the run ended"),
        "cancelled before it was due"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_iptables_a_partition_is_never_installed() {
    let broken = |lab: &Lab| {
        let mut argv = vec!["env".to_owned(), "PATH=/nonexistent".to_owned()];
        // By its full path, as the shortened PATH is already in force when it is looked for.
        argv.push("/usr/bin/nsenter".to_owned());
        argv.extend(lab.agent_argv().into_iter().skip(1));
        argv
    };
    let stage = Stage::with_agent(3, broken).await;
    stage
        .begin(&[(r#"{"kind":"partition","shape":"halves"}"#, 1)])
        .await
        .unwrap()
        .unwrap();
    let events = stage.events(0);
    let [prepare] = events.as_slice() else {
        panic!("a partition that can't be is skipped, and nothing else: {events:#?}");
    };
    assert_eq!(
        (prepare.step, prepare.result),
        (FaultStep::Prepare, StepResult::Skipped)
    );
    assert!(
        prepare.detail.contains("install the Debian package iptables"),
        "{}",
        prepare.detail
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_agent_is_a_failure_of_the_harness() {
    let stage = Stage::new(2).await;
    let run = stage.begin(&[(r#"{"kind":"partition","shape":"one"}"#, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    super::lab::sh(&format!("kill -KILL {}", stage.agent_pid()));
    let error = tokio::time::timeout(Duration::from_secs(5), run)
        .await
        .unwrap()
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("duress heal"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heal_all_heals_all() {
    let stage = Stage::new(2).await;
    let run = stage.begin(&[
        (r#"{"kind":"kill","targets":["n1"]}"#, LONG_MS),
        (r#"{"kind":"pause","targets":["n2"]}"#, LONG_MS),
        (r#"{"kind":"partition","shape":"one"}"#, LONG_MS),
    ]);
    for id in 0..3 {
        stage.event(id, FaultStep::Verify).await;
    }
    run.abort();
    let _ = run.await;
    let done = stage.nemesis.heal_all().await.unwrap();
    // The pause at one node, the rules at both, and the program that was killed.
    let begin = |sentence: &String| sentence.split(": ").next().map(str::to_owned);
    let begins: Vec<String> = done.iter().filter_map(begin).collect();
    let expected = [
        "fault 1 (pause) at n2",
        "fault 2 (partition) at n1",
        "fault 2 (partition) at n2",
        "started n1",
    ];
    assert_eq!(begins, expected, "{done:?}");
    let lab = &stage.cluster.lab;
    assert!(lab.hears(1, 2, false) && !lab.states(2).contains(&'T') && !lab.pids(1).is_empty());
    assert_eq!(stage.nemesis.heal_all().await.unwrap(), [""; 0]);
    let (_, open, ..) = stage.heal().await;
    assert_eq!(open.done, [""; 0], "the journal is closed");
}
