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
//! * [Sequential](Guarantee::Sequential): one order of all operations that keeps every process's own. Deciding it is
//!   NP-hard (Gibbons and Korach 1997), over several registers in particular; here it is searched per object, which says
//!   what the objects promise one by one, not together.
//!
//! The order of two writes to one object is taken as forced only where the history forces it: one was seen by a process
//! before the other took its place there. The initial value stands before every write.

use std::time::Duration;

use crate::certify;
use crate::history::values::FastMap;
use crate::history::{History, NEVER, Val};
use crate::linearizability::{CheckError, split};
use crate::model::register::{Register, RegisterOp};
use crate::model::{Model, Operation};
use crate::search::{Limits, Outcome, jit};
use crate::verdict::{Budget, PropertyVerdict, StaleBy, Verdict, Weaker};

/// A promise weaker than linearizability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// A process sees its own writes.
    ReadYourWrites,
    /// What a process reads never steps back.
    MonotonicReads,
    /// The writes of a process take effect in its order.
    MonotonicWrites,
    /// A write takes effect after what its process had read.
    WritesFollowReads,
    /// Nobody sees an effect without its cause.
    Causal,
    /// One order of all operations keeps every process's own.
    Sequential,
}

/// Whether a promise was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Nothing contradicts it.
    Yes,
    /// These rows of the history do.
    No(Vec<u32>),
    /// It can't be said, and why.
    Unknown(String),
}

/// How stale the reads of a history were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staleness {
    /// Reads that were looked at.
    pub reads: u64,
    /// For each stale read, in rising order: nanoseconds between the completion of the first write that certainly had
    /// replaced its value, and the invocation of the read.
    pub nanos: Vec<u64>,
    /// For each stale read, in rising order: how many writes certainly came after its value and before the read began.
    pub versions: Vec<u64>,
}

impl Staleness {
    /// The value below which so many of a hundred stale reads lie: `(nanoseconds, versions)`; `None` without any.
    pub fn percentile(&self, percent: usize) -> Option<(u64, u64)> {
        let at = |list: &[u64]| {
            list.get((list.len() * percent / 100).min(list.len().checked_sub(1)?))
                .copied()
        };
        Some((at(&self.nanos)?, at(&self.versions)?))
    }
}

/// One operation of a process, in its order.
#[derive(Clone, Copy)]
struct Step {
    row: u32,
    /// The write that it saw: index into the writes; 0 is the initial value.
    saw: Option<usize>,
    /// The write that it made.
    made: Option<usize>,
}

/// One object: its writes, and what each process did.
struct Object {
    /// The row of each write; that of the initial value is [`NEVER`].
    writes: Vec<u32>,
    sessions: Vec<Vec<Step>>,
}

/// Which of the weaker promises a history of registers kept.
pub fn guarantees(history: &History, limits: Limits<'_>) -> Result<Vec<(Guarantee, Kept)>, CheckError> {
    use Guarantee::*;
    let model = Register { cas: true };
    let parts = split(&model, history)?;
    let mut kept: Vec<(Guarantee, Kept)> = [
        ReadYourWrites,
        MonotonicReads,
        MonotonicWrites,
        WritesFollowReads,
        Causal,
        Sequential,
    ]
    .map(|guarantee| (guarantee, Kept::Yes))
    .to_vec();
    for (_, part) in &parts {
        let object = object(history, part);
        for (guarantee, kept) in &mut kept {
            if *kept != Kept::Yes {
                continue;
            }
            *kept = match (&object, *guarantee) {
                (_, Sequential) => sequential(&model, history, part, limits),
                (Err(why), _) => why.clone(),
                (Ok(object), Causal) => causal(object, limits),
                (Ok(object), session) => in_session(object, session),
            };
        }
    }
    Ok(kept)
}

/// Follows reads to their writes; `Err` where that is not possible.
fn object(history: &History, part: &[Operation<RegisterOp>]) -> Result<Object, Kept> {
    let mut of_value: FastMap<Val, usize> = FastMap::default();
    of_value.insert(Val::NIL, 0);
    let mut writes = vec![NEVER];
    for operation in part {
        let value = match operation.op {
            RegisterOp::Write(value) => value,
            RegisterOp::Cas(old, new) if old != new => new,
            RegisterOp::Cas(..) | RegisterOp::Read(_) => continue,
        };
        if of_value.insert(value, writes.len()).is_some() {
            return Err(Kept::Unknown(
                "values were written twice, so a read does not name its write".to_owned(),
            ));
        }
        writes.push(operation.row);
    }
    let mut sessions: Vec<Vec<Step>> = Vec::new();
    let mut of_process: FastMap<u32, usize> = FastMap::default();
    for operation in part {
        let known = operation.ret != NEVER;
        let saw = match operation.op {
            RegisterOp::Read(value) | RegisterOp::Cas(value, _) if known => match of_value.get(&value) {
                Some(&write) => Some(write),
                None => return Err(Kept::No(vec![operation.row])),
            },
            _ => None,
        };
        let made = match operation.op {
            RegisterOp::Write(value) => of_value.get(&value).copied(),
            RegisterOp::Cas(old, new) if old != new => of_value.get(&new).copied(),
            RegisterOp::Cas(..) | RegisterOp::Read(_) => None,
        };
        let process = history.rows[operation.row as usize].process;
        let session = *of_process.entry(process).or_insert_with(|| {
            sessions.push(Vec::new());
            sessions.len() - 1
        });
        sessions[session].push(Step {
            row: operation.row,
            saw,
            made,
        });
    }
    Ok(Object { writes, sessions })
}

/// Edges between writes of one object that a guarantee forces, and the steps that force each.
type Edges = Vec<(usize, usize, [u32; 2])>;

/// A session guarantee is kept if the order that it forces on the writes has no circle.
///
/// A process that has `a` in hand (it wrote or read it) and later reads or writes `b` puts `b` after `a`, where the
/// guarantee is about that pair.
fn in_session(object: &Object, guarantee: Guarantee) -> Kept {
    let mut edges: Edges = Vec::new();
    for session in &object.sessions {
        // Which write the process made or saw last, and the row where it did.
        let mut written: Option<(usize, u32)> = None;
        let mut read: Option<(usize, u32)> = None;
        for step in session {
            let (before, after) = match guarantee {
                Guarantee::ReadYourWrites => (written, step.saw),
                Guarantee::MonotonicReads => (read, step.saw),
                Guarantee::MonotonicWrites => (written, step.made),
                _ => (read, step.made),
            };
            if let (Some((before, row)), Some(after)) = (before, after)
                && before != after
            {
                edges.push((before, after, [row, step.row]));
            }
            if let Some(saw) = step.saw {
                read = Some((saw, step.row));
            }
            if let Some(made) = step.made {
                written = Some((made, step.row));
            }
        }
    }
    // The writes alone don't order each other, so of the guarantees about writes only circles through the initial value
    // and between processes are visible.
    match circle(object.writes.len(), &edges) {
        Some(rows) => Kept::No(rows),
        None => Kept::Yes,
    }
}

/// The rows that force a circle, if there is one; nothing may come before the initial value.
fn circle(count: usize, edges: &Edges) -> Option<Vec<u32>> {
    if let Some((_, _, rows)) = edges.iter().find(|(_, after, _)| *after == 0) {
        return Some(rows.to_vec());
    }
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, (before, _, _)) in edges.iter().enumerate() {
        out[*before].push(at);
    }
    // Depth first; the path in hand is the circle when it meets itself.
    let (mut colour, mut path): (Vec<u8>, Vec<(usize, usize)>) = (vec![0; count], Vec::new());
    for start in 0..count {
        if colour[start] != 0 {
            continue;
        }
        colour[start] = 1;
        path.push((start, 0));
        while let Some((node, next)) = path.last_mut() {
            let Some(&edge) = out[*node].get(*next) else {
                colour[*node] = 2;
                path.pop();
                continue;
            };
            *next += 1;
            let target = edges[edge].1;
            match colour[target] {
                0 => {
                    colour[target] = 1;
                    path.push((target, 0));
                }
                1 => {
                    let from = path.iter().position(|(node, _)| *node == target).unwrap_or(0);
                    let used = path[from..].iter().map(|(node, next)| out[*node][next - 1]);
                    let mut rows: Vec<u32> = used.flat_map(|edge| edges[edge].2).collect();
                    rows.sort_unstable();
                    rows.dedup();
                    return Some(rows);
                }
                _ => {}
            }
        }
    }
    None
}

/// The most operations for which causal order is computed: it takes their number times the number of sessions.
const CAUSAL_CELLS_MAX: usize = 1 << 28;

/// Causal consistency by vector clocks over sessions.
fn causal(object: &Object, limits: Limits<'_>) -> Kept {
    let sessions = &object.sessions;
    let total: usize = sessions.iter().map(Vec::len).sum();
    if total.saturating_mul(sessions.len()) > CAUSAL_CELLS_MAX.min(limits.budget.memory_bytes_max / 4) {
        return Kept::Unknown(format!(
            "{total} operations of {} processes take too much memory",
            sessions.len()
        ));
    }
    // Where each write was made: session and position. The initial value was made nowhere.
    let mut made_at: Vec<Option<(usize, usize)>> = vec![None; object.writes.len()];
    for (session, steps) in sessions.iter().enumerate() {
        for (position, step) in steps.iter().enumerate() {
            if let Some(made) = step.made {
                made_at[made] = Some((session, position));
            }
        }
    }
    // How many steps of each session are in the causal past of a step, itself included; computed when what it saw is.
    let mut clocks: Vec<Vec<Vec<u32>>> = sessions
        .iter()
        .map(|steps| Vec::with_capacity(steps.len()))
        .collect();
    loop {
        let mut moved = false;
        for session in 0..sessions.len() {
            while let Some(step) = sessions[session].get(clocks[session].len()) {
                let seen = step.saw.and_then(|saw| made_at[saw]);
                let mut clock = clocks[session]
                    .last()
                    .cloned()
                    .unwrap_or_else(|| vec![0; sessions.len()]);
                if let Some((maker, position)) = seen
                    && (maker, position) != (session, clocks[session].len())
                {
                    let Some(of_write) = clocks[maker].get(position) else {
                        break;
                    };
                    for (own, other) in clock.iter_mut().zip(of_write) {
                        *own = (*own).max(*other);
                    }
                }
                clock[session] = clocks[session].len() as u32 + 1;
                clocks[session].push(clock);
                moved = true;
            }
        }
        if !moved {
            break;
        }
    }
    // Who never got a clock sees what depends on itself.
    let stuck: Vec<u32> = (sessions.iter().zip(&clocks))
        .filter_map(|(steps, clocks)| steps.get(clocks.len()).map(|step| step.row))
        .collect();
    if !stuck.is_empty() {
        return Kept::No(stuck);
    }
    // A read is wrong if, in its past, a step of any session wrote something else after seeing or making the value.
    let past = |session: usize, position: usize| -> Vec<u32> { clocks[session][position].clone() };
    for (session, steps) in sessions.iter().enumerate() {
        // The latest write of each session before a step is the one most likely to have replaced the value.
        for (position, step) in steps.iter().enumerate() {
            let Some(saw) = step.saw else { continue };
            let clock = past(session, position);
            for (other, others) in sessions.iter().enumerate() {
                let until = clock[other] as usize - usize::from(other == session);
                let latest = others[..until]
                    .iter()
                    .enumerate()
                    .rev()
                    .find(|(_, step)| step.made.is_some_and(|made| made != saw));
                let Some((at, replaced)) = latest else { continue };
                let knew = match made_at[saw] {
                    // The initial value precedes every write.
                    None => true,
                    Some((maker, made)) => clocks[other][at][maker] as usize > made,
                };
                if knew {
                    let maker = made_at[saw].map(|(maker, made)| sessions[maker][made].row);
                    let mut rows: Vec<u32> = maker.into_iter().chain([replaced.row, step.row]).collect();
                    rows.sort_unstable();
                    return Kept::No(rows);
                }
            }
        }
    }
    Kept::Yes
}

/// Sequential consistency of one object: how far each process is, and the value, searched directly.
fn sequential(
    model: &Register,
    history: &History,
    part: &[Operation<RegisterOp>],
    limits: Limits<'_>,
) -> Kept {
    // What is linearizable is sequential.
    if let Some(crate::fast::Fast::Order(order)) = model.decide(part)
        && certify::order_holds(model, part, &order)
    {
        return Kept::Yes;
    }
    if let Outcome::Order(_) = jit::search(model, part, limits) {
        return Kept::Yes;
    }
    let mut sessions: Vec<Vec<&Operation<RegisterOp>>> = Vec::new();
    let mut of_process: FastMap<u32, usize> = FastMap::default();
    for operation in part {
        let process = history.rows[operation.row as usize].process;
        let session = *of_process.entry(process).or_insert_with(|| {
            sessions.push(Vec::new());
            sessions.len() - 1
        });
        sessions[session].push(operation);
    }
    let mut seen: FastMap<(Vec<u32>, Val), ()> = FastMap::default();
    let mut work = vec![(vec![0u32; sessions.len()], model.initial())];
    let mut bytes = 0;
    let mut next = Vec::new();
    while let Some((mut at, state)) = work.pop() {
        // What observes the state is taken at once; it loses nothing.
        let mut moved = true;
        while moved {
            moved = false;
            for (session, steps) in sessions.iter().enumerate() {
                while let Some(step) = steps.get(at[session] as usize)
                    && ((step.ret == NEVER) && model.observes_only(&step.op)
                        || model.observes_only(&step.op)
                            && (RegisterOp::Read(state) == step.op
                                || RegisterOp::Cas(state, state) == step.op))
                {
                    at[session] += 1;
                    moved = true;
                }
            }
        }
        if sessions
            .iter()
            .zip(&at)
            .all(|(steps, &at)| steps[at as usize..].iter().all(|step| step.ret == NEVER))
        {
            return Kept::Yes;
        }
        if seen.insert((at.clone(), state), ()).is_some() {
            continue;
        }
        bytes += at.len() * 4 + 64;
        if seen.len().is_multiple_of(1024)
            && let Some(reason) = limits.exhausted(bytes)
        {
            return Kept::Unknown(reason);
        }
        for (session, steps) in sessions.iter().enumerate() {
            let Some(step) = steps.get(at[session] as usize) else {
                continue;
            };
            let mut further = at.clone();
            further[session] += 1;
            model.step(&state, &step.op, &mut next);
            work.extend(next.drain(..).map(|state| (further.clone(), state)));
            if step.ret == NEVER {
                work.push((further, state));
            }
        }
    }
    Kept::No(Vec::new())
}

/// How stale the reads were: against writes that had completed before the read began.
pub fn staleness(history: &History) -> Result<Staleness, CheckError> {
    let parts = split(&Register { cas: true }, history)?;
    let mut stale = Staleness::default();
    for (_, part) in &parts {
        let mut of_value: FastMap<Val, usize> = FastMap::default();
        // Completed writes by completion, for "which began after that one completed".
        let mut writes: Vec<&Operation<RegisterOp>> = Vec::new();
        for (at, operation) in part.iter().enumerate() {
            if let RegisterOp::Write(value) | RegisterOp::Cas(_, value) = operation.op {
                of_value.insert(value, at);
                if operation.ret != NEVER {
                    writes.push(operation);
                }
            }
        }
        for read in part {
            let RegisterOp::Read(value) = read.op else {
                continue;
            };
            stale.reads += 1;
            let after = match of_value.get(&value) {
                Some(&at) if part[at].ret == NEVER => continue,
                Some(&at) => part[at].ret,
                None if value.is_nil() => 0,
                None => continue,
            };
            // By invocation, so those that began after it completed are a tail.
            let from = writes.partition_point(|write| write.invoke < after);
            let newer = writes[from..]
                .iter()
                .take_while(|write| write.invoke < read.invoke);
            let newer: Vec<_> = newer.filter(|write| write.ret < read.invoke).collect();
            let first = newer
                .iter()
                .map(|write| history.times[write.row as usize].completed)
                .min();
            if let Some(first) = first {
                let began = history.times[read.row as usize].invoked;
                stale.nanos.push(began.saturating_sub(first));
                stale.versions.push(newer.len() as u64);
            }
        }
    }
    stale.nanos.sort_unstable();
    stale.versions.sort_unstable();
    Ok(stale)
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
        let by = |stale: StaleBy| format!("{} and {} versions", shown(stale.nanos), stale.versions);
        sentences.push(format!(
            "{} of {} reads are certainly stale: half of these by up to {}, 99 % by up to {}, the worst by {}.",
            stale.nanos.len(),
            stale.reads,
            by(half),
            by(most),
            by(all)
        ));
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

/// What [`judged`] may take.
const TIME_MS_MAX: u64 = 2000;

/// The verdict on linearizability, and where it is a violation by registers, which weaker promises are kept instead. That
/// is no part of the question, so it has time of its own beside the budget.
pub fn judged(
    history: &History,
    model: &str,
    mut verdict: PropertyVerdict,
    budget: Budget,
    elapsed: &dyn Fn() -> Duration,
) -> PropertyVerdict {
    if let Verdict::Violated { witness } = &mut verdict.verdict
        && ["register", "cas-register"].contains(&model)
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

impl Guarantee {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Guarantee::ReadYourWrites => "read your writes",
            Guarantee::MonotonicReads => "monotonic reads",
            Guarantee::MonotonicWrites => "monotonic writes",
            Guarantee::WritesFollowReads => "writes follow reads",
            Guarantee::Causal => "causal consistency",
            Guarantee::Sequential => "sequential consistency of each object",
        }
    }
}

/// A duration as a person reads it.
fn shown(nanos: u64) -> String {
    format!("{:.1?}", Duration::from_nanos(nanos))
}
