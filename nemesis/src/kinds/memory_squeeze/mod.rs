//! `memory-squeeze`: a node gets no more memory than this.
//!
//! ```toml
//! kind = "memory-squeeze"
//! limit = "64MiB"        # of the node's control group: pages of its processes, and of the files that they use
//! targets = "leader"     # any one node, if it does not say
//! ```
//!
//! At the limit the kernel first takes pages of files away, then ends a process of the group; a program that ends of it is started again
//! when the fault does. A sandbox has no group of its own before the fault: what it had by then is not counted, only what it
//! touches from then on.

use std::io;

use duress_checker::history::Effect;
use duress_cluster::Place;
use duress_cluster::doctor::Requirement;
use duress_cluster::procfs::living;
use serde::{Deserialize, Serialize};

use super::kind::{InForceAt, Parameter};
use super::resources::{Resource, Scarce, needs};
use super::size::bytes;
use crate::agent::cgroup::hold::{Hold, Known, Tag};
use crate::agent::cgroup::{Group, Hierarchy, Version};
use crate::life::technique::Unproven;

/// The kind.
pub type MemorySqueeze = Scarce<MemoryLimit>;

/// Less than a program can begin with, to more than a machine has.
const LIMIT: std::ops::RangeInclusive<u64> = 1 << 20..=1 << 40;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemoryLimit {
    /// E.g. `64MiB`.
    limit: String,
}

/// What can be seen of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// What stands in the file of its group; `None`: the group is gone, as is that of a container that has ended.
    limit: Option<String>,
    /// Processes of the node that are in another group.
    outside: Vec<u32>,
    /// How many bytes it has.
    usage: u64,
    /// How often it was at the limit.
    reached: u64,
    /// How many of its processes the kernel has ended for it.
    ended: u64,
}

/// What the agent keeps.
#[derive(Debug, Default)]
pub struct Kept {
    known: Known,
    /// What was seen last: the group of a container goes when its program ends.
    last: Option<Seen>,
}

fn files(version: Version) -> &'static [&'static str] {
    match version {
        Version::One => &["memory.limit_in_bytes"],
        Version::Two => &["memory.max"],
    }
}

fn counters(group: &Group, version: Version) -> io::Result<(u64, u64, u64)> {
    let number =
        |file: &str| -> io::Result<u64> { group.read(file)?.trim().parse().map_err(io::Error::other) };
    Ok(match version {
        Version::One => (
            number("memory.usage_in_bytes")?,
            number("memory.failcnt")?,
            // Kernels before 4.13 don't tell.
            group.number("memory.oom_control", "oom_kill").unwrap_or_default(),
        ),
        Version::Two => (
            number("memory.current")?,
            group.number("memory.events", "max")?,
            group.number("memory.events", "oom_kill")?,
        ),
    })
}

impl MemoryLimit {
    /// `None`: the group is gone.
    fn look(&self, place: &Place, before: &Hold, known: Option<&Known>) -> io::Result<Option<Seen>> {
        let group = before.group()?;
        let version = before.version()?;
        let seen = || -> io::Result<Seen> {
            let (usage, reached, ended) = counters(&group, version)?;
            Ok(Seen {
                limit: Some(group.read(files(version)[0])?.trim().to_owned()),
                outside: match living(place.pid) {
                    Some(_) => before.outside(place, known)?,
                    None => Vec::new(),
                },
                usage,
                reached,
                ended,
            })
        };
        match seen() {
            Ok(seen) => Ok(Some(seen)),
            Err(_) if !group.exists() && living(place.pid).is_none() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The kernel counts whole pages.
    fn bytes(&self) -> u64 {
        bytes(&self.limit).unwrap_or_default() & !4095
    }
}

impl Resource for MemoryLimit {
    const NAME: &'static str = "memory-squeeze";
    const EFFECT: Effect = Effect::Restarts;
    const DESCRIPTION: &'static str = "lets a node have no more memory than a limit, pages of files included, by its control group; the \
                                       kernel may end a process of it for that, and its program is started again when the fault ends";
    const VERIFIED_BY: &'static str = "the limit is read back, and all of the node's processes are in the group; at its end too, and the \
                                       node has been at the limit, where the kernel took pages back or ended a process; healed when the \
                                       group's file has what it had, byte for byte, or the group is gone, and a program that ended of \
                                       it is ready again";
    const NEEDS: &'static [&'static Requirement] = &needs::MEMORY;

    type Before = Hold;
    type Guard = Kept;
    type Seen = Seen;

    fn own() -> Vec<Parameter> {
        vec![Parameter {
            name: "limit",
            values: "e.g. \"64MiB\": 1MiB to 1TiB".to_owned(),
        }]
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let bytes = bytes(&self.limit).map_err(|what| ("limit", what))?;
        if LIMIT.contains(&bytes) {
            return Ok(());
        }
        let what = format!("{:?} of memory makes no sense; use 1MiB to 1TiB", self.limit);
        Err(("limit", what))
    }

    fn plan(&self, place: &Place, tag: &Tag) -> io::Result<Hold> {
        let version = Hierarchy::of("memory")?.version;
        Hold::plan(place, tag, "memory", files(version))
    }

    fn begin(&self, place: &Place, before: &Hold, _tag: &Tag) -> io::Result<Kept> {
        let group = before.make()?;
        let version = before.version()?;
        let mut kept = Kept {
            last: self.look(place, before, None)?,
            ..Kept::default()
        };
        group
            .write(files(version)[0], &self.bytes().to_string())
            .map_err(|error| {
                let (usage, ..) = counters(&group, version).unwrap_or_default();
                io::Error::other(format!(
                    "{}: {error}; it has {usage} bytes that the kernel can't take back; use a higher limit",
                    place.name
                ))
            })?;
        before.take_in(place, &mut kept.known)?;
        Ok(kept)
    }

    fn keep(&self, place: &Place, before: &Hold, kept: &mut Kept) {
        let _ = before.take_in(place, &mut kept.known);
        if let Ok(Some(seen)) = self.look(place, before, Some(&kept.known)) {
            kept.last = Some(seen);
        }
    }

    fn see(&self, place: &Place, before: &Hold, kept: Option<&mut Kept>) -> io::Result<Option<Seen>> {
        let Some(kept) = kept else {
            return self.look(place, before, None);
        };
        self.keep(place, before, kept);
        let now = self.look(place, before, Some(&kept.known))?;
        let gone = || {
            let last = kept.last.clone()?;
            Some(Seen { limit: None, ..last })
        };
        Ok(now.or_else(gone))
    }

    fn undo(before: &Hold, at: &InForceAt<'_>, _lives: bool) -> io::Result<String> {
        before.undo(at.healer.mark)
    }

    fn left(&self, _place: Option<&Place>, before: &Hold) -> io::Result<Option<String>> {
        before.left()
    }

    fn stands(&self, seen: &Seen) -> Result<(), String> {
        if let Some(limit) = seen
            .limit
            .as_ref()
            .filter(|limit| **limit != self.bytes().to_string())
        {
            return Err(format!(
                "its group's limit is {limit} bytes and should be {}",
                self.bytes()
            ));
        }
        match seen.outside.first() {
            Some(pid) => Err(format!("process {pid} is not in the group")),
            None => Ok(()),
        }
    }

    fn by_hand(&self, node: &str) -> String {
        format!("docker update --memory {}b --memory-swap -1 {node}", self.bytes())
    }

    fn measure(&self, first: &Seen, now: &Seen) -> Result<String, Unproven> {
        let reached = now.reached.saturating_sub(first.reached);
        let ended = now.ended.saturating_sub(first.ended);
        if reached == 0 {
            return Err(format!(
                "nobody was hurt: it has {} of {} bytes, and was never at the limit",
                now.usage,
                self.bytes()
            )
            .into());
        }
        let said = format!("at the limit of {} bytes {reached} times", self.bytes());
        Ok(match (ended, &now.limit) {
            (0, Some(_)) => format!("{said}, where the kernel took pages back"),
            (0, None) => format!("{said}, and then it ended"),
            (ended, _) => format!("{said}, where the kernel ended {ended} processes"),
        })
    }

    fn may_end(first: &Seen, now: &Seen) -> bool {
        now.reached > first.reached
    }
}
