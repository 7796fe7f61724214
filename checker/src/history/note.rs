//! Notes: what the harness tells a reader of the history besides operations and faults.
//!
//! Each is an `info` event of process `nemesis`, with the name of the note as its `f`:
//!
//! ```json
//! {"process":"nemesis","type":"info","f":"run","value":{"format":1,"name":"register","seed":7,"started":"2026-…"}}
//! {"process":"nemesis","type":"info","f":"phase","value":{"phase":"warm-up"}}
//! {"process":"nemesis","type":"info","f":"recovered","value":{"recovered":true,"ms":812,"detail":"n2 leads in term 7"}}
//! {"process":"nemesis","type":"info","f":"sent-again","value":{"token":{"client":"p17","seq":3},"outcome":"ok",
//!   "attempts":[{"start":5100000000,"end":5103000000,"node":"n2"}]}}
//! {"process":"nemesis","type":"info","f":"final-ops","value":{"answered":10,"asked":10}}
//! {"process":"nemesis","type":"info","f":"contents","value":{"members":[
//!   {"node":"n1","applied":912,"keys":{"k1":{"revision":801,"value":55}}},
//!   {"node":"n3","error":"connection refused"}]}}
//! {"process":"nemesis","type":"info","f":"diverged","value":{"split-cas":3}}
//! {"process":"nemesis","type":"info","f":"client-clock","value":{"host":"root@c1:22","ahead-ns":300120411,"error-ns":210385}}
//! {"process":"nemesis","type":"info","f":"connection","value":{"host":"root@10.0.0.11:22","stands":false,"detail":"the connection broke: …"}}
//! {"process":"nemesis","type":"info","f":"interrupted","value":{}}
//! {"process":"nemesis","type":"info","f":"harness-failure","value":{"what":"agent died"}}
//! ```
//!
//! The same type writes and reads them. What has another form is no note.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Attempt, EventType, Token};

/// One note; its variants are the `f` of its event, and hold the value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "f", content = "value", rename_all = "kebab-case")]
pub enum Note {
    /// The first event of every run.
    Run(RunNote),
    /// A part of the run begins.
    Phase(PhaseNote),
    /// What the cluster was seen to do after its faults.
    Recovered(Recovery),
    /// The request of an operation that had ended was sent once more, on purpose.
    SentAgain(SentAgain),
    /// How many of the last operations were answered.
    FinalOps(FinalOps),
    /// What each member holds once nobody writes any more.
    Contents(Contents),
    /// By defect that was switched on, how often it made a difference at any node, as far as nodes were asked in time.
    Diverged(BTreeMap<String, u64>),
    /// How far the clock of a client's host is ahead.
    ClientClock(ClientClock),
    /// The connection to a host of nodes broke, or was made again.
    Connection(ConnectionNote),
    /// A signal ended the run.
    Interrupted {},
    /// The harness could not go on.
    HarnessFailure(HarnessFailure),
}

impl Note {
    /// What an event of the nemesis says, if it is a note.
    pub fn read(f: &str, value: &Value) -> Option<Note> {
        fn of<'a, T: Deserialize<'a>>(value: &'a Value) -> Option<T> {
            T::deserialize(value).ok()
        }
        Some(match f {
            "run" => Note::Run(of(value)?),
            "phase" => Note::Phase(of(value)?),
            "recovered" => Note::Recovered(of(value)?),
            "sent-again" => Note::SentAgain(of(value)?),
            "final-ops" => Note::FinalOps(of(value)?),
            "contents" => Note::Contents(of(value)?),
            "diverged" => Note::Diverged(of(value)?),
            "client-clock" => Note::ClientClock(of(value)?),
            "connection" => Note::Connection(of(value)?),
            "interrupted" => Note::Interrupted {},
            "harness-failure" => Note::HarnessFailure(of(value)?),
            _ => return None,
        })
    }

    /// Its event's `f` and value.
    pub fn write(&self) -> (String, Value) {
        let parts = serde_json::to_value(self).map(|mut note| (note["f"].take(), note["value"].take()));
        match parts {
            Ok((Value::String(f), value)) => (f, value),
            other => unreachable!("a note is plain data with a name: {other:?}"),
        }
    }
}

/// What a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunNote {
    /// [`HISTORY_FORMAT`](super::HISTORY_FORMAT).
    #[serde(default)]
    pub format: u32,
    /// Name of the spec.
    #[serde(default)]
    pub name: String,
    /// What everything random was drawn from.
    #[serde(default)]
    pub seed: Option<u64>,
    /// When it began, RFC 3339, UTC.
    #[serde(default)]
    pub started: String,
    /// How its clients behave, in sentences: what they try again, and what counts as proof.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<String>,
}

/// Which part begins: `warm-up`, `faults`, `recovery`, `final-reads`, `contents`, `end`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseNote {
    /// Its name.
    pub phase: String,
}

/// What the harness saw after the faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Whether the cluster came back: all nodes agreed on a leader and answered.
    pub recovered: bool,
    /// How long it took, or how long was waited, in milliseconds.
    pub ms: u64,
    /// Who leads, or what is missing.
    pub detail: String,
}

/// A request that was sent once more when its operation had ended. That is no operation of its own: it has the token of the first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SentAgain {
    /// The one that the operation's attempts carried.
    pub token: Token,
    /// What it came to: `ok`, `fail` or `info`.
    pub outcome: EventType,
    /// In order.
    pub attempts: Vec<Attempt>,
}

/// The operations that are asked once after all faults are healed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalOps {
    /// How many ended `ok`.
    pub answered: u64,
    /// How many there were.
    pub asked: u64,
}

/// How far the clock of a client's host was ahead, as measured at the time of the note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClientClock {
    /// As users know it.
    pub host: String,
    /// In nanoseconds; negative: it was behind.
    pub ahead_ns: i64,
    /// It was no further from that than this.
    pub error_ns: u64,
}

/// What happened to the connection by which the harness breaks and heals a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionNote {
    /// As users know it.
    pub host: String,
    /// It was made again, and nothing is in force there any more. False: it broke.
    pub stands: bool,
    /// How it broke.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Why the run could not be done or trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarnessFailure {
    /// The reason.
    pub what: String,
}

/// One key of one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Entry {
    /// When it was changed last, in the system's own count.
    pub revision: u64,
    /// What it holds.
    pub value: Value,
}

/// What one member holds, by its own words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// Index of the log up to which the member had applied it.
    pub applied: u64,
    /// Everything that it has stored.
    pub keys: BTreeMap<String, Entry>,
}

/// What one member holds, or why nobody knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Its node.
    pub node: String,
    /// Why its content could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it holds; empty after an error.
    #[serde(flatten)]
    pub content: Content,
}

/// What all members hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Contents {
    /// Every node of the cluster.
    pub members: Vec<Member>,
}

impl Contents {
    /// Whether all members were read at one applied index.
    pub fn comparable(&self) -> bool {
        let mut indices = self.members.iter().map(|member| member.content.applied);
        let first = indices.next();
        self.members.iter().all(|member| member.error.is_none()) && indices.all(|index| Some(index) == first)
    }

    /// Whether no member holds a key.
    pub fn is_empty(&self) -> bool {
        self.members.iter().all(|member| member.content.keys.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_as_itself() {
        let recovery = Recovery {
            recovered: false,
            ms: 20_000,
            detail: "n1 is silent".to_owned(),
        };
        let phase = PhaseNote {
            phase: "end".to_owned(),
        };
        let failure = HarnessFailure {
            what: "agent died".to_owned(),
        };
        for (note, name) in [
            (Note::Run(RunNote::default()), "run"),
            (Note::Phase(phase), "phase"),
            (Note::Recovered(recovery), "recovered"),
            (
                Note::FinalOps(FinalOps {
                    answered: 1,
                    asked: 2,
                }),
                "final-ops",
            ),
            (Note::Contents(Contents::default()), "contents"),
            (Note::Diverged([("split-cas".to_owned(), 3)].into()), "diverged"),
            (
                Note::ClientClock(ClientClock {
                    host: "c1".to_owned(),
                    ahead_ns: -5,
                    error_ns: 7,
                }),
                "client-clock",
            ),
            (
                Note::Connection(ConnectionNote {
                    host: "h1".to_owned(),
                    stands: false,
                    detail: "reset".to_owned(),
                }),
                "connection",
            ),
            (Note::Interrupted {}, "interrupted"),
            (Note::HarnessFailure(failure), "harness-failure"),
        ] {
            let (f, value) = note.write();
            assert_eq!(f, name);
            assert_eq!(Note::read(&f, &value), Some(note));
        }
        assert_eq!(Note::read("phase", &serde_json::json!({"fase": "end"})), None);
        assert_eq!(Note::read("kill", &Value::Null), None);
    }
}
