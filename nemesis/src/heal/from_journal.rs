//! Mends what a dead run left in force, from its journal.
//!
//! It acts on genuine lines only, in the boot that they were written in, when the controller is dead; and there only on nodes
//! that are still the ones that were written down, by start time and by the namespaces that they lived in: removes chains
//! with the run's mark, wakes processes that a pause stopped, sets clocks right. What shares a namespace with the process that heals
//! is never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use duress_cluster::Key;
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, openat};

use super::report::HealReport;
use super::storage::remove_storage;
use super::{HealedNode, heal};
use crate::agent::procfs;
use crate::in_force::InForce;
use crate::journal::read::{Contents, claims};
use crate::journal::{Entry, HostEntry, JournalError, RunEntry, Tail, directory_of, io_error};
use crate::kinds::Healer;

/// No run writes more: that of a day with a fault a second has about half of it.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// Heals what an earlier run left in force. Safe to repeat; closes what it healed. Runs that are alive are left alone, and hosts, too.
pub fn heal_from_journal(path: &Path, key: &Key) -> Result<HealReport, JournalError> {
    heal_with_hosts(path, key, &mut |_, host, _| Err(on_host(host)))
}

/// Heals faults of a run on one of its hosts. The error says what may still be in force there.
pub type HealOnHost<'a> =
    dyn FnMut(&RunEntry, &HostEntry, &BTreeMap<u64, InForce>) -> Result<Vec<String>, String> + 'a;

/// The same, with somebody who heals hosts.
pub fn heal_with_hosts(
    path: &Path,
    key: &Key,
    on_host: &mut HealOnHost<'_>,
) -> Result<HealReport, JournalError> {
    let mut file = open(path)?;
    let text = read(&mut file).map_err(io_error("read", path))?;
    let boot = procfs::boot_id().map_err(io_error("heal from", path))?;
    let contents = Contents::read(&text, key);
    let mut report = HealReport::default();
    let Some(run) = &contents.run else {
        if contents.forged.is_some() {
            report.failed.extend(unproven(&text, &boot));
        }
        return Ok(report);
    };
    let lock = || flock(&file, FlockOperation::NonBlockingLockExclusive);
    let nothing_open = contents.forged.is_none() && contents.open.is_empty() && contents.storage.is_empty();
    if !run.controller.is_within_sight() && nothing_open && lock().is_ok() {
        // Of a container that is gone, say: nobody holds its lock, and there is nothing to tell.
        return Ok(report);
    }
    // Asked for before the lock: whoever holds that may be another `duress heal`.
    report.spared = run.controller.why_spared();
    if report.spared.is_some() {
        return Ok(report);
    }
    if let Some(line) = contents.forged {
        report.failed.push(format!(
            "line {line} of its journal is not as Duress wrote it: from there on nothing was done on its word"
        ));
    } else if nothing_open {
        return Ok(report);
    }
    if lock().is_err() {
        report.spared =
            Some("its journal is in use: by its controller, or by another `duress heal`".to_owned());
        return Ok(report);
    }
    let here = directory_of(path).map_err(io_error("find the folder of", path))?;
    if here != run.directory {
        report.failed.push(format!(
            "its journal was written in {}; move the run back there to heal it",
            run.directory.display()
        ));
        return Ok(report);
    }
    let hosts = heal_hosts(run, &contents.open, on_host, &mut report);
    let closed = heal_open(run, &contents.open, &boot, &hosts, &mut report);
    // What lies under data directories on hosts takes itself away with its agent.
    let here: Vec<_> = contents
        .storage
        .iter()
        .filter(|node| node.machine == 0)
        .cloned()
        .collect();
    let removed = run.boot != boot || remove_storage(&run.mark, &here, &mut report);
    if contents.forged.is_none() {
        // Half a line, cut off by a crash, would spoil the one that follows.
        file.set_len(contents.bytes).map_err(io_error("write", path))?;
        let seal = contents.seal;
        let mut tail = Tail { file, seal };
        for fault in closed {
            let closed = Entry::Closed { fault };
            tail.write(&closed, key).map_err(io_error("write", path))?;
        }
        if removed && !contents.storage.is_empty() {
            tail.write(&Entry::StorageRemoved, key)
                .map_err(io_error("write", path))?;
        }
    }
    Ok(report)
}

/// Returns the faults that are no longer in force.
fn heal_open(
    run: &RunEntry,
    open: &BTreeMap<u64, InForce>,
    boot: &str,
    hosts: &BTreeSet<u32>,
    report: &mut HealReport,
) -> Vec<u64> {
    let healer = Healer {
        mark: &run.mark,
        // All that is open is to be healed.
        kept: &[],
        own_namespaces: false,
    };
    let mut closed = Vec::new();
    for (number, fault) in open {
        let failed_before = report.failed.len();
        let mut elsewhere = fault.nodes.iter().filter(|node| node.place.machine != 0);
        if elsewhere.any(|node| !hosts.contains(&node.place.machine)) {
            // That was said of its host.
            continue;
        }
        if run.boot != boot {
            report.done.push(format!(
                "fault {number} ({}): the machine was restarted since",
                fault.kind
            ));
        } else {
            let mut here = fault.clone();
            here.nodes.retain(|node| node.place.machine == 0);
            for HealedNode { node, result } in heal(&mut here, *number, healer) {
                let what = format!("fault {number} ({}) at {node}", fault.kind);
                match result {
                    Ok(healed) => report.done.push(format!("{what}: {}", healed.said)),
                    Err(error) => report.failed.push(format!("{what}: {error}")),
                }
            }
        }
        if report.failed.len() == failed_before {
            closed.push(*number);
        }
    }
    closed
}

/// Returns the machines on which nothing is in force any more.
fn heal_hosts(
    run: &RunEntry,
    open: &BTreeMap<u64, InForce>,
    on_host: &mut HealOnHost<'_>,
    report: &mut HealReport,
) -> BTreeSet<u32> {
    let mut healed = BTreeSet::new();
    for host in &run.hosts {
        let there = |(number, fault): (&u64, &InForce)| {
            let mut fault = fault.clone();
            fault.nodes.retain(|node| node.place.machine == host.machine);
            (!fault.nodes.is_empty()).then_some((*number, fault))
        };
        let faults: BTreeMap<u64, InForce> = open.iter().filter_map(there).collect();
        if faults.is_empty() {
            healed.insert(host.machine);
            continue;
        }
        match on_host(run, host, &faults) {
            Ok(done) => {
                report
                    .done
                    .extend(done.into_iter().map(|line| format!("{}: {line}", host.host)));
                healed.insert(host.machine);
            }
            Err(why) => report.failed.push(why),
        }
    }
    healed
}

/// What to say of a host that nobody heals now.
fn on_host(host: &HostEntry) -> String {
    let host = &host.host;
    format!(
        "faults were in force on {host}, whose agent heals them when it hears nothing for 15 s; `duress heal --on {host}` sees to it"
    )
}

/// What to say of a journal that proves nothing, if there is anything to say.
fn unproven(text: &str, boot: &str) -> Option<String> {
    let why = "its journal does not prove that this user's Duress wrote it (it is another user's, of an earlier version, or \
               forged), so nothing is done on its word";
    match claims(text, boot) {
        Some(faults) if faults.is_empty() => None,
        Some(faults) => {
            let faults: Vec<String> = faults.iter().map(u64::to_string).collect();
            Some(format!(
                "{why}; it says that these faults are in force: {}",
                faults.join(", ")
            ))
        }
        None => Some(why.to_owned()),
    }
}

fn open(path: &Path) -> Result<File, JournalError> {
    // Without NONBLOCK, a pipe in its place would be waited for.
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file: File = openat(CWD, path, flags, Mode::empty())
        .map_err(|errno| io_error("open", path)(errno.into()))?
        .into();
    let found = file.metadata().map_err(io_error("look at", path))?;
    let user = rustix::process::geteuid().as_raw();
    let why = if !found.is_file() {
        "is not a regular file".to_owned()
    } else if found.uid() != user && found.uid() != 0 {
        format!("belongs to user {} and not to {user}", found.uid())
    } else if found.mode() & 0o022 != 0 {
        format!("can be written by others (mode {:o})", found.mode() & 0o7777)
    } else if found.len() > JOURNAL_BYTES_MAX {
        format!("has {} bytes, more than any run writes", found.len())
    } else {
        return Ok(file);
    };
    Err(JournalError::Untrusted {
        path: path.to_owned(),
        why,
    })
}

fn read(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(JOURNAL_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use duress_cluster::Controller;

    use super::*;
    use crate::agent::protocol::Hello;
    use crate::journal::{JOURNAL_FILE, Journal};

    /// As if it were dead: of an earlier process with this one's number.
    fn dead() -> Controller {
        Controller {
            started: 1,
            ..Controller::this()
        }
    }

    fn journal(path: &Path, key: &Key, controller: Controller, boot: &str) -> Journal {
        let journal = Journal::create(path, key, controller).unwrap();
        journal
            .begin(
                &Hello {
                    version: 3,
                    pid: 1,
                    boot: boot.to_owned(),
                },
                Vec::new(),
            )
            .unwrap();
        journal
    }

    fn open_pauses(journal: &Journal) {
        for fault in [1, 2] {
            let (kind, nodes) = ("pause".to_owned(), Vec::new());
            journal.write(&Entry::Open { fault, kind, nodes }).unwrap();
        }
        journal.write(&Entry::Closed { fault: 1 }).unwrap();
    }

    #[test]
    fn what_is_closed_stays_closed_and_another_boot_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        let key = Key::of_this_process();
        open_pauses(&journal(&path, &key, dead(), "another"));
        // A crash cuts lines off.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"op\":\"op");
        std::fs::write(&path, text).unwrap();
        let report = heal_from_journal(&path, &key).unwrap();
        assert_eq!(report.done, ["fault 2 (pause): the machine was restarted since"]);
        assert_eq!(heal_from_journal(&path, &key).unwrap(), HealReport::default());
    }

    #[test]
    fn a_living_run_is_left_alone_by_its_controller_and_by_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let key = Key::of_this_process();
        let boot = procfs::boot_id().unwrap();
        for (name, controller, why) in [("a", Controller::this(), "is alive"), ("b", dead(), "is in use")] {
            let path = dir.path().join(name);
            let held = journal(&path, &key, controller, &boot);
            open_pauses(&held);
            let before = std::fs::read(&path).unwrap();
            let report = heal_from_journal(&path, &key).unwrap();
            assert!(
                report.spared.as_ref().is_some_and(|said| said.contains(why)),
                "{report:?}"
            );
            assert_eq!((report.done.len(), report.failed.len()), (0, 0));
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }

    #[test]
    fn of_a_controller_out_of_sight_only_what_is_closed_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let (key, boot) = (Key::of_this_process(), procfs::boot_id().unwrap());
        let elsewhere = Controller {
            namespace: 12345,
            ..Controller::this()
        };
        let path = dir.path().join("closed");
        let held = journal(&path, &key, elsewhere.clone(), &boot);
        assert!(
            heal_from_journal(&path, &key).unwrap().spared.is_some(),
            "it holds the lock"
        );
        drop(held);
        assert_eq!(heal_from_journal(&path, &key).unwrap(), HealReport::default());
        let path = dir.path().join("open");
        open_pauses(&journal(&path, &key, elsewhere, &boot));
        let spared = heal_from_journal(&path, &key).unwrap().spared;
        assert!(spared.is_some_and(|why| why.contains("another PID namespace")));
    }

    #[test]
    fn what_others_wrote_is_not_acted_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(JOURNAL_FILE);
        let (key, boot) = (Key::of_this_process(), procfs::boot_id().unwrap());
        open_pauses(&journal(&path, &Key::of_this_process(), dead(), &boot));
        let report = heal_from_journal(&path, &key).unwrap();
        assert!(report.failed[0].contains("in force: 2"), "{report:?}");

        std::fs::remove_file(&path).unwrap();
        open_pauses(&journal(&path, &key, dead(), &boot));
        let moved = dir.path().join("moved");
        std::fs::create_dir(&moved).unwrap();
        std::fs::copy(&path, moved.join(JOURNAL_FILE)).unwrap();
        let report = heal_from_journal(&moved.join(JOURNAL_FILE), &key).unwrap();
        assert!(report.failed[0].contains("move the run back"), "{report:?}");

        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"op\":\"closed\",\"fault\":2}\n");
        std::fs::write(&path, text).unwrap();
        let report = heal_from_journal(&path, &key).unwrap();
        assert!(report.failed[0].contains("line 5 "), "{report:?}");

        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        let said = heal_from_journal(&path, &key).unwrap_err().to_string();
        assert!(said.contains("can be written by others"), "{said}");
        symlink(&path, moved.join("link")).unwrap();
        assert!(heal_from_journal(&moved.join("link"), &key).is_err());
    }
}
