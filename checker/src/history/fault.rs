//! Fault events: what the nemesis did, step by step, and whether it is proven.
//!
//! A fault event is an `info` event of process `nemesis` whose `f` is the kind of the fault and whose value is a
//! [`FaultEvent`]:
//!
//! ```json
//! {"id":3,"step":"verify","targets":["n1","n4"],"result":"installed","detail":"6 of 6 directed links are cut","evidence":{}}
//! ```
//!
//! [`bit`] says whether the steps of one fault prove that it bit.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The steps of a fault, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultStep {
    /// Targets are resolved, what is needed is looked for, the fault is written to the journal.
    Prepare,
    /// The thing is broken.
    Inject,
    /// It is proven, by looking at the nodes and not at the tool's answer, that it is broken.
    Verify,
    /// It is looked at again. Once right before it is healed; before that only where something of it was found lost.
    Recheck,
    /// The thing is mended.
    Heal,
    /// It is proven that it is mended.
    VerifyHealed,
    /// Whatever is left is removed, and the journal entry closed.
    CleanUp,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepResult {
    /// It is done, and where the step is a verification, proven.
    Installed,
    /// A look proved that something is in force, but not as asked; the detail says what was measured.
    Mismatch,
    /// It was not done; the detail says why.
    Skipped,
    /// It was tried and nobody can say whether it is in force; the detail says why.
    Indeterminate,
}

/// What a fault does to the nodes that it is about, as far as it matters to what is claimed of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// They don't hear others, or are not heard.
    Cuts,
    /// They stand still, and go on where they were.
    Stops,
    /// Their programs end and begin anew: what they have not kept on disk is gone.
    Restarts,
    /// The same, or it may come to that, and of what they wrote last some did not get to the disk, whoever was told what. What was
    /// synced before is there.
    Loses,
    /// What they had kept on disk is changed or gone, and stays so. Their programs may find that at any time from then on, and
    /// end and begin anew over it.
    Damages,
    /// Their clocks show a wrong time.
    Skews,
    /// They go on, with less than they had: what they say to each other is late, or has to be said again.
    Slows,
    /// Nothing: it is their clients that do something wrong.
    Spares,
}

/// A number that a look has read at a node. Those of the same words and unit can be compared, and share a drawing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The node; of a link, the one that receives.
    pub node: String,
    /// Of what, e.g. `offset of the realtime clock`, `time of an fsync`, `packets lost`.
    pub what: String,
    /// `s`, `ms`, `%`.
    pub unit: String,
    /// What was read.
    pub seen: f64,
    /// What it was to be, as long as the fault is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
}

/// One step of one fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Number of the fault in the schedule of this run.
    pub id: u64,
    /// What it does to its targets. Histories of earlier versions don't say; see [`FaultEvent::restarts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<Effect>,
    /// Whether the run does without it where it can't be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// Which step.
    pub step: FaultStep,
    /// The nodes that it is about.
    pub targets: Vec<String>,
    /// How the step ended.
    pub result: StepResult,
    /// For a person: what was done or seen, or why not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The numbers that it rests on, where a kind has any to draw.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measured: Vec<Measurement>,
    /// For a machine: parameters, reachability matrix, process states, packet counters, milliseconds.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub evidence: Value,
}

impl FaultEvent {
    /// Whether the programs of its targets begin anew. `f` is that of its event: before histories told effects, it was
    /// the kinds `kill` and `restart` that did so.
    pub fn restarts(&self, f: &str) -> bool {
        match self.effect {
            Some(Effect::Restarts | Effect::Loses | Effect::Damages) => true,
            Some(Effect::Cuts | Effect::Stops | Effect::Skews | Effect::Slows | Effect::Spares) => false,
            None => matches!(f, "kill" | "restart"),
        }
    }

    /// Whether what it did to its targets is there still when the fault has ended.
    pub fn stays(&self) -> bool {
        self.effect == Some(Effect::Damages)
    }
}

/// Whether the steps of one fault, in order, prove that it bit; if not, why not.
///
/// It has to be seen in force after it was injected, each time it was looked at again, and the last time right before it
/// was healed: what was lost on the way may have been lost at any time since the look before.
pub fn bit<'a>(steps: impl IntoIterator<Item = (FaultStep, StepResult, &'a str)>) -> Result<(), String> {
    let (mut verified, mut rechecked) = (false, false);
    for (step, result, detail) in steps {
        match step {
            FaultStep::Heal => break,
            FaultStep::VerifyHealed | FaultStep::CleanUp => {}
            _ if result != StepResult::Installed => return Err(detail.to_owned()),
            FaultStep::Prepare | FaultStep::Inject => {}
            FaultStep::Verify => verified = true,
            FaultStep::Recheck => rechecked = true,
        }
    }
    match (verified, rechecked) {
        (true, true) => Ok(()),
        (true, false) => Err("nobody looked again before it was healed".to_owned()),
        (false, _) => Err("no verification".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `p+ i+ v+ r- h+`: steps by their first letter, `+` for installed, `-` for indeterminate.
    fn judged(text: &str) -> Result<(), String> {
        let steps = text.split(' ').map(|word| {
            let step = match &word[..1] {
                "p" => FaultStep::Prepare,
                "i" => FaultStep::Inject,
                "v" => FaultStep::Verify,
                "r" => FaultStep::Recheck,
                _ => FaultStep::Heal,
            };
            let result = match &word[1..] {
                "+" => StepResult::Installed,
                _ => StepResult::Indeterminate,
            };
            (step, result, word)
        });
        bit(steps)
    }

    #[test]
    fn a_fault_bit_if_it_was_seen_in_force_at_its_start_and_at_its_end() {
        assert_eq!(judged("p+ i+ v+ r+ h+"), Ok(()));
        // How it was healed is another question.
        assert_eq!(judged("p+ i+ v+ r+ h-"), Ok(()));
        for (text, why) in [
            ("p-", "p-"),
            ("p+ i- h+", "i-"),
            ("p+ i+ v- r+ h+", "v-"),
            ("p+ i+ v+ h+", "nobody looked again"),
            ("p+ i+ v+ h+ r+", "nobody looked again"),
            ("p+ i+ v+ r- r+ h+", "r-"),
            ("p+ i+ r+ h+", "no verification"),
        ] {
            let error = judged(text).expect_err(text);
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }
}
