//! From findings to verdicts: which promise which anomaly breaks, what is not enough, what can't be read.

use duress_checker::history::{Event, Series, Trace};
use duress_checker::property::{self, Settings};
use duress_checker::verdict::{Proof, PropertyVerdict, Verdict};

use super::history;

fn judged(events: &[Event], property: &str) -> PropertyVerdict {
    let trace = Trace::new(events, Series::new());
    property::judge(
        property::named(property).expect("a property"),
        &trace,
        &Settings::new(None),
    )
}

/// `held`, `violated` or the reason why neither.
fn said(text: &str, property: &str) -> String {
    match judged(&history(text), property).verdict {
        Verdict::Held => "held".to_owned(),
        Verdict::Violated { .. } => "violated".to_owned(),
        Verdict::Inconclusive { reason } => reason,
    }
}

#[test]
fn each_promise_is_broken_by_what_it_forbids() {
    let lost = "e1:7 +1 e1:8 +1 d2 +2:8 z3 +3:[]";
    let twice = "e1:7 +1 d2 +2:7 d2 +2:7 z3 +3:[]";
    let phantom = "e1:7 +1 z3 +3:[7,8]";
    let late = "e1:7 +1 e1:8 +1 d2 +2:8 d2 +2:7 z3 +3:[]";
    let interleaved = concat!(
        r#"t1:[["send","a",1],["send","b",3]] t2:[["send","a",2],["send","b",4]] "#,
        r#"+1:[["send","a",[0,1]],["send","b",[1,3]]] +2:[["send","a",[1,2]],["send","b",[0,4]]] "#,
        r#"p9:[["poll"]] +9:[["poll",{"a":[[0,1],[1,2]],"b":[[0,4],[1,3]]}]]"#,
    );
    for (text, promise, wanted) in [
        (lost, "at-most-once", "held"),
        (lost, "at-least-once", "violated"),
        (lost, "exactly-once", "violated"),
        (twice, "at-most-once", "violated"),
        (twice, "at-least-once", "held"),
        (twice, "exactly-once", "violated"),
        (phantom, "at-most-once", "violated"),
        (phantom, "at-least-once", "violated"),
        (late, "exactly-once", "held"),
        (late, "exactly-once:order=producer", "violated"),
        (late, "at-most-once:until=delivered,order=global", "violated"),
        (interleaved, "exactly-once", "held"),
        (interleaved, "exactly-once:isolation=read-committed", "violated"),
        (
            interleaved,
            "at-most-once:order=none,isolation=serializable",
            "violated",
        ),
        ("i1:5 +1 r2 +2:10", "at-least-once", "held"),
        ("i1:5 +1 r2 +2:10", "at-most-once:until=applied", "violated"),
        ("i1:5 +1 r2 +2:0", "at-least-once", "violated"),
        ("i1:5 +1 r2 +2:0", "at-most-once", "held"),
        ("i1:5 +1 i1:-2 +1 r2 +2:5", "exactly-once", "violated"),
        ("i1:5 +1 i1:-2 +1 r2 +2:5", "at-most-once", "held"),
    ] {
        assert_eq!(said(text, promise), wanted, "{text}: {promise}");
    }
}

#[test]
fn where_the_promise_ends_is_what_the_history_shows_unless_it_is_said() {
    let redelivered = "e1:7 +1 d2 +2:7 d3 +3:7 a3:7 +3 z4 +4:[]";
    assert_eq!(said(redelivered, "exactly-once"), "held");
    assert_eq!(said(redelivered, "exactly-once:until=acknowledged"), "held");
    assert_eq!(said(redelivered, "exactly-once:until=delivered"), "violated");
    assert!(said("e1:7 +1 d2 +2:7", "exactly-once:until=acknowledged").contains("nobody acknowledged"));
    assert!(said(redelivered, "exactly-once:until=applied").contains("it takes effects"));
    assert!(said("i1 +1 r2 +2:1", "exactly-once:until=delivered").contains("until=applied"));
    assert!(said(redelivered, "exactly-once:isolation=kafka").contains("only transactions of streams"));
    assert_eq!(said(redelivered, "exactly-once:isolation=none"), "held");
}

#[test]
fn too_little_is_neither_held_nor_violated() {
    for (text, promise, reason) in [
        ("e1:7 +1", "exactly-once", "nothing was delivered"),
        ("e1:7 +1", "at-most-once", "nothing was delivered"),
        ("e1:7 ?1 d2 +2:7", "at-least-once", "nothing was acknowledged"),
        ("e1:7 +1 e1:8 +1 d2 +2:7", "exactly-once", "was not drained"),
        ("e1:7 +1 e1:8 +1 d2 +2:7", "at-most-once", "held"),
        ("i1 +1", "exactly-once", "not read after its last effect"),
        ("e1:7 +1 e2:7 +2 d3 +3:7", "exactly-once", "enqueues 7 again"),
        ("e1:7 +1 i2 +2", "exactly-once", "another kind of system"),
        ("s1:7 +1:7", "exactly-once", "no list of sends and polls"),
        (
            "s1:[[\"r\",7]] ?1",
            "exactly-once",
            "neither [\"send\", key, value] nor",
        ),
        (
            "s1:[[\"send\",1,7]] +1:[[\"send\",1,[-1,7]]]",
            "exactly-once",
            "-1 is no offset",
        ),
    ] {
        assert!(
            said(text, promise).contains(reason),
            "{text}: {}",
            said(text, promise)
        );
    }
    let mut other = history("e1:7 +1");
    other.iter_mut().for_each(|event| event.f = "write".to_owned());
    let Verdict::Inconclusive { reason } = judged(&other, "exactly-once").verdict else {
        panic!()
    };
    assert!(reason.contains("write is no operation of a queue"), "{reason}");
    // A run that was cut off before a completion was asked for.
    let mut broken = history("e1:7 +1 d2 +2:7");
    broken.remove(0);
    assert!(matches!(
        judged(&broken, "exactly-once").verdict,
        Verdict::Inconclusive { .. }
    ));
}

#[test]
fn parameters_are_read_and_refused() {
    let named = |name: &str| property::named(name).map(|property| property.about().name);
    assert_eq!(
        named("exactly-once:until=delivered,order=key"),
        Ok("exactly-once:order=key,until=delivered")
    );
    assert_eq!(property::plain_name("exactly-once:order=key"), "exactly-once");
    for (name, said) in [
        (
            "exactly-once:order=newest",
            "use one of none, key, partition, producer, global",
        ),
        (
            "exactly-once:isolation=total",
            "use one of none, kafka, read-committed, consistent-view, serializable",
        ),
        ("exactly-once:group=1", "there is no parameter \"group\""),
        ("exactly-once:", "there is no parameter \"\""),
        ("twice", "there is no property `twice`"),
        ("linearizable:order=key", "there is no property"),
    ] {
        let error = named(name).expect_err(name).to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn a_retried_attempt_is_the_likely_cause_and_part_of_the_life() {
    let mut events = history("e1:7 +1 d2 +2:7 a2:7 +2 d3 +3:7 z4 +4:[]");
    events[1].attempts = serde_json::from_value(serde_json::json!([
        {"start": 1, "end": 5, "node": "n1", "error": "timeout"},
        {"start": 6, "end": 9, "node": "n2"},
    ]))
    .expect("attempts");
    let verdict = judged(&events, "exactly-once");
    let Verdict::Violated { witness } = verdict.verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        witness.summary,
        "7 was delivered again after its ack had been acknowledged (1 resurrected)"
    );
    let Proof::Messages(proof) = witness.proof else {
        panic!("{:?}", witness.proof)
    };
    assert_eq!(proof.lives[0].cause, "client retry after an ambiguous answer");
    let told: Vec<&str> = proof.lives[0]
        .moments
        .iter()
        .map(|moment| moment.what.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "enqueue, attempt 1: timeout after 0.0 ms",
            "enqueue, attempt 2: answered after 0.0 ms",
            "enqueue acknowledged",
            "dequeue delivered it",
            "ack acknowledged",
            "dequeue delivered it"
        ]
    );
    assert_eq!(
        witness.circumstances,
        "Between 0.000 s and 0.007 s, without any fault."
    );
}

#[test]
fn a_restart_in_between_is_named_as_the_likely_cause() {
    let mut events = history("e1:7 +1 d9:x +9 d2 +2:7 a2:7 +2 d3 +3:7 z4 +4:[]");
    for (at, step) in [(2, "inject"), (3, "heal")] {
        events[at] = serde_json::from_value(serde_json::json!({
            "index": at, "time": at * 1_000_000, "process": "nemesis", "type": "info", "f": "kill",
            "value": {"id": 1, "step": step, "targets": ["n1"], "result": "installed", "detail": ""},
        }))
        .expect("an event");
    }
    let Verdict::Violated { witness } = judged(&events, "exactly-once").verdict else {
        panic!()
    };
    let Proof::Messages(proof) = witness.proof else {
        panic!("{:?}", witness.proof)
    };
    assert_eq!(proof.lives[0].cause, "restart");
    // With no fault nobody can say.
    let Verdict::Violated { witness } =
        judged(&history("e1:7 +1 d2 +2:7 a2:7 +2 d3 +3:7"), "exactly-once").verdict
    else {
        panic!()
    };
    let Proof::Messages(proof) = witness.proof else {
        panic!("{:?}", witness.proof)
    };
    assert_eq!(proof.lives[0].cause, "unknown");
}
