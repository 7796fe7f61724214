//! The append workload: unique elements are appended to a few lists at a time, and lists are read.
//!
//! ```json
//! {"process":3,"type":"ok","f":"append","key":"l2","value":7}
//! {"process":5,"type":"ok","f":"read","key":"l2","value":[3,7]}
//! ```
//!
//! A list that is long enough is given up for a fresh one: reads would grow without end.

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bounds::{Bound, SpecError, share};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};

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
    spec: AppendSpec,
    /// Number and appends so far of each list in use.
    in_use: Vec<(u64, u64)>,
    next_list: u64,
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
        properties: &["linearizable"],
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
        let in_use = (0..spec.lists).map(|number| (number, 0)).collect();
        Ok(Append {
            spec: spec.clone(),
            in_use,
            next_list: spec.lists,
            next_element: 0,
        })
    }
}

fn read(list: u64) -> Op {
    Op {
        f: "read",
        key: Some(json!(format!("l{list}"))),
        value: Value::Null,
        idempotent: true,
    }
}

impl Workload for Append {
    fn next(&mut self, _process: u64, rng: &mut ChaCha12Rng) -> Op {
        let position = rng.random_range(0..self.in_use.len());
        let (list, appended) = &mut self.in_use[position];
        if rng.random_bool(self.spec.read) {
            return read(*list);
        }
        if *appended == self.spec.length {
            (*list, *appended) = (self.next_list, 0);
            self.next_list += 1;
        }
        *appended += 1;
        self.next_element += 1;
        Op {
            f: "append",
            key: Some(json!(format!("l{list}"))),
            value: json!(self.next_element),
            idempotent: false,
        }
    }

    fn observe(&mut self, _op: &Op, _result: &Value) {}

    fn final_ops(&mut self) -> Vec<Op> {
        (0..self.next_list).map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;

    use super::*;

    #[test]
    fn lists_are_given_up_when_they_are_long_and_all_are_read_at_the_end() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let spec = AppendSpec {
            lists: 3,
            length: 10,
            read: 0.3,
        };
        let mut append = Append::new(&spec).expect("a valid spec");
        let mut lengths: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..1000 {
            let op = append.next(0, &mut rng);
            if op.f == "append" {
                *lengths.entry(op.key.expect("a list").to_string()).or_default() += 1;
            }
        }
        assert!(lengths.len() > 60);
        assert!(lengths.values().all(|length| *length <= 10));
        assert_eq!(append.final_ops().len(), append.next_list as usize);
        assert!(Append::new(&AppendSpec { lists: 0, ..spec }).is_err());
    }
}
