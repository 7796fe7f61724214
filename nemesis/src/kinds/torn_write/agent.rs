//! The agent's half: arms the layer, crashes the node once a write was torn, and reads the file back.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use duress_cluster::Place;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::processes::{end, list, same, signal};
use crate::agent::protocol::{Ending, Process, Processes};
use crate::agent::storage::layer;
use crate::kinds::disk::Armer;
use crate::layer::call::{Ask, Counts, Torn};
use crate::layer::digest;

/// What the controller's half asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// To end all processes at nodes where a write was torn. Answer: a list of [`NodeTorn`].
    Crash {
        /// Number of the fault.
        fault: u64,
        /// Where.
        places: Vec<Place>,
    },
    /// To read back what was torn. Answer: [`ReadBack`].
    Read {
        /// The node.
        node: Place,
        /// What was torn.
        torn: Torn,
    },
}

/// What was torn at a node, and who ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeTorn {
    /// The node.
    pub node: String,
    /// What was torn.
    pub torn: Torn,
    /// Who ended.
    pub ended: Vec<Process>,
}

/// What a file has where a write was torn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBack {
    /// SHA-256 of what should be there.
    pub kept_digest: String,
    /// SHA-256 of what should not.
    pub rest_digest: String,
}

/// Tears writes.
#[derive(Default)]
pub struct Tearer(Armer);

impl AgentPart for Tearer {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        self.0.can(place)
    }

    fn inject(&mut self, fault: u64, order: Value, kept: &[Value]) -> io::Result<Injected> {
        self.0.inject(fault, order, kept)
    }

    fn look(&mut self, fault: u64) -> io::Result<Value> {
        self.0.look(fault)
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read(question)? {
            Question::Crash { fault, places } => {
                let crashed = places.iter().map(|place| crash(fault, place));
                write(&crashed.collect::<io::Result<Vec<_>>>()?)
            }
            Question::Read { node, torn } => write(&read_back(&node.name, &torn)?),
        }
    }

    fn follow(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        self.0.follow(place)
    }

    fn cease(&mut self, fault: u64) {
        self.0.cease(fault);
    }

    fn forget(&mut self, fault: u64, node: &str) {
        self.0.forget(fault, node);
    }
}

fn crash(fault: u64, place: &Place) -> io::Result<NodeTorn> {
    let layer = layer(&place.name)?;
    let counts: Option<Counts> = layer.ask(&Ask::Count { fault })?;
    let torn = counts.and_then(|counts| counts.torn);
    let torn = torn.ok_or_else(|| io::Error::other(format!("{}: no write was torn", place.name)))?;
    let places = std::slice::from_ref(place);
    // A process that waits for the disk ends when it is answered, and does nothing with the answer, if the signal came before.
    let processes = |nodes: Vec<Processes>| nodes.into_iter().flat_map(|node| node.processes);
    let mut ended: Vec<Process> = processes(list(places)?).collect();
    for process in &ended {
        signal(process, Signal::KILL)?;
    }
    layer.ask::<Value>(&Ask::Disarm { fault })?;
    for process in processes(end(Ending::Kill, places)?) {
        if !ended.iter().any(|other| same(other, &process)) {
            ended.push(process);
        }
    }
    Ok(NodeTorn {
        node: place.name.clone(),
        torn,
        ended,
    })
}

fn read_back(node: &str, torn: &Torn) -> io::Result<ReadBack> {
    let path = layer(node)?.directory.join(&torn.path);
    let file = File::open(path)?;
    let at_most = |offset: u64, length: u64| {
        let mut data = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let mut filled = 0;
        while filled < data.len() {
            match file.read_at(&mut data[filled..], offset + filled as u64)? {
                0 => break,
                more => filled += more,
            }
        }
        data.truncate(filled);
        io::Result::Ok(digest(&data))
    };
    Ok(ReadBack {
        kept_digest: at_most(torn.offset, torn.kept)?,
        rest_digest: at_most(torn.offset + torn.kept, torn.length - torn.kept)?,
    })
}
