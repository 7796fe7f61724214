//! Whether a history is linearizable: the front door.
//!
//! The history is split into its objects (keys); each part is decided by the quickest way that its model has and the
//! search behind it; what one part lacks is explained by the few operations that prove it. The verdict is the worst of
//! the parts: one that is violated outranks one that is undecided.

mod decide;
mod parts;
mod paths;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use self::decide::{Answer, Finding, decide};
use self::parts::completed;
pub use self::parts::{Parts, split};
use self::paths::Paths;
use crate::history::{Event, History, Val};
use crate::limits::Limits;
pub use crate::model::CheckError;
use crate::model::Model;
pub use crate::object::{WithModel, with_model};
use crate::verdict::{Budget, PropertyVerdict, Verdict};

/// Name of the property.
pub const PROPERTY: &str = "linearizable";

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
        let lengths = parts.iter().map(|(_, part)| part.len()).collect();
        let found = on_threads(threads, lengths, &|at| {
            let (key, part) = &parts[at];
            (
                *key,
                decide(model, history, *key, part, Limits { budget, elapsed }),
            )
        });
        Ok(combine(history, completed(&parts), found, elapsed()))
    }
}

/// Decides parts of these lengths on several threads: the longest first, so that none is left over for one thread at the end.
fn on_threads(
    threads: usize,
    lengths: Vec<usize>,
    decide: &(dyn Fn(usize) -> (Val, Finding) + Sync),
) -> Vec<(Val, Finding)> {
    let mut turn: Vec<usize> = (0..lengths.len()).collect();
    turn.sort_by_key(|&at| std::cmp::Reverse(lengths[at]));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut found = Vec::new();
        while let Some(&at) = turn.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.push((at, decide(at)));
        }
        found
    };
    let mut found = std::thread::scope(|scope| {
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
    found.into_iter().map(|(_, found)| found).collect()
}

/// Why a history says nothing in which nothing completed.
pub(crate) fn nothing_judged(failed: usize, unknown: usize) -> String {
    match (failed, unknown) {
        (0, 0) => "the history has no operation of a client, so there is nothing to judge".to_owned(),
        (_, 0) => format!("every operation failed ({failed} did), so there is nothing to judge"),
        _ => format!(
            "no operation is known to have happened ({unknown} unknown, {failed} failed), so there is nothing to judge"
        ),
    }
}

/// Checks a history against a model of one's own.
pub fn check_model<M: Model>(
    model: &M,
    history: &History,
    limits: Limits<'_>,
) -> Result<PropertyVerdict, CheckError> {
    let parts = split(model, history)?;
    let found = (parts.iter())
        .map(|(key, part)| (*key, decide(model, history, *key, part, limits)))
        .collect();
    Ok(combine(history, completed(&parts), found, (limits.elapsed)()))
}

/// The verdict on the whole from those on the parts: the first violation outranks everything.
fn combine(
    history: &History,
    judged: usize,
    found: Vec<(Val, Finding)>,
    elapsed: Duration,
) -> PropertyVerdict {
    let (mut held, mut total, mut broken, mut undecided) = (0u64, 0u64, Vec::new(), Vec::new());
    let mut paths = Paths::default();
    for (key, finding) in found {
        total += 1;
        paths.count(&finding);
        match finding.answer {
            Answer::Holds => held += 1,
            Answer::Broken(witness) => broken.push(witness),
            Answer::Undecided(reason) => undecided.push((key, reason)),
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
    for warning in history.remarks.warnings().into_iter().chain(paths.warnings()) {
        detail += &format!("; {warning}");
    }
    let verdict = match (broken.into_iter().next(), undecided.into_iter().next()) {
        (Some(witness), _) => Verdict::Violated { witness: *witness },
        (None, Some((Val::NONE, reason))) => Verdict::Inconclusive { reason },
        (None, Some((key, reason))) => Verdict::Inconclusive {
            reason: format!("key {}: {reason}", history.values.json(key)),
        },
        (None, None) if judged == 0 => Verdict::Inconclusive {
            reason: nothing_judged(history.failures.len(), history.rows.len()),
        },
        (None, None) => Verdict::Held,
    };
    PropertyVerdict {
        property: PROPERTY.to_owned(),
        verdict,
        detail,
        decided_by: paths.said(),
    }
}
