//! What *did* hold: weaker promises on histories of registers, and how stale the stale reads were.
//!
//! A history that is not linearizable may still keep a weaker promise, and which one it keeps tells what is wrong with
//! the system. On registers whose written values are all different every read names its write, and the promises become
//! questions about a graph on operations:
//!
//! * *Session guarantees* (Terry et al., PDIS 1994), each session being one process:
//!   [read your writes](Guarantee::ReadYourWrites): no read returns a value that the process itself had replaced, or that
//!   stood before its own write; [monotonic reads](Guarantee::MonotonicReads): what a process reads never steps back;
//!   [monotonic writes](Guarantee::MonotonicWrites): the writes of a process take effect in its order;
//!   [writes follow reads](Guarantee::WritesFollowReads): a write takes effect after what its process had read.
//! * [Causal](Guarantee::Causal): session order and read-from together, closed, are no circle, and no read returns a
//!   value that was overwritten in its causal past (Bouajjani et al., POPL 2017, the bad patterns of causal
//!   consistency, `CyclicCO`, `WriteCOInitRead` and `WriteCORead`).
//! * [Sequential](Guarantee::Sequential): one order of all operations that keeps every process's own, of each object by
//!   itself, which is known as coherence. (Of all objects together it is NP-hard, Gibbons and Korach 1997; what is said
//!   here is what the objects promise one by one.)
//!
//! A compare-and-set that [found another value](crate::history::MISMATCH) is looked at by sequential consistency alone;
//! the others are about what was read and written.
//!
//! The order of two writes to one object is taken as forced only where the history forces it: one was seen by a process
//! before the other took its place there. The initial value stands before every write.

mod causal;
mod guarantee;
mod object;
mod sequential;
mod sessions;
mod staleness;

use std::time::Duration;

use self::causal::causal;
pub use self::guarantee::{Guarantee, Kept};
use self::object::object;
use self::sequential::{sequential, sequential_by_search};
use self::sessions::in_session;
pub use self::staleness::{Staleness, staleness};
use crate::history::History;
use crate::limits::Limits;
use crate::linearizability::split;
use crate::model::{CheckError, Operation};
use crate::object::about;
use crate::object::register::{Register, RegisterOp};
use crate::verdict::{Budget, PropertyVerdict, StaleBy, Verdict, Weaker};

/// Which of the weaker promises a history of registers kept.
pub fn guarantees(history: &History, limits: Limits<'_>) -> Result<Vec<(Guarantee, Kept)>, CheckError> {
    use Guarantee::{Causal, Sequential};
    let model = Register { cas: true };
    let parts = split(&model, history)?;
    let mut kept: Vec<(Guarantee, Kept)> = Guarantee::ALL.map(|guarantee| (guarantee, Kept::Yes)).to_vec();
    for (_, part) in &parts {
        let object = object(history, part);
        for (guarantee, kept) in &mut kept {
            if *kept != Kept::Yes {
                continue;
            }
            *kept = match (&object, *guarantee) {
                (Err(Kept::Unknown(_)), Sequential) => sequential_by_search(&model, history, part, limits),
                (Err(why), _) => why.clone(),
                // Blocks know nothing of what was not found.
                (Ok(object), Sequential) => match sequential(object) {
                    Kept::Yes if has_mismatch(part) => sequential_by_search(&model, history, part, limits),
                    kept => kept,
                },
                (Ok(object), Causal) => causal(object, limits),
                (Ok(object), session) => in_session(object, session),
            };
        }
    }
    Ok(kept)
}

fn has_mismatch(part: &[Operation<RegisterOp>]) -> bool {
    part.iter()
        .any(|operation| matches!(operation.op, RegisterOp::Mismatch(_)))
}

/// All of the above about a history that is not linearizable.
pub fn weaker(history: &History, limits: Limits<'_>) -> Result<Weaker, CheckError> {
    let (mut kept, mut broken, mut undecided) = (Vec::new(), Vec::new(), Vec::new());
    let mut open = Vec::new();
    for (guarantee, answer) in guarantees(history, limits)? {
        let name = guarantee.name().to_owned();
        match answer {
            Kept::Yes => kept.push(name),
            Kept::No(_) => broken.push(name),
            Kept::Unknown(why) => {
                undecided.push(format!("{name}: {why}"));
                open.push(name);
            }
        }
    }
    let stale = staleness(history)?;
    let stale_by = |percent: usize| {
        let (nanos, versions) = stale.percentile(percent)?;
        let percent = percent as u64;
        Some(StaleBy {
            percent,
            nanos,
            versions,
        })
    };
    let staleness: Vec<StaleBy> = [50, 99, 100].into_iter().filter_map(stale_by).collect();
    let mut sentences = Vec::new();
    for (verb, promises) in [("It keeps", &kept), ("It breaks", &broken), ("Undecided:", &open)] {
        if !promises.is_empty() {
            sentences.push(format!("{verb} {}.", promises.join(", ")));
        }
    }
    if let [half, most, all] = staleness[..] {
        let by = |stale: StaleBy| {
            let plural = if stale.versions == 1 { "" } else { "s" };
            format!("{} and {} version{plural}", shown(stale.nanos), stale.versions)
        };
        let (count, reads) = (stale.nanos.len(), stale.reads);
        sentences.push(match count {
            1 => format!("1 of {reads} reads is certainly stale, by {}.", by(all)),
            _ => format!(
                "{count} of {reads} reads are certainly stale: half of them by up to {}, 99 % by up to {}, the worst by {}.",
                by(half),
                by(most),
                by(all)
            ),
        });
    }
    Ok(Weaker {
        kept,
        broken,
        undecided,
        reads: stale.reads,
        stale_reads: stale.nanos.len() as u64,
        staleness,
        sentence: sentences.join(" "),
    })
}

/// What [`judged`] may take: nobody who asked something else is to wait for it.
const TIME_MS_MAX: u64 = 50;

/// The verdict on linearizability, and where it is a violation by registers, which weaker promises are kept instead.
///
/// That is no part of the question, so it has time of its own, outside the budget, and only a glance of it: what is not
/// known then is undecided. Whoever wants to know more asks [`weaker`] with limits of their own.
pub fn judged(
    history: &History,
    model: &str,
    mut verdict: PropertyVerdict,
    budget: Budget,
    elapsed: &dyn Fn() -> Duration,
) -> PropertyVerdict {
    if let Verdict::Violated { witness } = &mut verdict.verdict
        && about(model).is_some_and(|about| about.weaker)
    {
        let budget = Budget {
            time_ms_max: TIME_MS_MAX,
            ..budget
        };
        let limits = Limits::from_now(budget, elapsed);
        witness.weaker = weaker(history, limits).ok().map(Box::new);
    }
    verdict
}

/// A duration as a person reads it: `488.0 ms`.
fn shown(nanos: u64) -> String {
    let text = format!("{:.1?}", Duration::from_nanos(nanos));
    let unit = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    format!("{} {}", &text[..unit], &text[unit..])
}
