//! What is, or may be, in force: written and synced before anything is broken, so that `duress heal` can mend it when
//! controller and agent are both dead.
//!
//! `nemesis-journal.jsonl`, one object a line, appended only:
//!
//! ```json
//! {"op":"run","format":1,"boot":"6d1c…","agent":4242}
//! {"op":"open","fault":3,"kind":"partition","nodes":[{"place":{"name":"n1","pid":77,…},"started":88123,"net":4026532281,"stopped":[]}]}
//! {"op":"held","fault":4,"processes":[{"pid":78,"started":88130,"state":"T"}]}
//! {"op":"moved","fault":3,"node":{"place":{"name":"n1","pid":99,…},…}}
//! {"op":"closed","fault":3}
//! ```
//!
//! Whatever is open and not closed is looked at by [`heal_from_journal`]. It acts only on processes that are still the
//! ones that were written down, by start time, within the same boot, and there only on Duress' own chains and on
//! processes that a pause stopped.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use duress_cluster::procfs::living;
use serde::{Deserialize, Serialize};

use crate::agent::protocol::{Identity, Process};
use crate::agent::{procfs, remove_chains, wake};
use crate::kind::Kind;

/// Name of the journal in the directory of a run.
pub const JOURNAL_FILE: &str = "nemesis-journal.jsonl";

/// Version of the journal's format.
pub const JOURNAL_FORMAT: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "kebab-case")]
pub enum Entry {
    /// First line of each run of a nemesis.
    Run {
        /// [`JOURNAL_FORMAT`] of its writer.
        format: u32,
        /// Processes are only what they were within one boot.
        boot: String,
        /// The agent's process.
        agent: u32,
    },
    /// A fault is about to be injected.
    Open {
        /// Its number.
        fault: u64,
        /// Its kind.
        kind: Kind,
        /// Where it will act.
        nodes: Vec<Identity>,
    },
    /// These processes were stopped.
    Held {
        /// The fault's number.
        fault: u64,
        /// All that it holds.
        processes: Vec<Process>,
    },
    /// A node came back elsewhere, and the fault was put in force there.
    Moved {
        /// The fault's number.
        fault: u64,
        /// Where the node is now.
        node: Identity,
    },
    /// Nothing of the fault is left.
    Closed {
        /// Its number.
        fault: u64,
    },
}

/// Why the journal can't be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file.
    #[error("{what} the journal {path}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line that isn't the last.
    #[error("line {line} of the journal {path} is no journal entry: {why}")]
    Line {
        /// From 1.
        line: usize,
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        why: String,
    },
}

/// The journal of a run, open for writing.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Mutex<File>,
}

impl Journal {
    /// Opens it, or makes it.
    pub fn open(path: &Path) -> Result<Journal, JournalError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| JournalError::Io {
                what: "open",
                path: path.to_owned(),
                source,
            })?;
        Ok(Journal {
            path: path.to_owned(),
            file: Mutex::new(file),
        })
    }

    /// Returns when the entry is on disk.
    pub fn write(&self, entry: &Entry) -> Result<(), JournalError> {
        let failed = |source| JournalError::Io {
            what: "write",
            path: self.path.clone(),
            source,
        };
        let mut line = serde_json::to_vec(entry).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&line)
            .and_then(|()| file.sync_data())
            .map_err(failed)
    }
}

/// What [`heal_from_journal`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HealReport {
    /// Sentences, one for each thing that was mended or needed no mending.
    pub done: Vec<String>,
    /// Sentences, one for each thing that may still be broken.
    pub failed: Vec<String>,
}

/// A fault that was opened and not closed.
struct OpenFault {
    kind: Kind,
    nodes: Vec<Identity>,
    held: Vec<Process>,
}

/// Mends what an earlier run left in force. Safe to repeat; closes what it mended.
pub fn heal_from_journal(path: &Path) -> Result<HealReport, JournalError> {
    let (boot, open) = read(path)?;
    let mut report = HealReport::default();
    if open.is_empty() {
        return Ok(report);
    }
    let io_error = |source| JournalError::Io {
        what: "heal from",
        path: path.to_owned(),
        source,
    };
    let same_boot = boot == procfs::boot_id().map_err(io_error)?;
    let journal = Journal::open(path)?;
    for (number, fault) in open {
        let failed_before = report.failed.len();
        if same_boot {
            fault.heal(number, &mut report);
        } else {
            report.done.push(format!(
                "fault {number} ({}): the machine was restarted since",
                fault.kind.name()
            ));
        }
        if report.failed.len() == failed_before {
            journal.write(&Entry::Closed { fault: number })?;
        }
    }
    Ok(report)
}

impl OpenFault {
    fn heal(&self, number: u64, report: &mut HealReport) {
        for node in &self.nodes {
            let name = &node.place.name;
            let what = format!("fault {number} ({}) at {name}", self.kind.name());
            let lives = living(node.place.pid).is_some_and(|stat| stat.started == node.started);
            if !lives {
                report.done.push(format!(
                    "{what}: process {} is gone, and what it lived in",
                    node.place.pid
                ));
                continue;
            }
            let healed = match self.kind {
                Kind::Partition => remove_chains(&node.place, node.net).map(|dropped| match dropped {
                    Some(packets) => format!("removed the rules, which had dropped {packets} packets"),
                    None => "no rules were left".to_owned(),
                }),
                Kind::Pause => wake(&node.place, &self.held, &node.stopped)
                    .map(|count| format!("woke {count} processes")),
                Kind::Kill | Kind::Restart => Ok(
                    "its program was ended and may have to be started; nothing else is left of it".to_owned(),
                ),
            };
            match healed {
                Ok(done) => report.done.push(format!("{what}: {done}")),
                Err(error) => report.failed.push(format!("{what}: {error}")),
            }
        }
    }
}

/// The boot of the last run, and what is open. A last line that was cut off by a crash was never acted on.
fn read(path: &Path) -> Result<(String, BTreeMap<u64, OpenFault>), JournalError> {
    let text = std::fs::read(path)
        .map_err(|source| JournalError::Io {
            what: "read",
            path: path.to_owned(),
            source,
        })
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())?;
    let mut boot = String::new();
    let mut open: BTreeMap<u64, OpenFault> = BTreeMap::new();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (index, line) in whole.lines().enumerate() {
        let entry = serde_json::from_str(line).map_err(|error| JournalError::Line {
            line: index + 1,
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        match entry {
            Entry::Run { boot: of_run, .. } => boot = of_run,
            Entry::Open { fault, kind, nodes } => {
                open.insert(
                    fault,
                    OpenFault {
                        kind,
                        nodes,
                        held: Vec::new(),
                    },
                );
            }
            Entry::Held { fault, processes } => {
                if let Some(fault) = open.get_mut(&fault) {
                    fault.held = processes;
                }
            }
            Entry::Moved { fault, node } => {
                if let Some(fault) = open.get_mut(&fault) {
                    fault.nodes.push(node);
                }
            }
            Entry::Closed { fault } => {
                open.remove(&fault);
            }
        }
    }
    Ok((boot, open))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_by_a_crash_is_no_error_and_another_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        std::fs::write(
            &path,
            "{\"op\":\"run\",\"format\":1,\"boot\":\"b\",\"agent\":1}\n{\"op\":\"op",
        )
        .unwrap();
        assert_eq!(heal_from_journal(&path).unwrap(), HealReport::default());
        std::fs::write(&path, "{\"op\":\"op\n{\"op\":\"closed\",\"fault\":1}\n").unwrap();
        assert!(
            heal_from_journal(&path)
                .unwrap_err()
                .to_string()
                .contains("line 1")
        );
    }

    #[test]
    fn what_is_closed_stays_closed_and_another_boot_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        let journal = Journal::open(&path).unwrap();
        journal
            .write(&Entry::Run {
                format: JOURNAL_FORMAT,
                boot: "another".into(),
                agent: 1,
            })
            .unwrap();
        for fault in [1, 2] {
            journal
                .write(&Entry::Open {
                    fault,
                    kind: Kind::Pause,
                    nodes: Vec::new(),
                })
                .unwrap();
        }
        journal.write(&Entry::Closed { fault: 1 }).unwrap();
        let report = heal_from_journal(&path).unwrap();
        assert_eq!(report.done, ["fault 2 (pause): the machine was restarted since"]);
        assert_eq!(heal_from_journal(&path).unwrap(), HealReport::default());
    }
}
