//! The client against members of a few lines, which answer as they are told.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// An answer: status, and body. Status 0 breaks the connection.
type Script = Vec<(u16, Value)>;

/// A member that gives these answers in turn, one to a connection, and keeps the bodies of what it was asked. A redirect
/// goes to a port where nobody listens.
async fn member(script: Script) -> (Endpoint, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut script = VecDeque::from(script);
    tokio::spawn({
        let asked = asked.clone();
        async move {
            while let Some((status, body)) = script.pop_front() {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut bytes = vec![0; 65536];
                let mut length = 0;
                // A request is small, and its body the last thing that comes.
                let request = loop {
                    length += stream.read(&mut bytes[length..]).await.expect("a request");
                    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                    let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
                    if let Some(Ok(body)) = body.map(serde_json::from_str) {
                        break body;
                    }
                };
                asked.lock().expect("no panic").push(request);
                if status == 0 {
                    continue;
                }
                let body = body.to_string();
                let answer = format!(
                    "HTTP/1.1 {status} -\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream
                    .write_all(answer.as_bytes())
                    .await
                    .expect("somebody listens");
            }
        }
    });
    let endpoint = Endpoint {
        node: "n1".to_owned(),
        address,
    };
    (endpoint, asked)
}

const NO_TOKEN: Asker<'_> = Asker {
    process: 7,
    token: None,
};

async fn answer(f: &'static str, value: Value, script: Script) -> Answer {
    let (endpoint, _) = member(script).await;
    let op = Op {
        f,
        key: (f != "add").then(|| json!("k")),
        value,
        idempotent: false,
    };
    client().attempt(&endpoint, &op, NO_TOKEN).await
}

fn client_from(from: Option<IpAddr>) -> Etcd {
    let options = Options {
        from,
        read: ReadMode::Linearizable,
        lease: None,
        long_writes: false,
        body_max: 1 << 20,
        programs: None,
    };
    Etcd::new(options).expect("a client")
}

fn client() -> Etcd {
    client_from(None)
}

fn header() -> Value {
    json!({"header": {"revision": "7"}})
}

fn with_header(more: Value) -> Value {
    let mut answer = header();
    let fields = answer.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    answer
}

/// What every operation with an effect ends as, when the call that has it is answered like this.
async fn answers_of_writes(status: u16, body: &Value) -> Vec<(&'static str, Answer)> {
    let last = |first: Script| [first, vec![(status, body.clone())]].concat();
    let nothing = || (200, header());
    let lease = (200, with_header(json!({"ID": "5"})));
    vec![
        ("write", answer("write", json!(1), last(vec![])).await),
        ("delete", answer("write", Value::Null, last(vec![])).await),
        ("add", answer("add", json!(1), last(vec![])).await),
        ("cas", answer("cas", json!([1, 2]), last(vec![])).await),
        ("append", answer("append", json!(1), last(vec![nothing()])).await),
        (
            "acquire",
            answer("acquire", json!(1), last(vec![nothing(), lease])).await,
        ),
        ("release", answer("release", json!(1), last(vec![])).await),
    ]
}

#[tokio::test]
async fn a_write_whose_answer_proves_nothing_is_unknown() {
    let refusal = json!({"error": "raft proposal dropped", "message": "raft proposal dropped", "code": 2});
    for (status, body) in [
        (0, Value::Null),
        (307, Value::Null),
        (307, header()),
        (200, json!({})),
        (200, json!({"succeeded": true})),
        (200, json!("ok")),
        (200, refusal.clone()),
        (200, with_header(refusal)),
        (502, Value::Null),
        (503, json!({"error": "etcdserver: request timed out", "code": 14})),
    ] {
        for (f, answer) in answers_of_writes(status, &body).await {
            assert!(
                matches!(answer, Answer::Unknown { .. }),
                "{f}, {status} {body}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_whole_is_what_it_says() {
    let done = with_header(json!({"succeeded": true, "responses": [{"response_put": {}}]}));
    for (f, answer) in answers_of_writes(200, &done).await {
        assert!(matches!(answer, Answer::Ok(_)), "{f}: {answer:?}");
    }
    let refusal = json!({"error": "raft proposal dropped", "code": 2});
    for (f, answer) in answers_of_writes(500, &refusal).await {
        assert!(matches!(answer, Answer::Refused { .. }), "{f}: {answer:?}");
    }
    // False is left out.
    for (f, answer) in answers_of_writes(200, &header()).await {
        match f {
            "cas" | "acquire" => assert!(matches!(answer, Answer::Failed { .. }), "{f}: {answer:?}"),
            "append" => assert_eq!(answer, Answer::refused("contended")),
            _ => assert!(matches!(answer, Answer::Ok(_)), "{f}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn a_read_without_header_says_nothing_of_the_key() {
    let read = answer("read", Value::Null, vec![(200, json!({}))]).await;
    assert!(matches!(read, Answer::Refused { .. }), "{read:?}");
    assert_eq!(
        answer("read", Value::Null, vec![(200, header())]).await,
        Answer::Ok(Value::Null)
    );
}

#[tokio::test]
async fn a_lock_is_not_taken_without_a_lease_and_a_list_not_made_over_something_else() {
    let acquired = answer("acquire", json!(1), vec![(200, header()), (200, header())]).await;
    assert!(matches!(acquired, Answer::Refused { .. }), "{acquired:?}");
    let number =
        with_header(json!({"kvs": [{"key": encode("k"), "value": encode("17"), "mod_revision": "3"}]}));
    let appended = answer("append", json!(1), vec![(200, number)]).await;
    assert!(matches!(appended, Answer::Refused { .. }), "{appended:?}");
}

/// An answer with these elements, and whether there are more.
fn page(elements: std::ops::Range<u64>, more: bool) -> (u16, Value) {
    let entry = |element| json!({"key": encode(format!("element/{element}")), "value": encode(format!("{element}")), "mod_revision": "3"});
    let kvs: Vec<Value> = elements.map(entry).collect();
    (200, with_header(json!({"kvs": kvs, "more": more})))
}

async fn elements(script: Script) -> (Answer, Vec<Value>) {
    let (endpoint, asked) = member(script).await;
    let op = Op {
        f: "read",
        key: None,
        value: Value::Null,
        idempotent: true,
    };
    let answer = client().attempt(&endpoint, &op, NO_TOKEN).await;
    let asked = asked.lock().expect("no panic").clone();
    (answer, asked)
}

#[tokio::test]
async fn many_elements_are_read_in_pages_of_one_revision() {
    let (answer, asked) = elements(vec![page(1..3, true), page(3..5, true), page(5..6, false)]).await;
    assert_eq!(answer, Answer::Ok(json!([1, 2, 3, 4, 5])));
    let revisions: Vec<&Value> = asked.iter().map(|body| &body["revision"]).collect();
    assert_eq!(revisions, [&Value::Null, &json!("7"), &json!("7")]);
    assert_eq!(asked[1]["key"], json!(encode("element/2\0")));
    assert_eq!(asked[0]["serializable"], json!(false));
}

#[tokio::test]
async fn pages_that_do_not_advance_or_have_no_end_are_given_up() {
    let (answer, asked) = elements(vec![page(1..3, true); 3]).await;
    assert!(
        matches!(&answer, Answer::Refused { error, .. } if error.contains("out of order")),
        "{answer:?}"
    );
    assert_eq!(asked.len(), 2);

    // 4 MiB would be one answer too long, half of it is not: a page of half the keys is asked for.
    let long =
        |key: u8| json!({"key": encode([key]), "value": encode(vec![b' '; 700_000]), "mod_revision": "3"});
    let pages = (1..=30).map(|key| (200, with_header(json!({"kvs": [long(key)], "more": true}))));
    let two = with_header(json!({"kvs": [long(1), long(2)], "more": true}));
    let (endpoint, asked) = member([vec![(200, two)], pages.collect()].concat()).await;
    let read = pages::range(&client().gateway, endpoint.address, &[0], &[0], true).await;
    let error = read.err().expect("too much").to_string();
    assert!(error.contains("more than 16 MiB"), "{error}");
    let asked = asked.lock().expect("no panic");
    assert_eq!(
        (&asked[0]["limit"], &asked[1]["limit"]),
        (&json!("2000"), &json!("1000"))
    );
}

#[tokio::test]
async fn what_this_machine_lacks_is_no_answer_of_etcd() {
    let (endpoint, _) = member(vec![]).await;
    // TEST-NET-1 of RFC 5737: no address of this machine.
    let nobody = Some([192, 0, 2, 1].into());
    let client = client_from(nobody);
    for f in ["read", "write", "append", "acquire", "release", "cas"] {
        let op = Op {
            f,
            key: Some(json!("k")),
            value: json!([1, 2]),
            idempotent: false,
        };
        let answer = client.attempt(&endpoint, &op, NO_TOKEN).await;
        assert!(matches!(answer, Answer::Local { .. }), "{f}: {answer:?}");
    }
    assert!(matches!(
        client.content(&endpoint).await,
        Err(duress_http::RequestError::Local(_))
    ));
}

#[test]
fn absent_keys_are_null() {
    assert_eq!(
        stored(&json!({"header": {}})).map(|stored| (stored.value, stored.revision)),
        Ok((Value::Null, 0))
    );
    let answer =
        json!({"kvs": [{"key": "cjE=", "mod_revision": "3", "value": encode("[1,2]")}], "count": "1"});
    assert_eq!(
        stored(&answer).map(|stored| (stored.value, stored.revision)),
        Ok((json!([1, 2]), 3))
    );
    assert!(stored(&json!({"kvs": [{"value": encode("{")}]})).is_err());
}

#[test]
fn a_cas_on_null_compares_versions_and_one_to_null_deletes() {
    let (compare, success) = cas("k", &Value::Null, &json!(7));
    assert_eq!(compare["target"], "VERSION");
    assert_eq!(success["request_put"]["value"], encode("7"));
    let (compare, success) = cas("k", &json!(7), &Value::Null);
    assert_eq!(compare["value"], encode("7"));
    assert_eq!(success, json!({"request_delete_range": {"key": encode("k")}}));
}

#[test]
fn a_txn_held_or_did_not_or_says_nothing() {
    let header = json!({"revision": "3"});
    let answer = |more: Value| {
        let mut answer = json!({"header": header});
        answer
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        succeeded(&answer)
    };
    let put = json!([{"response_put": {}}]);
    assert_eq!(answer(json!({"succeeded": true, "responses": put})), Ok(true));
    assert_eq!(answer(json!({})), Ok(false));
    assert_eq!(answer(json!({"succeeded": false})), Ok(false));
    for nonsense in [
        json!({"responses": put}),
        json!({"succeeded": false, "responses": put}),
        json!({"succeeded": "true"}),
        json!({"succeeded": null}),
    ] {
        assert!(answer(nonsense.clone()).is_err(), "{nonsense}");
    }
}

#[test]
fn a_read_without_answer_is_refused_and_a_write_is_unknown() {
    let timed_out = || CallError::Answered {
        code: 14,
        message: "etcdserver: request timed out".to_owned(),
    };
    assert!(matches!(answer_of_read(Err(timed_out())), Answer::Refused { .. }));
    let write = Op {
        f: "write",
        key: Some(json!("k")),
        value: json!(1),
        idempotent: false,
    };
    assert!(matches!(
        answer_of_write(&write, Err(timed_out())),
        Answer::Unknown { .. }
    ));
    let dropped = CallError::Answered {
        code: 2,
        message: "raft proposal dropped".to_owned(),
    };
    assert!(matches!(
        answer_of_write(&write, Err(dropped)),
        Answer::Refused { .. }
    ));
}
