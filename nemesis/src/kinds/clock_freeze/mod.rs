//! `clock-freeze`: clocks of a node stand still.
//!
//! ```toml
//! kind = "clock-freeze"
//! targets = ["n1"]       # any one node, if it does not say
//! ```

use serde::{Deserialize, Serialize};

use super::clock::{Wrong, WrongClock};
use super::kind::Parameter;
use crate::agent::vdso::skew::RATE_ONE;

/// The kind.
pub type ClockFreeze = WrongClock<Freeze>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Freeze {}

impl Wrong for Freeze {
    const NAME: &'static str = "clock-freeze";
    const DESCRIPTION: &'static str =
        "lets clocks of a node stand still, for every process of it and for nobody else";

    fn own() -> Vec<Parameter> {
        Vec::new()
    }

    fn function(&self) -> Result<(i64, i64, i64), (&'static str, String)> {
        Ok((0, -RATE_ONE, 0))
    }
}
