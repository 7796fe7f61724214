//! The counter workload: counters are incremented by one and read.
//!
//! ```json
//! {"process":3,"type":"ok","f":"increment","key":"c2","value":1}
//! {"process":5,"type":"ok","f":"read","key":"c2","value":7}
//! ```
//!
//! An increment that is carried out twice, or acknowledged and lost, shows in every later read. A counter that grew for long
//! enough is given up for a fresh one, so that an operation of unknown outcome makes only so many reads uncertain.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bounds::{Bound, SpecError, share};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};
use crate::workload::growing::Growing;

/// What a spec says of the counter workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CounterSpec {
    /// Number of counters in use at a time. At least 1.
    pub counters: u64,
    /// Increments of a counter before it is given up for a fresh one. At least 1.
    pub length: u64,
    /// Share of operations that read, from 0 to 1.
    pub read: f64,
}

impl Default for CounterSpec {
    fn default() -> Self {
        CounterSpec {
            counters: 5,
            length: 200,
            read: 0.5,
        }
    }
}

/// Generates the operations.
#[derive(Debug)]
pub struct Counter {
    counters: Growing,
    read: f64,
}

const COUNTERS: Bound<u64> = Bound {
    key: "counters",
    least: 1,
    most: 10_000,
    why: "each is read a last time, those that were given up included",
};
const LENGTH: Bound<u64> = Bound {
    key: "length",
    least: 1,
    most: 1_000_000,
    why: "a counter that grows for longer tells no more",
};
const READ: Bound<f64> = share("read");

impl WorkloadParameters for CounterSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "counter",
        description: "increments counters and reads them: what is carried out twice or lost shows",
        model: Some("counter"),
        properties: &["linearizable", "at-most-once", "at-least-once", "exactly-once"],
        operations: &[Operation::on_key("increment"), Operation::on_key("read")],
        parameters: &[
            ("counters", "number of counters in use at a time (5)"),
            (
                "length",
                "increments of a counter before it is given up for a fresh one (200)",
            ),
            ("read", "share of operations that read (0.5)"),
        ],
    };

    fn bounds() -> Vec<String> {
        vec![COUNTERS.row(), LENGTH.row(), READ.row()]
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Counter::new(self)?))
    }
}

impl Counter {
    /// A generator from the beginning; what is wrong with the spec, if it can't be used.
    pub fn new(spec: &CounterSpec) -> Result<Self, SpecError> {
        COUNTERS.check(spec.counters)?;
        LENGTH.check(spec.length)?;
        READ.check(spec.read)?;
        Ok(Counter {
            counters: Growing::new('c', spec.counters, spec.length),
            read: spec.read,
        })
    }
}

impl Workload for Counter {
    fn next(&mut self, _process: u64, rng: &mut ChaCha12Rng) -> Op {
        self.counters.next(rng, self.read, "increment", || json!(1))
    }

    fn final_ops(&mut self) -> Vec<Op> {
        self.counters.reads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Counter::new(&CounterSpec::default()).is_ok());
        let none = CounterSpec {
            counters: 0,
            ..CounterSpec::default()
        };
        assert!(Counter::new(&none).is_err());
    }
}
