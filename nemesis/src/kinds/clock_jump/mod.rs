//! `clock-jump`: clocks of a node are ahead or behind, by the same amount all the time.
//!
//! ```toml
//! kind = "clock-jump"
//! by = "-90s"            # or "1h 30m", "2days", "+5ms"
//! targets = "leader"     # any one node, if it does not say
//! ```

use serde::{Deserialize, Serialize};

use super::clock::{self, Wrong, WrongClock};
use super::kind::Parameter;

/// The kind.
pub type ClockJump = WrongClock<Jump>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Jump {
    /// How far, e.g. `-90s`.
    by: String,
}

impl Wrong for Jump {
    const NAME: &'static str = "clock-jump";
    const DESCRIPTION: &'static str =
        "sets clocks of a node ahead or behind, for every process of it and for nobody else";

    fn own() -> Vec<Parameter> {
        vec![Parameter {
            name: "by",
            values: "how far, e.g. \"1h\" or \"-90s\": 1ms to 365days, either way".to_owned(),
        }]
    }

    fn function(&self) -> Result<(i64, i64, i64), (&'static str, String)> {
        Ok((clock::offset("by", &self.by)?, 0, 0))
    }
}
