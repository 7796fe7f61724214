//! What is asked in a trial, and what each operation must end as.

use duress_workloads::clients::ClientKind;
use duress_workloads::{Answer, Op};
use serde_json::{Value, json};

/// What an operation must end as.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// `ok` with this result.
    Ok(Value),
    /// `fail`.
    Fail,
}

impl Expected {
    pub fn is_met(&self, op: &Op, answer: &Answer) -> bool {
        match (self, answer) {
            // A set has no order.
            (Expected::Ok(Value::Array(wanted)), Answer::Ok(Value::Array(found))) if op.key.is_none() => {
                wanted.len() == found.len() && wanted.iter().all(|element| found.contains(element))
            }
            (Expected::Ok(wanted), Answer::Ok(found)) => wanted == found,
            (Expected::Fail, Answer::Failed { .. }) => true,
            _ => false,
        }
    }
}

/// What is asked, and what each must end as, of what the client has. A register, a list, a counter, a set, a lock and a queue that
/// nobody else uses: what is there is known.
pub fn script(client: &ClientKind) -> Vec<(Op, Expected)> {
    let mut asks = Vec::new();
    let mut ask = |f: &'static str, key: Option<&str>, value: Value, expected: Expected| {
        let op = Op {
            f,
            key: key.map(|key| json!(key)),
            value,
            idempotent: false,
        };
        let mut known = client.operations.iter();
        let has = known.any(|operation| operation.f == f && operation.keyed == op.key.is_some());
        if has {
            asks.push((op, expected));
        }
        has
    };
    let ok = |value: Value| (value.clone(), Expected::Ok(value));

    let register = Some("try");
    let mut now = Value::Null;
    ask("read", register, Value::Null, Expected::Ok(Value::Null));
    let changes = [
        ("write", json!(1)),
        ("cas", json!([1, 2])),
        ("cas", json!([7, 3])),
        ("write", Value::Null),
        ("cas", json!([null, 4])),
    ];
    for (f, value) in changes {
        let (old, new) = match f {
            "cas" => (value[0].clone(), value[1].clone()),
            _ => (now.clone(), value.clone()),
        };
        let holds = old == now;
        let expected = if holds {
            Expected::Ok(value.clone())
        } else {
            Expected::Fail
        };
        if ask(f, register, value, expected) {
            if holds {
                now = new;
            }
            ask("read", register, Value::Null, Expected::Ok(now.clone()));
        }
    }

    let list = Some("try-list");
    let mut elements = Vec::new();
    for element in [json!(1), json!(2)] {
        let (value, expected) = ok(element);
        if ask("append", list, value.clone(), expected) {
            elements.push(value);
            ask("read", list, Value::Null, Expected::Ok(json!(elements)));
        }
    }

    let counter = Some("try-counter");
    for sum in [1, 2] {
        let (value, expected) = ok(json!(1));
        if ask("increment", counter, value, expected) {
            ask("read", counter, Value::Null, Expected::Ok(json!(sum)));
        }
    }

    ask("read", None, Value::Null, Expected::Ok(json!([])));
    let mut elements = Vec::new();
    for element in [json!(1), json!(2)] {
        let (value, expected) = ok(element);
        if ask("add", None, value.clone(), expected) {
            elements.push(value);
            ask("read", None, Value::Null, Expected::Ok(json!(elements)));
        }
    }

    let lock = Some("try-lock");
    for (f, value) in [
        ("acquire", json!(1)),
        ("hold", json!({"holder": 1, "ms": 10})),
        ("release", json!(1)),
        ("acquire", json!(2)),
    ] {
        let (value, expected) = ok(value);
        ask(f, lock, value, expected);
        if f == "hold" {
            ask("acquire", lock, json!(2), Expected::Fail);
        }
    }
    let (value, expected) = ok(json!(2));
    ask("release", lock, value, expected);

    // Nothing is said of order: one message is there at a time.
    let queue = Some("try-queue");
    let delivered = || Expected::Ok(json!(1));
    let (value, expected) = ok(json!(1));
    ask("enqueue", queue, value.clone(), expected);
    ask("dequeue", queue, Value::Null, delivered());
    if ask("nack", queue, value.clone(), delivered()) {
        ask("dequeue", queue, Value::Null, delivered());
    }
    ask("ack", queue, value, delivered());
    ask("dequeue", queue, Value::Null, Expected::Ok(Value::Null));
    asks
}
