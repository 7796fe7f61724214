//! Maps of texts.

use duress_checker::generate::{Random, small};
use duress_checker::history::{Val, Values};
use duress_checker::model::{Model, Part, Shortcuts};
use duress_checker::object::kv::{Kv, KvOp, Pieces, Print, Stored};

use super::{AtLeast, int, looked_at, shape, simulate};

/// A text as an operation has it.
fn text(values: &mut Values, text: &str) -> (Stored, Val) {
    (Stored::Text(Print::of(text)), values.text(text))
}

/// Whoever makes the texts has their table.
fn resolved_paths(decided_percent_min: u64, make: impl FnMut(&mut Random) -> Part<KvOp>) {
    let at_least = AtLeast {
        decided: decided_percent_min,
        resolved_before: true,
        ..AtLeast::default()
    };
    looked_at(&Kv, &at_least, make);
}

/// Puts and appends of different texts, and so many deletes of a hundred changes.
fn different_texts(answered_percent_min: u64, deletes_percent: u64) {
    resolved_paths(answered_percent_min, |random| {
        let values = &mut Values::default();
        let (length, width, info) = shape(random);
        let mut fresh = 0;
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += 1;
            let (content, value) = text(values, &format!("{fresh}."));
            if random.percent(deletes_percent) {
                return KvOp::Delete;
            }
            match (random.below(6), content) {
                (0..=2, _) if !unknown => KvOp::Get(Stored::Absent, Val::NIL, Pieces::Unknown),
                (3, _) => KvOp::Put(content, value),
                (_, Stored::Text(print)) => KvOp::Append(print, value),
                _ => KvOp::Delete,
            }
        });
        let mut held: Vec<String> = Vec::new();
        let mut before: Vec<String> = Vec::new();
        simulate(random, &mut part, |random, op, _| match op {
            KvOp::Get(content, value, _) => {
                let mut seen = held.clone();
                match random.below(14) {
                    0 => seen.truncate(seen.len().saturating_sub(1)),
                    1 => seen.reverse(),
                    2 => seen.clone_from(&before),
                    3 if random.percent(20) => seen.push("?".to_owned()),
                    4 if !seen.is_empty() => drop(seen.remove(0)),
                    // As if what was put had been appended.
                    5 => drop(seen.splice(0..0, before.iter().cloned())),
                    _ => {}
                }
                if !seen.is_empty() {
                    (*content, *value) = text(values, &seen.concat());
                }
            }
            KvOp::Put(_, value) => {
                before = std::mem::take(&mut held);
                held.extend(values.str(*value).map(str::to_owned));
            }
            KvOp::Append(_, value) => held.extend(values.str(*value).map(str::to_owned)),
            KvOp::Delete => held.clear(),
        });
        Kv.shortcuts().resolve(&mut part, values);
        part
    });
}

#[test]
fn texts_that_can_be_told_apart() {
    different_texts(100, 0);
}

#[test]
fn texts_that_are_deleted() {
    different_texts(20, 20);
}

/// Texts of which one is the beginning of another, or none at all, and numbers, some of them more than once.
#[test]
fn texts_that_may_be_told_apart() {
    resolved_paths(20, |random| {
        let values = &mut Values::default();
        let (length, width, info) = shape(random);
        let texts = [
            &["a", "b", "ab", "ba", "aa", "bb"][..],
            &["a", "b", "cb", "ca", "cc", "da"],
            &["a.", "b.", "c.", "d.", ""],
            &[""],
        ][random.below(4) as usize];
        let mut fresh = random.below(9);
        let mut part = small(random, length, width, info, |random, unknown| {
            fresh += u64::from(random.percent(90));
            let (content, value) = text(values, texts[(fresh % texts.len() as u64) as usize]);
            match (random.below(8), content) {
                (0..=3, _) if !unknown => KvOp::Get(Stored::Absent, Val::NIL, Pieces::Unknown),
                (4, _) => KvOp::Put(Stored::Value(int(fresh % 5)), int(fresh % 5)),
                (5, _) => KvOp::Put(content, value),
                (_, Stored::Text(print)) => KvOp::Append(print, value),
                _ => KvOp::Delete,
            }
        });
        let (mut held, mut number, mut before) = (String::new(), None, String::new());
        simulate(random, &mut part, |random, op, _| match op {
            KvOp::Get(content, value, _) => {
                (*content, *value) = match (number, random.below(12)) {
                    (_, 0) => text(values, &before),
                    (_, 1) if random.percent(30) => text(values, "?"),
                    (_, 1) => (Stored::Value(int(fresh % 5)), int(fresh % 5)),
                    (Some(number), _) => (Stored::Value(number), number),
                    (None, _) => text(values, &held),
                };
            }
            KvOp::Put(Stored::Value(value), _) => number = Some(*value),
            KvOp::Put(_, value) => {
                number = None;
                before = std::mem::take(&mut held);
                held.extend(values.str(*value));
            }
            KvOp::Append(_, value) => {
                number = None;
                held.extend(values.str(*value));
            }
            KvOp::Delete => {}
        });
        Kv.shortcuts().resolve(&mut part, values);
        part
    });
}
