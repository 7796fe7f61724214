//! The agent's half: turns bits over, and reads them back.

use std::io;

use duress_cluster::{Place, is_zero};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files::{Flip, kept, left, rot};
use crate::agent::damage;
use crate::agent::part::{AgentPart, Injected, read, write};
use crate::agent::storage::layer;

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// At each of these.
    pub nodes: Vec<Place>,
    /// To files that fit.
    pub path: Option<String>,
    /// How many bits.
    pub bits: u32,
    /// What is drawn is drawn from this.
    pub seed: u64,
}

/// What the controller's half asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Which nodes are damaged in this run, by whatever. Answer: a list of names.
    Damaged,
    /// What is left of the bits, at each of these. Answer: a list of [`Left`](super::files::Left).
    Left {
        /// As they were told.
        rotten: Vec<Rotten>,
    },
}

/// What has rotted at a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotten {
    /// The node.
    pub node: String,
    /// The bits.
    pub flips: Vec<Flip>,
    /// Where the files are as they were.
    pub kept: String,
    /// The machine that it lives on, as in [`Place`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machine: u32,
}

/// Turns bits over.
pub struct Rotter;

impl AgentPart for Rotter {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        layer(&place.name).map(drop)
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<Injected> {
        let order: Order = read(order)?;
        let mut rotten = Vec::new();
        for (
            number,
            Place {
                name: node, machine, ..
            },
        ) in (0..).zip(order.nodes)
        {
            let layer = layer(&node)?;
            let named = |error: io::Error| io::Error::other(format!("{node}: {error}"));
            damage::note(&node);
            let seed = order.seed.wrapping_add(number).wrapping_add(u64::from(machine));
            let copies = kept(&layer.directory, fault);
            let flips =
                rot(&layer.directory, order.path.as_deref(), order.bits, seed, &copies).map_err(named)?;
            rotten.push(Rotten {
                node,
                flips,
                kept: kept(&layer.named, fault).display().to_string(),
                machine,
            });
        }
        Ok(Injected {
            held: json!(rotten),
            answer: write(&rotten)?,
        })
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read(question)? {
            Question::Damaged => write(&damage::damaged()),
            Question::Left { rotten } => {
                let count = |rotten: &Rotten| Ok(left(&layer(&rotten.node)?.directory, &rotten.flips));
                write(&rotten.iter().map(count).collect::<io::Result<Vec<_>>>()?)
            }
        }
    }
}
