//! A node held in a control group: its own, as engines give each container, or one that is made for the fault.
//!
//! Of a group that an engine made, some files are changed, and written back. Where a node shares its group with others, as a
//! sandbox does, it gets one with a name of ours; its processes are moved there, those that it starts later too, and back in the
//! end. What is charged to a group stays with it: the memory that a sandbox had before it was moved is not counted.
//!
//! ```json
//! {"controller":"cpu","group":"/docker/4f1a","before":[["cpu.cfs_quota_us","-1\n"]]}
//! {"controller":"cpu","group":"/duress-1f2e3d4c-3-n1","home":"/","before":[]}
//! ```

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Instant;

use duress_cluster::Place;
use serde::{Deserialize, Serialize};

use super::{Group, Hierarchy, Version};
use crate::agent::processes::{CHASE_MAX, LOOK_AGAIN};
use crate::agent::procfs;
use crate::agent::protocol::{Mark, Process};

/// Begins the names of groups that are made for a fault.
const OURS: &str = "duress-";

/// The run and the fault that a group is made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    pub mark: Mark,
    pub fault: u64,
}

/// Where a node is held, and how it was before: written down before anything is touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// E.g. `cpu`.
    pub controller: String,
    /// The group, as a path in the hierarchy of the controller.
    pub group: String,
    /// Where its processes come from and go back to, if it is made for the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Files of a group that was there before, and what stood in them.
    pub before: Vec<(String, String)>,
}

/// The processes that were moved, by number and start time.
pub type Known = BTreeSet<(u32, u64)>;

impl Hold {
    /// Where a node is to be held for these files of a controller. Changes nothing.
    pub fn plan(place: &Place, tag: &Tag, controller: &str, files: &[&str]) -> io::Result<Hold> {
        let hierarchy = Hierarchy::of(controller)?;
        let current = current(&hierarchy, place)?;
        if current.contains(&format!("/{OURS}")) {
            return Err(io::Error::other(format!(
                "another fault holds {} in a group of its own, {current}",
                place.name
            )));
        }
        let group = hierarchy.group(&current);
        if is_its_own(&group, &current, place)? {
            let before = |file: &&str| Ok(((*file).to_owned(), group.read(file)?));
            return Ok(Hold {
                controller: controller.to_owned(),
                before: files.iter().map(before).collect::<io::Result<_>>()?,
                group: current,
                home: None,
            });
        }
        // A group of version 2 that has processes has no groups with limits in it, but for the first of all.
        let parent = match hierarchy.version {
            Version::One => current.trim_end_matches('/'),
            Version::Two => "",
        };
        hierarchy
            .group(if parent.is_empty() { "/" } else { parent })
            .check_writable()?;
        let name = format!("{OURS}{}-{}-{}", tag.mark.as_str(), tag.fault, place.name);
        Ok(Hold {
            controller: controller.to_owned(),
            group: format!("{parent}/{name}"),
            home: Some(current),
            before: Vec::new(),
        })
    }

    /// Which files there are.
    pub fn version(&self) -> io::Result<Version> {
        Ok(Hierarchy::of(&self.controller)?.version)
    }

    /// The group.
    pub fn group(&self) -> io::Result<Group> {
        Ok(Hierarchy::of(&self.controller)?.group(&self.group))
    }

    /// Makes the group, if it is ours to make.
    pub fn make(&self) -> io::Result<Group> {
        let group = self.group()?;
        if self.home.is_some() {
            group.make()?;
        }
        Ok(group)
    }

    /// Moves the processes of a node there that are not `known`, those included that it starts meanwhile: where the group is ours. One
    /// that is known and is not there any more was taken out, and stays so: it is for whoever verifies to see.
    pub fn take_in(&self, place: &Place, known: &mut Known) -> io::Result<()> {
        if self.home.is_none() {
            return Ok(());
        }
        let hierarchy = Hierarchy::of(&self.controller)?;
        let group = hierarchy.group(&self.group);
        let deadline = Instant::now() + CHASE_MAX;
        loop {
            let members = procfs::members(place)?;
            let key = |process: &Process| (process.pid, process.started);
            known.retain(|known| members.iter().any(|process| key(process) == *known));
            let mut moved = false;
            for process in members {
                if known.contains(&key(&process)) {
                    continue;
                }
                // What one that was moved has made since is born there.
                if hierarchy
                    .group_of(process.pid)
                    .is_ok_and(|group| group != self.group)
                {
                    moved |= group.take_in(process.pid)?;
                }
                known.insert(key(&process));
            }
            if !moved {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(io::Error::other(format!(
                    "{}: it makes processes faster than they can be moved to {}",
                    place.name, self.group
                )));
            }
        }
    }

    /// The node's processes that are not there and should be: all, or those that were moved there. One that has just begun will be.
    pub fn outside(&self, place: &Place, known: Option<&Known>) -> io::Result<Vec<u32>> {
        let hierarchy = Hierarchy::of(&self.controller)?;
        let known = known.filter(|_| self.home.is_some());
        let mut outside = Vec::new();
        for process in procfs::members(place)? {
            let is_meant = known.is_none_or(|known| known.contains(&(process.pid, process.started)));
            // One that has ended is in none.
            if is_meant
                && hierarchy
                    .group_of(process.pid)
                    .is_ok_and(|group| group != self.group)
                && procfs::current(&process).is_some()
            {
                outside.push(process.pid);
            }
        }
        Ok(outside)
    }

    /// Puts everything back as it was. Safe to repeat. Says what it did.
    pub fn undo(&self, mark: &Mark) -> io::Result<String> {
        let hierarchy = Hierarchy::of(&self.controller)?;
        let group = hierarchy.group(&self.group);
        if !group.exists() {
            return Ok(format!("the group {} is gone", self.group));
        }
        let Some(home) = &self.home else {
            for (file, text) in &self.before {
                if group.read(file)? != *text {
                    group.write(file, text)?;
                }
            }
            return Ok(format!("wrote the files of the group {} back", self.group));
        };
        let name = self.group.rsplit('/').next().unwrap_or_default();
        if !name.starts_with(&format!("{OURS}{}-", mark.as_str())) {
            return Err(io::Error::other(format!(
                "the group {} is not this run's",
                self.group
            )));
        }
        let home = hierarchy.group(home);
        let deadline = Instant::now() + CHASE_MAX;
        loop {
            for pid in group.processes().unwrap_or_default() {
                home.take_in(pid)?;
            }
            match group.remove() {
                // A process that has just been made, or is about to be gone.
                Err(_) if Instant::now() < deadline => thread::sleep(LOOK_AGAIN),
                removed => return removed.map(|()| format!("removed the group {}", self.group)),
            }
        }
    }

    /// What is left of it after it was undone, if anything is.
    pub fn left(&self) -> io::Result<Option<String>> {
        let group = self.group()?;
        if !group.exists() {
            return Ok(None);
        }
        if self.home.is_some() {
            return Ok(Some(format!("the group {} is still there", self.group)));
        }
        for (file, before) in &self.before {
            let now = group.read(file)?;
            if now != *before {
                return Ok(Some(format!(
                    "{file} of the group {} has {:?} and had {:?}",
                    self.group,
                    now.trim_end(),
                    before.trim_end()
                )));
            }
        }
        Ok(None)
    }
}

/// The group of a node's program.
fn current(hierarchy: &Hierarchy, place: &Place) -> io::Result<String> {
    let members = procfs::members(place)?;
    let groups = members
        .iter()
        .filter(|process| !process.entered || members.iter().all(|other| other.entered));
    let mut groups = groups.filter_map(|process| hierarchy.group_of(process.pid).ok());
    groups
        .next()
        .ok_or_else(|| io::Error::other(format!("{}: no process runs there", place.name)))
}

/// Whether all processes of a group are the node's.
fn is_its_own(group: &Group, path: &str, place: &Place) -> io::Result<bool> {
    if path == "/" {
        return Ok(false);
    }
    let kin = procfs::kin(place)?;
    let all = group.processes()?;
    let its = |pid: &u32| {
        kin.iter().any(|process| process.pid == *pid) || duress_cluster::procfs::living(*pid).is_none()
    };
    // A zombie is in no list; a process that came since the look is told by a second one.
    Ok(all.iter().all(its))
}
