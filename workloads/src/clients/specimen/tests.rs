//! What answers of the specimen prove.

use super::*;

fn op(f: &'static str, value: Value) -> Op {
    Op {
        f,
        key: Some(json!("k1")),
        value,
        idempotent: f == "read",
    }
}

fn answer(op: &Op, status: u16, body: &str) -> Answer {
    let reply = Reply {
        status,
        retry_after: Some(Duration::from_secs(1)),
        headers: duress_http::HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    };
    interpret(op, &reply)
}

#[test]
fn answers_prove_what_they_say() {
    let read = op("read", Value::Null);
    assert_eq!(
        answer(&read, 200, r#"{"value":7,"index":3}"#),
        Answer::Ok(json!(7))
    );
    assert_eq!(
        answer(&read, 200, r#"{"value":null,"index":3}"#),
        Answer::Ok(Value::Null)
    );
    let write = op("write", json!(4));
    assert_eq!(answer(&write, 200, r#"{"index":3}"#), Answer::Ok(json!(4)));
    let mismatch = Answer::Failed {
        error: "mismatch".to_owned(),
    };
    let cas = op("cas", json!([1, 2]));
    assert_eq!(answer(&cas, 200, r#"{"swapped":false,"index":3}"#), mismatch);
    let taken = Answer::Failed {
        error: "taken".to_owned(),
    };
    for (f, done, proves) in [
        ("acquire", true, Answer::Ok(json!(3))),
        ("acquire", false, taken),
        ("release", true, Answer::Ok(json!(3))),
        ("release", false, Answer::Ok(json!(3))),
    ] {
        let body = json!({"done": done, "index": 9}).to_string();
        assert_eq!(answer(&op(f, json!(3)), 200, &body), proves, "{f} {done}");
    }
    assert_eq!(
        answer(
            &write,
            421,
            r#"{"error":"not-leader","executed":"no","leader":"n2"}"#
        ),
        Answer::Refused {
            error: "not-leader".to_owned(),
            leader: Some("n2".to_owned()),
            retry_after: Some(Duration::from_secs(1))
        }
    );
}

#[test]
fn a_queue_is_empty_only_where_nothing_is_lent() {
    let failed = |error: &str| Answer::Failed {
        error: error.to_owned(),
    };
    let dequeue = op("dequeue", Value::Null);
    for (body, proves) in [
        (
            r#"{"value":7,"receipt":3,"lent":1,"index":9}"#,
            Answer::Ok(json!(7)),
        ),
        (
            r#"{"value":null,"receipt":null,"lent":0,"index":9}"#,
            Answer::Ok(Value::Null),
        ),
        (
            r#"{"value":null,"receipt":null,"lent":2,"index":9}"#,
            failed("all-lent"),
        ),
    ] {
        assert_eq!(answer(&dequeue, 200, body), proves, "{body}");
    }
    for body in [
        r#"{"value":null,"receipt":null,"index":9}"#,
        r#"{"value":null,"receipt":3,"lent":0}"#,
        r#"{"value":7,"receipt":null,"lent":1}"#,
        r#"{"value":7,"lent":1}"#,
        r#"{"receipt":3,"lent":0}"#,
    ] {
        let answer = answer(&dequeue, 200, body);
        assert!(matches!(answer, Answer::Unknown { .. }), "{body}: {answer:?}");
    }
    for f in ["ack", "nack"] {
        let settled = |done: bool| {
            answer(
                &op(f, json!(7)),
                200,
                &json!({"done": done, "index": 9}).to_string(),
            )
        };
        assert_eq!(
            (settled(true), settled(false)),
            (Answer::Ok(json!(7)), failed("lease-over"))
        );
    }
    let full = answer(
        &op("enqueue", json!(7)),
        429,
        r#"{"error":"full","executed":"no"}"#,
    );
    assert!(matches!(full, Answer::Refused { error, .. } if error == "full"));
}

#[test]
fn a_value_that_nobody_wrote_stays_one_and_is_kept_short() {
    let read = op("read", Value::Null);
    for value in [
        json!([1]),
        json!({"a": 1}),
        json!(vec![0; 10_000]),
        json!("x".repeat(10_000)),
    ] {
        let kept = answer(&read, 200, &json!({"value": value, "index": 3}).to_string());
        let Answer::Ok(Value::String(text)) = &kept else {
            panic!("{kept:?}");
        };
        assert!(text.len() < 1100, "{}", text.len());
    }
}

#[test]
fn what_cannot_be_understood_or_contradicts_itself_proves_nothing() {
    let refusal = |error: &str| format!(r#"{{"error":"{error}","executed":"no"}}"#);
    let (read, write, cas) = (
        op("read", Value::Null),
        op("write", json!(4)),
        op("cas", json!([1, 2])),
    );
    for (op, status, body) in [
        (&write, 200, "<html>".to_owned()),
        (&write, 200, "{}".to_owned()),
        (&write, 200, r#"{"index":null}"#.to_owned()),
        (&read, 200, "[]".to_owned()),
        (&read, 200, "{}".to_owned()),
        (&cas, 200, r#"{"index":3}"#.to_owned()),
        (&cas, 200, r#"{"swapped":"false"}"#.to_owned()),
        (&op("acquire", json!(3)), 200, r#"{"index":3}"#.to_owned()),
        (&op("release", json!(3)), 200, r#"{"done":1}"#.to_owned()),
        (&cas, 200, r#"{"swapped":false,"executed":"unknown"}"#.to_owned()),
        (&write, 200, r#"{"index":3,"error":"internal"}"#.to_owned()),
        (&write, 200, refusal("not-leader")),
        (&write, 500, String::new()),
        (
            &write,
            503,
            r#"{"error":"no-quorum","executed":"unknown"}"#.to_owned(),
        ),
        // Nothing that the specimen says: something in between may have passed the request on.
        (&write, 500, refusal("internal")),
        (&write, 502, refusal("not-leader")),
        (&write, 504, refusal("no-quorum")),
        (&write, 408, refusal("overloaded")),
        (&write, 429, refusal("slow-down")),
        (&write, 307, refusal("not-leader")),
        (&write, 201, refusal("not-leader")),
    ] {
        let answer = answer(op, status, &body);
        assert!(
            matches!(answer, Answer::Unknown { .. }),
            "{status} {body}: {answer:?}"
        );
    }
}
