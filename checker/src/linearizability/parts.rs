//! Splitting a history into its objects.

use crate::history::values::FastMap;
use crate::history::{History, NEVER, Val};
use crate::model::{Call, CheckError, Model, Operation, Part, Shortcuts};

/// Parts by their key.
pub type Parts<Op> = Vec<(Val, Part<Op>)>;

/// Splits a history into the parts of its model, in order of their first operation.
pub fn split<M: Model>(model: &M, history: &History) -> Result<Parts<M::Op>, CheckError> {
    let mut parts: Parts<M::Op> = Vec::new();
    let mut of_key: FastMap<Val, usize> = FastMap::default();
    let mut last = (Val::NONE, 0);
    for (row, entry) in history.rows.iter().enumerate() {
        let refused = entry.refused();
        let call = Call {
            f: &history.functions[entry.f as usize],
            process: u64::from(entry.process),
            key: entry.key,
            argument: entry.argument,
            result: (entry.ret != NEVER && !refused).then_some(entry.result),
            values: &history.values,
        };
        let read = match refused {
            true => model.refused(&call),
            false => model.operation(&call),
        };
        let op = match read {
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
        model.shortcuts().resolve(part, &history.values);
    }
    Ok(parts)
}

/// How many operations are known to have happened: only those can contradict anything.
pub(super) fn completed<Op>(parts: &Parts<Op>) -> usize {
    let completed = |part: &Part<Op>| part.iter().filter(|operation| operation.ret != NEVER).count();
    parts.iter().map(|(_, part)| completed(part)).sum()
}
