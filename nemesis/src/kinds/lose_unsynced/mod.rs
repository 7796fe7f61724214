//! `lose-unsynced`: the power of nodes fails. Their programs are gone, and with them all that they had not synced.
//!
//! ```toml
//! kind = "lose-unsynced"
//! targets = "all"        # any one node, if it does not say; power of several fails at once
//! ```
//!
//! Each node of such a run has its data directory on a disk of its own: see [`crate::agent::file_system`].

mod agent;
mod judge;
mod steps;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde_json::Value;

use super::at_nodes;
use super::kind::{About, InForceAt, Kind, ParameterError, Parameters, Undone};
use crate::agent::file_system;
use crate::agent::part::{AgentPart, read};
use crate::agent::protocol::Mark;
use crate::agent::storage;
use crate::storage::Storage;

/// As in specs, schedules and histories.
const NAME: &str = "lose-unsynced";

static NEEDS: [&Requirement; 1] = [&Requirement {
    name: "ext4 on a loop device",
    probe: file_system::probe_machine,
    fix: "run as root of the machine, with the package e2fsprogs, the kernel's ext4 and loop devices (/dev/loop-control)",
}];

/// By node, the data directory that its disk is mounted over: what the journal has.
type Directories = BTreeMap<String, PathBuf>;

/// The kind.
#[derive(Clone, Copy, Debug)]
pub struct LoseUnsynced;

impl LoseUnsynced {
    fn restore(at: &InForceAt<'_>, pid: Option<u32>) -> io::Result<Undone> {
        let directories = at.held.cloned().map(read::<Directories>).transpose()?;
        let directory = directories.as_ref().and_then(|all| all.get(&at.node.place.name));
        // It is written down before anything is done.
        let said = match directory {
            Some(directory) if at.healer.own_namespaces => {
                storage::restore(at.healer.mark, &at.node.place.name, directory, pid)?
            }
            Some(directory) => file_system::restore(&at.node.place.name, directory, pid)?,
            None => "nothing had been done yet".to_owned(),
        };
        Ok(Undone {
            said,
            answer: Value::Null,
        })
    }
}

impl Kind for LoseUnsynced {
    fn name(&self) -> &'static str {
        NAME
    }

    fn effect(&self) -> Effect {
        Effect::Loses
    }

    fn about(&self) -> About {
        About {
            description: "cuts nodes off from their disks as a power failure does: at once nothing gets there any more, every process is \
                          ended, and when the fault ends the disk is mounted as it was left, and the program started again",
            parameters: vec![at_nodes::parameter()],
            verified_by: "the processes are gone, nothing runs there until it ends, and the disk takes nothing; at its end, on the disk as \
                          it was left, a file that was synced before the cut is there and one that was not is gone or empty; healed when \
                          the same is seen on the disk that the node has, and the program runs and is ready",
        }
    }

    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, ParameterError> {
        at_nodes::read(parameters, |id, targets, seed, _| {
            Box::new(steps::PowerSteps::new(id, targets, seed))
        })
    }

    fn needs(&self) -> &'static [&'static Requirement] {
        &NEEDS
    }

    fn storage(&self) -> Option<Storage> {
        Some(Storage::FileSystem)
    }

    fn spans_machines(&self) -> bool {
        true
    }

    fn agent(&self, _mark: &Mark) -> Option<Box<dyn AgentPart>> {
        Some(Box::new(agent::Cutter))
    }

    fn heal(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        LoseUnsynced::restore(at, Some(at.node.place.pid))
    }

    /// A container is gone with its program; its disk is not.
    fn heal_after(&self, at: &InForceAt<'_>) -> io::Result<Undone> {
        LoseUnsynced::restore(at, None)
    }
}
