//! One operation, as a workload generates it and a client carries it out.

use serde_json::Value;

/// One logical request, before anybody was asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Op {
    /// `read`, `write`, `cas`…
    pub f: &'static str,
    /// The object it is about; `None` where the workload has only one.
    pub key: Option<Value>,
    /// Arguments; null for a read. A cas is `[old, new]`.
    pub value: Value,
    /// Whether asking twice is harmless even without a [`Token`](crate::Token), as for a read.
    pub idempotent: bool,
}

impl Op {
    /// One on the only object that there is, that only looks.
    pub fn observing(f: &'static str) -> Op {
        Op {
            f,
            key: None,
            value: Value::Null,
            idempotent: true,
        }
    }

    /// One on the only object that there is, that may not be carried out twice.
    pub fn changing(f: &'static str, value: Value) -> Op {
        Op {
            f,
            key: None,
            value,
            idempotent: false,
        }
    }
}

/// What a client may be asked: a function, of one key or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Operation {
    /// As in [`Op::f`].
    pub f: &'static str,
    /// Whether it names a key.
    pub keyed: bool,
}

impl Operation {
    /// An operation on one key.
    pub const fn on_key(f: &'static str) -> Self {
        Operation { f, keyed: true }
    }

    /// An operation on the only object that there is.
    pub const fn on_all(f: &'static str) -> Self {
        Operation { f, keyed: false }
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let object = if self.keyed { "a key" } else { "everything" };
        write!(formatter, "{} of {object}", self.f)
    }
}
