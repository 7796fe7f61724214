//! What a reader noticed that a person should know besides the verdict.
//!
//! What can make a verdict wrong is an error ([`HistoryError`](super::HistoryError)); what can't, or is left out on
//! purpose, is counted here, and shown with the verdict:
//!
//! ```text
//! 1 of 1 key linearizable, 120 operations, 3 ms; 2 operations have no completion: they may have taken effect at any time
//! after they began; 14 events of the nemesis are not judged
//! ```

use serde_json::Value;

/// Phase that ends every run that was not cut off.
pub const END_PHASE: &str = "end";

/// How often something was noticed, and where first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// How often.
    pub count: u64,
    /// Index of the first event.
    pub first: u64,
}

impl Noticed {
    /// Once more.
    pub(crate) fn at(&mut self, index: u64) {
        if self.count == 0 {
            self.first = index;
        }
        self.count += 1;
    }
}

/// What a reader noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Events of the nemesis: they are not judged.
    pub nemesis: u64,
    /// Lines of a log that are no operations: they are passed over.
    pub other_lines: u64,
    /// The history is one that `duress run` recorded.
    pub run: bool,
    /// The last phase of that run is the end.
    pub ended: bool,
    /// The last line was cut off, and left out.
    pub cut: bool,
    /// Operations that have no completion.
    pub open: u64,
    /// Invocations of a process whose operation before had no completion.
    pub reinvoked: Noticed,
    /// Events whose time is before that of the event before.
    pub back: Noticed,
    /// Events of a process whose number stands in quotes.
    pub quoted: Noticed,
    /// Events whose time is no number of nanoseconds.
    pub odd_time: Noticed,
}

impl Remarks {
    /// Takes note of an event of the nemesis.
    pub(crate) fn nemesis(&mut self, f: &str, value: &Value) {
        self.nemesis += 1;
        match f {
            "run" => self.run = true,
            "phase" => self.ended = value.get("phase").and_then(Value::as_str) == Some(END_PHASE),
            _ => {}
        }
    }

    /// What a person should know before they trust the verdict, each in a few words.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.cut {
            warnings.push("the last line is cut off and left out: the history has no end".to_owned());
        }
        if self.run && !self.ended {
            let why = "it was cut off, or goes on";
            warnings.push(format!(
                "the history of this run has no phase {END_PHASE:?}: {why}"
            ));
        }
        match self.open {
            0 => {}
            1 => warnings.push(
                "1 operation has no completion: it may have taken effect at any time after it began".to_owned(),
            ),
            open => warnings.push(format!(
                "{open} operations have no completion: they may have taken effect at any time after they began"
            )),
        }
        for (noticed, what) in [
            (
                self.reinvoked,
                "a process invokes again before its operation completed",
            ),
            (self.back, "time goes back; the order of the lines counts"),
            (
                self.quoted,
                "the number of a process stands in quotes; it is read as that number",
            ),
            (
                self.odd_time,
                "a time is no number of nanoseconds, and is left out",
            ),
        ] {
            match noticed.count {
                0 => {}
                1 => warnings.push(format!("event {}: {what}", noticed.first)),
                count => warnings.push(format!("event {} and {} more: {what}", noticed.first, count - 1)),
            }
        }
        warnings
    }

    /// What is left out on purpose, in a few words each.
    pub fn skipped(&self) -> Vec<String> {
        let counted = |count: u64, one: &str, many: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{count} {many}")),
        };
        let nemesis = counted(
            self.nemesis,
            "event of the nemesis is not judged",
            "events of the nemesis are not judged",
        );
        let lines = counted(
            self.other_lines,
            "other line of the log is passed over",
            "other lines of the log are passed over",
        );
        nemesis.into_iter().chain(lines).collect()
    }
}
