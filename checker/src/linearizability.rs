//! Whether a history is linearizable: the front door.
//!
//! The history is split into its objects (keys); each part is decided by the quickest way that its model has and the
//! search behind it; what one part lacks is explained by the few operations that prove it. The verdict is the worst of
//! the parts: one that is violated outranks one that is undecided.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::certify;
use crate::explain::{self, Broken};
use crate::history::values::{FastBuild, FastMap};
use crate::history::{Event, History, HistoryError, NEVER, Val};
use crate::model::shortcuts::Fast;
use crate::model::{CATALOGUE, Call, Model, Operation, Part};
use crate::object::kv::Kv;
use crate::object::kv::texts::AsRegister;
use crate::object::lock::{Lock, Semaphore};
use crate::object::log::{Counter, Log, VersionedRegister};
use crate::object::multi_register::MultiRegister;
use crate::object::register::Register;
use crate::object::set::{Queue, Set};
use crate::search::{Limits, Outcome, jit};
use crate::verdict::{Budget, PropertyVerdict, Verdict, Witness};

/// Name of the property.
pub const PROPERTY: &str = "linearizable";

/// Why a history can't be checked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// No model has this name.
    #[error("unknown model {name:?}: choose one of {choices}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is.
        choices: String,
    },
    /// The model can't read an operation.
    #[error("event {index}: {reason}")]
    Operation {
        /// Index of its invocation.
        index: u64,
        /// What the model takes.
        reason: String,
    },
    /// The events are no history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// Checks a history against a model by name.
pub fn check(
    events: &[Event],
    model: &str,
    budget: Budget,
    elapsed: &dyn Fn() -> Duration,
) -> Result<PropertyVerdict, CheckError> {
    check_history(&History::from_events(events)?, model, budget, elapsed)
}

/// The same for a history that is in columns already.
pub fn check_history(
    history: &History,
    model: &str,
    budget: Budget,
    elapsed: &dyn Fn() -> Duration,
) -> Result<PropertyVerdict, CheckError> {
    let limits = Limits { budget, elapsed };
    with_model(model, OneThread { history, limits })
}

/// The same on several threads, the keys shared among them. The verdict does not depend on how many there are, unless
/// the budget is spent: the memory is divided among them.
pub fn check_parallel(
    history: &History,
    model: &str,
    budget: Budget,
    elapsed: &(dyn Fn() -> Duration + Sync),
    threads: NonZeroUsize,
) -> Result<PropertyVerdict, CheckError> {
    with_model(
        model,
        Threads {
            history,
            budget,
            elapsed,
            threads,
        },
    )
}

/// Something to be done with a model, whichever it is.
pub trait WithModel {
    /// What comes of it.
    type Result;
    /// Does it.
    fn with<M: Model>(self, model: &M) -> Result<Self::Result, CheckError>;
}

/// Finds a model by name and does something with it.
pub fn with_model<W: WithModel>(name: &str, then: W) -> Result<W::Result, CheckError> {
    match name {
        "register" => then.with(&Register { cas: false }),
        "cas-register" => then.with(&Register { cas: true }),
        "multi-register" => then.with(&MultiRegister),
        "kv" => then.with(&Kv),
        "versioned-register" => then.with(&VersionedRegister),
        "set" => then.with(&Set),
        "queue" => then.with(&Queue::Fifo),
        "unordered-queue" => then.with(&Queue::Unordered),
        "stack" => then.with(&Queue::Lifo),
        "mutex" => then.with(&Lock::Mutex),
        "owner-mutex" => then.with(&Lock::Owner),
        "fenced-lock" => then.with(&Lock::Fenced),
        "counter" => then.with(&Counter),
        "log" => then.with(&Log),
        _ => match permits(name) {
            Some(permits) => then.with(&Semaphore { permits }),
            None => Err(CheckError::UnknownModel {
                name: name.to_owned(),
                choices: CATALOGUE
                    .iter()
                    .map(|about| about.name)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
        },
    }
}

struct OneThread<'a> {
    history: &'a History,
    limits: Limits<'a>,
}

impl WithModel for OneThread<'_> {
    type Result = PropertyVerdict;

    fn with<M: Model>(self, model: &M) -> Result<PropertyVerdict, CheckError> {
        check_model(model, self.history, self.limits)
    }
}

struct Threads<'a> {
    history: &'a History,
    budget: Budget,
    elapsed: &'a (dyn Fn() -> Duration + Sync),
    threads: NonZeroUsize,
}

impl WithModel for Threads<'_> {
    type Result = PropertyVerdict;

    fn with<M: Model>(self, model: &M) -> Result<PropertyVerdict, CheckError> {
        let Threads {
            history,
            budget,
            elapsed,
            threads,
        } = self;
        let parts = split(model, history)?;
        // Those that have nothing to do need no memory.
        let threads = threads.get().clamp(1, parts.len().max(1));
        let budget = Budget {
            memory_bytes_max: budget.memory_bytes_max / threads,
            ..budget
        };
        // The longest first, so that none is left over for one thread at the end.
        let mut turn: Vec<usize> = (0..parts.len()).collect();
        turn.sort_by_key(|&at| std::cmp::Reverse(parts[at].1.len()));
        let next = AtomicUsize::new(0);
        let work = || {
            let limits = Limits { budget, elapsed };
            let mut found = Vec::new();
            while let Some(&at) = turn.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (key, part) = &parts[at];
                found.push((at, decide(model, history, *key, part, limits)));
            }
            found
        };
        let mut found: Vec<(usize, Finding)> = std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut found = work();
            for other in others {
                // A thread that panicked has found nothing, and its part would be missing: pass the panic on.
                match other.join() {
                    Ok(more) => found.extend(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            found
        });
        found.sort_by_key(|(at, _)| *at);
        let found = found.into_iter().map(|(at, finding)| (parts[at].0, finding));
        Ok(combine(history, found, elapsed()))
    }
}

/// The permits of `semaphore` or `semaphore:5`.
fn permits(model: &str) -> Option<i64> {
    match model.strip_prefix("semaphore")? {
        "" => Some(1),
        count => count.strip_prefix(':')?.parse().ok(),
    }
}

/// What was found about one part.
enum Finding {
    Holds,
    Broken(Box<Witness>),
    Undecided(String),
}

/// Checks a history against a model of one's own.
pub fn check_model<M: Model>(
    model: &M,
    history: &History,
    limits: Limits<'_>,
) -> Result<PropertyVerdict, CheckError> {
    let parts = split(model, history)?;
    let found: Vec<(Val, Finding)> = (parts.iter())
        .map(|(key, part)| (*key, decide(model, history, *key, part, limits)))
        .collect();
    Ok(combine(history, found.into_iter(), (limits.elapsed)()))
}

/// The verdict on the whole from those on the parts: the first violation outranks everything.
fn combine(
    history: &History,
    found: impl Iterator<Item = (Val, Finding)>,
    elapsed: Duration,
) -> PropertyVerdict {
    let (mut held, mut total, mut broken, mut undecided) = (0u64, 0u64, Vec::new(), Vec::new());
    for (key, finding) in found {
        total += 1;
        match finding {
            Finding::Holds => held += 1,
            Finding::Broken(witness) => broken.push(witness),
            Finding::Undecided(reason) => undecided.push((key, reason)),
        }
    }
    let unit = if total == 1 { "key" } else { "keys" };
    let mut detail = format!("{held} of {total} {unit} linearizable");
    if !broken.is_empty() {
        detail += &format!(", {} violated", broken.len());
    }
    if let Some((_, reason)) = undecided.first() {
        detail += &format!(", {} undecided: {reason}", undecided.len());
    }
    detail += &format!(", {} operations, {} ms", history.rows.len(), elapsed.as_millis());
    let verdict = match (broken.into_iter().next(), undecided.into_iter().next()) {
        (Some(witness), _) => Verdict::Violated { witness: *witness },
        (None, Some((Val::NONE, reason))) => Verdict::Inconclusive { reason },
        (None, Some((key, reason))) => Verdict::Inconclusive {
            reason: format!("key {}: {reason}", history.values.json(key)),
        },
        (None, None) => Verdict::Held,
    };
    PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict,
        detail,
    }
}

/// Parts by their key.
pub type Parts<Op> = Vec<(Val, Part<Op>)>;

/// Splits a history into the parts of its model, in order of their first operation.
pub fn split<M: Model>(model: &M, history: &History) -> Result<Parts<M::Op>, CheckError> {
    let mut parts: Parts<M::Op> = Vec::new();
    let mut of_key: FastMap<Val, usize> = FastMap::default();
    let mut last = (Val::NONE, 0);
    for (row, entry) in history.rows.iter().enumerate() {
        let call = Call {
            f: &history.functions[entry.f as usize],
            process: u64::from(entry.process),
            key: entry.key,
            argument: entry.argument,
            result: (entry.ret != NEVER).then_some(entry.result),
            values: &history.values,
        };
        let op = match model.operation(&call) {
            Ok(Some(op)) => op,
            Ok(None) => continue,
            Err(reason) => {
                let index = history.index(entry.invoke);
                return Err(CheckError::Operation { index, reason });
            }
        };
        let key = model.part(&call);
        // Often there is but one key.
        if parts.is_empty() || last.0 != key {
            let at = *of_key.entry(key).or_insert_with(|| {
                // What is reserved and not used costs no memory.
                let room = if parts.is_empty() { history.rows.len() } else { 0 };
                parts.push((key, Vec::with_capacity(room)));
                parts.len() - 1
            });
            last = (key, at);
        }
        parts[last.1].1.push(Operation {
            op,
            invoke: entry.invoke,
            ret: entry.ret,
            row: row as u32,
        });
    }
    for (_, part) in &mut parts {
        model.resolve(part, &history.values);
    }
    Ok(parts)
}

/// Says that an answer did not stand up to being checked.
const CONTRADICTION: &str = "what the search found could not be verified: please report this history";

fn decide<M: Model>(
    model: &M,
    history: &History,
    key: Val,
    part: &Part<M::Op>,
    limits: Limits<'_>,
) -> Finding {
    let Some(parts) = model.divide(part) else {
        return decide_whole(model, history, key, part, limits);
    };
    let mut undecided = None;
    for part in &parts {
        match decide_whole(model, history, key, part, limits) {
            Finding::Holds => {}
            broken @ Finding::Broken(_) => return broken,
            Finding::Undecided(reason) => undecided = undecided.or(Some(reason)),
        }
    }
    undecided.map_or(Finding::Holds, Finding::Undecided)
}

/// Decides one object.
fn decide_whole<M: Model>(
    model: &M,
    history: &History,
    key: Val,
    part: &Part<M::Op>,
    limits: Limits<'_>,
) -> Finding {
    let mut suspects = None;
    match model.decide(part) {
        Some(Fast::Core(core)) => suspects = Some(core),
        Some(found) if certify::explains(model, part, &found) => return Finding::Holds,
        // An order that does not hold is no answer; the search decides.
        Some(_) | None => {}
    }
    let broken = Broken {
        model,
        history,
        key,
        part,
        limits,
    };
    if let Some(core) = suspects {
        let core: Part<M::Op> = core.iter().map(|&at| part[at as usize].clone()).collect();
        if let Some(witness) = broken.witness(core) {
            return Finding::Broken(Box::new(witness));
        }
    }
    let found = match model.as_register(part) {
        Some(register) => search_register(&register, part, limits),
        None => search(model, part, limits),
    };
    let witness = match found {
        Found::Order(order) if certify::order_holds(model, part, &order) => return Finding::Holds,
        Found::Order(_) => None,
        Found::Core(core) => broken.witness(core),
        Found::Exhausted(reason) => return Finding::Undecided(reason),
    };
    match witness {
        Some(witness) => Finding::Broken(Box::new(witness)),
        None => Finding::Undecided(CONTRADICTION.to_owned()),
    }
}

/// What a search found about a part.
enum Found<Op> {
    /// An order that explains it.
    Order(Vec<u32>),
    /// Operations that are impossible together.
    Core(Part<Op>),
    /// Nothing, and why.
    Exhausted(String),
}

fn search<M: Model>(model: &M, part: &Part<M::Op>, limits: Limits<'_>) -> Found<M::Op> {
    match jit::search(model, part, limits) {
        Outcome::Order(order) => Found::Order(order),
        Outcome::Impossible { at, since } => {
            let prefix = explain::prefix(part, part[at as usize].ret);
            Found::Core(window(model, prefix, since))
        }
        Outcome::Exhausted(reason) => Found::Exhausted(reason),
    }
}

/// Searches a part as the register that it is.
fn search_register<Op: Clone>(register: &AsRegister, part: &Part<Op>, limits: Limits<'_>) -> Found<Op> {
    match search(&Register { cas: true }, &register.part, limits) {
        Found::Order(order) => Found::Order(register.original(&order)),
        Found::Core(core) => {
            let rows: HashSet<u32> = core.iter().map(|operation| operation.row).collect();
            let positions: Vec<u32> = (register.part.iter().zip(0..))
                .filter(|(operation, _)| rows.contains(&operation.row))
                .map(|(_, at)| at)
                .collect();
            let core = register.core(&positions);
            Found::Core(core.iter().map(|&at| part[at as usize].clone()).collect())
        }
        Found::Exhausted(reason) => Found::Exhausted(reason),
    }
}

/// What is left of operations that are impossible together whatever completed before a position: without that, but for
/// the last that brought in each value, so that nobody has to wonder who wrote it. Unknown operations go that brought in
/// what nobody asks for; without any unknown one, the rest is still impossible.
fn window<M: Model>(model: &M, part: Part<M::Op>, since: u32) -> Part<M::Op> {
    let mut last: FastMap<Val, u32> = FastMap::default();
    for operation in part.iter().filter(|operation| operation.ret < since) {
        for &value in model.produces(&operation.op) {
            let ret = last.entry(value).or_default();
            *ret = operation.ret.max(*ret);
        }
    }
    let brings = |operation: &Operation<M::Op>| {
        let mut values = model.produces(&operation.op).iter();
        values.any(|value| last.get(value) == Some(&operation.ret))
    };
    let mut part = part;
    part.retain(|operation| operation.ret >= since || brings(operation));
    loop {
        let before = part.len();
        let needed: HashSet<Val, FastBuild> = (part.iter())
            .flat_map(|operation| model.needs(&operation.op).iter().copied())
            .collect();
        part.retain(|operation| {
            let values = model.produces(&operation.op);
            operation.ret != NEVER || values.is_empty() || values.iter().any(|value| needed.contains(value))
        });
        if part.len() == before {
            return part;
        }
    }
}
