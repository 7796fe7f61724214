//! The agent's half: cuts disks off and ends programs, and reads what is left.

use std::io;

use duress_cluster::Place;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Directories;
use crate::agent::elsewhere::there;
use crate::agent::file_system::{self, Probes};
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::processes::{self, same};
use crate::agent::protocol::{Ending, Process, Processes};

/// What the controller's half wants to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum Question {
    /// Writes probes that are synced. Answer: [`Directories`].
    Before {
        /// The fault.
        fault: u64,
        /// Its nodes.
        places: Vec<Place>,
    },
    /// Whether disks take nothing. Answer: by node, true or false.
    Cut {
        /// The nodes.
        nodes: Vec<Place>,
    },
    /// What the cut has left. Answer: a list of [`Left`].
    Left {
        /// The fault.
        fault: u64,
        /// Its nodes.
        nodes: Vec<Place>,
    },
    /// What is on the disks that nodes have now; removes the probes. Answer: the same.
    Back {
        /// The fault.
        fault: u64,
        /// Its nodes.
        nodes: Vec<Place>,
    },
}

/// What is on the disk of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// The node.
    pub node: String,
    /// The probe that was synced, and the one that was not.
    pub probes: Probes,
}

/// Cuts disks off. What is under data directories, others remember.
pub struct Cutter;

impl AgentPart for Cutter {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        there(|| file_system::directory(&place.name, place.pid).map(drop))
    }

    /// All disks first, then all programs: power fails everywhere at once, and what programs do about it reaches no disk.
    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let places: Vec<Place> = read(order)?;
        for place in &places {
            file_system::write_probe(&place.name, fault, false)?;
        }
        // Some end by themselves as soon as their disk takes nothing.
        let mut ended: Vec<Processes> = processes::list(&places)?;
        for place in &places {
            file_system::cut(&place.name)?;
        }
        for (node, killed) in ended.iter_mut().zip(processes::end(Ending::Kill, &places)?) {
            let others = killed.processes.into_iter();
            let others = others.filter(|process| !node.processes.iter().any(|other| same(other, process)));
            let others: Vec<Process> = others.collect();
            node.processes.extend(others);
        }
        Ok(Injected {
            answer: write(&ended)?,
            // Known before.
            held: Value::Null,
        })
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        there(|| answer(read(question)?))
    }
}

fn names(places: Vec<Place>) -> impl Iterator<Item = String> {
    places.into_iter().map(|place| place.name)
}

fn answer(question: Question) -> io::Result<Value> {
    match question {
        Question::Before { fault, places } => {
            let mut directories = Directories::new();
            for place in places {
                let directory = file_system::directory(&place.name, place.pid)?;
                file_system::write_probe(&place.name, fault, true)?;
                directories.insert(place.name, directory);
            }
            write(&directories)
        }
        Question::Cut { nodes } => {
            let cut = |node: String| Ok((node.clone(), file_system::is_cut(&node)?));
            write(&names(nodes).map(cut).collect::<io::Result<Vec<_>>>()?)
        }
        Question::Left { fault, nodes } => {
            let left = |node: String| {
                let probes = file_system::probes_left(&node, fault)?;
                Ok(Left { node, probes })
            };
            write(&names(nodes).map(left).collect::<io::Result<Vec<_>>>()?)
        }
        Question::Back { fault, nodes } => {
            let back = |node: String| {
                let probes = file_system::probes_now(&node, fault)?;
                file_system::remove_probes(&node, fault)?;
                Ok(Left { node, probes })
            };
            write(&names(nodes).map(back).collect::<io::Result<Vec<_>>>()?)
        }
    }
}
