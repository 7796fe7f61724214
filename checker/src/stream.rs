//! Checking while a run goes on, in bounded memory.
//!
//! Whenever nothing that completes is open on an object (a *quiet* moment), all that matters of its past is in which
//! states it may be and which unknown operations may still take effect. So operations are kept up to the next quiet
//! moment only, judged there, and forgotten. Unknown operations stay, for they may take effect at any later time.
//!
//! An operation that is open holds back judgement on its object until it completes or is known to be unknown; so memory
//! is bounded by what happens on one object between two quiet moments. For the same reason nothing of it is
//! [certified](crate::certify), which a verdict on a stream has to [say](UNCERTIFIED). Values are kept by name: small integers for
//! nothing, others once each.
//!
//! ```
//! # use std::time::Duration;
//! use duress_checker::object::register::Register;
//! use duress_checker::stream::{News, Stream};
//! use duress_checker::verdict::Budget;
//!
//! let model = Register { cas: true };
//! let mut stream = Stream::new(&model, Budget::default());
//! let lines = [
//!     r#"{"index":0,"time":0,"process":0,"type":"invoke","f":"write","value":1}"#,
//!     r#"{"index":1,"time":1,"process":0,"type":"ok","f":"write","value":1}"#,
//!     r#"{"index":2,"time":2,"process":0,"type":"invoke","f":"read"}"#,
//!     r#"{"index":3,"time":3,"process":0,"type":"ok","f":"read","value":2}"#,
//! ];
//! let mut news = News::Fine;
//! for line in lines {
//!     news = stream.push(&serde_json::from_str(line).unwrap(), &|| Duration::ZERO).unwrap();
//! }
//! assert!(matches!(news, News::Violated { .. }));
//! ```

use std::time::Duration;

use crate::history::values::FastMap;
use crate::history::{
    Event, EventType, HistoryError, NEVER, Process, Remarks, Val, Values, contradicts, matches, mismatch,
};
use crate::limits::Limits;
use crate::linearizability::nothing_judged;
use crate::model::{Call, CheckError, Hints, Model, Operation, Part, put_in_order};
use crate::search::Outcome;
use crate::search::jit::{self, Configuration};
use crate::verdict::Budget;

/// What a person should know of a verdict that a stream gives.
///
/// What is forgotten can't be replayed, and it takes all operations of an object to have them judged by a second
/// algorithm.
pub const UNCERTIFIED: &str =
    "decided by one search, which no second algorithm certified: check without --stream for that";

/// After so many events it is looked at what memory their values take.
const LOOK_AT_MEMORY: u32 = 256;

/// What an event brought to light.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing is wrong so far.
    Fine,
    /// The object of this key can't be explained any more, whatever comes. It is no longer watched.
    Violated {
        /// The key; `null` where the history has none.
        key: serde_json::Value,
        /// Indices of the invocations since the last quiet moment, the impossible one being among them.
        operations: Vec<u64>,
    },
    /// The object of this key is too hard for the budget. It is no longer watched.
    Undecided {
        /// The key; `null` where the history has none.
        key: serde_json::Value,
        /// What is spent.
        reason: String,
    },
}

/// An operation whose completion is awaited.
struct Pending {
    part: Val,
    event: Event,
    position: u32,
}

/// One object.
struct Lane<M: Model> {
    configurations: Vec<Configuration<M>>,
    /// Unknown operations from before the last quiet moment.
    unknown: Vec<M::Op>,
    /// Operations since, and the index of each one's invocation.
    part: Part<M::Op>,
    indices: Vec<u64>,
    open: u32,
    lost: bool,
}

/// Checks events as they come.
pub struct Stream<'m, M: Model> {
    model: &'m M,
    budget: Budget,
    values: Values,
    lanes: FastMap<Val, Lane<M>>,
    pending: FastMap<u64, Pending>,
    position: u32,
    /// Index and time of the event before.
    last: Option<u64>,
    time: u64,
    /// Operations that happened, failed and are unknown.
    happened: usize,
    failed: usize,
    unknown: usize,
    remarks: Remarks,
}

impl<'m, M: Model> Stream<'m, M> {
    /// Begins with nothing. The budget is for each stretch between two quiet moments.
    pub fn new(model: &'m M, budget: Budget) -> Self {
        Stream {
            model,
            budget,
            values: Values::default(),
            lanes: FastMap::default(),
            pending: FastMap::default(),
            position: 0,
            last: None,
            time: 0,
            happened: 0,
            failed: 0,
            unknown: 0,
            remarks: Remarks::default(),
        }
    }

    /// What was noticed so far that is no error.
    pub fn remarks(&self) -> Remarks {
        Remarks {
            open: self.remarks.open + self.pending.len() as u64,
            ..self.remarks
        }
    }

    /// Takes the next event. `elapsed` is the time since the run began, by any clock that goes on.
    pub fn push(&mut self, event: &Event, elapsed: &dyn Fn() -> Duration) -> Result<News, CheckError> {
        let index = event.index;
        if let Some(before) = self.last.filter(|&before| before >= index) {
            return Err(CheckError::History(HistoryError::Unordered { index, before }));
        }
        if event.time < self.time {
            self.remarks.back.at(index);
        }
        (self.last, self.time) = (Some(index), event.time);
        let Process::Client(process) = event.process else {
            self.remarks.nemesis(&event.f, &event.value);
            return Ok(News::Fine);
        };
        self.position += 1;
        let memory_bytes_max = self.budget.memory_bytes_max;
        if self.position.is_multiple_of(LOOK_AT_MEMORY) && self.values.bytes() > memory_bytes_max {
            let mib = (memory_bytes_max >> 20) as u64;
            return Err(CheckError::History(HistoryError::Memory { mib }));
        }
        if self.position == NEVER {
            return Err(CheckError::History(HistoryError::TooLong {
                max: u64::from(NEVER),
            }));
        }
        if event.kind == EventType::Invoke {
            // One that was never completed is unknown from now on.
            let news = match self.pending.remove(&process) {
                Some(lost) => {
                    self.remarks.reinvoked.at(index);
                    self.remarks.open += 1;
                    self.complete(lost, None, elapsed)?
                }
                None => News::Fine,
            };
            let part = self.part_of(event);
            if let Some(lane) = self.lanes.get_mut(&part) {
                lane.open += 1;
            } else {
                self.lanes.insert(part, Lane::new(self.model));
            }
            let position = self.position;
            let event = event.clone();
            self.pending.insert(
                process,
                Pending {
                    part,
                    event,
                    position,
                },
            );
            return Ok(news);
        }
        let Some(pending) = self.pending.remove(&process) else {
            return Err(CheckError::History(HistoryError::Unmatched {
                index: event.index,
                process,
            }));
        };
        matches(&pending.event, event)?;
        self.complete(pending, Some(event), elapsed)
    }

    /// The history is over: what is open is unknown. News of the first object that is not fine; where nothing was judged,
    /// that.
    pub fn finish(mut self, elapsed: &dyn Fn() -> Duration) -> Result<News, CheckError> {
        let mut pending: Vec<Pending> = self.pending.drain().map(|(_, pending)| pending).collect();
        pending.sort_by_key(|pending| pending.event.index);
        let mut first = News::Fine;
        for pending in pending {
            let news = self.complete(pending, None, elapsed)?;
            if first == News::Fine {
                first = news;
            }
        }
        if first == News::Fine && self.happened == 0 {
            return Ok(News::Undecided {
                key: serde_json::Value::Null,
                reason: nothing_judged(self.failed, self.unknown),
            });
        }
        Ok(first)
    }

    /// How many operations are kept.
    pub fn kept(&self) -> usize {
        self.lanes
            .values()
            .map(|lane| lane.part.len() + lane.unknown.len())
            .sum::<usize>()
            + self.pending.len()
    }

    fn part_of(&mut self, event: &Event) -> Val {
        let key = event
            .key
            .as_ref()
            .map_or(Val::NONE, |key| self.values.intern(key));
        let argument = self.values.datum_of(&event.value);
        self.model.part(&Call {
            f: &event.f,
            process: 0,
            key,
            argument,
            result: None,
            values: &self.values,
        })
    }

    fn complete(
        &mut self,
        pending: Pending,
        event: Option<&Event>,
        elapsed: &dyn Fn() -> Duration,
    ) -> Result<News, CheckError> {
        let kind = event.map_or(EventType::Info, |event| event.kind);
        let Pending {
            part,
            event: invoked,
            position,
        } = pending;
        let refused = event.is_some_and(Event::is_mismatch);
        let op = if kind == EventType::Fail && !refused {
            None
        } else {
            let key = invoked
                .key
                .as_ref()
                .map_or(Val::NONE, |key| self.values.intern(key));
            let argument = self.values.datum_of(&invoked.value);
            let answered = event.filter(|event| kind == EventType::Ok && !event.value.is_null());
            let result = answered.map_or(argument, |event| self.values.datum_of(&event.value));
            let process = match invoked.process {
                Process::Client(process) => process,
                Process::Nemesis => 0,
            };
            if let Some(event) = answered
                && contradicts(&invoked.f, argument, result, &self.values)
            {
                return Err(CheckError::History(mismatch(&invoked, event)));
            }
            let call = Call {
                f: &invoked.f,
                process,
                key,
                argument,
                result: (kind == EventType::Ok).then_some(result),
                values: &self.values,
            };
            let read = match refused {
                true => self.model.refused(&call),
                false => self.model.operation(&call),
            };
            read.map_err(|reason| CheckError::Operation {
                index: invoked.index,
                reason,
            })?
        };
        match kind {
            EventType::Ok => self.happened += usize::from(op.is_some()),
            EventType::Fail if op.is_some() => self.happened += 1,
            EventType::Fail => self.failed += 1,
            EventType::Info | EventType::Invoke => self.unknown += 1,
        }
        let Some(lane) = self.lanes.get_mut(&part) else {
            return Ok(News::Fine);
        };
        lane.open -= 1;
        if let Some(op) = op.filter(|_| !lane.lost) {
            let ret = if kind == EventType::Ok || refused {
                self.position
            } else {
                NEVER
            };
            lane.part.push(Operation {
                op,
                invoke: position,
                ret,
                row: lane.indices.len() as u32,
            });
            lane.indices.push(invoked.index);
        }
        if lane.open > 0 || lane.lost {
            return Ok(News::Fine);
        }
        let limits = Limits::from_now(self.budget, elapsed);
        let outcome = lane.judge(self.model, limits);
        let key = self.values.json(part);
        Ok(match outcome {
            Ok(()) => News::Fine,
            Err(Outcome::Exhausted(reason)) => {
                lane.lose();
                News::Undecided { key, reason }
            }
            Err(Outcome::Impossible { .. } | Outcome::Order(_)) => {
                let mut operations = std::mem::take(&mut lane.indices);
                operations.sort_unstable();
                lane.lose();
                News::Violated { key, operations }
            }
        })
    }
}

impl<M: Model> Lane<M> {
    fn new(model: &M) -> Self {
        Lane {
            configurations: vec![(model.initial(), Vec::new())],
            unknown: Vec::new(),
            part: Vec::new(),
            indices: Vec::new(),
            open: 1,
            lost: false,
        }
    }

    /// Judges what came since the last quiet moment, and forgets it.
    fn judge(&mut self, model: &M, limits: Limits<'_>) -> Result<(), Outcome> {
        let before = self.unknown.iter().map(|op| Operation {
            op: op.clone(),
            invoke: 0,
            ret: NEVER,
            row: NEVER,
        });
        let mut part: Part<M::Op> = before.collect();
        put_in_order(&mut self.part);
        part.append(&mut self.part);
        self.configurations = jit::advance(model, &self.configurations, &part, limits)?;
        self.unknown = (part.into_iter())
            .filter(|operation| operation.ret == NEVER && !model.hints().observes_only(&operation.op))
            .map(|operation| operation.op)
            .collect();
        self.indices.clear();
        Ok(())
    }

    fn lose(&mut self) {
        self.lost = true;
        self.part = Vec::new();
        self.indices = Vec::new();
        self.configurations = Vec::new();
    }
}
