//! The set workload: unique elements are added, and now and then all are read.
//!
//! ```json
//! {"process":3,"type":"ok","f":"add","value":7}
//! {"process":5,"type":"ok","f":"read","value":[3,7]}
//! ```

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bounds::{Bound, SpecError, share};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};

/// What a spec says of the set workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SetSpec {
    /// Share of operations that read everything, from 0 to 1. A read grows with the set.
    pub read: f64,
}

impl Default for SetSpec {
    fn default() -> Self {
        SetSpec { read: 0.02 }
    }
}

/// Generates the operations.
#[derive(Debug)]
pub struct Set {
    read: f64,
    next: u64,
}

const READ: Bound<f64> = share("read");

impl WorkloadParameters for SetSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "set",
        description: "adds unique elements and reads them all; for the property nothing-lost",
        model: Some("set"),
        properties: &["nothing-lost", "linearizable"],
        operations: &[Operation::on_all("add"), Operation::on_all("read")],
        parameters: &[("read", "share of operations that read everything (0.02)")],
    };

    fn bounds() -> Vec<String> {
        vec![READ.row()]
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Set::new(self)?))
    }
}

impl Set {
    /// A generator from the beginning; what is wrong with the spec, if it can't be used.
    pub fn new(spec: &SetSpec) -> Result<Self, SpecError> {
        READ.check(spec.read)?;
        Ok(Set {
            read: spec.read,
            next: 0,
        })
    }
}

fn read() -> Op {
    Op {
        f: "read",
        key: None,
        value: Value::Null,
        idempotent: true,
    }
}

impl Workload for Set {
    fn next(&mut self, _process: u64, rng: &mut ChaCha12Rng) -> Op {
        if rng.random_bool(self.read) {
            return read();
        }
        self.next += 1;
        // An element is itself however often it is added.
        Op {
            f: "add",
            key: None,
            value: json!(self.next),
            idempotent: true,
        }
    }

    fn final_ops(&mut self) -> Vec<Op> {
        vec![read()]
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn elements_are_unique_and_the_last_operation_reads() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut set = Set::new(&SetSpec { read: 0.1 }).expect("a valid spec");
        let ops: Vec<Op> = (0..1000).map(|_| set.next(0, &mut rng)).collect();
        let mut added: Vec<String> = ops
            .iter()
            .filter(|op| op.f == "add")
            .map(|op| op.value.to_string())
            .collect();
        let count = added.len();
        added.sort();
        added.dedup();
        assert!((850..950).contains(&count) && added.len() == count);
        assert_eq!(set.final_ops()[0].f, "read");
        assert!(Set::new(&SetSpec { read: 2.0 }).is_err());
    }
}
