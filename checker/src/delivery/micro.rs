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
//! Beside those, of producers with sessions and of groups (see [`group_step`]):
//!
//! ```text
//! {"f":"init","value":[["init","t1"]]}                    → [["init","t1",3]]: a new session of a producer, with its epoch
//! {"f":"subscribe","value":[["join",{"group":"g","partitions":[1,2]}]]}
//!                                                         → [["join",{…,"offsets":{"1":17}}]]: dealt 1, from where the group has come
//! {"f":"txn","value":[["as",{"producer":"t1","epoch":3}], who sends
//!                     ["send",2,8],["commit-again",4],    the commit of an earlier transaction comes once more
//!                     ["commit",{"group":"g","offsets":{"1":18}}]]}
//! {"f":"replay","value":[["send",1,7]]}                   the same send again, after it was answered
//! ```
//!
//! A transaction that is to be aborted ends with `["abort"]`, and fails. A message that is an object with an `input` was made from another one,
//! see `stream/outputs.rs`.
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
        "subscribe" => match join(&invoke.value) {
            None => return choose(touching, TouchKind::Subscribe, &invoke.value),
            Some(member) => {
                choose(
                    touching,
                    TouchKind::Subscribe,
                    member.get("partitions").unwrap_or(&Value::Null),
                )?;
            }
        },
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

/// What a member says that joins a group, if that is what a subscription is.
fn join(value: &Value) -> Option<&Value> {
    let step = value.get(0)?;
    (step.get(0)? == "join").then(|| step.get(1))?
}

fn step(touching: &mut Touching<'_, '_>, items: &[Value]) -> Result<(), String> {
    let name = items
        .first()
        .and_then(Value::as_str)
        .map(|name| name.trim_start_matches(':'));
    match (name, items) {
        (Some("send"), [_, key, value]) if touching.operation.f() == "replay" => {
            let (partition, time) = (touching.partition(key), touching.operation.invoke.time);
            let pair = value.as_array().map(Vec::as_slice);
            let message = match pair {
                Some([_, message]) => touching.value(message),
                _ => touching.value(value),
            };
            touching.note(TouchKind::Replay, partition, message, Val::NONE, NONE);
            let first = touching
                .upsets()
                .replays
                .entry((partition, message))
                .or_insert(time);
            *first = time.min(*first);
            Ok(())
        }
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
        // From where, and how many at most: what is asked for.
        (Some("poll"), [_] | [_, Value::Null] | [_, Value::Object(_), Value::Number(_)]) => {
            if touching.operation.outcome() == EventType::Info {
                touching.note(TouchKind::TakeAll, Val::NONE, Val::NIL, Val::NONE, NONE);
            }
            Ok(())
        }
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
        (Some(name), [_, rest @ ..]) if group_step(touching, name, rest)? => Ok(()),
        _ => Err(format!(
            "{} is neither [\"send\", key, value] nor [\"poll\", {{key: [[offset, value], …]}}]",
            shortened(&Value::Array(items.to_vec()).to_string())
        )),
    }
}

/// Notes a step of a producer's session or of a group; false if it is none.
fn group_step(touching: &mut Touching<'_, '_>, name: &str, rest: &[Value]) -> Result<bool, String> {
    let time = touching.operation.invoke.time;
    match (name, rest) {
        ("init", [producer] | [producer, _]) => {
            let producer = touching.value(producer);
            touching.upsets().sessions.entry(producer).or_default().push(time);
        }
        ("as", [session]) => {
            let producer = touching.value(session.get("producer").unwrap_or(&Value::Null));
            let epoch = session.get("epoch").and_then(Value::as_u64).unwrap_or(NONE);
            touching.note(TouchKind::As, Val::NONE, producer, Val::NONE, epoch);
        }
        ("join", [member]) => {
            let group = touching.value(member.get("group").unwrap_or(&Value::Null));
            let field = |name: &str| member.get(name).cloned().unwrap_or(Value::Null);
            let who = touching.value(&Value::Array(vec![field("member"), field("generation")]));
            touching.note(TouchKind::Join, Val::NONE, group, who, NONE);
            offsets(touching, TouchKind::Dealt, member)?;
        }
        ("commit", []) | ("abort", []) => {}
        ("commit", [commit]) => offsets(touching, TouchKind::Commit, commit)?,
        ("commit-again", [_] | [_, _]) => {
            let request = touching.request();
            touching.upsets().late.insert(request, time);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Notes how far a group has come: `{"group": "g", "offsets": {"in0": 18}}`.
fn offsets(touching: &mut Touching<'_, '_>, kind: TouchKind, said: &Value) -> Result<(), String> {
    let group = touching.value(said.get("group").unwrap_or(&Value::Null));
    let process = touching.operation.process;
    let time = touching.operation.invoke.time;
    let offsets = said.get("offsets").and_then(Value::as_object);
    for (partition, offset) in offsets.into_iter().flatten() {
        let (partition, offset) = (
            touching.partition(&Value::String(partition.clone())),
            self::offset(offset)?,
        );
        touching.note(kind, partition, group, Val::NONE, offset);
        if kind == TouchKind::Dealt {
            let (owner, deals) = touching
                .upsets()
                .deals
                .entry(partition)
                .or_insert((process, Vec::new()));
            if *owner != process {
                *owner = process;
                deals.push(time);
            }
        }
    }
    Ok(())
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
