//! The lock workload: each process acquires, works for a while, releases, and begins again.
//!
//! ```json
//! {"process":3,"type":"ok","f":"acquire","key":"lock","value":3}
//! {"process":3,"type":"ok","f":"hold","key":"lock","value":{"holder":3,"ms":120}}
//! {"process":3,"type":"ok","f":"release","key":"lock","value":3}
//! ```
//!
//! The lock has a lease, and nothing fences off a holder that is late. Now and then a holder *stalls*, as a process does in
//! a long garbage collection or on a machine that was suspended: it stands still past the end of its lease and goes on as
//! if it held the lock. Then a second one does.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bounds::{Bound, SpecError, share};
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::{Op, Operation};

/// What a spec says of the lock workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LockSpec {
    /// Number of locks. At least 1.
    pub locks: u64,
    /// How long a lock is lent, in milliseconds.
    pub lease_ms: u64,
    /// How long a holder works at most, in milliseconds.
    pub hold_ms: u64,
    /// Share of holders, from 0 to 1, that stand still for one and a half leases.
    pub stall: f64,
}

impl Default for LockSpec {
    fn default() -> Self {
        LockSpec {
            locks: 2,
            lease_ms: 2000,
            hold_ms: 100,
            stall: 0.02,
        }
    }
}

/// How far a process is with a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Holds(u64),
    HasWorked(u64),
}

/// Generates the operations.
#[derive(Debug)]
pub struct Lock {
    spec: LockSpec,
    stages: BTreeMap<u64, Stage>,
}

const LOCKS: Bound<u64> = Bound {
    key: "locks",
    least: 1,
    most: 10_000,
    why: "few locks are contended, which is what a lock is for",
};
const LEASE_MS: Bound<u64> = Bound {
    key: "lease-ms",
    least: 1,
    most: 3_600_000,
    why: "an hour; who stalls stands still for half as long again",
};
const HOLD_MS: Bound<u64> = Bound {
    key: "hold-ms",
    least: 0,
    most: 3_600_000,
    why: "an hour",
};
const STALL: Bound<f64> = share("stall");

impl WorkloadParameters for LockSpec {
    const ABOUT: CatalogueEntry = CatalogueEntry {
        name: "lock",
        description: "a lock with a lease: acquire, work, release, without fencing; for the property mutual-exclusion",
        model: None,
        properties: &["mutual-exclusion"],
        operations: &[
            Operation::on_key("acquire"),
            Operation::on_key("hold"),
            Operation::on_key("release"),
        ],
        parameters: &[
            ("locks", "number of locks (2)"),
            ("lease-ms", "how long a lock is lent (2000)"),
            ("hold-ms", "how long a holder works at most (100)"),
            (
                "stall",
                "share of holders that stand still past their lease (0.02)",
            ),
        ],
    };

    fn bounds() -> Vec<String> {
        vec![LOCKS.row(), LEASE_MS.row(), HOLD_MS.row(), STALL.row()]
    }

    fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
        Ok(Box::new(Lock::new(self)?))
    }

    fn lease(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.lease_ms))
    }
}

impl Lock {
    /// A generator from the beginning; what is wrong with the spec, if it can't be used.
    pub fn new(spec: &LockSpec) -> Result<Self, SpecError> {
        LOCKS.check(spec.locks)?;
        LEASE_MS.check(spec.lease_ms)?;
        HOLD_MS.check(spec.hold_ms)?;
        STALL.check(spec.stall)?;
        Ok(Lock {
            spec: spec.clone(),
            stages: BTreeMap::new(),
        })
    }

    fn op(f: &'static str, lock: u64, value: Value) -> Op {
        Op {
            f,
            key: Some(json!(format!("lock{lock}"))),
            value,
            idempotent: f == "hold",
        }
    }
}

impl Workload for Lock {
    fn next(&mut self, process: u64, rng: &mut ChaCha12Rng) -> Op {
        match self.stages.get(&process) {
            None => Lock::op("acquire", rng.random_range(0..self.spec.locks), json!(process)),
            Some(Stage::Holds(lock)) => {
                let stalls = rng.random_bool(self.spec.stall);
                let ms = if stalls {
                    self.spec.lease_ms * 3 / 2
                } else {
                    rng.random_range(0..=self.spec.hold_ms)
                };
                Lock::op("hold", *lock, json!({"holder": process, "ms": ms}))
            }
            Some(Stage::HasWorked(lock)) => Lock::op("release", *lock, json!(process)),
        }
    }

    fn observe(&mut self, _process: u64, op: &Op, _result: &Value) {
        let lock = op
            .key
            .as_ref()
            .and_then(Value::as_str)
            .and_then(|key| key.strip_prefix("lock")?.parse().ok());
        let holder = op.value.as_u64().or_else(|| op.value.get("holder")?.as_u64());
        let (Some(lock), Some(holder)) = (lock, holder) else {
            return;
        };
        match op.f {
            "acquire" => drop(self.stages.insert(holder, Stage::Holds(lock))),
            "hold" => drop(self.stages.insert(holder, Stage::HasWorked(lock))),
            _ => drop(self.stages.remove(&holder)),
        }
    }

    fn final_ops(&mut self) -> Vec<Op> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn each_process_acquires_holds_and_releases_in_turn() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut lock = Lock::new(&LockSpec::default()).expect("a valid spec");
        for f in ["acquire", "hold", "release", "acquire"] {
            let op = lock.next(7, &mut rng);
            assert_eq!(op.f, f);
            assert_eq!(lock.next(8, &mut rng).f, "acquire", "others are not affected");
            lock.observe(7, &op, &op.value);
        }
        // A process that does not get it tries again.
        lock.stages.clear();
        assert_eq!(lock.next(7, &mut rng).f, "acquire");
        assert_eq!(lock.next(7, &mut rng).f, "acquire");
    }

    #[test]
    fn some_stall_past_their_lease() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let mut lock = Lock::new(&LockSpec {
            stall: 0.5,
            ..LockSpec::default()
        })
        .expect("a valid spec");
        lock.stages.insert(1, Stage::Holds(0));
        let times: Vec<u64> = (0..100)
            .filter_map(|_| lock.next(1, &mut rng).value["ms"].as_u64())
            .collect();
        assert!(times.iter().filter(|ms| **ms == 3000).count() > 20);
        assert!(times.iter().filter(|ms| **ms <= 100).count() > 20);
    }
}
