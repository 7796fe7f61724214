//! `clock-drift`: clocks of a node run too fast or too slow.
//!
//! ```toml
//! kind = "clock-drift"
//! ppm = -200             # microseconds that they lose in a second
//! ```

use serde::{Deserialize, Serialize};

use super::clock::{Wrong, WrongClock};
use super::kind::Parameter;
use crate::agent::vdso::skew::RATE_ONE;

/// The kind.
pub type ClockDrift = WrongClock<Drift>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Drift {
    /// Microseconds a second.
    ppm: i64,
}

/// A clock that runs is never slower, and one that is worth testing never faster.
const PPM_MAX: i64 = 900_000;

impl Wrong for Drift {
    const NAME: &'static str = "clock-drift";
    const DESCRIPTION: &'static str =
        "lets clocks of a node run too fast or too slow, for every process of it and for nobody else";

    fn own() -> Vec<Parameter> {
        vec![Parameter {
                name: "ppm",
                values: "parts in a million, -900000 to 900000, not 0: microseconds that they gain in a second, or lose".to_owned(),
            }]
    }

    fn function(&self) -> Result<(i64, i64, i64), (&'static str, String)> {
        if self.ppm == 0 || self.ppm.saturating_abs() > PPM_MAX {
            let what = format!(
                "a drift of {} ppm makes no sense; use 1 to {PPM_MAX}, either way",
                self.ppm
            );
            return Err(("ppm", what));
        }
        Ok((0, self.ppm * RATE_ONE / 1_000_000, 0))
    }
}
