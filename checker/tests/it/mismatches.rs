//! Compare-and-sets that were refused since another value was there.

use duress_checker::formats::{Format, read, read_history};
use duress_checker::history::{Event, EventType, History};
use duress_checker::linearizability::check;
use duress_checker::object::register::Register;
use duress_checker::stream::{News, Stream};
use duress_checker::verdict::{Budget, Verdict, Witness};
use serde_json::{Value, json};
use std::time::Duration;

use crate::front_door;

/// `"0w1 1c12! 1r1"`: process 0 writes 1, 1 is refused a cas from 1 to 2, and reads 1; `_` is null. `0w1?`: nobody knows.
/// Words in brackets overlap.
fn events(text: &str) -> Vec<Event> {
    let mut steps: Vec<(u64, &str, &str, Value)> = Vec::new();
    let mut errors: Vec<Option<&str>> = Vec::new();
    let (mut together, mut ends) = (false, Vec::new());
    for word in text.split_whitespace() {
        if matches!(word, "[" | "]") {
            together = word == "[";
            for (step, error) in std::mem::take(&mut ends) {
                steps.push(step);
                errors.push(error);
            }
            continue;
        }
        let letters: Vec<char> = word.chars().collect();
        let value = |at: usize| {
            let digit = letters.get(at).and_then(|letter| letter.to_digit(10));
            digit.map_or(Value::Null, |digit| json!(digit))
        };
        let process = letters[0].to_digit(10).unwrap().into();
        let (f, asked, answered) = match letters[1] {
            'w' => ("write", value(2), value(2)),
            'c' => ("cas", json!([value(2), value(3)]), json!([value(2), value(3)])),
            _ => ("read", Value::Null, value(2)),
        };
        let (kind, error) = match letters.last() {
            Some('!') => ("fail", Some("mismatch")),
            Some('x') => ("fail", Some("not-leader")),
            Some('?') => ("info", None),
            _ => ("ok", None),
        };
        steps.push((process, "invoke", f, asked));
        errors.push(None);
        ends.push(((process, kind, f, answered), error));
        if !together {
            let (step, error) = ends.remove(0);
            steps.push(step);
            errors.push(error);
        }
    }
    let mut events = front_door::events(&steps);
    for (event, error) in events.iter_mut().zip(errors) {
        event.error = error.map(str::to_owned);
    }
    events
}

fn verdict(text: &str, model: &str) -> Verdict {
    let judged = check(&events(text), model, Budget::default(), &|| Duration::ZERO).unwrap();
    assert!(judged.decided_by.iter().all(|by| by.refuted == 0), "{judged:?}");
    judged.verdict
}

fn witness(text: &str) -> Witness {
    match verdict(text, "cas-register") {
        Verdict::Violated { witness } => witness,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_a_mismatch_contradicts_is_violated_and_its_twin_is_not() {
    for (violated, held) in [
        // Nothing else was there.
        ("0w1 1c12!", "0w1 1c12x"),
        ("0c_1!", "0c11!"),
        ("0w1 1c12! 1r1", "0w1 1c32! 1r1"),
        // Something else may have been.
        ("0w1 1r1 0w1 1c12!", "0w1 [ 2w3 1c12! ] 1r3"),
        ("0w1 [ 2w3 1r1 ] 1c31! 1r3 1c31!", "0w1 [ 2w3 1c12! ] 1r3"),
        ("0w1 1c12! 2w3", "0w1 2w3? 1c12!"),
        ("0w1 2w1? 1c12!", "0w1 2w3? 1c12! 1r3"),
        // It was there before and after.
        ("0w1 1r1 [ 2w3 1c12! ] 1r1 1r3", "0w1 1r1 [ 2w3 1c12! ] 1r3"),
        ("0w1 0w2 0w1 1c12!", "0w1 0w2 [ 0w1 1c12! ]"),
        // A process that saw it replaced.
        ("0w1 0c12 1c23!", "0w1 0c12 1c13!"),
    ] {
        witness(violated);
        assert_eq!(verdict(held, "cas-register"), Verdict::Held, "{held}");
    }
}

#[test]
fn a_witness_has_all_that_might_have_been_there_instead() {
    let shown = |text: &str| -> Vec<String> {
        let operations = witness(text).operations.into_iter();
        operations.map(|op| format!("{}{}", op.f, op.value)).collect()
    };
    // Without the first two writes the mismatch would be contradicted too, but not by this history.
    assert_eq!(
        shown("0w1 [ 2w3 1c12! ] 0w5 0w6 1r5"),
        ["write5", "write6", "readnull"]
    );
    assert_eq!(shown("0w7 0w8 0w1 1c12!"), ["write1", "cas[1,2]"]);
    // The unknown write is of the same value.
    assert_eq!(shown("0w7 0w1 2w1? 1c12!"), ["write1", "cas[1,2]"]);
    let found = witness("0w7 0w1 1c12!");
    assert_eq!(
        found.summary,
        "cas [1,2] of \"x\" found another value than 1, which no order with the other operation explains"
    );
    let refused = &found.operations[1];
    assert_eq!((refused.outcome, &refused.result), (EventType::Fail, &None));
    assert_eq!(refused.completed, Some(50));
}

#[test]
fn a_versioned_register_knows_them_too() {
    let steps = |new: u64, asked: u64| {
        let mut events = front_door::events(&[
            (0, "invoke", "write", json!([null, new])),
            (0, "ok", "write", json!([1, new])),
            (1, "invoke", "cas", json!([null, [asked, 9]])),
            (1, "fail", "cas", json!([null, [asked, 9]])),
        ]);
        events[3].error = Some("mismatch".to_owned());
        events
    };
    let judged = |events: &[Event]| {
        check(events, "versioned-register", Budget::default(), &|| {
            Duration::ZERO
        })
        .unwrap()
        .verdict
    };
    assert!(matches!(judged(&steps(1, 1)), Verdict::Violated { .. }));
    assert_eq!(judged(&steps(2, 1)), Verdict::Held);
}

#[test]
fn every_reader_and_the_stream_see_them() {
    let text = |error: &str| {
        format!(
            "{{:process 0 :type :invoke :f :write :value 1}}\n{{:process 0 :type :ok :f :write :value 1}}\n\
             {{:process 1 :type :invoke :f :cas :value [1 2]}}\n{{:process 1 :type :fail :f :cas :value [1 2]{error}}}\n"
        )
    };
    let log = "INFO  jepsen.util - 1\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 1\t:fail\t:cas\t:mismatch\n";
    for (text, seen) in [
        (text(" :error :mismatch"), true),
        (text(" :error \"mismatch\""), true),
        (text(" :error :timeout"), false),
        (text(""), false),
        (log.to_owned(), true),
    ] {
        let history = read_history(text.as_bytes(), Format::Guess).unwrap();
        let refused = history.rows.iter().filter(|row| row.refused()).count();
        assert_eq!(refused, usize::from(seen), "{text}");
        assert_eq!(history.failures.len(), usize::from(!seen), "{text}");
        let events = read(text.as_bytes(), Format::Guess).unwrap();
        assert_eq!(History::from_events(&events).unwrap().rows, history.rows);
    }
    let model = Register { cas: true };
    for (text, violated) in [
        ("0w1 1c12! 2r1", true),
        ("0w1 1c32! 2r1", false),
        ("0w1 1c12x 2r1", false),
    ] {
        let mut stream = Stream::new(&model, Budget::default());
        let mut news = events(text)
            .into_iter()
            .map(|event| stream.push(&event, &|| Duration::ZERO).unwrap());
        assert_eq!(
            news.any(|news| matches!(news, News::Violated { .. })),
            violated,
            "{text}"
        );
    }
}

/// A write that fails has no value to compare, and a model without compare-and-set has no use for one that was refused.
#[test]
fn it_is_about_a_cas() {
    let mut failed = front_door::events(&[(0, "invoke", "write", json!(1)), (0, "fail", "write", json!(1))]);
    failed[1].error = Some("mismatch".to_owned());
    let history = History::from_events(&failed).unwrap();
    assert_eq!((history.rows.len(), history.failures.len()), (0, 1));
}
