//! Which completion belongs to which invocation, event by event, for whoever judges events as they stand.
//!
//! A process has one operation at a time, so a completion belongs to what its process invoked last. One that belongs to
//! nothing, or is of another kind or on another key, would make a verdict wrong: it is an error here, as it is where
//! events become a [`History`](super::History).

use std::collections::BTreeMap;

use super::{Event, EventType, HistoryError, Process, shortened};

/// What is open.
#[derive(Debug, Default)]
pub struct Pairs<'a> {
    open: BTreeMap<u64, &'a Event>,
    last: Option<u64>,
}

/// What an event of a client is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Half<'a> {
    /// An operation begins.
    Invocation,
    /// It ends; this is where it began.
    Completion(&'a Event),
}

impl<'a> Pairs<'a> {
    /// Takes the next event; `None` for one of the nemesis.
    pub fn next(&mut self, event: &'a Event) -> Result<Option<Half<'a>>, HistoryError> {
        let index = event.index;
        if let Some(before) = self.last.filter(|&before| before >= index) {
            return Err(HistoryError::Unordered { index, before });
        }
        self.last = Some(index);
        let Process::Client(process) = event.process else {
            return Ok(None);
        };
        if event.kind == EventType::Invoke {
            self.open.insert(process, event);
            return Ok(Some(Half::Invocation));
        }
        let Some(invoke) = self.open.remove(&process) else {
            return Err(HistoryError::Unmatched { index, process });
        };
        matches(invoke, event)?;
        Ok(Some(Half::Completion(invoke)))
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
