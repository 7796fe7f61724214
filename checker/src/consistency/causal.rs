//! Causal consistency.

use super::guarantee::Kept;
use super::object::Object;
use crate::limits::Limits;

/// The most operations for which causal order is computed: it takes their number times the number of sessions.
const CAUSAL_CELLS_MAX: usize = 1 << 28;

/// Between two looks at the clock. Each step takes time for every session.
const STEPS_BETWEEN_CHECKS: u32 = 64;

/// Causal consistency by vector clocks over sessions.
pub(super) fn causal(object: &Object, limits: Limits<'_>) -> Kept {
    let sessions = &object.sessions;
    let total: usize = sessions.iter().map(Vec::len).sum();
    let mut steps_left = STEPS_BETWEEN_CHECKS;
    // Time is looked at now and then.
    let mut spent = || {
        steps_left -= 1;
        if steps_left > 0 {
            return None;
        }
        steps_left = STEPS_BETWEEN_CHECKS;
        limits.exhausted(0).map(Kept::Unknown)
    };
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
                if let Some(unknown) = spent() {
                    return unknown;
                }
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
            if let Some(unknown) = spent() {
                return unknown;
            }
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
