//! Sequential consistency of one object, also known as coherence.
//!
//! Where written values all differ it takes no search (the case of one write a value of Cantin, Lipasti and Smith, "The
//! Complexity of Verifying Memory Coherence", SPAA 2003). A write and its reads form a block, and a compare-and-set
//! puts its block right behind the one that it found; so blocks form chains, and a chain stands together in every
//! order. Within it the order is given, and must be that of every process. Between chains, whatever some process did
//! first comes first; if that is no circle, and nothing comes before the initial value, any order of the chains that
//! respects it will do.

use super::guarantee::Kept;
use super::object::{Object, Step};
use super::sessions::{Edges, circle};
use crate::certify;
use crate::history::values::FastMap;
use crate::history::{History, NEVER, Val};
use crate::limits::Limits;
use crate::model::{Hints, Model, Operation, Shortcuts};
use crate::object::register::{Register, RegisterOp};
use crate::search::{Outcome, jit};

/// How many places are looked at between two looks at the budget.
const LOOKS_BETWEEN_CHECKS: u64 = 256;

/// Where reads name their writes.
pub(super) fn sequential(object: &Object) -> Kept {
    let count = object.writes.len();
    let mut next: Vec<Option<usize>> = vec![None; count];
    for (write, replaced) in object.replaced.iter().enumerate() {
        let Some(replaced) = *replaced else { continue };
        if let Some(rival) = next[replaced].replace(write) {
            return Kept::No(vec![object.writes[rival], object.writes[write]]);
        }
    }
    // Each write by the first of its chain, and how far behind that it stands.
    let mut place: Vec<Option<(usize, usize)>> = vec![None; count];
    for head in (0..count).filter(|&write| object.replaced[write].is_none()) {
        let (mut at, mut depth) = (Some(head), 0);
        while let Some(write) = at {
            place[write] = Some((head, depth));
            (at, depth) = (next[write], depth + 1);
        }
    }
    let place: Option<Vec<(usize, usize)>> = place.into_iter().collect();
    let Some(place) = place else {
        // What stands behind no head stands in a circle.
        return Kept::No(Vec::new());
    };
    // In a chain the write of a block comes before its reads.
    let placed = |step: &Step| match (step.made, step.saw) {
        (Some(made), _) => Some((place[made].0, 2 * place[made].1)),
        (None, Some(saw)) => Some((place[saw].0, 2 * place[saw].1 + 1)),
        (None, None) => None,
    };
    let mut edges: Edges = Vec::new();
    for session in &object.sessions {
        let steps = session.iter().filter_map(|step| Some((placed(step)?, step.row)));
        let steps: Vec<_> = steps.collect();
        for pair in steps.windows(2) {
            let [((before, early), first), ((after, late), second)] = [pair[0], pair[1]];
            if before != after {
                edges.push((before, after, [first, second]));
            } else if late < early {
                return Kept::No(vec![first, second]);
            }
        }
    }
    circle(count, &edges).map_or(Kept::Yes, Kept::No)
}

/// The same where they do not: how far each process is, and the value, searched directly.
pub(super) fn sequential_by_search(
    model: &Register,
    history: &History,
    part: &[Operation<RegisterOp>],
    limits: Limits<'_>,
) -> Kept {
    // What is linearizable is sequential.
    if (model.shortcuts().decide(part)).is_some_and(|found| certify::explains(model, part, &found)) {
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
    let mut reached = Vec::new();
    let mut possible = |op: &RegisterOp, state: Val| {
        reached.clear();
        model.step(&state, op, &mut reached);
        !reached.is_empty()
    };
    let mut looked = 0u64;
    while let Some((mut at, state)) = work.pop() {
        looked += 1;
        if looked.is_multiple_of(LOOKS_BETWEEN_CHECKS)
            && let Some(reason) = limits.exhausted(bytes)
        {
            return Kept::Unknown(reason);
        }
        // What observes the state is taken at once; it loses nothing.
        let mut moved = true;
        while moved {
            moved = false;
            for (session, steps) in sessions.iter().enumerate() {
                while let Some(step) = steps.get(at[session] as usize)
                    && model.hints().observes_only(&step.op)
                    && (step.ret == NEVER || possible(&step.op, state))
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::super::object::object;
    use super::*;
    use crate::generate::Random;
    use crate::history::Event;
    use crate::linearizability::split;
    use crate::verdict::Budget;

    /// Some operations one after another, of processes that see anything.
    fn random_history(random: &mut Random) -> History {
        let mut steps: Vec<(u64, &str, &str, Value)> = Vec::new();
        let length = 3 + random.below(6);
        for fresh in 1..=length {
            // Who does not know what came of it is not heard of again.
            let unknown = random.percent(12);
            let process = if unknown { 10 + fresh } else { random.below(3) };
            let any = match random.below(length + 1) {
                0 => Value::Null,
                value => json!(value),
            };
            // Now and then it was written before, or is what was found.
            let new = match random.below(40) {
                0 => json!(1 + random.below(fresh)),
                1 => any.clone(),
                _ => json!(fresh),
            };
            let (f, asked, found) = match random.below(5) {
                0 | 1 => ("write", new.clone(), new),
                2 => ("cas", json!([any, new]), json!([any, new])),
                _ => ("read", Value::Null, any),
            };
            steps.push((process, "invoke", f, asked));
            steps.push((process, if unknown { "info" } else { "ok" }, f, found));
        }
        let events = steps.iter().enumerate().map(|(index, (process, kind, f, value))| {
            serde_json::from_value::<Event>(json!({
                "index": index, "time": index, "process": process, "type": kind, "f": f, "key": null, "value": value,
            }))
            .unwrap()
        });
        History::from_events(&events.collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn blocks_tell_what_the_search_finds() {
        let limits = Limits {
            budget: Budget::default(),
            elapsed: &|| Duration::ZERO,
        };
        let model = Register { cas: true };
        let (mut kept, mut broken) = (0, 0);
        for seed in 0..20_000 {
            let history = random_history(&mut Random::new(seed));
            let (_, part) = split(&model, &history).unwrap().remove(0);
            let found = match object(&history, &part) {
                Ok(object) => sequential(&object),
                Err(Kept::Unknown(_)) => continue,
                Err(why) => why,
            };
            let searched = sequential_by_search(&model, &history, &part, limits);
            let same = matches!(
                (&found, &searched),
                (Kept::Yes, Kept::Yes) | (Kept::No(_), Kept::No(_))
            );
            assert!(same, "seed {seed}: {found:?}, {searched:?}: {part:#?}");
            match found {
                Kept::Yes => kept += 1,
                _ => broken += 1,
            }
        }
        assert!(kept > 1000 && broken > 1000, "{kept} kept, {broken} broken");
    }
}
