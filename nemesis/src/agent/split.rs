//! Cuts a command into one for each machine, and puts answers together.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// Every machine that is named in it.
pub(super) fn machines_in(value: &Value, found: &mut BTreeSet<u32>) {
    match value {
        Value::Array(list) => list.iter().for_each(|value| machines_in(value, found)),
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_u64() {
                    Some(machine) if key == "machine" => drop(found.insert(machine as u32)),
                    _ => machines_in(value, found),
                }
            }
        }
        _ => {}
    }
}

/// What of it is about this machine, or about none.
pub(super) fn part_of(value: &Value, machine: u32) -> Value {
    let elsewhere = |value: &Value| {
        let mut about = BTreeSet::new();
        machines_in(value, &mut about);
        !about.is_empty() && !about.contains(&machine)
    };
    match value {
        Value::Array(list) => {
            let here = list.iter().filter(|value| !elsewhere(value));
            here.map(|value| part_of(value, machine)).collect()
        }
        Value::Object(object) => {
            let part = |(key, value): (&String, &Value)| (key.clone(), part_of(value, machine));
            Value::Object(object.iter().map(part).collect())
        }
        plain => plain.clone(),
    }
}

/// Two answers as one.
pub(super) fn joined(one: Value, other: Value) -> Value {
    match (one, other) {
        (Value::Null, value) | (value, Value::Null) => value,
        (Value::Array(mut list), Value::Array(more)) => {
            list.extend(more);
            Value::Array(list)
        }
        (Value::Object(mut one), Value::Object(other)) => {
            let mut together = Map::new();
            for (key, value) in other {
                let before = one.remove(&key).unwrap_or(Value::Null);
                together.insert(key, joined(before, value));
            }
            one.extend(together);
            Value::Object(one)
        }
        (Value::Bool(one), Value::Bool(other)) => Value::Bool(one && other),
        (Value::Number(one), Value::Number(other)) => {
            let larger = one.as_f64() >= other.as_f64();
            Value::Number(if larger { one } else { other })
        }
        (one, _) => one,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_machine_gets_what_is_about_it_or_about_none() {
        let order = json!({"nodes": [{"place": {"machine": 1}, "drop": ["a"]}, {"place": {"machine": 2}}], "seeds": [7]});
        assert_eq!(
            part_of(&order, 1),
            json!({"nodes": [{"place": {"machine": 1}, "drop": ["a"]}], "seeds": [7]})
        );
        let mut about = BTreeSet::new();
        machines_in(&order, &mut about);
        assert_eq!(about, BTreeSet::from([1, 2]));
        assert_eq!(part_of(&order, 3), json!({"nodes": [], "seeds": [7]}));
    }

    #[test]
    fn answers_are_put_together() {
        let one = json!({"micros": 3, "links": [1], "whole": true, "n1": {"a": 1}});
        let other = json!({"micros": 2, "links": [2], "whole": false, "n2": {"a": 2}});
        assert_eq!(
            joined(one, other),
            json!({"micros": 3, "links": [1, 2], "whole": false, "n1": {"a": 1}, "n2": {"a": 2}})
        );
        assert_eq!(joined(Value::Null, json!([1])), json!([1]));
    }
}
