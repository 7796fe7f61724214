//! Operations of a stream, in the shapes of `jepsen.tests.kafka`.
//!
//! ```text
//! {"f":"assign","value":[1,2]}                            poll partitions 1 and 2
//! {"f":"subscribe","value":[1,2]}                         whichever of their topics' partitions the system deals out
//! {"f":"send","value":[["send",1,7]]}                     → [["send",1,[31,7]]]: at offset 31; null: not known
//! {"f":"poll","value":[["poll"]]}                         → [["poll",{"1":[[30,6],[31,7]]}]]
//! {"f":"txn","value":[["poll"],["send",2,8]]}             both, as one transaction
//! ```
//!
//! A message that is an object with an `input` was made from another one, see `stream/outputs.rs`.
//! A micro-operation may stand alone: `["send",1,7]`. `rebalance-log` of a completion tells which partitions changed
//! hands meanwhile, `seek-to-beginning?` of an assign that everything is polled again.

use serde_json::Value;

use super::collect::Touching;
use super::journal::{NONE, TouchKind};
use crate::history::{EventType, Val, shortened};

/// Notes what the operation at hand did.
pub(super) fn read(touching: &mut Touching<'_, '_>) -> Result<(), String> {
    let (invoke, completion) = (touching.operation.invoke, touching.operation.completion);
    let outcome = touching.operation.outcome();
    match invoke.f.as_str() {
        "assign" | "subscribe" if outcome == EventType::Fail => return Ok(()),
        "assign" => return choose(touching, TouchKind::Assign, &invoke.value),
        "subscribe" => return choose(touching, TouchKind::Subscribe, &invoke.value),
        _ => {}
    }
    if let Some(log) = completion.and_then(|end| end.extra.get("rebalance-log")) {
        for change in log.as_array().into_iter().flatten() {
            for key in change.get("keys").and_then(Value::as_array).into_iter().flatten() {
                let partition = touching.partition(key);
                touching.note(TouchKind::Rebalance, partition, Val::NIL, Val::NONE, NONE);
            }
        }
    }
    let told = completion.map(|end| &end.value).filter(|value| !value.is_null());
    let steps = told.unwrap_or(&invoke.value);
    let Value::Array(items) = steps else {
        return Err(format!(
            "{} is no list of sends and polls",
            shortened(&steps.to_string())
        ));
    };
    if items.first().is_some_and(Value::is_string) {
        return step(touching, items);
    }
    for item in items {
        match item {
            Value::Array(items) => step(touching, items)?,
            other => {
                return Err(format!(
                    "{} is neither a send nor a poll",
                    shortened(&other.to_string())
                ));
            }
        }
    }
    Ok(())
}

fn choose(touching: &mut Touching<'_, '_>, kind: TouchKind, keys: &Value) -> Result<(), String> {
    let Value::Array(keys) = keys else {
        return Err(format!(
            "{} is no list of partitions",
            shortened(&keys.to_string())
        ));
    };
    let again = touching.operation.invoke.extra.get("seek-to-beginning?") == Some(&Value::Bool(true));
    // What is not chosen is given up.
    touching.note(kind, Val::NONE, Val::NIL, Val::NONE, NONE);
    for key in keys.iter().filter(|_| !again) {
        let partition = touching.partition(key);
        touching.note(kind, partition, Val::NIL, Val::NONE, NONE);
    }
    Ok(())
}

fn step(touching: &mut Touching<'_, '_>, items: &[Value]) -> Result<(), String> {
    let name = items
        .first()
        .and_then(Value::as_str)
        .map(|name| name.trim_start_matches(':'));
    match (name, items) {
        (Some("send"), [_, key, value]) => {
            let partition = touching.partition(key);
            // `[offset value]` in answers only: what is asked for may be a pair itself.
            let answered = touching
                .operation
                .completion
                .is_some_and(|end| !end.value.is_null());
            let pair = value.as_array().map(Vec::as_slice).filter(|_| answered);
            let (offset, message) = match pair {
                Some([offset, message]) => (self::offset(offset)?, message),
                _ => (NONE, value),
            };
            let (name, key) = (touching.value(message), touching.ordering_key());
            touching.note(TouchKind::Send, partition, name, key, offset);
            match message.get("input") {
                Some(input) => output(touching, name, message, input),
                None => Ok(()),
            }
        }
        (Some("poll"), [_]) | (Some("poll"), [_, Value::Null]) => Ok(()),
        (Some("poll"), [_, Value::Object(partitions)]) => {
            for (key, pairs) in partitions {
                let partition = touching.partition(&Value::String(key.clone()));
                for pair in pairs.as_array().into_iter().flatten() {
                    let Some([offset, message]) = pair.as_array().map(Vec::as_slice) else {
                        return Err(format!(
                            "a poll shows {}, which is no [offset, message]",
                            shortened(&pair.to_string())
                        ));
                    };
                    let (offset, message) = (self::offset(offset)?, touching.value(message));
                    touching.note(TouchKind::Receive, partition, message, Val::NONE, offset);
                }
            }
            Ok(())
        }
        _ => Err(format!(
            "{} is neither [\"send\", key, value] nor [\"poll\", {{key: [[offset, value], …]}}]",
            shortened(&Value::Array(items.to_vec()).to_string())
        )),
    }
}

/// Notes what a message was made from: `{"input": ["in", 17], "by": "t1", "epoch": 3}`.
fn output(touching: &mut Touching<'_, '_>, name: Val, message: &Value, input: &Value) -> Result<(), String> {
    let Some([partition, offset]) = input.as_array().map(Vec::as_slice) else {
        return Err(format!(
            "{} is no [partition, offset]",
            shortened(&input.to_string())
        ));
    };
    let (partition, offset) = (touching.partition(partition), self::offset(offset)?);
    let field = |name: &str| message.get(name).cloned().unwrap_or(Value::Null);
    let about = touching.value(&Value::Array(vec![field("by"), field("epoch")]));
    touching.note(TouchKind::Output, partition, name, about, offset);
    Ok(())
}

fn offset(offset: &Value) -> Result<u64, String> {
    match offset {
        Value::Null => Ok(NONE),
        // The last number stands for "not known".
        other => (other.as_u64().filter(|&offset| offset != NONE)).ok_or_else(|| {
            format!(
                "{} is no offset: use whole numbers from 0 up",
                shortened(&other.to_string())
            )
        }),
    }
}
