//! Healing when controller and agent are both dead.

use duress_checker::history::FaultStep;
use duress_cluster::{Controller, Key, Place};
use duress_nemesis::agent::protocol::{Command, Identity, Process};
use duress_nemesis::heal_from_journal;
use duress_nemesis::journal::{Entry, JOURNAL_FILE, Journal};

use super::lab::{Lab, sh, wait_until};
use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn after_the_agent_is_killed_the_journal_heals() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    // A stranger's, however alike: Duress' own had this name before they carried the run's mark.
    lab.at(
        1,
        "iptables -A INPUT -s 10.9.0.78 -j DROP
         iptables -N DURESS-1; iptables -A DURESS-1 -s 10.9.0.79 -j DROP; iptables -A INPUT -j DURESS-1",
    );
    let before = lab.rules(1);
    // Stopped by someone else, before any fault: not ours to wake.
    let sleeper = lab.pids(2)[0];
    sh(&format!("kill -STOP {sleeper}"));
    let run = stage.begin(&[
        (r#"{"kind":"partition","shape":"one","targets":["n1"]}"#, 60_000),
        (r#"{"kind":"pause","targets":["n2"]}"#, 60_000),
    ]);
    stage.event(0, FaultStep::Verify).await;
    stage.event(1, FaultStep::Verify).await;
    sh(&format!("kill -KILL {}", stage.agent_pid()));
    run.await.unwrap().unwrap_err();
    assert!(!lab.hears(2, 1, false), "rules outlive the agent");
    let (cluster, report, dir, key) = stage.heal().await;
    let lab = &cluster.lab;
    assert_eq!(report.failed, [""; 0]);
    assert!(
        report
            .done
            .iter()
            .any(|line| line.starts_with("fault 0 (partition) at n1: removed the rules")),
        "{report:?}"
    );
    assert_eq!(lab.rules(1), before);
    assert!(lab.hears(2, 1, false) && lab.hears(1, 3, true));
    let stopped: Vec<u32> = lab
        .pids(2)
        .into_iter()
        .filter(|pid| lab.state(*pid) == 'T')
        .collect();
    assert_eq!(stopped, [sleeper]);
    assert_eq!(
        heal_from_journal(&dir.path().join(JOURNAL_FILE), &key)
            .unwrap()
            .done,
        [""; 0],
        "it is closed"
    );
}

/// A journal in which everything is right but the key: the boot, a living process, its start time, its namespaces.
#[tokio::test(flavor = "multi_thread")]
async fn a_forged_journal_wakes_nobody() {
    let lab = Lab::new(1);
    let mut sleeper = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = sleeper.id();
    sh(&format!("kill -STOP {pid}"));
    wait_until("the process to stop", || (lab.state(pid) == 'T').then_some(()));
    let place = Place {
        name: "n1".to_owned(),
        pid,
        keeper: false,
        addresses: vec![],
        data: None,
        group: None,
        machine: 0,
    };
    let agent = lab.agent().await;
    let nodes: Vec<Identity> = agent
        .call(Command::Identify { places: vec![place] })
        .await
        .unwrap();
    let node = Identity {
        stopped: vec![],
        ..nodes[0].clone()
    };
    let held = vec![Process {
        pid,
        started: node.started,
        state: 'T',
        entered: false,
        machine: 0,
    }];
    let dead = Controller {
        started: 1,
        ..Controller::this()
    };
    let dir = tempfile::tempdir().unwrap();
    let (ours, strange) = (Key::of_this_process(), Key::of_this_process());
    // By a stranger's key, and with ours: then it is the host's own namespaces that keep it from being touched.
    for (name, key) in [("forged", &strange), ("genuine", &ours)] {
        let path = dir.path().join(name);
        let journal = Journal::create(&path, key, dead.clone()).unwrap();
        journal.begin(agent.hello(), Vec::new()).unwrap();
        journal
            .write(&Entry::Open {
                fault: 1,
                kind: "pause".to_owned(),
                nodes: vec![node.clone()],
            })
            .unwrap();
        journal
            .write(&Entry::Held {
                fault: 1,
                data: serde_json::json!(held),
            })
            .unwrap();
        drop(journal);
        let report = heal_from_journal(&path, &ours).unwrap();
        assert_eq!(report.done, [""; 0]);
        assert_eq!(report.failed.len(), 1, "{report:?}");
        assert_eq!(lab.state(pid), 'T', "{report:?}");
    }
    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
}
