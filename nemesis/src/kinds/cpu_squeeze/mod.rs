//! `cpu-squeeze`: a node gets no more than a share of one processor.
//!
//! ```toml
//! kind = "cpu-squeeze"
//! percent = 20           # of one processor, all threads of the node together
//! targets = "leader"     # any one node, if it does not say
//! ```
//!
//! The kernel gives the node's control group that much in each tenth of a second, and holds its threads until the next one.

use std::io;

use duress_checker::history::Effect;
use duress_cluster::Place;
use duress_cluster::doctor::Requirement;
use duress_cluster::procfs::living;
use serde::{Deserialize, Serialize};

use super::kind::{InForceAt, Parameter};
use super::resources::usage::Usage;
use super::resources::{Resource, Scarce, needs, usage};
use crate::agent::cgroup::hold::{Hold, Known, Tag};
use crate::agent::cgroup::{Hierarchy, Version};
use crate::life::technique::Unproven;

/// The kind.
pub type CpuSqueeze = Scarce<CpuShare>;

/// Of what the share is, as engines have it by default.
const PERIOD_US: u64 = 100_000;
/// The kernel takes no quota below a thousandth of a second.
const PERCENT: std::ops::RangeInclusive<u64> = 1..=10_000;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CpuShare {
    /// Of one processor.
    percent: u64,
}

/// What can be seen of a node.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// What stands in the files of its group.
    limit: Vec<String>,
    /// Processes of the node that are in another group.
    outside: Vec<u32>,
    /// Periods in which its threads were held.
    throttled: u64,
    /// What its processes used.
    usage: Usage,
}

/// The files, and what stands in them while it is in force. The period goes first: a quota counts by it.
fn files(version: Version) -> &'static [&'static str] {
    match version {
        Version::One => &["cpu.cfs_period_us", "cpu.cfs_quota_us"],
        Version::Two => &["cpu.max"],
    }
}

impl CpuShare {
    fn quota_us(&self) -> u64 {
        self.percent * PERIOD_US / 100
    }

    fn limit(&self, version: Version) -> Vec<String> {
        match version {
            Version::One => vec![PERIOD_US.to_string(), self.quota_us().to_string()],
            Version::Two => vec![format!("{} {PERIOD_US}", self.quota_us())],
        }
    }
}

impl Resource for CpuShare {
    const NAME: &'static str = "cpu-squeeze";
    const EFFECT: Effect = Effect::Slows;
    const DESCRIPTION: &'static str = "lets all threads of a node together have no more than a share of one processor, by its control \
                                       group's quota";
    const VERIFIED_BY: &'static str = "the quota is read back, and all of the node's processes are in the group; at its end too, the kernel \
                                       has held its threads in some periods, and its processes got some time but no more than asked; \
                                       healed when the group's files have what they had, byte for byte, or the group is gone";
    const NEEDS: &'static [&'static Requirement] = &needs::CPU;

    type Before = Hold;
    type Guard = Known;
    type Seen = Seen;

    fn own() -> Vec<Parameter> {
        vec![Parameter {
            name: "percent",
            values: "of one processor: 1 to 10000".to_owned(),
        }]
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        if PERCENT.contains(&self.percent) {
            return Ok(());
        }
        let what = format!("{} % of a processor makes no sense; use 1 to 10000", self.percent);
        Err(("percent", what))
    }

    fn plan(&self, place: &Place, tag: &Tag) -> io::Result<Hold> {
        let version = Hierarchy::of("cpu")?.version;
        Hold::plan(place, tag, "cpu", files(version))
    }

    fn begin(&self, place: &Place, before: &Hold, _tag: &Tag) -> io::Result<Known> {
        let group = before.make()?;
        let version = before.version()?;
        for (file, limit) in files(version).iter().zip(self.limit(version)) {
            group.write(file, &limit)?;
        }
        let mut known = Known::new();
        before.take_in(place, &mut known)?;
        Ok(known)
    }

    fn keep(&self, place: &Place, before: &Hold, known: &mut Known) {
        let _ = before.take_in(place, known);
    }

    fn see(&self, place: &Place, before: &Hold, known: Option<&mut Known>) -> io::Result<Option<Seen>> {
        let group = before.group()?;
        let known = known.map(|known| {
            self.keep(place, before, known);
            &*known
        });
        let Some(usage) = usage::of(place)? else {
            return Ok(None);
        };
        if !group.exists() && living(place.pid).is_none() {
            return Ok(None);
        }
        let read = |file: &&str| Ok(group.read(file)?.trim().to_owned());
        Ok(Some(Seen {
            limit: files(before.version()?)
                .iter()
                .map(read)
                .collect::<io::Result<_>>()?,
            outside: before.outside(place, known)?,
            throttled: group.number("cpu.stat", "nr_throttled")?,
            usage,
        }))
    }

    fn undo(before: &Hold, at: &InForceAt<'_>, _lives: bool) -> io::Result<String> {
        before.undo(at.healer.mark)
    }

    fn left(&self, _place: Option<&Place>, before: &Hold) -> io::Result<Option<String>> {
        before.left()
    }

    fn stands(&self, seen: &Seen) -> Result<(), String> {
        if seen.limit != self.limit(Version::One) && seen.limit != self.limit(Version::Two) {
            return Err(format!(
                "its group's quota is {} and should be {}",
                seen.limit.join(" "),
                self.quota_us()
            ));
        }
        match seen.outside.first() {
            Some(pid) => Err(format!("process {pid} is not in the group")),
            None => Ok(()),
        }
    }

    fn by_hand(&self, node: &str) -> String {
        format!(
            "docker update --cpus {}.{:02} {node}",
            self.percent / 100,
            self.percent % 100
        )
    }

    fn measure(&self, first: &Seen, now: &Seen) -> Result<String, Unproven> {
        let held = now.throttled.saturating_sub(first.throttled);
        let (used_ns, elapsed_ns) = now.usage.since(&first.usage);
        let got = used_ns as f64 / elapsed_ns.max(1) as f64 * 100.0;
        let periods = elapsed_ns / (PERIOD_US * 1000) + 1;
        let most_ns = self.quota_us() * 1000 * periods + now.usage.error_ns();
        if used_ns > most_ns {
            return Err(Unproven::Mismatch(format!(
                "it got {got:.1} % of a processor instead of at most {} %",
                self.percent
            )));
        }
        if held == 0 {
            return Err(
                format!("nobody was hurt: it wanted {got:.1} % of a processor, and was never held").into(),
            );
        }
        if used_ns == 0 {
            return Err("it got no time at all: perhaps something else stopped it"
                .to_owned()
                .into());
        }
        Ok(format!(
            "held in {held} of some {periods} periods; got {got:.1} % of a processor, of at most {} %",
            self.percent
        ))
    }
}
