//! The append workload: unique elements are appended to a few lists at a time, and lists are read.
//!
//! ```json
//! {"process":3,"type":"ok","f":"append","key":"l2","value":7}
//! {"process":5,"type":"ok","f":"read","key":"l2","value":[3,7]}
//! ```
//!
//! A list that is long enough is given up for a fresh one: reads would grow without end.

use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::bounds::{Bound, SpecError, share};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};
use crate::workload::growing::Growing;

/// What a spec says of the append workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AppendSpec {
    /// Number of lists in use at a time. At least 1.
    pub lists: u64,
    /// Appends to a list before it is given up for a fresh one. At least 1.
    pub length: u64,
    /// Share of operations that read, from 0 to 1.
    pub read: f64,
}

impl Default for AppendSpec {
    fn default() -> Self {
        AppendSpec {
            lists: 5,
            length: 50,
            read: 0.5,
        }
    }
}

/// Generates the operations.
#[derive(Debug)]
pub struct Append {
    lists: Growing,
    read: f64,
    next_element: u64,
}

const LISTS: Bound<u64> = Bound {
    key: "lists",
    least: 1,
    most: 10_000,
    why: "each is read a last time, those that were given up included",
};
const LENGTH: Bound<u64> = Bound {
    key: "length",
    least: 1,
    most: 100_000,
    why: "every read carries the whole list",
};
const READ: Bound<f64> = share("read");

impl WorkloadParameters for AppendSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "append",
        description: "appends to lists and reads them",
        model: Some("log"),
        properties: &["linearizable", "at-most-once", "at-least-once", "exactly-once"],
        operations: &[Operation::on_key("append"), Operation::on_key("read")],
        parameters: &[
            ("lists", "number of lists in use at a time (5)"),
            (
                "length",
                "appends to a list before it is given up for a fresh one (50)",
            ),
            ("read", "share of operations that read (0.5)"),
        ],
    };

    fn bounds() -> Vec<String> {
        vec![LISTS.row(), LENGTH.row(), READ.row()]
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Append::new(self)?))
    }
}

impl Append {
    /// A generator from the beginning; what is wrong with the spec, if it can't be used.
    pub fn new(spec: &AppendSpec) -> Result<Self, SpecError> {
        LISTS.check(spec.lists)?;
        LENGTH.check(spec.length)?;
        READ.check(spec.read)?;
        Ok(Append {
            lists: Growing::new('l', spec.lists, spec.length),
            read: spec.read,
            next_element: 0,
        })
    }
}

impl Workload for Append {
    fn next(&mut self, _process: u64, rng: &mut ChaCha12Rng) -> Op {
        self.lists.next(rng, self.read, "append", || {
            self.next_element += 1;
            json!(self.next_element)
        })
    }

    fn final_ops(&mut self) -> Vec<Op> {
        self.lists.reads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(Append::new(&AppendSpec::default()).is_ok());
        let none = AppendSpec {
            lists: 0,
            ..AppendSpec::default()
        };
        assert!(Append::new(&none).is_err());
    }
}
