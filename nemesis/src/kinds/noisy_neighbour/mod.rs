//! `noisy-neighbour`: programs of ours want the same processors as a node, or write to the same disk.
//!
//! ```toml
//! kind = "noisy-neighbour"
//! cpu = 4                # so many that use a processor each; as many as the machine has, if it says nothing
//! disk = 1               # so many that write a megabyte and sync it, again and again; 64 MiB of the disk each
//! targets = "leader"     # any one node, if it does not say
//! ```
//!
//! They live in the control group of the node, so that they share what it has: a sandbox gets one of its own for that. They end when the
//! fault does, and when the agent does, however that dies.

mod strain;

use std::io;
use std::path::PathBuf;

use duress_checker::history::Effect;
use duress_cluster::Place;
use duress_cluster::doctor::Requirement;
use duress_cluster::procfs::living;
use serde::{Deserialize, Serialize};

use super::kind::{InForceAt, Parameter};
use super::resources::{Resource, Scarce, needs, usage};
use crate::agent::cgroup::Hierarchy;
use crate::agent::cgroup::hold::{Hold, Known, Tag};
use crate::agent::neighbour::{Neighbour, Noise};
use crate::agent::outside;
use crate::life::technique::Unproven;
use strain::Strain;

/// The kind.
pub type NoisyNeighbour = Scarce<Neighbours>;

/// Enough to keep any machine busy that tests run on.
const CPU_MAX: u64 = 256;
const DISK_MAX: u64 = 16;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Neighbours {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cpu: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disk: Option<u64>,
}

/// What the agent keeps.
#[derive(Debug)]
pub struct Kept {
    known: Known,
    neighbours: Vec<Neighbour>,
    /// Before there were any.
    quiet: Strain,
}

/// What can be seen of a node and its neighbours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// Those that live and are in the node's group.
    neighbours: u64,
    /// How many there should be.
    asked: u64,
    /// The time on processors that they have used.
    used_ns: u64,
    /// Processes of the node that are in another group.
    outside: Vec<u32>,
    /// What the node felt before.
    quiet: Strain,
    /// What it has felt since, up to now.
    noisy: Strain,
}

impl Neighbours {
    fn noises(&self, place: &Place) -> io::Result<Vec<Noise>> {
        let processors = || std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let cpu = self
            .cpu
            .unwrap_or_else(|| if self.disk.is_none() { processors() } else { 0 });
        let mut noises: Vec<Noise> = (0..cpu).map(|_| Noise::Cpu).collect();
        for _ in 0..self.disk.unwrap_or(0) {
            let folder = place.data.as_deref().map(outside::path);
            let unknown = || {
                io::Error::other(format!(
                    "{}: nobody knows where its data is; leave out disk",
                    place.name
                ))
            };
            noises.push(Noise::Disk(folder.ok_or_else(unknown)?));
        }
        Ok(noises)
    }

    fn folder(&self, place: &Place) -> Option<PathBuf> {
        self.disk.filter(|count| *count > 0)?;
        place.data.as_deref().map(outside::path)
    }
}

impl Resource for Neighbours {
    const NAME: &'static str = "noisy-neighbour";
    const EFFECT: Effect = Effect::Slows;
    const DESCRIPTION: &'static str = "runs programs of its own in the control group of a node, that use processors, or write to the disk of \
                                       its data and sync, as hard as they can";
    const VERIFIED_BY: &'static str = "they live, in the node's group; at its end too, and the node's threads have waited for a processor \
                                       while they used one, and a sync beside its data has taken longer than before; \
                                       healed when they are gone, and the group if it was made for them";
    const NEEDS: &'static [&'static Requirement] = &needs::CPU;

    type Before = Hold;
    type Guard = Kept;
    type Seen = Seen;

    fn own() -> Vec<Parameter> {
        vec![
            Parameter {
                name: "cpu",
                values: "how many use a processor each: 0 to 256; without disk, as many as the machine has"
                    .to_owned(),
            },
            Parameter {
                name: "disk",
                values: "how many write to the disk of the node's data: 0 to 16; default 0".to_owned(),
            },
        ]
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let (cpu, disk) = (self.cpu.unwrap_or(1), self.disk.unwrap_or(0));
        if cpu > CPU_MAX {
            return Err((
                "cpu",
                format!("{cpu} neighbours make no sense; use 0 to {CPU_MAX}"),
            ));
        }
        if disk > DISK_MAX {
            return Err((
                "disk",
                format!("{disk} neighbours make no sense; use 0 to {DISK_MAX}"),
            ));
        }
        if cpu + disk == 0 {
            return Err((
                "cpu",
                "no neighbour at all; leave it out for one a processor".to_owned(),
            ));
        }
        Ok(())
    }

    fn plan(&self, place: &Place, tag: &Tag) -> io::Result<Hold> {
        Hierarchy::of("cpu")?;
        self.noises(place)?;
        Hold::plan(place, tag, "cpu", &[])
    }

    fn begin(&self, place: &Place, before: &Hold, _tag: &Tag) -> io::Result<Kept> {
        let quiet = Strain::of(place, self.folder(place).as_deref())?;
        let group = before.make()?;
        let mut kept = Kept {
            known: Known::new(),
            neighbours: Vec::new(),
            quiet,
        };
        before.take_in(place, &mut kept.known)?;
        for noise in self.noises(place)? {
            let neighbour = Neighbour::start(&noise)?;
            group.take_in(neighbour.pid())?;
            kept.neighbours.push(neighbour);
        }
        Ok(kept)
    }

    fn keep(&self, place: &Place, before: &Hold, kept: &mut Kept) {
        if living(place.pid).is_none() {
            // An engine can't remove the group of a container that has ended as long as somebody is in it.
            kept.neighbours.clear();
            return;
        }
        let _ = before.take_in(place, &mut kept.known);
    }

    fn see(&self, place: &Place, before: &Hold, kept: Option<&mut Kept>) -> io::Result<Option<Seen>> {
        let Some(kept) = kept else { return Ok(None) };
        self.keep(place, before, kept);
        if living(place.pid).is_none() {
            return Ok(None);
        }
        let hierarchy = Hierarchy::of("cpu")?;
        let here = |neighbour: &&Neighbour| {
            living(neighbour.pid()).is_some()
                && hierarchy
                    .group_of(neighbour.pid())
                    .is_ok_and(|group| group == before.group)
        };
        Ok(Some(Seen {
            neighbours: kept.neighbours.iter().filter(here).count() as u64,
            asked: self.noises(place)?.len() as u64,
            used_ns: (kept
                .neighbours
                .iter()
                .filter_map(|neighbour| usage::used_ns(neighbour.pid())))
            .sum(),
            outside: before.outside(place, Some(&kept.known))?,
            quiet: kept.quiet.clone(),
            noisy: Strain::of(place, self.folder(place).as_deref())?,
        }))
    }

    fn undo(before: &Hold, at: &InForceAt<'_>, _lives: bool) -> io::Result<String> {
        before.undo(at.healer.mark)
    }

    fn left(&self, _place: Option<&Place>, before: &Hold) -> io::Result<Option<String>> {
        before.left()
    }

    fn stands(&self, seen: &Seen) -> Result<(), String> {
        if seen.neighbours != seen.asked {
            return Err(format!(
                "{} of {} neighbours are there",
                seen.neighbours, seen.asked
            ));
        }
        match seen.outside.first() {
            Some(pid) => Err(format!("process {pid} is not in the group")),
            None => Ok(()),
        }
    }

    fn by_hand(&self, node: &str) -> String {
        let cpu = self.cpu.unwrap_or(0);
        let disk = self.disk.unwrap_or(0);
        format!(
            "stress-ng --cpu {cpu} --hdd {disk} --hdd-opts fsync    # in the control group of {node}; 0 is one a processor"
        )
    }

    fn measure(&self, first: &Seen, now: &Seen) -> Result<String, Unproven> {
        let mut said = Vec::new();
        if self.disk.is_none() || self.cpu.is_some_and(|cpu| cpu > 0) {
            let used_ns = now.used_ns.saturating_sub(first.used_ns);
            said.push(strain::waited_for(used_ns, &now.quiet, &first.noisy, &now.noisy)?);
        }
        if self.disk.is_some_and(|disk| disk > 0) {
            said.push(strain::synced(&now.quiet, &now.noisy)?);
        }
        Ok(format!("{} neighbours: {}", now.neighbours, said.join(", ")))
    }
}
