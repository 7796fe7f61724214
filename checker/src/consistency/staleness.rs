//! How stale the reads of a history were.

use crate::history::values::FastMap;
use crate::history::{History, NEVER, Val};
use crate::linearizability::split;
use crate::model::{CheckError, Operation};
use crate::object::register::{Register, RegisterOp};

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
