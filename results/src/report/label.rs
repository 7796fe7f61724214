//! An operation in a few characters.

use duress_checker::history::EventType;
use duress_checker::verdict::WitnessOp;
use serde_json::Value;

use crate::format::{cut, value};

/// `write x=7 → ok`, `read x → 3`, `cas x 3→4 → ok`; `write 7 → ok` where it is known of which object.
pub(crate) fn label(key: Option<&Value>, op: &WitnessOp) -> String {
    let key = key.map(value);
    let object = key.as_deref().unwrap_or("");
    let asked = match (&op.value, op.f.as_str()) {
        (Value::Null, f) => format!("{f} {object}"),
        (Value::Array(pair), "cas") if pair.len() == 2 => {
            format!("cas {object} {}→{}", value(&pair[0]), value(&pair[1]))
        }
        (argument, f) if object.is_empty() => format!("{f} {}", value(argument)),
        (argument, f) => format!("{f} {object}={}", value(argument)),
    };
    let answered = match (&op.result, op.outcome) {
        (_, EventType::Info | EventType::Invoke) => "?".to_owned(),
        (_, EventType::Fail) => "fail".to_owned(),
        (Some(result), EventType::Ok) if op.f == "read" || (!result.is_null() && *result != op.value) => {
            value(result)
        }
        (_, EventType::Ok) => "ok".to_owned(),
    };
    cut(&format!("{} → {answered}", asked.trim_end()), 80)
}
