//! Healing when controller and agent are both dead.

use duress_checker::history::FaultStep;
use duress_nemesis::heal_from_journal;

use super::lab::sh;
use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn after_the_agent_is_killed_the_journal_heals() {
    let stage = Stage::new(3).await;
    let lab = &stage.cluster.lab;
    lab.at(1, "iptables -A INPUT -s 10.9.0.78 -j DROP");
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
    let report = heal_from_journal(&stage.journal()).unwrap();
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
        heal_from_journal(&stage.journal()).unwrap().done,
        [""; 0],
        "it is closed"
    );
}
