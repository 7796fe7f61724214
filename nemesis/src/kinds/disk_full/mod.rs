//! `disk-full`: the disk of a node has no space left.
//!
//! ```toml
//! kind = "disk-full"
//! targets = "leader"
//! ```

use duress_checker::history::Effect as OnNodes;
use serde::{Deserialize, Serialize};

use super::disk::{Wrong, WrongDisk};
use super::kind::Parameter;
use crate::layer::call::{Call, Effect};

/// The kind.
pub type DiskFull = WrongDisk<Full>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Full {}

impl Wrong for Full {
    const NAME: &'static str = "disk-full";
    const DESCRIPTION: &'static str = "lets what would take space on a node's disk fail with ENOSPC: new files, and writes where a file has no space yet";
    const VERIFIED_BY: &'static str = "a file of the agent's own in the data directory can't be made for lack of space; at its end again, and calls \
         of the system have failed, at each node; healed when one can, and the programs run and are ready";
    const EFFECT: OnNodes = OnNodes::Restarts;
    const CALLS: &'static [Call] = &[
        Call::Create,
        Call::Write,
        Call::Truncate,
        Call::Allocate,
        Call::Mkdir,
    ];
    const CHOICE: bool = false;

    fn own() -> Vec<Parameter> {
        Vec::new()
    }

    fn effect(&self) -> Result<Effect, (&'static str, String)> {
        Ok(Effect::Full)
    }
}
