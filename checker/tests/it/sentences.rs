//! A violation is told in the words of the object that broke.

use duress_checker::verdict::Verdict;
use serde_json::{Value, json};

use crate::front_door::judge;

/// Operations one after the other, `f argument → result`, each by the process in front: `1: enqueue 1 → 1`. Words that are
/// no JSON are null.
fn told(model: &str, text: &str) -> String {
    let value = |text: &str| -> Value { serde_json::from_str(text.trim()).unwrap_or(Value::Null) };
    let mut steps = Vec::new();
    for line in text.split(';') {
        let (process, rest) = line.split_once(':').expect("process: operation");
        let (asked, answered) = rest.split_once('→').unwrap_or((rest, rest));
        let asked = asked.trim();
        let (f, argument) = asked.split_once(' ').unwrap_or((asked, ""));
        let f: &'static str = f.to_owned().leak();
        let process: u64 = process.trim().parse().expect("a number");
        let result = match rest.contains('→') {
            true => value(answered),
            false => value(argument),
        };
        steps.push((process, "invoke", f, value(argument)));
        steps.push((process, "ok", f, result));
    }
    match judge(&steps, model).verdict {
        Verdict::Violated { witness } => witness.summary,
        other => panic!("{model}: {text}: {other:?}"),
    }
}

#[test]
fn each_object_tells_what_happened_in_its_own_words() {
    for (model, history, sentence) in [
        (
            "queue",
            "1: enqueue 1; 1: enqueue 2; 2: dequeue → 2; 2: dequeue → 1",
            "2 was taken before 1, which had been put in first",
        ),
        (
            "queue",
            "1: enqueue 1; 2: dequeue → 1; 3: dequeue → 1",
            "1 was taken twice, and put in once",
        ),
        (
            "queue",
            "1: enqueue 1; 2: dequeue → null",
            "process 2 found it empty, while 1, put in by process 1 before, had not been taken",
        ),
        (
            "unordered-queue",
            "1: enqueue 1; 2: dequeue → 1; 3: dequeue → 1",
            "1 was taken twice, and put in once",
        ),
        (
            "stack",
            "1: push 1; 1: push 2; 2: pop → 1; 2: pop → 2",
            "1 was popped while 2, pushed after it, was still on top",
        ),
        (
            "stack",
            "1: push 1; 2: pop → null",
            "process 2 found it empty, while 1, pushed by process 1 before, had not been popped",
        ),
        (
            "set",
            "3: add 1; 2: read → []",
            "the read of process 2 misses 1, which process 3 had added before and nobody removed",
        ),
        (
            "set",
            "3: add 1; 2: contains 1 → false",
            "1 was not found, which process 3 had added before and nobody removed",
        ),
        (
            "set",
            "3: add 1; 4: remove 1; 2: read → [1]",
            "the read of process 2 shows 1, which process 4 had removed before",
        ),
        (
            "set",
            "2: read → [9]",
            "the read of process 2 shows 9, which nobody had asked to add by then",
        ),
        (
            "mutex",
            "1: acquire; 2: acquire; 1: release",
            "process 2 acquired it while process 1 held it: nobody had asked to release it",
        ),
        (
            "mutex",
            "1: release",
            "process 1 released it, and nobody had asked to acquire it by then",
        ),
        (
            "fenced-lock",
            "1: acquire → 7; 1: release → 7; 2: acquire → 5",
            "process 2 got the token 5 after process 1 had got 7: tokens must grow",
        ),
        (
            "semaphore:2",
            "1: acquire 2; 2: acquire 1",
            "process 2 acquired 1 while 2 of 2 permits were certainly taken",
        ),
        (
            "log",
            r#"1: append "a"; 1: append "b"; 2: read → ["b","a"]"#,
            r#"the read of process 2 shows "b" before "a", which had been appended first"#,
        ),
        (
            "log",
            r#"1: append "a"; 2: read → []"#,
            r#"the read of process 2 misses "a", which process 1 had appended before"#,
        ),
        (
            "counter",
            "1: add 3; 2: read → 2",
            "the read of process 2 returned 2, and what had been added by then is 3",
        ),
    ] {
        assert_eq!(
            told(model, history),
            format!("\"x\": {sentence}"),
            "{model}: {history}"
        );
    }
}

#[test]
fn what_cannot_be_said_for_certain_is_not_said() {
    // A dequeue whose answer nobody knows may have taken the 1.
    let steps = [
        (1, "invoke", "enqueue", json!(1)),
        (1, "ok", "enqueue", json!(1)),
        (3, "invoke", "dequeue", json!(null)),
        (1, "invoke", "enqueue", json!(2)),
        (1, "ok", "enqueue", json!(2)),
        (2, "invoke", "dequeue", json!(null)),
        (2, "ok", "dequeue", json!(2)),
        (2, "invoke", "dequeue", json!(null)),
        (2, "ok", "dequeue", json!(2)),
    ];
    let Verdict::Violated { witness } = judge(&steps, "queue").verdict else {
        panic!("2 was taken twice");
    };
    assert_eq!(witness.summary, "\"x\": 2 was taken twice, and put in once");
}
