//! What a property is: a claim with a name, and how it is judged.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::Serialize;

use crate::history::{Event, Trace};
use crate::verdict::{Budget, PropertyVerdict, Verdict, Witness};

/// Safety: nothing bad happens. Liveness: something good does, in the end (Lamport, IEEE TSE 1977).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PropertyKind {
    /// Nothing bad ever happens.
    Safety,
    /// Something good happens in the end, once faults are healed.
    Liveness,
}

impl PropertyKind {
    /// In one word.
    pub fn name(self) -> &'static str {
        match self {
            PropertyKind::Safety => "safety",
            PropertyKind::Liveness => "liveness",
        }
    }
}

/// The part of a trace that a property judges: without it there is nothing to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The operations of a workload that names the property.
    Operations,
    /// What each member holds at the end: its client must be able to read that.
    Contents,
    /// What nodes said of themselves all along.
    Statuses,
    /// What the harness saw once all faults were healed.
    Recovery,
}

impl Source {
    /// In a few words.
    pub fn name(self) -> &'static str {
        match self {
            Source::Operations => "operations",
            Source::Contents => "members' contents",
            Source::Statuses => "nodes' statuses",
            Source::Recovery => "recovery",
        }
    }
}

/// What is said about a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// As specs and command lines name it.
    pub name: &'static str,
    /// What is claimed, in one sentence without its stop.
    pub claim: &'static str,
    /// Safety or liveness.
    pub kind: PropertyKind,
    /// What it judges.
    pub judges: Source,
    /// What has to be given beside a history, and what it means.
    pub parameters: &'static [(&'static str, &'static str)],
}

impl About {
    /// Nothing contradicts it. `detail` says in one line how that was decided.
    pub fn held(&self, detail: String) -> PropertyVerdict {
        self.verdict(Verdict::Held, detail)
    }

    /// This proves the opposite.
    pub fn violated(&self, witness: Witness, detail: String) -> PropertyVerdict {
        self.verdict(Verdict::Violated { witness }, detail)
    }

    /// It could not be decided: `reason` says why.
    pub fn inconclusive(&self, reason: impl Into<String>, detail: String) -> PropertyVerdict {
        let reason = reason.into();
        self.verdict(Verdict::Inconclusive { reason }, detail)
    }

    fn verdict(&self, verdict: Verdict, detail: String) -> PropertyVerdict {
        PropertyVerdict {
            property: self.name.to_owned(),
            verdict,
            detail,
            decided_by: Vec::new(),
        }
    }
}

/// What a property is judged with, beside the trace.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// Name of the model of the workload's operations, where they have one.
    pub model: Option<&'a str>,
    /// What the judging of one property may spend.
    pub budget: Budget,
    /// Time since judging began.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
    /// How many threads may be used.
    pub threads: NonZeroUsize,
    /// Why judging is to end early, whatever the budget; `None` as long as it is not.
    pub cut_short: &'a (dyn Fn() -> Option<String> + Sync),
}

impl<'a> Settings<'a> {
    /// One thread, a budget that no clock ever spends, and nobody who cuts it short.
    pub fn new(model: Option<&'a str>) -> Self {
        Settings {
            model,
            budget: Budget::default(),
            elapsed: &|| Duration::ZERO,
            threads: NonZeroUsize::MIN,
            cut_short: &|| None,
        }
    }
}

/// A named claim about a run.
pub trait Property: Sync {
    /// Its name, and what else there is to say of it.
    fn about(&self) -> &'static About;

    /// Whether it held. What had nothing to judge is neither held nor violated.
    fn judge(&self, trace: &Trace<'_>, settings: &Settings<'_>) -> PropertyVerdict;

    /// The same event by event, keeping little of each, in so much memory. `None`: it takes the whole history.
    fn stream(&self, _memory_bytes_max: usize) -> Option<Box<dyn Streamed>> {
        None
    }
}

/// A property that is being judged event by event.
pub trait Streamed {
    /// Takes the next line of a `history.jsonl` as it stands, if that is quicker than to make an event of it. `false`: nothing was done, and it is
    /// to come as an [event](Streamed::event).
    fn line(&mut self, _line: &[u8]) -> Result<bool, String> {
        Ok(false)
    }

    /// Takes the next event. The error says what is wrong with it, or that there is no more memory.
    fn event(&mut self, event: Event) -> Result<(), String>;

    /// Whether it held. Its witness has no operations, which are forgotten by then.
    fn finish(self: Box<Self>) -> PropertyVerdict;
}
