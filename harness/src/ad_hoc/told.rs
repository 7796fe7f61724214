//! What became of a fault, from its steps: for a line of text, and for a program.

use std::fmt;

use duress_checker::history::{FaultEvent, FaultStep, StepResult, bit};
use serde::Serialize;

/// What became of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It is on its way.
    Planned,
    /// It was seen to be in force, and is.
    InForce,
    /// It was seen to be in force each time that somebody looked.
    Confirmed,
    /// Something was in force, but not as asked.
    Mismatch,
    /// Nobody can say that it was in force all the time.
    Indeterminate,
    /// Nothing was done.
    Skipped,
}

/// What is known of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Its number in the schedule.
    pub id: u64,
    /// Its kind.
    pub kind: String,
    /// The nodes that it is about.
    pub targets: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// What was measured while it was in force, or why it is not confirmed.
    pub said: String,
    /// Whether it is proven to be gone. `None`: it is not over, or never began.
    pub healed: Option<bool>,
    /// What was seen after it was healed.
    pub healed_said: String,
    /// From the moment it was seen in force until it was healed, in milliseconds.
    pub in_force_ms: Option<u64>,
    /// All its steps, with what was measured in each.
    pub steps: Vec<FaultEvent>,
    #[serde(skip)]
    verified_ms: Option<u64>,
}

impl Told {
    /// A fault of which nothing is known yet.
    pub fn new(id: u64, kind: &str) -> Told {
        Told {
            id,
            kind: kind.to_owned(),
            targets: Vec::new(),
            fate: Fate::Planned,
            said: String::new(),
            healed: None,
            healed_said: String::new(),
            in_force_ms: None,
            steps: Vec::new(),
            verified_ms: None,
        }
    }

    /// Takes the next step, which ended `at_ms`.
    pub fn take(&mut self, event: &FaultEvent, at_ms: u64) {
        self.targets.clone_from(&event.targets);
        self.steps.push(event.clone());
        match event.step {
            FaultStep::Verify if event.result == StepResult::Installed => {
                self.fate = Fate::InForce;
                self.said.clone_from(&event.detail);
                self.verified_ms = Some(at_ms);
            }
            // What the last look measured covers all of it.
            FaultStep::Recheck if self.fate == Fate::InForce && !event.detail.is_empty() => {
                self.said.clone_from(&event.detail);
            }
            FaultStep::Heal => {
                self.in_force_ms = self.verified_ms.map(|since| at_ms - since);
                self.judge();
            }
            FaultStep::VerifyHealed => {
                self.healed = Some(event.result == StepResult::Installed);
                self.healed_said.clone_from(&event.detail);
                // What kept it from healing says more than what is left.
                let mut steps = self.steps.iter();
                let failed =
                    |step: &&FaultEvent| step.step == FaultStep::Heal && step.result != StepResult::Installed;
                match steps.find(failed) {
                    Some(heal) if self.healed == Some(false) => {
                        self.healed_said += &format!(" ({})", heal.detail)
                    }
                    _ => {}
                }
            }
            FaultStep::Prepare if event.result != StepResult::Installed => {
                self.fate = Fate::Skipped;
                self.said.clone_from(&event.detail);
            }
            _ => {}
        }
    }

    fn judge(&mut self) {
        let steps = self
            .steps
            .iter()
            .map(|event| (event.step, event.result, event.detail.as_str()));
        let Err(why) = bit(steps) else {
            self.fate = Fate::Confirmed;
            return;
        };
        let mismatch = self
            .steps
            .iter()
            .any(|event| event.result == StepResult::Mismatch);
        self.fate = if mismatch {
            Fate::Mismatch
        } else {
            Fate::Indeterminate
        };
        self.said = why;
    }

    /// Whether nothing more will be known of it.
    pub fn is_over(&self) -> bool {
        self.fate == Fate::Skipped
            || self
                .steps
                .last()
                .is_some_and(|event| event.step == FaultStep::CleanUp)
    }

    /// Whether it did what it was to do, and is gone.
    pub fn is_proven(&self) -> bool {
        self.fate == Fate::Confirmed && self.healed == Some(true)
    }
}

impl fmt::Display for Told {
    /// `partition of n1: confirmed: 4 of 4 directed links are cut; healed after 30.0 s, proven: every link works`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.kind)?;
        if !self.targets.is_empty() {
            write!(formatter, " of {}", self.targets.join(", "))?;
        }
        let fate = match self.fate {
            Fate::Planned => return Ok(()),
            Fate::InForce => "in force",
            Fate::Confirmed => "confirmed",
            Fate::Mismatch => "not as asked",
            Fate::Indeterminate => "not confirmed",
            Fate::Skipped => "not done",
        };
        write!(formatter, ": {fate}: {}", self.said)?;
        let Some(healed) = self.healed else { return Ok(()) };
        match self.in_force_ms {
            Some(ms) => write!(formatter, "; healed after {:.1} s, ", ms as f64 / 1000.0)?,
            None => write!(formatter, "; healed, ")?,
        }
        let proven = if healed { "proven" } else { "NOT proven" };
        match self.healed_said.is_empty() {
            true => formatter.write_str(proven),
            false => write!(formatter, "{proven}: {}", self.healed_said),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(steps: &[(FaultStep, StepResult, &str)]) -> Told {
        let mut told = Told::new(3, "pause");
        for (number, (step, result, detail)) in (0..).zip(steps) {
            let event = FaultEvent {
                id: 3,
                effect: None,
                optional: false,
                step: *step,
                targets: vec!["n1".to_owned()],
                result: *result,
                detail: (*detail).to_owned(),
                measured: Vec::new(),
                evidence: json!({"ms": 1}),
            };
            told.take(&event, number * 1000);
        }
        told
    }

    #[test]
    fn a_line_says_what_was_seen_and_how_it_ended() {
        use FaultStep::{CleanUp, Heal, Inject, Prepare, Recheck, Verify, VerifyHealed};
        use StepResult::{Indeterminate, Installed, Mismatch, Skipped};
        let begun = [
            (Prepare, Installed, ""),
            (Inject, Installed, "stopped 3 processes"),
            (Verify, Installed, "3 stand still"),
        ];
        let ended = [
            (Heal, Installed, "woke 3"),
            (VerifyHealed, Installed, "3 run"),
            (CleanUp, Installed, ""),
        ];
        let all = |recheck| told(&[&begun[..], &[(Recheck, recheck, "2 stand still")], &ended].concat());
        assert_eq!(told(&begun).to_string(), "pause of n1: in force: 3 stand still");
        assert_eq!(
            all(Installed).to_string(),
            "pause of n1: confirmed: 2 stand still; healed after 2.0 s, proven: 3 run"
        );
        assert!(all(Installed).is_proven() && all(Installed).is_over());
        assert_eq!(all(Mismatch).fate, Fate::Mismatch);
        assert_eq!(
            all(Indeterminate).to_string(),
            "pause of n1: not confirmed: 2 stand still; healed after 2.0 s, proven: 3 run"
        );
        let stuck = [
            (Recheck, Installed, ""),
            (Heal, Indeterminate, "n1: no answer"),
            (VerifyHealed, Indeterminate, "3 stand still"),
        ];
        assert_eq!(
            told(&[&begun[..], &stuck].concat()).to_string(),
            "pause of n1: confirmed: 3 stand still; healed after 2.0 s, NOT proven: 3 stand still (n1: no answer)"
        );
        let skipped = told(&[(Prepare, Skipped, "it does not run")]);
        assert_eq!(skipped.to_string(), "pause of n1: not done: it does not run");
        assert!(skipped.is_over() && !skipped.is_proven());
        assert_eq!(
            serde_json::to_value(&skipped).expect("plain data")["healed"],
            Value::Null
        );
    }
}
