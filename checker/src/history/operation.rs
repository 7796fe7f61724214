//! Operations: which completion belongs to which invocation.
//!
//! A process has one operation at a time, so a completion belongs to what its process invoked last. One that belongs to
//! nothing, or is of another kind or on another key, would make a verdict wrong: it is an error here, as it is where
//! events become a [`History`](super::History).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Attempt, Event, EventType, HistoryError, Process, shortened};
use crate::verdict::WitnessOp;

/// The field of a completion that holds the operation's [`Token`].
pub const TOKEN_FIELD: &str = "token";

/// Idempotency token: the same for every attempt of one operation, for systems that execute a token once.
///
/// A completion has it beside Jepsen's fields: `"token":{"client":"p17","seq":3}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Token {
    /// The client, e.g. `p17`: has one operation outstanding at a time.
    pub client: String,
    /// Counts the client's operations, from 1.
    pub seq: u64,
}

/// One operation of a client: where it began, and where it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Operation<'a> {
    /// Who asked.
    pub process: u64,
    /// Its invocation.
    pub invoke: &'a Event,
    /// Its completion, if it has any.
    pub completion: Option<&'a Event>,
}

impl<'a> Operation<'a> {
    /// What was asked: `read`, `write`, `cas`…
    pub fn f(&self) -> &'a str {
        &self.invoke.f
    }

    /// How it ended; without a completion nobody knows.
    pub fn outcome(&self) -> EventType {
        self.completion.map_or(EventType::Info, |end| end.kind)
    }

    /// Its completion, if it is known to have happened.
    pub fn ok(&self) -> Option<&'a Event> {
        self.completion.filter(|end| end.kind == EventType::Ok)
    }

    /// Every try on the wire, as far as they were recorded.
    pub fn attempts(&self) -> &'a [Attempt] {
        self.completion.map_or(&[], |end| &end.attempts)
    }

    /// The token that its attempts carried, where it was recorded.
    pub fn token(&self) -> Option<Token> {
        Token::deserialize(self.completion?.extra.get(TOKEN_FIELD)?).ok()
    }

    /// As part of a witness, with its result.
    pub fn witness(&self, note: impl Into<String>) -> WitnessOp {
        WitnessOp {
            index: self.invoke.index,
            process: self.process,
            f: self.invoke.f.clone(),
            value: self.invoke.value.clone(),
            result: self.completion.map(|end| end.value.clone()),
            outcome: self.outcome(),
            node: self.completion.and_then(|end| end.node.clone()),
            invoked: self.invoke.time,
            completed: self.completion.map(|end| end.time),
            note: note.into(),
        }
    }
}

/// All operations of a history in the order of their invocations, and the first event that has no place among them.
pub(super) fn operations(events: &[Event]) -> (Vec<Operation<'_>>, Option<HistoryError>) {
    let mut pairing = Pairing::default();
    let mut wrong = None;
    for event in events {
        if let Err(error) = pairing.next(event) {
            wrong.get_or_insert(error);
        }
    }
    (pairing.operations, wrong)
}

#[derive(Default)]
struct Pairing<'a> {
    operations: Vec<Operation<'a>>,
    /// Position of the operation that a process waits for.
    open: BTreeMap<u64, usize>,
    last: Option<u64>,
}

impl<'a> Pairing<'a> {
    fn next(&mut self, event: &'a Event) -> Result<(), HistoryError> {
        let index = event.index;
        if let Some(before) = self.last.filter(|&before| before >= index) {
            return Err(HistoryError::Unordered { index, before });
        }
        self.last = Some(index);
        let Process::Client(process) = event.process else {
            return Ok(());
        };
        if event.kind == EventType::Invoke {
            self.open.insert(process, self.operations.len());
            self.operations.push(Operation {
                process,
                invoke: event,
                completion: None,
            });
            return Ok(());
        }
        let Some(position) = self.open.remove(&process) else {
            return Err(HistoryError::Unmatched { index, process });
        };
        let operation = &mut self.operations[position];
        matches(operation.invoke, event)?;
        operation.completion = Some(event);
        Ok(())
    }
}

/// Whether a completion is of the kind and on the key of its invocation.
pub(crate) fn matches(invoke: &Event, completion: &Event) -> Result<(), HistoryError> {
    let same_key = completion.key.is_none() || completion.key == invoke.key;
    if invoke.f == completion.f && same_key {
        return Ok(());
    }
    Err(mismatch(invoke, completion))
}

/// What is to be said of a completion that is not its invocation's.
pub(crate) fn mismatch(invoke: &Event, completion: &Event) -> HistoryError {
    let process = match completion.process {
        Process::Client(process) => process,
        Process::Nemesis => 0,
    };
    let show = |event: &Event| {
        let key = event.key.as_ref().map(|key| format!(" on {key}"));
        shortened(&format!("{} {}{}", event.f, event.value, key.unwrap_or_default()))
    };
    HistoryError::Mismatch {
        index: completion.index,
        process,
        invoked: show(invoke),
        completed: show(completion),
    }
}
