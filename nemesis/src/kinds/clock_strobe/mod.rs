//! `clock-strobe`: clocks of a node jump there and back, again and again.
//!
//! ```toml
//! kind = "clock-strobe"
//! delta = "200ms"        # there: ahead, or behind with a minus
//! period = "50ms"        # so long there, so long back
//! ```

use serde::{Deserialize, Serialize};

use super::clock::{self, Wrong, WrongClock};
use super::kind::Parameter;

/// The kind.
pub type ClockStrobe = WrongClock<Strobe>;

/// What it takes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Strobe {
    /// How far, e.g. `200ms`.
    delta: String,
    /// How long before it jumps again.
    period: String,
}

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1000 * MILLISECOND;

impl Wrong for Strobe {
    const NAME: &'static str = "clock-strobe";
    const DESCRIPTION: &'static str = "lets clocks of a node jump there and back, again and again, for every process of it and for nobody else";

    fn own() -> Vec<Parameter> {
        vec![
            Parameter {
                name: "delta",
                values: "how far, e.g. \"200ms\" or \"-5s\": 1ms to 365days, either way".to_owned(),
            },
            Parameter {
                name: "period",
                values: "how long there, and how long back: 1ms to 1s".to_owned(),
            },
        ]
    }

    fn function(&self) -> Result<(i64, i64, i64), (&'static str, String)> {
        let offset_ns = clock::offset("delta", &self.delta)?;
        let period_ns = clock::nanoseconds(&self.period, false).map_err(|what| ("period", what))?;
        if !(MILLISECOND..=SECOND).contains(&period_ns) {
            let what = format!("a period of {:?} makes no sense; use 1ms to 1s", self.period);
            return Err(("period", what));
        }
        Ok((offset_ns, 0, period_ns))
    }
}
