//! The log in memory, as records make it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use openraft::{Entry, EntryPayload};

use crate::types::{LogPosition, TypeConfig, Vote};
use crate::wal::Record;

/// The whole log, as it will be on disk once all jobs are done.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub entries: BTreeMap<u64, Entry<TypeConfig>>,
    pub purged: Option<LogPosition>,
    pub vote: Option<Vote>,
    pub committed: Option<LogPosition>,
}

impl Memory {
    /// The last position that the log has, or had.
    pub fn last(&self) -> Option<LogPosition> {
        let last = self.entries.last_key_value().map(|(_, entry)| entry.log_id);
        last.or(self.purged)
    }

    /// Does what a record says.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Entry(entry) => drop(self.entries.insert(entry.log_id.index, entry)),
            Record::Truncate(from) => drop(self.entries.split_off(&from)),
            Record::Purge(upto) => {
                self.purged = self.purged.max(Some(upto));
                self.entries = self.entries.split_off(&(upto.index + 1));
            }
            Record::Committed(upto) => self.committed = Some(upto),
        }
    }

    /// The first index that is missing between entries, if one is.
    pub fn gap(&self) -> Option<u64> {
        let begin = self.purged.map_or(0, |purged| purged.index + 1);
        (begin..)
            .zip(self.entries.keys())
            .find_map(|(expected, index)| (expected != *index).then_some(expected))
    }

    /// With [`Defect::NoChecksum`](crate::defect::Defect::NoChecksum): puts entries that do nothing where one is missing.
    pub fn fill_gaps(&mut self) {
        let mut filled = BTreeMap::new();
        let mut next = self.purged.map_or(0, |purged| purged.index + 1);
        for (index, entry) in std::mem::take(&mut self.entries) {
            for missing in next..index {
                let log_id = LogPosition::new(entry.log_id.leader_id, missing);
                let payload = EntryPayload::Blank;
                filled.insert(missing, Entry { log_id, payload });
            }
            filled.insert(index, entry);
            next = index + 1;
        }
        self.entries = filled;
    }
}

pub(crate) fn lock(memory: &Mutex<Memory>) -> MutexGuard<'_, Memory> {
    // Nothing panics while holding it; if something did, the log itself would still be whole.
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}
