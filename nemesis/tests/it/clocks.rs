//! Wrong clocks, seen by programs of their own that ask the vDSO and the kernel: nothing in here knows how they are made wrong.

use std::time::{Duration, Instant};

use duress_checker::history::{FaultStep, StepResult};

use super::clock_reader::{
    BOOTTIME, HOUR, MONOTONIC, REALTIME, REALTIME_COARSE, Reader, SECOND, assert_pristine,
};
use super::lab::{sh, wait_until};
use super::stage::Stage;

/// Held until the test cancels it.
const LONG_MS: u64 = 60_000;

async fn finish(stage: &Stage, run: tokio::task::JoinHandle<Result<(), duress_nemesis::NemesisError>>) {
    stage.cancel.send_replace(true);
    run.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_hits_all_that_read_the_wall_clock_at_its_nodes_and_nobody_else() {
    let stage = Stage::new(2).await;
    let mut here = Reader::at(&stage.cluster.lab, 1);
    let mut there = Reader::at(&stage.cluster.lab, 2);
    here.assert_off_by(&[], 0);
    for (by, offset) in [("1h", HOUR), ("-30days", -30 * 24 * HOUR), ("-1ms", -1_000_000)] {
        let fault = format!(r#"{{"kind":"clock-jump","by":"{by}","targets":["n1"]}}"#);
        let run = stage.begin(&[(&fault, LONG_MS)]);
        let verified = stage.any_of(0, &[FaultStep::Verify, FaultStep::CleanUp]).await;
        assert_eq!(verified.result, StepResult::Installed, "{:#?}", stage.events(0));
        here.assert_off_by(&[REALTIME, REALTIME_COARSE, 11], offset);
        there.assert_off_by(&[], 0);
        finish(&stage, run).await;
        stage.cancel.send_replace(false);
        stage.assert_proven(0);
        here.assert_off_by(&[], 0);
        stage.forget();
    }
}

async fn verified(
    stage: &Stage,
    fault: &str,
) -> tokio::task::JoinHandle<Result<(), duress_nemesis::NemesisError>> {
    let run = stage.begin(&[(fault, LONG_MS)]);
    let verified = stage.any_of(0, &[FaultStep::Verify, FaultStep::CleanUp]).await;
    assert_eq!(
        (verified.step, verified.result),
        (FaultStep::Verify, StepResult::Installed),
        "{:#?}",
        stage.events(0)
    );
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_hits_the_clocks_that_it_names() {
    let stage = Stage::new(1).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let fault = r#"{"kind":"clock-jump","by":"2h","clocks":["boottime","monotonic"],"targets":["n1"]}"#;
    let run = verified(&stage, fault).await;
    reader.assert_off_by(&[MONOTONIC, 6, BOOTTIME], 2 * HOUR);
    finish(&stage, run).await;
    stage.assert_proven(0);
    reader.assert_off_by(&[], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_clock_stands_still() {
    let stage = Stage::new(1).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let before = reader.clock(REALTIME).after;
    let fault = r#"{"kind":"clock-freeze","clocks":["realtime","monotonic"],"targets":["n1"]}"#;
    let run = verified(&stage, fault).await;
    let first = reader.clock(REALTIME);
    assert!(before < first.shown && first.shown < first.before, "{first:?}");
    let monotonic = reader.clock(MONOTONIC).shown;
    let mut last = first;
    while last.before < first.before + SECOND / 5 {
        last = reader.clock(REALTIME);
        assert_eq!(last.shown, first.shown, "it moved");
        assert_eq!(reader.clock(MONOTONIC).shown, monotonic, "it moved");
        assert!(reader.clock(BOOTTIME).is_off_by(0, 0));
    }
    finish(&stage, run).await;
    stage.assert_proven(0);
    reader.assert_off_by(&[], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drifting_clock_runs_faster_or_slower() {
    let stage = Stage::new(1).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    for ppm in [100_000, -200_000, 1] {
        let fault = format!(r#"{{"kind":"clock-drift","ppm":{ppm},"targets":["n1"]}}"#);
        let run = verified(&stage, &fault).await;
        let first = reader.clock(REALTIME);
        let mut last = first;
        while last.before < first.before + SECOND / 5 {
            let before = last.shown;
            last = reader.clock(REALTIME);
            assert!(last.shown >= before, "it went back");
        }
        // Rounded to nanoseconds at both ends.
        let faster = |elapsed: i64| elapsed + elapsed * ppm / 1_000_000;
        let shown = last.shown - first.shown;
        let (least, most) = (
            faster(last.before - first.after),
            faster(last.after - first.before),
        );
        assert!(
            (least - 2..=most + 2).contains(&shown),
            "{ppm} ppm: {least} {shown} {most}"
        );
        finish(&stage, run).await;
        stage.cancel.send_replace(false);
        stage.assert_proven(0);
        stage.forget();
        reader.assert_off_by(&[], 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strobing_clock_jumps_there_and_back() {
    let stage = Stage::new(1).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let delta = -200_000_000;
    let fault = r#"{"kind":"clock-strobe","delta":"-200ms","period":"20ms","targets":["n1"]}"#;
    let run = verified(&stage, fault).await;
    let first = reader.clock(REALTIME);
    let (mut read, mut jumps, mut there) = (first, 0, false);
    while read.before < first.before + SECOND / 2 {
        read = reader.clock(REALTIME);
        let (back, now) = (read.is_off_by(0, 0), read.is_off_by(delta, 0));
        assert!(back || now, "{read:?}");
        jumps += u32::from(now != there);
        there = now;
    }
    // In half a second, 25 of them.
    assert!((15..=27).contains(&jumps), "{jumps}");
    finish(&stage, run).await;
    stage.assert_proven(0);
    reader.assert_off_by(&[], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_later_shows_the_same_time() {
    let stage = Stage::new(1).await;
    let run = verified(&stage, r#"{"kind":"clock-jump","by":"-1h","targets":["n1"]}"#).await;
    // A shell that another program then takes the place of.
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let began = Instant::now();
    wait_until("the clocks of a new process to be wrong", || {
        reader.clock(REALTIME).is_off_by(-HOUR, 0).then_some(())
    });
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    reader.assert_off_by(&[REALTIME, REALTIME_COARSE, 11], -HOUR);
    finish(&stage, run).await;
    stage.assert_proven(0);
    reader.assert_off_by(&[], 0);
    assert_pristine(&stage.cluster.lab, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_faults_on_one_clock_the_later_is_left_out() {
    let stage = Stage::new(2).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let run = verified(&stage, r#"{"kind":"clock-jump","by":"1h","targets":["n1"]}"#).await;
    let later = [
        (r#"{"kind":"clock-freeze","targets":["n1"]}"#, 1),
        (r#"{"kind":"clock-jump","by":"2h","targets":["n1","n2"]}"#, 1),
    ];
    stage.begin_from(1, &later).await.unwrap().unwrap();
    let skipped = stage.event(1, FaultStep::Prepare).await;
    assert_eq!(skipped.result, StepResult::Skipped);
    assert!(
        skipped.detail.contains("another fault has changed"),
        "{skipped:?}"
    );
    stage.assert_proven(2);
    assert_eq!(stage.events(2)[0].targets, ["n2"]);
    reader.assert_off_by(&[REALTIME, REALTIME_COARSE, 11], HOUR);
    finish(&stage, run).await;
    stage.assert_proven(0);
    reader.assert_off_by(&[], 0);
}

/// The agent is killed, and with it all that it remembers.
#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_of_the_agent_the_journal_sets_clocks_right() {
    let stage = Stage::new(2).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let mut bystander = Reader::at(&stage.cluster.lab, 2);
    let run = stage.begin(&[
        (r#"{"kind":"clock-jump","by":"1h","targets":["n1"]}"#, LONG_MS),
        (r#"{"kind":"clock-freeze","targets":["n2"]}"#, LONG_MS),
    ]);
    for fault in 0..2 {
        let verified = stage
            .any_of(fault, &[FaultStep::Verify, FaultStep::CleanUp])
            .await;
        assert_eq!(
            verified.result,
            StepResult::Installed,
            "{:#?}",
            stage.events(fault)
        );
    }
    sh(&format!("kill -KILL {}", stage.agent_pid()));
    run.await.unwrap().unwrap_err();
    reader.assert_off_by(&[REALTIME, REALTIME_COARSE, 11], HOUR);
    assert!(
        !bystander.clock(REALTIME).is_off_by(0, 0),
        "clocks stay wrong when the agent dies"
    );
    let (cluster, report, ..) = stage.heal().await;
    assert_eq!(report.failed, [""; 0]);
    assert!(
        report
            .done
            .iter()
            .any(|line| line.starts_with("fault 0 (clock-jump) at n1: set the clocks of")),
        "{report:?}"
    );
    reader.assert_off_by(&[], 0);
    bystander.assert_off_by(&[], 0);
    for node in 1..=2 {
        assert_pristine(&cluster.lab, node);
    }
}

/// The controller is gone; its agent lives, and sees its input end.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_input_sets_clocks_right() {
    let stage = Stage::new(1).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let run = verified(&stage, r#"{"kind":"clock-jump","by":"1h","targets":["n1"]}"#).await;
    run.abort();
    let _ = run.await;
    stage.nemesis.close().await.unwrap();
    reader.assert_off_by(&[], 0);
    assert_pristine(&stage.cluster.lab, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_can_be_wrong_while_its_node_is_paused() {
    let stage = Stage::new(1).await;
    let mut reader = Reader::at(&stage.cluster.lab, 1);
    let run = stage.begin(&[(r#"{"kind":"pause","targets":["n1"]}"#, LONG_MS)]);
    stage.event(0, FaultStep::Verify).await;
    let jump = [(r#"{"kind":"clock-jump","by":"1h","targets":["n1"]}"#, LONG_MS)];
    let later = stage.begin_from(1, &jump);
    let seen = stage.any_of(1, &[FaultStep::Verify, FaultStep::CleanUp]).await;
    assert_eq!(seen.result, StepResult::Installed, "{:#?}", stage.events(1));
    assert!(
        stage.cluster.lab.states(1).iter().all(|state| *state == 'T'),
        "tracing woke it"
    );
    finish(&stage, run).await;
    later.await.unwrap().unwrap();
    stage.assert_proven(0);
    stage.assert_proven(1);
    reader.assert_off_by(&[], 0);
}
