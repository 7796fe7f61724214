//! One object as the weaker promises see it: its writes, and what each process did, read by read.

use super::guarantee::Kept;
use crate::history::values::FastMap;
use crate::history::{History, NEVER, Val};
use crate::model::Operation;
use crate::object::register::RegisterOp;

/// One operation of a process, in its order.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub row: u32,
    /// The write that it saw: index into the writes; 0 is the initial value.
    pub saw: Option<usize>,
    /// The write that it made.
    pub made: Option<usize>,
}

/// One object: its writes, and what each process did.
pub(super) struct Object {
    /// The row of each write; that of the initial value is [`NEVER`].
    pub writes: Vec<u32>,
    /// For each write by a compare-and-set: the write that it took the place of. `None` for an unknown one that nobody
    /// saw: it need not have happened.
    pub replaced: Vec<Option<usize>>,
    pub sessions: Vec<Vec<Step>>,
}

/// Follows reads to their writes; `Err` where that is not possible.
pub(super) fn object(history: &History, part: &[Operation<RegisterOp>]) -> Result<Object, Kept> {
    let mut of_value: FastMap<Val, usize> = FastMap::default();
    of_value.insert(Val::NIL, 0);
    let mut writes = vec![NEVER];
    for operation in part {
        let value = match operation.op {
            RegisterOp::Write(value) => value,
            RegisterOp::Cas(old, new) if old != new => new,
            RegisterOp::Cas(..) | RegisterOp::Read(_) | RegisterOp::Mismatch(_) => continue,
        };
        if of_value.insert(value, writes.len()).is_some() {
            return Err(Kept::Unknown(
                "values were written twice, so a read does not name its write".to_owned(),
            ));
        }
        writes.push(operation.row);
    }
    let mut replaced = vec![None; writes.len()];
    // Those that found what nobody wrote.
    let mut orphans: Vec<usize> = Vec::new();
    let mut happened = vec![false; writes.len()];
    happened[0] = true;
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
            RegisterOp::Cas(..) | RegisterOp::Read(_) | RegisterOp::Mismatch(_) => None,
        };
        if let Some(saw) = saw {
            happened[saw] = true;
        }
        if let Some(made) = made {
            happened[made] |= known;
            if let RegisterOp::Cas(old, _) = operation.op {
                replaced[made] = of_value.get(&old).copied();
                orphans.extend(replaced[made].is_none().then_some(made));
            }
        }
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
    // What one that has happened found has happened too.
    let mut work: Vec<usize> = (0..writes.len()).filter(|&write| happened[write]).collect();
    while let Some(write) = work.pop() {
        if let Some(found) = replaced[write]
            && !std::mem::replace(&mut happened[found], true)
        {
            work.push(found);
        }
    }
    if let Some(&orphan) = orphans.iter().find(|&&orphan| happened[orphan]) {
        return Err(Kept::No(vec![writes[orphan]]));
    }
    for (replaced, happened) in replaced.iter_mut().zip(happened) {
        *replaced = replaced.filter(|_| happened);
    }
    Ok(Object {
        writes,
        replaced,
        sessions,
    })
}
