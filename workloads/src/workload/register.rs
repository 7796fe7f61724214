//! The register workload: reads, writes and compare-and-set over many keys.
//!
//! Its history is judged by the `cas-register` model, one register a key, initially null:
//!
//! ```json
//! {"index":8,"time":120334,"process":3,"type":"invoke","f":"cas","key":"k4","value":[12,31]}
//! {"index":9,"time":420334,"process":3,"type":"ok","f":"cas","key":"k4","value":[12,31],"node":"n1"}
//! ```
//!
//! A delete is a write of null.

use rand::RngExt;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bounds::{Bound, SpecError, weight};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};

/// What a spec says of the register workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegisterSpec {
    /// Number of keys. At least 1.
    pub keys: usize,
    /// Zipf exponent of the keys' popularity: 0 is uniform, 1 gives the hottest of ten keys a third of all.
    pub skew: f64,
    /// Values are drawn from `0..values`; 0, the default, makes every written value unique, which shows a stale read for
    /// what it is and is cheap to check.
    pub values: u64,
    /// Relative share of reads.
    pub read: f64,
    /// Relative share of writes.
    pub write: f64,
    /// Relative share of compare-and-set.
    pub cas: f64,
    /// Relative share of deletes, i.e. writes of null.
    pub delete: f64,
}

impl Default for RegisterSpec {
    fn default() -> Self {
        RegisterSpec {
            keys: 10,
            skew: 0.0,
            values: 0,
            read: 5.0,
            write: 3.0,
            cas: 2.0,
            delete: 0.0,
        }
    }
}

const KEYS: Bound<u64> = Bound {
    key: "keys",
    least: 1,
    most: 100_000,
    why: "each is read a last time, and each is a history of its own to judge",
};
const SKEW: Bound<f64> = Bound {
    key: "skew",
    least: 0.0,
    most: 10.0,
    why: "a Zipf exponent; from about 5 on nearly all operations are on the first key",
};
const VALUES: Bound<u64> = Bound {
    key: "values",
    least: 0,
    most: 1_000_000_000,
    why: "small domains are the point; 0 makes every value unique",
};
const SHARES: [Bound<f64>; 4] = [weight("read"), weight("write"), weight("cas"), weight("delete")];

/// Generates the operations of a [`RegisterSpec`].
#[derive(Debug)]
pub struct Register {
    keys: Vec<Value>,
    key_choice: WeightedIndex<f64>,
    f_choice: WeightedIndex<f64>,
    values: u64,
    next_value: u64,
    /// What each key was last seen to hold, so that a cas has a chance to succeed.
    seen: Vec<Value>,
}

impl WorkloadParameters for RegisterSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "register",
        description: "reads, writes and compare-and-set over many keys",
        model: Some("cas-register"),
        properties: &["linearizable"],
        operations: &[
            Operation::on_key("read"),
            Operation::on_key("write"),
            Operation::on_key("cas"),
        ],
        parameters: &[
            ("keys", "number of keys, up to 100,000 (10)"),
            ("skew", "Zipf exponent of their popularity; 0 is uniform (0)"),
            (
                "values",
                "values are drawn from 0..values; 0 makes every written value unique (0)",
            ),
            ("read", "relative share of reads (5)"),
            ("write", "relative share of writes (3)"),
            (
                "cas",
                "relative share of compare-and-set; 0 needs none of a client (2)",
            ),
            ("delete", "relative share of deletes, i.e. writes of null (0)"),
        ],
    };

    fn bounds() -> Vec<String> {
        let mut rows = vec![KEYS.row(), SKEW.row(), VALUES.row()];
        rows.extend(SHARES.iter().map(Bound::row));
        rows
    }

    /// Compare-and-set only where it has a share: many stores have none. Writes and reads are asked in any case.
    fn operations(&self) -> Vec<Operation> {
        let asked = |operation: &&Operation| operation.f != "cas" || self.cas > 0.0;
        Self::ABOUT.operations.iter().filter(asked).copied().collect()
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Register::new(self)?))
    }
}

impl Register {
    /// A generator from the beginning.
    pub fn new(spec: &RegisterSpec) -> Result<Self, SpecError> {
        KEYS.check(spec.keys as u64)?;
        SKEW.check(spec.skew)?;
        VALUES.check(spec.values)?;
        let shares = [spec.read, spec.write, spec.cas, spec.delete];
        SHARES
            .iter()
            .zip(shares)
            .try_for_each(|(bound, share)| bound.check(share))?;
        let weights = (1..=spec.keys).map(|rank| (rank as f64).powf(-spec.skew));
        Ok(Register {
            keys: (0..spec.keys).map(|number| json!(format!("k{number}"))).collect(),
            key_choice: WeightedIndex::new(weights).map_err(|error| SpecError {
                key: SKEW.key,
                what: format!("{} can't be used: {error}", spec.skew),
            })?,
            f_choice: WeightedIndex::new(shares).map_err(|_| SpecError {
                key: "read",
                what: "read, write, cas and delete are shares: one at least must be above 0".to_owned(),
            })?,
            values: spec.values,
            next_value: 0,
            seen: vec![Value::Null; spec.keys],
        })
    }

    fn fresh_value(&mut self, rng: &mut ChaCha12Rng) -> Value {
        if self.values > 0 {
            return json!(rng.random_range(0..self.values));
        }
        self.next_value += 1;
        json!(self.next_value)
    }

    fn index_of(&self, key: &Option<Value>) -> Option<usize> {
        key.as_ref()?.as_str()?.strip_prefix('k')?.parse().ok()
    }
}

impl Workload for Register {
    fn next(&mut self, _process: u64, rng: &mut ChaCha12Rng) -> Op {
        let index = self.key_choice.sample(rng);
        let key = Some(self.keys[index].clone());
        match self.f_choice.sample(rng) {
            0 => Op {
                f: "read",
                key,
                value: Value::Null,
                idempotent: true,
            },
            1 => Op {
                f: "write",
                key,
                value: self.fresh_value(rng),
                idempotent: false,
            },
            2 => {
                let value = json!([self.seen[index].clone(), self.fresh_value(rng)]);
                Op {
                    f: "cas",
                    key,
                    value,
                    idempotent: false,
                }
            }
            _ => Op {
                f: "write",
                key,
                value: Value::Null,
                idempotent: false,
            },
        }
    }

    fn observe(&mut self, _process: u64, op: &Op, result: &Value) {
        let Some(index) = self.index_of(&op.key) else {
            return;
        };
        self.seen[index] = match op.f {
            "cas" => result.get(1).cloned().unwrap_or_default(),
            _ => result.clone(),
        };
    }

    fn final_ops(&mut self) -> Vec<Op> {
        (self.keys.iter())
            .map(|key| Op {
                f: "read",
                key: Some(key.clone()),
                value: Value::Null,
                idempotent: true,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use rand::SeedableRng;

    use super::*;

    fn ops(spec: &RegisterSpec, seed: u64, count: usize) -> Vec<Op> {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let mut register = Register::new(spec).expect("a valid spec");
        (0..count).map(|_| register.next(0, &mut rng)).collect()
    }

    #[test]
    fn without_a_share_of_cas_no_client_needs_one() {
        let asked = |cas| {
            let spec = RegisterSpec {
                cas,
                ..RegisterSpec::default()
            };
            let operations = spec.operations();
            operations.iter().map(|operation| operation.f).collect::<Vec<_>>()
        };
        assert_eq!(asked(2.0), ["read", "write", "cas"]);
        assert_eq!(asked(0.0), ["read", "write"]);
        let mut register = Register::new(&RegisterSpec {
            cas: 0.0,
            ..RegisterSpec::default()
        })
        .expect("a workload");
        let mut rng = ChaCha12Rng::seed_from_u64(3);
        assert!((0..1000).all(|_| register.next(0, &mut rng).f != "cas"));
    }

    #[test]
    fn the_same_seed_gives_the_same_operations() {
        let spec = RegisterSpec::default();
        assert_eq!(ops(&spec, 7, 500), ops(&spec, 7, 500));
        assert_ne!(ops(&spec, 7, 500), ops(&spec, 8, 500));
    }

    #[test]
    fn written_values_are_unique_by_default() {
        let written: Vec<Value> = ops(&RegisterSpec::default(), 1, 2000)
            .into_iter()
            .filter_map(|op| match op.f {
                "write" => Some(op.value),
                "cas" => Some(op.value[1].clone()),
                _ => None,
            })
            .collect();
        let distinct: BTreeSet<String> = written.iter().map(Value::to_string).collect();
        assert!(written.len() > 900);
        assert_eq!(distinct.len(), written.len());
    }

    #[test]
    fn skew_makes_the_first_key_hot() {
        let share_of_hottest = |skew| {
            let mut counts: BTreeMap<String, usize> = BTreeMap::new();
            for op in ops(
                &RegisterSpec {
                    skew,
                    ..RegisterSpec::default()
                },
                3,
                5000,
            ) {
                *counts.entry(op.key.expect("a key").to_string()).or_default() += 1;
            }
            counts["\"k0\""] as f64 / 5000.0
        };
        assert!((0.07..0.13).contains(&share_of_hottest(0.0)));
        assert!((0.30..0.39).contains(&share_of_hottest(1.0)));
    }

    #[test]
    fn a_cas_compares_with_what_was_seen() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let only_cas = RegisterSpec {
            keys: 1,
            read: 0.0,
            write: 0.0,
            cas: 1.0,
            ..RegisterSpec::default()
        };
        let mut register = Register::new(&only_cas).expect("a valid spec");
        let first = register.next(0, &mut rng);
        register.observe(0, &first, &first.value);
        let second = register.next(0, &mut rng);
        assert_eq!(first.value[0], Value::Null);
        assert_eq!(second.value[0], first.value[1]);
    }

    #[test]
    fn bad_specs_are_refused() {
        let spec = RegisterSpec::default();
        assert!(
            Register::new(&RegisterSpec {
                keys: 0,
                ..spec.clone()
            })
            .is_err()
        );
        assert!(
            Register::new(&RegisterSpec {
                skew: f64::NAN,
                ..spec.clone()
            })
            .is_err()
        );
        assert!(
            Register::new(&RegisterSpec {
                read: 0.0,
                write: 0.0,
                cas: 0.0,
                ..spec
            })
            .is_err()
        );
    }
}
