//! etcd by templates, beside etcd in Rust: asked the same and told the same, both must understand the same.

use super::*;
use crate::clients::{Tokens, etcd};

const ETCD: &str = include_str!("../../../../../harness/tests/fixtures/etcd-http/system.toml");

/// Operations, and the answers to all requests but the last.
fn etcd_operations() -> Vec<(Op, Script)> {
    let header = || said(200, &json!({"header": {"revision": "7"}}));
    let lease = || said(200, &json!({"header": {"revision": "7"}, "ID": "5"}));
    let list = || {
        let kvs = json!([{"key": "aw==", "mod_revision": "3", "value": etcd::gateway::encode("[1,2]")}]);
        said(200, &json!({"header": {"revision": "7"}, "kvs": kvs}))
    };
    vec![
        (op("read", Some("k"), Value::Null), vec![]),
        (op("write", Some("k"), json!(1)), vec![]),
        (op("write", Some("k"), Value::Null), vec![]),
        (op("cas", Some("k"), json!([1, 2])), vec![]),
        (op("cas", Some("k"), json!([null, 2])), vec![]),
        (op("cas", Some("k"), json!([2, null])), vec![]),
        (op("append", Some("k"), json!(3)), vec![header()]),
        (op("append", Some("k"), json!(3)), vec![list()]),
        (op("add", None, json!(3)), vec![]),
        (op("acquire", Some("k"), json!(3)), vec![header(), lease()]),
        (op("release", Some("k"), json!(3)), vec![]),
    ]
}

/// What etcd, and what stands in its place, may answer.
fn etcd_answers() -> Vec<(u16, &'static str, String)> {
    let header = json!({"revision": "7"});
    let with = |more: Value| {
        let mut answer = json!({"header": header});
        answer
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        answer
    };
    let kvs = |value: &str| {
        with(json!({"kvs": [{"key": "aw==", "mod_revision": "3", "value": etcd::gateway::encode(value)}]}))
    };
    let error = |text: &str| json!({"error": text, "message": text, "code": 14});
    let mut answers = vec![
        (0, "", String::new()),
        (200, "", "<html>".to_owned()),
        (307, "location: /\r\n", String::new()),
    ];
    for status in [200, 307, 400, 500, 503] {
        let bodies = [
            json!({}),
            json!("ok"),
            with(json!({})),
            json!({"header": {}}),
            json!({"header": {"revision": "many"}}),
            with(json!({"succeeded": true, "responses": [{}]})),
            with(json!({"succeeded": false})),
            with(json!({"succeeded": "true"})),
            with(json!({"succeeded": null})),
            with(json!({"responses": [{}]})),
            json!({"succeeded": true}),
            kvs("7"),
            kvs("{"),
            error("etcdserver: request timed out"),
            error("etcdserver: leader changed"),
            error("etcdserver: mvcc: database space exceeded"),
            error("raft proposal dropped"),
            error("etcdserver: too many requests"),
            json!({"message": "etcdserver: request is too large", "code": 3}),
            json!({"error": "etcdserver: requested lease not found"}),
            with(json!({"error": "raft proposal dropped"})),
            json!({"error": "etcdserver: request timed out", "message": "raft proposal dropped"}),
        ];
        answers.extend(bodies.map(|body| said(status, &body)));
    }
    answers
}

/// What an answer proves, without the words for it.
fn proven(answer: &Answer) -> String {
    match answer {
        Answer::Ok(value) => format!("ok {value}"),
        Answer::Failed { error } => format!("failed {error}"),
        Answer::Fenced { error } => format!("fenced {error}"),
        Answer::Refused { .. } => "refused".to_owned(),
        Answer::Unknown { .. } => "unknown".to_owned(),
        Answer::Local { .. } => "local".to_owned(),
    }
}

#[tokio::test]
async fn etcd_by_templates_asks_and_understands_as_etcd_in_rust() {
    let (templates, rust) = (
        client(ETCD),
        etcd::Etcd::new(options(ReadMode::Linearizable)).expect("a client"),
    );
    let mut compared = 0;
    for (op, before) in etcd_operations() {
        for last in etcd_answers() {
            let script = || [before.clone(), vec![last.clone()]].concat();
            let (one, asked) = attempt(&*templates, &op, script()).await;
            let (other, expected) = attempt(&rust, &op, script()).await;
            assert_eq!(
                proven(&one),
                proven(&other),
                "{op:?} {last:?}: {one:?}, {other:?}"
            );
            let sent = |asked: &[(String, String)]| -> Vec<(String, Value)> {
                let request = |(head, body): &(String, String)| {
                    let line = head.lines().next().unwrap_or_default().to_owned();
                    (line, serde_json::from_str(body).expect("JSON"))
                };
                asked.iter().map(request).collect()
            };
            assert_eq!(sent(&asked), sent(&expected), "{op:?}");
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[tokio::test]
async fn etcds_set_and_lock_are_read_by_templates_too() {
    let templates = client(ETCD);
    let all = op("read", None, Value::Null);
    let entry = |value: u64| json!({"key": "aw==", "value": etcd::gateway::encode(value.to_string())});
    let kvs = said(
        200,
        &json!({"header": {"revision": "7"}, "kvs": [entry(1), entry(10), entry(2)]}),
    );
    let (answer, asked) = attempt(&*templates, &all, vec![kvs]).await;
    assert_eq!(answer, Answer::Ok(json!([1, 10, 2])));
    let range =
        json!({"key": etcd::gateway::encode("element/"), "range_end": etcd::gateway::encode("element0")});
    assert_eq!(serde_json::from_str::<Value>(&asked[0].1).expect("JSON"), range);
    let none = said(200, &json!({"header": {"revision": "7"}}));
    assert_eq!(
        attempt(&*templates, &all, vec![none]).await.0,
        Answer::Ok(json!([]))
    );

    let taken = said(200, &json!({"header": {"revision": "7"}, "kvs": [entry(1)]}));
    let error = "taken".to_owned();
    let acquire = op("acquire", Some("k"), json!(3));
    assert_eq!(
        attempt(&*templates, &acquire, vec![taken]).await.0,
        Answer::Failed { error }
    );
    let hold = op("hold", Some("k"), json!({"holder": 3, "ms": 1}));
    let (answer, asked) = attempt(&*templates, &hold, vec![]).await;
    assert_eq!((answer, asked.len()), (Answer::Ok(hold.value.clone()), 0));
    let list = op("append", Some("k"), json!(3));
    let text = said(200, &json!({"header": {"revision": "7"}, "kvs": [entry(1)]}));
    let (answer, _) = attempt(&*templates, &list, vec![text]).await;
    assert!(
        matches!(&answer, Answer::Refused { error, .. } if error.contains("no list")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn serializable_reads_are_templates_of_their_own() {
    let kind = kind_of(ETCD).expect("a client");
    assert_eq!(*kind.reads, [ReadMode::Linearizable, ReadMode::Local]);
    assert_eq!(kind.workloads(), ["register", "set", "append", "lock"]);
    let local = (kind.make)(options(ReadMode::Local)).expect("a client");
    let nothing = vec![said(200, &json!({"header": {"revision": "7"}}))];
    let (_, asked) = attempt(&*local, &op("read", Some("k"), Value::Null), nothing).await;
    assert_eq!(asked[0].1, r#"{"key":"aw==","serializable":true}"#);
    assert_eq!(kind.tokens, Tokens::None);
    let tokens = kind_of(REGISTER).expect("a client").tokens;
    assert!(matches!(tokens, Tokens::Always { .. }), "{tokens:?}");
}
