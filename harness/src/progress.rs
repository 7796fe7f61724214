//! What a person sees while a run goes on.
//!
//! On a terminal one line, rewritten every [`LIVE_INTERVAL`]; elsewhere a line every [`QUIET_INTERVAL`]:
//!
//! ```text
//!   12.0 s  faults      398 ops/s  ok 4,512  fail 201  info 3  | partition leader (n2)
//! ```
//!
//! `duress.log` keeps all that was said, whether or not anybody watched, each line with the seconds since the run began.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use duress_checker::history::{FaultEvent, FaultStep, StepResult};

use crate::output;
use crate::recorder::{Recorder, Tally};

/// Between two looks on a terminal.
const LIVE_INTERVAL: Duration = Duration::from_millis(500);

/// Between two lines where the output is not a terminal.
const QUIET_INTERVAL: Duration = Duration::from_secs(10);

/// Shows how a run goes, on standard error and in `duress.log`.
#[derive(Debug)]
pub struct Progress {
    recorder: Arc<Recorder>,
    log: File,
    state: Mutex<State>,
    live: bool,
    quiet: bool,
}

#[derive(Debug)]
struct State {
    phase: String,
    faults: BTreeMap<u64, String>,
    shown: Option<(Instant, Tally)>,
}

impl Progress {
    /// Shows the run that `recorder` records. On standard error nothing at all when `quiet`; `log` gets it either way.
    pub fn new(recorder: Arc<Recorder>, log: File, quiet: bool) -> Arc<Self> {
        let live = std::io::stderr().is_terminal();
        let state = State {
            phase: String::new(),
            faults: BTreeMap::new(),
            shown: None,
        };
        Arc::new(Progress {
            recorder,
            log,
            state: Mutex::new(state),
            live,
            quiet,
        })
    }

    /// A sentence that stays.
    pub fn say(&self, sentence: &str) {
        self.log(sentence);
        if !self.quiet {
            self.show_line(&format!("{sentence}\n"));
        }
    }

    /// Something is wrong with Duress itself: said although `quiet`, and without waiting for a terminal or a disk that may
    /// be what is wrong.
    pub fn alarm(self: &Arc<Self>, sentence: &str) {
        let (progress, logged) = (self.clone(), sentence.to_owned());
        output::briefly(move || progress.log(&logged));
        let (progress, shown) = (self.clone(), format!("duress: {sentence}\n"));
        output::briefly(move || progress.show_line(&shown));
    }

    fn show_line(&self, line: &str) {
        match self.live {
            true => output::err_over_line(line),
            false => output::err(line),
        }
    }

    fn log(&self, sentence: &str) {
        let time = self.recorder.start().elapsed().as_secs_f64();
        // Lines that go on are set in, so that nobody's text looks like a line of Duress' own.
        let sentence = output::escape(sentence).replace('\n', "\n          ");
        // A disk that takes no log takes no history either, and that ends the run.
        let _ = (&self.log).write_all(format!("{time:>9.3} {sentence}\n").as_bytes());
    }

    /// The part of the run that goes on, if nobody is just changing it.
    pub fn phase_now(&self) -> String {
        match self.state.try_lock() {
            Ok(state) => state.phase.clone(),
            Err(_) => String::new(),
        }
    }

    /// A new part of the run begins.
    pub fn phase(&self, name: &str) {
        self.log(&format!("phase {name}"));
        self.state.lock().unwrap_or_else(PoisonError::into_inner).phase = name.to_owned();
    }

    /// A step of a fault: it is listed from its injection to its end.
    pub fn fault(&self, kind: &str, fault: &FaultEvent) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match fault.step {
            FaultStep::Inject if fault.result == StepResult::Installed => {
                state
                    .faults
                    .insert(fault.id, format!("{kind} {}", fault.targets.join(",")));
            }
            FaultStep::VerifyHealed | FaultStep::CleanUp => {
                state.faults.remove(&fault.id);
            }
            _ => {}
        }
        drop(state);
        let sentence = format!(
            "fault {} ({kind} {}) {}: {}",
            fault.id,
            fault.targets.join(","),
            ended(fault.step, fault.result),
            fault.detail
        );
        let as_planned = fault.result == StepResult::Installed;
        if as_planned {
            self.log(&sentence)
        } else {
            self.say(&sentence)
        }
    }

    /// Shows the run until it is dropped.
    pub async fn follow(self: Arc<Self>) {
        let interval = if self.live { LIVE_INTERVAL } else { QUIET_INTERVAL };
        let mut tick = tokio::time::interval(interval);
        tick.tick().await;
        loop {
            tick.tick().await;
            self.show();
        }
    }

    /// Ends the line that is rewritten.
    pub fn clear(&self) {
        if self.live && !self.quiet {
            output::err_over_line("");
        }
    }

    fn show(&self) {
        let recorder = &*self.recorder;
        if self.quiet {
            return;
        }
        let line = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let tally = recorder.tally();
            let (then, before) = state.shown.unwrap_or((recorder.start(), Tally::default()));
            state.shown = Some((now, tally));
            let done = (tally.ok + tally.fail + tally.info) - (before.ok + before.fail + before.info);
            let rate = done as f64 / (now - then).as_secs_f64().max(1e-3);
            let faults: Vec<&str> = state.faults.values().map(String::as_str).collect();
            line(recorder.start().elapsed(), &state.phase, rate, tally, &faults)
        };
        match self.live {
            // A line that breaks can't be rewritten.
            true => output::err_over_line(&line.replace('\n', " ")),
            false => output::err(&format!("{line}\n")),
        }
    }
}

/// How a step ended, e.g. `injected`, `verification skipped`.
fn ended(step: FaultStep, result: StepResult) -> String {
    let (done, name) = match step {
        FaultStep::Prepare => ("prepared", "preparation"),
        FaultStep::Inject => ("injected", "injection"),
        FaultStep::Verify => ("verified", "verification"),
        FaultStep::Recheck => ("still in force", "recheck"),
        FaultStep::Heal => ("healed", "healing"),
        FaultStep::VerifyHealed => ("verified healed", "verification of the healing"),
        FaultStep::CleanUp => ("cleaned up", "clean-up"),
    };
    match result {
        StepResult::Installed => done.to_owned(),
        StepResult::Mismatch => format!("{name} is not as asked"),
        StepResult::Skipped => format!("{name} skipped"),
        StepResult::Indeterminate => format!("{name} indeterminate"),
    }
}

fn line(elapsed: Duration, phase: &str, rate: f64, tally: Tally, faults: &[&str]) -> String {
    let mut line = format!(
        "{:>6.1} s  {phase:<11} {rate:>6.0} ops/s  ok {}  fail {}  info {}",
        elapsed.as_secs_f64(),
        tally.ok,
        tally.fail,
        tally.info
    );
    if !faults.is_empty() {
        line.push_str("  | ");
        line.push_str(&faults.join(" | "));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_time_rate_outcomes_and_faults() {
        let tally = Tally {
            ok: 4512,
            fail: 201,
            info: 3,
        };
        assert_eq!(
            line(
                Duration::from_millis(12_040),
                "faults",
                397.6,
                tally,
                &["partition n2", "pause n1"]
            ),
            "  12.0 s  faults         398 ops/s  ok 4512  fail 201  info 3  | partition n2 | pause n1"
        );
    }
}
