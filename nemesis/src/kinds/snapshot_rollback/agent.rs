//! The agent's half: copies directories of nodes that stand still, and puts them back.
//!
//! ```text
//! nodes/n1/data
//! nodes/n1/data.snapshot-3          the copy
//! nodes/n1/data.snapshot-3.back     the same, from when the directory is no more what it was to when it is what the copy is
//! ```
//!
//! Whoever heals a fault that was cut off finds by these names what is left to be done.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use duress_cluster::Place;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::COPY_BYTES_MAX;
use super::judge::Compared;
use super::tree::{self, Tree};
use crate::agent::beside::beside;
use crate::agent::elsewhere::from_here;
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::processes::{end, signal};
use crate::agent::procfs::{members, stopped};
use crate::agent::protocol::{Ending, Process, Processes};
use crate::agent::storage::layer;
use crate::agent::{damage, part};
use crate::kinds::disk::reaches_layer;
use crate::kinds::kind::{InForceAt, Undone};
use crate::kinds::pause::{self, Held};

/// What the controller's half asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which nodes are damaged in this run, by whatever. Answer: a list of names.
    Damaged,
    /// What it will act on. Answer: [`Directories`].
    Directories {
        /// The nodes.
        nodes: Vec<Place>,
    },
    /// To end the nodes and put their directories back. Answer: a list of [`RolledBack`].
    Back {
        /// Number of the fault.
        fault: u64,
        /// Where.
        places: Vec<Place>,
    },
    /// What is in the directories now. Answer: a list of [`Compared`].
    Compare {
        /// Number of the fault.
        fault: u64,
        /// The nodes.
        nodes: Vec<Place>,
    },
}

/// What the journal has: by node, its data directory as named where it is, and whether nobody has to be woken any more.
pub type Directories = BTreeMap<String, (PathBuf, bool)>;

/// A copy that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The node.
    pub node: String,
    /// Files, folders and links in it.
    pub files: usize,
    /// SHA-256 of all of it.
    pub digest: String,
    /// How long the node stood still, in microseconds.
    pub still_us: u64,
}

/// A directory that was put back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The node.
    pub node: String,
    /// Who ended.
    pub ended: Vec<Process>,
}

/// What is known of a node that a copy was taken of.
struct Kept {
    /// As it was then.
    copied: Tree,
    /// As it was right before it was put back.
    last: Option<Tree>,
}

/// Keeps copies.
#[derive(Default)]
pub struct Keeper {
    kept: BTreeMap<(u64, String), Kept>,
}

fn copy_of(directory: &Path, fault: u64) -> PathBuf {
    beside(directory, &format!("snapshot-{fault}"))
}

fn under_way(directory: &Path, fault: u64) -> PathBuf {
    beside(directory, &format!("snapshot-{fault}.back"))
}

fn used_up(directory: &Path, fault: u64) -> PathBuf {
    beside(directory, &format!("snapshot-{fault}.used"))
}

/// Puts a directory back whose copy is under way to it, and removes the copy: under another name, since half of one that was cut off
/// while it was removed must never be put back again.
fn finish(directory: &Path, fault: u64) -> io::Result<()> {
    let (copy, used) = (under_way(directory, fault), used_up(directory, fault));
    tree::put_back(&copy, directory)?;
    fs::rename(copy, &used)?;
    fs::remove_dir_all(used)
}

fn named(node: &str) -> impl Fn(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("{node}: {error}"))
}

impl AgentPart for Keeper {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        let layer = reaches_layer(place)?;
        let bytes = tree::bytes(&layer.directory)?;
        if bytes > COPY_BYTES_MAX {
            let why =
                format!("its data directory has {bytes} bytes, and {COPY_BYTES_MAX} at most are copied");
            return Err(io::Error::other(why));
        }
        Ok(())
    }

    /// Takes the copies, one node after another.
    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let places: Vec<Place> = read(order)?;
        let (mut copies, mut directories) = (Vec::new(), Directories::new());
        for place in places {
            let layer = layer(&place.name)?;
            let (copied, still_us) =
                copy_still(&place, &layer.directory, fault).map_err(named(&place.name))?;
            directories.insert(place.name.clone(), (layer.named.clone(), true));
            copies.push(Copied {
                node: place.name.clone(),
                files: copied.count(),
                digest: copied.digest(),
                still_us,
            });
            self.kept.insert((fault, place.name), Kept { copied, last: None });
        }
        Ok(Injected {
            answer: write(&copies)?,
            held: write(&directories)?,
        })
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read(question)? {
            Question::Damaged => write(&damage::damaged()),
            Question::Directories { nodes } => {
                let of = |Place { name, .. }: Place| {
                    let named = layer(&name)?.named.clone();
                    Ok((name, (named, false)))
                };
                write(&nodes.into_iter().map(of).collect::<io::Result<Directories>>()?)
            }
            Question::Back { fault, places } => {
                let back = |place: &Place| self.back(fault, place).map_err(named(&place.name));
                write(&places.iter().map(back).collect::<io::Result<Vec<_>>>()?)
            }
            Question::Compare { fault, nodes } => {
                let compare = |node: &Place| self.compare(fault, &node.name).map_err(named(&node.name));
                write(&nodes.iter().map(compare).collect::<io::Result<Vec<_>>>()?)
            }
        }
    }

    fn forget(&mut self, fault: u64, node: &str) {
        self.kept.remove(&(fault, node.to_owned()));
    }
}

impl Keeper {
    fn of(&mut self, fault: u64, node: &str) -> io::Result<&mut Kept> {
        let kept = self.kept.get_mut(&(fault, node.to_owned()));
        kept.ok_or_else(|| io::Error::other("no copy was taken of its data directory"))
    }

    fn back(&mut self, fault: u64, place: &Place) -> io::Result<RolledBack> {
        let kept = self.of(fault, &place.name)?;
        let directory = layer(&place.name)?.directory.clone();
        let ended: Vec<Processes> = end(Ending::Kill, std::slice::from_ref(place))?;
        kept.last = Some(tree::look(&directory)?);
        damage::note(&place.name);
        fs::rename(copy_of(&directory, fault), under_way(&directory, fault))?;
        finish(&directory, fault)?;
        Ok(RolledBack {
            node: place.name.clone(),
            ended: ended.into_iter().flat_map(|node| node.processes).collect(),
        })
    }

    fn compare(&mut self, fault: u64, node: &str) -> io::Result<Compared> {
        let kept = self.of(fault, node)?;
        let now = tree::look(&layer(node)?.directory)?;
        let last = kept.last.as_ref();
        Ok(Compared::of(node, &kept.copied, last, &now))
    }
}

/// Copies the data directory of a node, all of whose processes are stopped for so long. Returns what was copied, and for how many
/// microseconds they were.
fn copy_still(place: &Place, directory: &Path, fault: u64) -> io::Result<(Tree, u64)> {
    let began = Instant::now();
    let mut held = Held {
        node: place.name.clone(),
        processes: Vec::new(),
        newly: 0,
    };
    let copied = pause::stop_all(place, &[], &mut held).and_then(|()| {
        let copied = tree::copy(directory, &copy_of(directory, fault))?;
        match members(place)?
            .iter()
            .any(|process| !stopped(process.state) && !process.entered)
        {
            true => Err(io::Error::other(
                "somebody woke it while its data directory was copied",
            )),
            false => Ok(copied),
        }
    });
    // Whatever came of it.
    let mut asleep = Vec::new();
    for process in &held.processes {
        asleep.extend(signal(process, Signal::CONT).err());
    }
    match asleep.into_iter().next() {
        Some(error) => Err(error),
        None => Ok((
            copied?,
            u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        )),
    }
}

/// Ends what was cut off: wakes the node, or makes its directory whole, and removes the copy. `lives`: the node's process is the one that
/// was written down.
pub fn clear(at: &InForceAt<'_>, lives: bool) -> io::Result<Undone> {
    let node = &at.node.place.name;
    let held = at.held.cloned().map(part::read::<Directories>).transpose()?;
    let Some((named, is_awake)) = held.and_then(|mut held| held.remove(node)) else {
        return Ok(undone("nothing had been done yet", node));
    };
    let mut done = Vec::new();
    if !is_awake && lives {
        let woken = pause::wake(&InForceAt { held: None, ..*at })?;
        done.push(format!("woke {} processes", woken.len()));
    }
    // The agent goes by its layer; without it the directory is bare, and named as it is here.
    let directory = match layer(node) {
        Ok(layer) => layer.directory.clone(),
        Err(_) if at.healer.own_namespaces => from_here(&named),
        Err(_) => named,
    };
    if under_way(&directory, at.fault).try_exists()? {
        finish(&directory, at.fault)?;
        done.push("put its data directory back to the end, as had been begun".to_owned());
    }
    for copy in [copy_of(&directory, at.fault), used_up(&directory, at.fault)] {
        if copy.try_exists()? {
            fs::remove_dir_all(&copy)?;
            done.push("removed the copy of its data directory".to_owned());
        }
    }
    if done.is_empty() {
        done.push("what its data directory was put back to stays".to_owned());
    }
    Ok(undone(&done.join(", "), node))
}

fn undone(said: &str, node: &str) -> Undone {
    Undone {
        said: said.to_owned(),
        answer: json!(node),
    }
}
