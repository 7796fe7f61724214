//! Histories: every operation and every fault of a run, in time order.
//!
//! On disk a history is `history.jsonl`, one [`Event`] a line, with Jepsen's field names:
//!
//! ```json
//! {"index":0,"time":0,"process":"nemesis","type":"info","f":"run","value":{"format":1,"name":"register","seed":7}}
//! {"index":1,"time":1203345,"process":3,"type":"invoke","f":"write","key":"x","value":7}
//! {"index":2,"time":4203345,"process":3,"type":"ok","f":"write","key":"x","value":7,"node":"n2","attempts":[]}
//! ```
//!
//! `time` is nanoseconds on one monotonic clock since the run began. Every `invoke` of a process is followed by at
//! most one completion; a missing one means `info`. A `cas` that `fail`s with the error [`MISMATCH`] found another value. Events of the nemesis are steps of faults, with a [`FaultEvent`] as
//! their value, or a [`Note`] of the harness. A [`Trace`] is a history with all of it paired and parsed.

mod builder;
mod compact;
mod error;
mod event;
pub(crate) mod exact;
mod fault;
pub mod jsonl;
pub mod merge;
mod note;
mod operation;
mod remarks;
pub(crate) mod scan;
mod status;
mod trace;
pub(crate) mod values;

pub(crate) use builder::{Builder, Raw, contradicts};
pub use compact::{Datum, History, NEVER, Row, Times};
pub use error::HistoryError;
pub use event::{Attempt, Event, EventType, MISMATCH, OtherClock, Process};
pub use fault::{Effect, FaultEvent, FaultStep, Measurement, StepResult, bit};
pub use note::{
    ClientClock, ConnectionNote, Content, Contents, Entry, FinalOps, HarnessFailure, Member, Note, PhaseNote,
    Recovery, RunNote, SentAgain,
};
pub use operation::{Operation, TOKEN_FIELD, Token};
pub(crate) use operation::{matches, mismatch};
pub use remarks::{END_PHASE, Noticed, Remarks};
pub use status::{Sample, Series};
pub use trace::{FaultTrace, Phase, TimedStep, Trace, record_step};
pub use values::{Val, Values};

/// Version of the history format, written in the first event (`f` = `run`) of every history that Duress records.
pub const HISTORY_FORMAT: u32 = 1;

/// The beginning of a text that an error quotes: a hostile history has values of any length.
pub(crate) fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 120;
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
