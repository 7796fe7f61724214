//! `file-descriptors`: each process of a node may have no more files and connections open.
//!
//! ```toml
//! kind = "file-descriptors"
//! spare = 0              # how many more than it has; or limit = 64: how many in all
//! targets = "leader"     # any one node, if it does not say
//! ```
//!
//! What is open stays open. The numbers that a process may give to files end at its limit (`RLIMIT_NOFILE`); once all below are in use,
//! the kernel refuses whatever it opens or accepts (EMFILE).

mod limits;

use std::collections::BTreeMap;
use std::io;

use duress_checker::history::Effect;
use duress_cluster::Place;
use duress_cluster::doctor::Requirement;
use serde::{Deserialize, Serialize};

use super::kind::{InForceAt, Parameter};
use super::resources::{Resource, Scarce};
use crate::agent::cgroup::hold::Tag;
use crate::agent::procfs;
use crate::agent::protocol::Process;
use crate::life::technique::Unproven;
use limits::Limits;

/// The kind.
pub type FileDescriptors = Scarce<Descriptors>;

/// Of what a program needs to begin at all, to more than kernels allow.
const LIMIT: std::ops::RangeInclusive<u64> = 3..=1_000_000;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Descriptors {
    /// How many in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    /// How many more than it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spare: Option<u64>,
}

/// How a node was before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Before {
    /// Its processes and their limits.
    processes: Vec<(Process, Limits)>,
    /// The limits of those that start later: they are those of the first.
    others: Limits,
    /// Whether limits are changed that only a machine's root can raise again, so that a program can't raise its own.
    hard: bool,
}

/// What the agent keeps.
#[derive(Debug, Default)]
pub struct Kept {
    /// The limit that each process was given. What has another one was given it by somebody else, and keeps it: it is for whoever
    /// verifies to see.
    given: BTreeMap<(u32, u64), u64>,
    looks: u64,
    full: u64,
}

impl Kept {
    /// Counts whether one of these has all in use that it may have.
    fn look(&mut self, members: &[Process]) {
        let full = |process: &Process| {
            let may = self.given.get(&(process.pid, process.started));
            may.is_some_and(|may| {
                limits::used(process.pid).is_ok_and(|used| limits::nth_free(&used, 0) >= *may)
            })
        };
        self.full += u64::from(members.iter().any(full));
        self.looks += 1;
    }
}

/// What can be seen of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Its processes.
    processes: Vec<SeenProcess>,
    /// In how many looks so far, of how many, one of them had all in use that it may have.
    full: (u64, u64),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct SeenProcess {
    pid: u32,
    /// What it was given; `None`: nothing.
    given: Option<u64>,
    /// What the kernel says that it may have.
    may: Option<u64>,
    open: u64,
}

impl Descriptors {
    /// The limit for a process that has these numbers in use.
    fn limit_for(&self, used: &[u64]) -> u64 {
        match (self.limit, self.spare) {
            (Some(limit), _) => limit,
            (None, spare) => limits::nth_free(used, spare.unwrap_or(0)),
        }
    }
}

impl Resource for Descriptors {
    const NAME: &'static str = "file-descriptors";
    const EFFECT: Effect = Effect::Restarts;
    const DESCRIPTION: &'static str = "lets each process of a node, those included that start later, have no more files and connections \
                                       open; a program that ends of it is started again when the fault ends";
    const VERIFIED_BY: &'static str = "the kernel says of each process that this is its limit; at its end too, and in some look a process \
                                       had all numbers in use that it may have, so that the kernel refused it any more: where nobody ran \
                                       out, nobody was hurt; healed when each process has the limit that it had, and a program that \
                                       ended of it is ready again";
    const NEEDS: &'static [&'static Requirement] = &[];
    const BY_CONTROL_GROUP: bool = false;

    type Before = Before;
    type Guard = Kept;
    type Seen = Seen;

    fn own() -> Vec<Parameter> {
        vec![
            Parameter {
                name: "limit",
                values: "how many in all: 3 to 1000000".to_owned(),
            },
            Parameter {
                name: "spare",
                values: "how many more than a process has, instead of limit: 0 to 1000000; default 0; those that start later may \
                         have as many as the one that may have most"
                    .to_owned(),
            },
        ]
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        match (self.limit, self.spare) {
            (Some(_), Some(_)) => Err((
                "spare",
                "limit says already how many; use one of the two".to_owned(),
            )),
            (Some(limit), None) if !LIMIT.contains(&limit) => {
                Err(("limit", format!("{limit} makes no sense; use 3 to 1000000")))
            }
            (None, Some(spare)) if spare > *LIMIT.end() => {
                Err(("spare", format!("{spare} makes no sense; use 0 to 1000000")))
            }
            _ => Ok(()),
        }
    }

    fn plan(&self, place: &Place, _tag: &Tag) -> io::Result<Before> {
        let mut processes = Vec::new();
        for process in procfs::members(place)? {
            if let Some(limits) = limits::of(&process)? {
                processes.push((process, limits));
            }
        }
        let first = processes.first().map(|(_, limits)| *limits);
        Ok(Before {
            others: first
                .ok_or_else(|| io::Error::other(format!("{}: no process runs there", place.name)))?,
            processes,
            hard: limits::can_raise_hard(),
        })
    }

    fn begin(&self, place: &Place, before: &Before, _tag: &Tag) -> io::Result<Kept> {
        let mut kept = Kept::default();
        let members = procfs::members(place)?;
        self.give(&members, before, &mut kept)?;
        // A program may end of it before anybody looks again.
        kept.look(&members);
        Ok(kept)
    }

    fn keep(&self, place: &Place, before: &Before, kept: &mut Kept) {
        let members = procfs::members(place).unwrap_or_default();
        let _ = self.give(&members, before, kept);
        kept.look(&members);
    }

    fn see(&self, place: &Place, before: &Before, kept: Option<&mut Kept>) -> io::Result<Option<Seen>> {
        let members = procfs::members(place).unwrap_or_default();
        let mut unknown = Kept::default();
        let kept = match kept {
            Some(kept) => {
                let _ = self.give(&members, before, kept);
                kept.look(&members);
                kept
            }
            None => &mut unknown,
        };
        let mut processes = Vec::new();
        for process in &members {
            if let (Ok(Some(limits)), Ok(used)) = (limits::of(process), limits::used(process.pid)) {
                processes.push(SeenProcess {
                    pid: process.pid,
                    given: kept.given.get(&(process.pid, process.started)).copied(),
                    may: limits.soft,
                    open: used.len() as u64,
                });
            }
        }
        Ok((kept.looks > 0 || !processes.is_empty()).then_some(Seen {
            processes,
            full: (kept.full, kept.looks),
        }))
    }

    fn undo(before: &Before, at: &InForceAt<'_>, lives: bool) -> io::Result<String> {
        if !lives {
            return Ok("its processes are gone".to_owned());
        }
        let mut raised = 0;
        for process in procfs::members(&at.node.place)? {
            let known = before
                .processes
                .iter()
                .find(|(other, _)| other.pid == process.pid && other.started == process.started);
            let was = known.map_or(before.others, |(_, limits)| *limits);
            raised += usize::from(limits::restore(&process, was, before.hard)?);
        }
        Ok(format!("gave {raised} processes back what they may have"))
    }

    fn left(&self, place: Option<&Place>, before: &Before) -> io::Result<Option<String>> {
        let Some(place) = place else { return Ok(None) };
        for process in procfs::members(place).unwrap_or_default() {
            let known = before
                .processes
                .iter()
                .find(|(other, _)| other.pid == process.pid && other.started == process.started);
            let was = known.map_or(before.others, |(_, limits)| *limits);
            // A program may give itself more, up to its hard limit.
            if let Some(now) = limits::of(&process)?
                && (limits::less(now.soft, was.soft) || limits::less(now.hard, was.hard))
            {
                return Ok(Some(format!(
                    "process {} may still have only {:?}",
                    process.pid, now
                )));
            }
        }
        Ok(None)
    }

    fn stands(&self, seen: &Seen) -> Result<(), String> {
        for process in &seen.processes {
            if process.given.is_none() || process.may != process.given {
                return Err(format!(
                    "process {} may have {} descriptors and was given {}",
                    process.pid,
                    limits::shown(process.may),
                    process
                        .given
                        .map_or("no limit".to_owned(), |given| given.to_string()),
                ));
            }
        }
        Ok(())
    }

    fn by_hand(&self, node: &str) -> String {
        match self.limit {
            Some(limit) => format!("prlimit --nofile={limit}: --pid PID    # each process of {node}"),
            None => {
                format!("prlimit --nofile=$(ls /proc/PID/fd | wc -l): --pid PID    # each process of {node}")
            }
        }
    }

    fn measure(&self, _first: &Seen, now: &Seen) -> Result<String, Unproven> {
        let (full, looks) = now.full;
        let limits: Vec<String> = (now.processes.iter())
            .map(|process| {
                format!(
                    "{} of {} in process {}",
                    process.open,
                    limits::shown(process.may),
                    process.pid
                )
            })
            .collect();
        let limits = limits.join(", ");
        if full == 0 {
            return Err(format!(
                "nobody was hurt: the limits stand, and in {looks} looks nobody had run out ({limits})"
            )
            .into());
        }
        Ok(format!(
            "in {full} of {looks} looks a process had all in use that it may have, and was refused any more ({limits})"
        ))
    }

    fn may_end(_first: &Seen, now: &Seen) -> bool {
        now.full.0 > 0
    }
}

impl Descriptors {
    /// Gives their limits to processes that have none of this fault's yet.
    fn give(&self, members: &[Process], before: &Before, kept: &mut Kept) -> io::Result<()> {
        kept.given.retain(|key, _| {
            members
                .iter()
                .any(|process| (process.pid, process.started) == *key)
        });
        for process in members {
            let key = (process.pid, process.started);
            if kept.given.contains_key(&key) {
                continue;
            }
            let was_there = before
                .processes
                .iter()
                .any(|(other, _)| (other.pid, other.started) == key);
            let limit = match kept.given.values().max() {
                Some(most) if !was_there && self.limit.is_none() => *most,
                _ => match limits::used(process.pid) {
                    Ok(used) => self.limit_for(&used),
                    // It has just ended.
                    Err(_) => continue,
                },
            };
            if limits::lower(process, limit, before.hard)? {
                kept.given.insert(key, limit);
            }
        }
        Ok(())
    }
}
