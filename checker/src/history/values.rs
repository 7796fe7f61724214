//! Values of a history as small numbers.
//!
//! A checker compares values by the million and hardly ever looks into one, so each is stored once and named by a
//! [`Val`] of four bytes. Equal values have equal names. Integers from 0 below 2^31 *are* their name and are stored
//! nowhere, so the usual history (`write 17`) needs no table at all:
//!
//! ```
//! use duress_checker::history::{Val, Values};
//! let mut values = Values::default();
//! let seventeen = values.intern(&serde_json::json!(17));
//! assert_eq!(seventeen, Val::int(17).unwrap());
//! let list = values.intern(&serde_json::json!(["a", 17]));
//! assert_eq!(values.list(list).unwrap()[1], seventeen);
//! assert_eq!(values.json(list), serde_json::json!(["a", 17]));
//! ```

use std::hash::{Hash, Hasher};

use serde_json::{Map, Number, Value};

/// Name of one value within one [`Values`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Val(pub(crate) u32);

const TABLE: u32 = 1 << 31;

impl Val {
    /// JSON `null`: the initial value of a register, a deleted key, the answer of an empty queue.
    pub const NIL: Val = Val(TABLE);
    /// No value at all; what the second half of an argument is that is no pair.
    pub const NONE: Val = Val(u32::MAX);

    /// The name of a small integer, the same in every table.
    pub const fn int(number: u64) -> Option<Val> {
        if number < TABLE as u64 {
            Some(Val(number as u32))
        } else {
            None
        }
    }

    /// The small integer that this names, if it is one.
    pub const fn as_small(self) -> Option<u32> {
        if self.0 < TABLE { Some(self.0) } else { None }
    }

    /// Whether this is JSON `null`.
    pub const fn is_nil(self) -> bool {
        self.0 == TABLE
    }
}

impl std::fmt::Debug for Val {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Val::NIL => f.write_str("nil"),
            Val::NONE => f.write_str("-"),
            Val(small) if small < TABLE => write!(f, "{small}"),
            Val(other) => write!(f, "#{}", other - TABLE),
        }
    }
}

/// What a name stands for. Floats keep their text, so that equality is plain.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Interned {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    List(Box<[Val]>),
    Object(Box<str>),
}

/// What a value is looked up by.
#[derive(Hash)]
enum Lookup<'a> {
    Text(&'a str),
    Other(&'a Interned),
}

/// All values of one history, each stored once.
#[derive(Clone, Debug)]
pub struct Values {
    data: Vec<Interned>,
    /// Open addressing: position in `data` plus one; 0 is free. Its length is a power of two.
    slots: Vec<u32>,
    bytes: usize,
}

impl Default for Values {
    fn default() -> Self {
        let mut values = Values {
            data: Vec::new(),
            slots: vec![0; 16],
            bytes: 0,
        };
        values.add(Interned::Null);
        values
    }
}

impl Values {
    /// Names a JSON value.
    pub fn intern(&mut self, value: &Value) -> Val {
        match value {
            Value::Null => Val::NIL,
            Value::Bool(bool) => self.add(Interned::Bool(*bool)),
            Value::Number(number) => match number.as_u64().and_then(Val::int) {
                Some(small) => small,
                None => self.add(Interned::Number(number.clone())),
            },
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                let items: Vec<Val> = items.iter().map(|item| self.intern(item)).collect();
                self.intern_list(&items)
            }
            // Rare as values, so the text of the object will do as its identity; serde_json sorts its fields.
            Value::Object(_) => self.add(Interned::Object(value.to_string().into())),
        }
    }

    /// Names a string.
    pub fn text(&mut self, text: &str) -> Val {
        // Most are there already, and need no copy.
        match self.find_text(text) {
            Some(found) => found,
            None => self.add(Interned::Text(text.into())),
        }
    }

    fn find_text(&self, text: &str) -> Option<Val> {
        let mut at = self.slot_of(&Lookup::Text(text));
        loop {
            match self.slots[at] {
                0 => return None,
                found => match &self.data[found as usize - 1] {
                    Interned::Text(other) if **other == *text => return Some(Val(TABLE + found - 1)),
                    _ => at = (at + 1) & (self.slots.len() - 1),
                },
            }
        }
    }

    /// Names an integer.
    pub fn integer(&mut self, number: i64) -> Val {
        match u64::try_from(number).ok().and_then(Val::int) {
            Some(small) => small,
            None => self.add(Interned::Number(number.into())),
        }
    }

    /// Names a list of values.
    pub fn intern_list(&mut self, items: &[Val]) -> Val {
        self.add(Interned::List(items.into()))
    }

    /// The value that a name stands for. [`Val::NONE`] reads as `null`.
    pub fn json(&self, val: Val) -> Value {
        match self.datum(val) {
            None => val.as_small().map_or(Value::Null, Value::from),
            Some(Interned::Null) => Value::Null,
            Some(Interned::Bool(bool)) => Value::Bool(*bool),
            Some(Interned::Number(number)) => Value::Number(number.clone()),
            Some(Interned::Text(text)) => Value::String(text.to_string()),
            Some(Interned::List(items)) => Value::Array(items.iter().map(|&item| self.json(item)).collect()),
            Some(Interned::Object(text)) => serde_json::from_str(text).unwrap_or(Value::Object(Map::new())),
        }
    }

    /// The elements, if the value is a list.
    pub fn list(&self, val: Val) -> Option<&[Val]> {
        match self.datum(val)? {
            Interned::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text, if the value is a string.
    pub fn str(&self, val: Val) -> Option<&str> {
        match self.datum(val)? {
            Interned::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The boolean, if the value is one.
    pub fn bool(&self, val: Val) -> Option<bool> {
        match self.datum(val)? {
            Interned::Bool(bool) => Some(*bool),
            _ => None,
        }
    }

    /// The integer, if the value is one.
    pub fn int(&self, val: Val) -> Option<i64> {
        match self.datum(val) {
            None => val.as_small().map(i64::from),
            Some(Interned::Number(number)) => number.as_i64(),
            _ => None,
        }
    }

    /// Bytes of memory in use, about.
    pub fn bytes(&self) -> usize {
        self.bytes + self.slots.len() * 4
    }

    fn datum(&self, val: Val) -> Option<&Interned> {
        self.data.get(val.0.checked_sub(TABLE)? as usize)
    }

    fn add(&mut self, datum: Interned) -> Val {
        if self.data.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mut at = self.slot(&datum);
        loop {
            match self.slots[at] {
                0 => break,
                found if self.data[found as usize - 1] == datum => return Val(TABLE + found - 1),
                _ => at = (at + 1) & (self.slots.len() - 1),
            }
        }
        self.bytes += size_of::<Interned>()
            + match &datum {
                Interned::Text(text) | Interned::Object(text) => text.len(),
                Interned::List(items) => items.len() * 4,
                _ => 0,
            };
        self.data.push(datum);
        self.slots[at] = self.data.len() as u32;
        Val(TABLE + self.data.len() as u32 - 1)
    }

    /// Where a value stands, if nothing else stands there.
    fn slot(&self, datum: &Interned) -> usize {
        match datum {
            Interned::Text(text) => self.slot_of(&Lookup::Text(text)),
            other => self.slot_of(&Lookup::Other(other)),
        }
    }

    fn slot_of(&self, lookup: &Lookup<'_>) -> usize {
        let mut hasher = FastHasher::default();
        lookup.hash(&mut hasher);
        hasher.finish() as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 4];
        for position in 0..self.data.len() {
            let mut at = self.slot(&self.data[position]);
            while self.slots[at] != 0 {
                at = (at + 1) & (self.slots.len() - 1);
            }
            self.slots[at] = position as u32 + 1;
        }
    }
}

/// Multiply and rotate, as in rustc's own hasher: fast on the short keys of this crate. Nobody who could attack it
/// with chosen keys gains more than a slow check of their own history.
#[derive(Clone, Copy, Default)]
pub(crate) struct FastHasher(u64);

impl FastHasher {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        // The low bits pick the slot, and multiplication only mixes upwards.
        (self.0 ^ (self.0 >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93) ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }
}

pub(crate) type FastBuild = std::hash::BuildHasherDefault<FastHasher>;
pub(crate) type FastMap<K, V> = std::collections::HashMap<K, V, FastBuild>;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_equal_names_and_come_back() {
        let mut values = Values::default();
        let samples = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(4_000_000_000u64),
            json!(1.5),
            json!("x"),
            json!([1, [2, "x"], null]),
            json!({"b": 1, "a": [2]}),
        ];
        let names: Vec<Val> = samples.iter().map(|sample| values.intern(sample)).collect();
        for (sample, name) in samples.iter().zip(&names) {
            assert_eq!(values.json(*name), *sample);
            assert_eq!(values.intern(sample), *name);
        }
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len());
    }

    #[test]
    fn the_table_grows() {
        let mut values = Values::default();
        let names: Vec<Val> = (0..1000).map(|i| values.text(&format!("value {i}"))).collect();
        for (i, name) in names.iter().enumerate() {
            assert_eq!(values.str(*name), Some(format!("value {i}").as_str()));
        }
    }
}
