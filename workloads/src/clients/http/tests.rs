//! Templates against members of a few lines, which answer as they are told; and etcd by templates beside etcd in Rust.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::clients::{Turn, etcd};

const ETCD: &str = include_str!("../../../../harness/tests/fixtures/etcd-http/system.toml");
const REGISTER: &str = include_str!("../../../../harness/tests/fixtures/register-http/system.toml");

fn kind_of(text: &str) -> Result<ClientKind, Problem> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/tests/fixtures/register-http");
    super::kind(&Definition {
        text,
        folder: &folder,
    })
}

fn options(read: ReadMode) -> Options {
    Options {
        from: None,
        read,
        lease: Some(Duration::from_secs(2)),
        long_writes: false,
        body_max: 1 << 20,
    }
}

fn client(text: &str) -> Box<dyn Service> {
    let kind = kind_of(text).unwrap_or_else(|problem| panic!("{problem}"));
    (kind.make)(options(ReadMode::Linearizable)).expect("a client")
}

/// Status, headers and body. Status 0 breaks the connection.
type Script = Vec<(u16, &'static str, String)>;

fn said(status: u16, body: &Value) -> (u16, &'static str, String) {
    (status, "", body.to_string())
}

/// A member that gives these answers in turn, one to a connection, and keeps what it was asked: the head, and the body.
async fn member(script: Script) -> (Endpoint, Arc<Mutex<Vec<(String, String)>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let mut script = VecDeque::from(script);
    tokio::spawn({
        let asked = asked.clone();
        async move {
            while let Some((status, headers, body)) = script.pop_front() {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut bytes = Vec::new();
                let request = loop {
                    let read = stream.read_buf(&mut bytes).await.expect("a request");
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    if let Some((head, body)) = text.split_once("\r\n\r\n")
                        && (read == 0 || body.len() >= length(head))
                    {
                        break (head.to_owned(), body.to_owned());
                    }
                };
                asked.lock().expect("no panic").push(request);
                if status == 0 {
                    continue;
                }
                let answer = format!(
                    "HTTP/1.1 {status} -\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream
                    .write_all(answer.as_bytes())
                    .await
                    .expect("somebody listens");
            }
        }
    });
    let node = "n1".to_owned();
    (Endpoint { node, address }, asked)
}

fn length(head: &str) -> usize {
    let line = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    line.and_then(|length| length.parse().ok()).unwrap_or(0)
}

fn op(f: &'static str, key: Option<&str>, value: Value) -> Op {
    Op {
        f,
        key: key.map(|key| json!(key)),
        value,
        idempotent: false,
    }
}

/// What the client makes of these answers, and what it asked.
async fn attempt(client: &dyn Service, op: &Op, script: Script) -> (Answer, Vec<(String, String)>) {
    let (endpoint, asked) = member(script).await;
    let token = Token {
        client: "p7".to_owned(),
        seq: 3,
    };
    let answer = client.attempt(&endpoint, op, Some(&token)).await;
    let asked = asked.lock().expect("no panic").clone();
    (answer, asked)
}

#[tokio::test]
async fn a_register_is_asked_and_understood_as_its_templates_say() {
    let register = client(REGISTER);
    let read = op("read", Some("a/b c"), Value::Null);
    let (answer, asked) = attempt(&*register, &read, vec![said(200, &json!({"value": [1, "x"]}))]).await;
    assert_eq!(answer, Answer::Ok(json!([1, "x"])));
    assert!(
        asked[0].0.starts_with("GET /kv/a%2Fb%20c HTTP/1.1\r\n"),
        "{}",
        asked[0].0
    );
    let (answer, _) = attempt(&*register, &read, vec![said(404, &Value::Null)]).await;
    assert_eq!(answer, Answer::Ok(Value::Null));

    let write = op("write", Some("k"), json!(7));
    let (answer, asked) = attempt(&*register, &write, vec![said(200, &json!({}))]).await;
    assert_eq!(answer, Answer::Ok(json!(7)));
    assert_eq!(asked[0].1, r#"{"value":7}"#);
    for header in [
        "content-type: application/json",
        "x-request: p7/3",
        "authorization: Basic ZHVyZXNzOnBhc3M6d29yZA==",
    ] {
        assert!(asked[0].0.contains(header), "{header} is not in {}", asked[0].0);
    }

    let cas = op("cas", Some("k"), json!([null, "a\"b{"]));
    let (answer, asked) = attempt(&*register, &cas, vec![said(409, &json!({"swapped": false}))]).await;
    let error = "mismatch".to_owned();
    assert_eq!(answer, Answer::Failed { error });
    assert_eq!(asked[0].1, r#"{"new":"a\"b{","old":null}"#);
}

#[tokio::test]
async fn a_refusal_names_a_leader_that_the_session_looks_up() {
    let register = client(REGISTER);
    let write = op("write", Some("k"), json!(7));
    let by_body = vec![(421, "retry-after: 2\r\n", json!({"leader": "n3"}).to_string())];
    let (answer, _) = attempt(&*register, &write, by_body).await;
    let refused = |leader: Option<&str>, after| Answer::Refused {
        error: "not-leader".to_owned(),
        leader: leader.map(str::to_owned),
        retry_after: after,
    };
    assert_eq!(answer, refused(Some("n3"), Some(Duration::from_secs(2))));
    let (answer, _) = attempt(&*register, &write, vec![said(421, &json!({}))]).await;
    assert_eq!(answer, refused(None, None));
    let location = "location: http://10.77.0.12:8080/kv/k\r\n";
    let (answer, _) = attempt(&*register, &write, vec![(307, location, String::new())]).await;
    assert_eq!(answer, refused(Some("10.77.0.12"), None));
}

#[test]
fn an_address_names_its_host() {
    for (named, expected) in [
        ("n2", Some("n2")),
        ("n2:8080", Some("n2")),
        ("https://user@n2:8080/kv?x=1", Some("n2")),
        ("10.0.0.1", Some("10.0.0.1")),
        ("http://[fd00::1]:80/", Some("fd00::1")),
        ("fd00::1", Some("fd00::1")),
        ("", None),
    ] {
        assert_eq!(host(&json!(named)).as_deref(), expected, "{named}");
    }
    assert_eq!(host(&json!(7)), None);
    assert!(host(&json!("n".repeat(100_000))).expect("a name").len() < 1100);
}

#[tokio::test]
async fn whatever_no_case_maps_is_unknown_for_a_write_and_harmless_for_a_read() {
    let register = client(REGISTER);
    for (status, body) in [
        (0, json!(null)),
        (500, json!("x".repeat(1000))),
        (200, json!("<html>")),
        (301, json!({})),
    ] {
        let script = || vec![said(status, &body)];
        let (answer, _) = attempt(&*register, &op("write", Some("k"), json!(7)), script()).await;
        if status == 200 {
            assert_eq!(
                answer,
                Answer::Ok(json!(7)),
                "its template asks no more than the status"
            );
        } else {
            assert!(matches!(answer, Answer::Unknown { .. }), "{status}: {answer:?}");
        }
        let (answer, _) = attempt(&*register, &op("read", Some("k"), Value::Null), script()).await;
        assert!(matches!(answer, Answer::Refused { .. }), "{status}: {answer:?}");
    }
    let lacks = vec![said(200, &json!({"valeu": 7}))];
    let (answer, _) = attempt(&*register, &op("read", Some("k"), Value::Null), lacks).await;
    assert!(
        matches!(&answer, Answer::Refused { error, .. } if error.contains("nothing at \"/value\"")),
        "{answer:?}"
    );
    // Nobody listens there: it was never sent.
    let nobody = Endpoint {
        node: "n1".to_owned(),
        address: ([127, 0, 0, 1], 1).into(),
    };
    let answer = register
        .attempt(&nobody, &op("write", Some("k"), json!(7)), None)
        .await;
    assert!(
        matches!(answer, Answer::Refused { .. }),
        "without a token it can't be filled in: {answer:?}"
    );
}

#[tokio::test]
async fn after_a_request_with_an_effect_nothing_is_refused_any_more() {
    let two = |first: &str| {
        let text = format!(
            "client = 'http'\n[[http.write]]\nmethod = 'post'\npath = '/begin'\n{first}answer = [{{status = 200, next = {{id = '/id'}}}}]\n\
             [[http.write]]\nmethod = 'post'\npath = '/commit/{{id}}'\nanswer = [{{status = 200, ok = true}}, {{status = 429, \
             refused = 'busy'}}, {{status = 409, fail = 'conflict'}}]\n"
        );
        client(&text)
    };
    let write = op("write", Some("k"), json!(7));
    let begun = || said(200, &json!({"id": 5}));
    for status in [429, 409, 503, 0] {
        let (answer, asked) = attempt(&*two(""), &write, vec![begun(), said(status, &json!({}))]).await;
        assert!(matches!(answer, Answer::Unknown { .. }), "{status}: {answer:?}");
        assert!(asked[1].0.starts_with("POST /commit/5 "), "{asked:?}");
    }
    for (status, known) in [(429, true), (409, true), (503, false)] {
        let (answer, _) = attempt(
            &*two("effect = false\n"),
            &write,
            vec![begun(), said(status, &json!({}))],
        )
        .await;
        assert_eq!(
            !matches!(answer, Answer::Unknown { .. }),
            known,
            "{status}: {answer:?}"
        );
    }
    // Nothing was asked but what has no effect.
    let (answer, _) = attempt(&*two("effect = false\n"), &write, vec![said(200, &json!({}))]).await;
    assert!(
        matches!(&answer, Answer::Refused { error, .. } if error.contains("nothing at \"/id\"")),
        "{answer:?}"
    );
}

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
    assert!(!kind.sends_tokens && kind_of(REGISTER).expect("a client").sends_tokens);
}

/// What is wrong with `text`: where, and what.
fn wrong(text: &str) -> String {
    match kind_of(text).expect_err(text) {
        Problem::Form(error) => error.to_string(),
        Problem::Meaning(mistake) => {
            let turn = |turn: &Turn| match turn {
                Turn::Key(key) => key.clone(),
                Turn::Entry(index) => index.to_string(),
            };
            let path: Vec<String> = mistake.at.iter().map(turn).collect();
            format!("{}: {}", path.join("."), mistake.what)
        }
    }
}

#[test]
fn templates_that_make_no_sense_are_refused_where_they_stand() {
    let read = "[http.read]\npath = '/kv/{key}'\nanswer = [{status = 200, ok = '/value'}]\n";
    assert!(kind_of(read).is_ok());
    for (from, to, said) in [
        (
            "{key}",
            "{kee}",
            "http.read.path: read has no place {kee}; it has {key}, {token.client}, {token.seq}",
        ),
        ("{key}", "{value}", "http.read.path: read has no place {value}"),
        ("{key}", "{key|base63}", "no filter \"base63\""),
        ("{key}", "{key", "a { without its other half"),
        ("{key}", "}", "a } without its other half"),
        ("{key}", "{Key}", "{Key} is no place"),
        ("'/kv", "'kv", "a path begins with a slash"),
        ("'/value'", "'value'", "\"value\" is no place in an answer"),
        ("'/value'", "'/value|base63'", "no decoder \"base63\""),
        ("'/value'", "'/value|or nul'", "after \"or\" stands a JSON value"),
        ("'/value'", "'/value|or 1|json'", "comes after the \"or\""),
        ("'/value'", "'header:a b'", "is no name of a header"),
        ("'/value'", "true", "http.read.answer.0: a read has a result"),
        ("'/value'", "false", "ok = false says nothing"),
        ("ok = '/value'", "fail = 'x'", "http.read.answer: no case says ok"),
        (
            "ok = '/value'",
            "next = {}",
            "http.read.answer.0: there is no request after this one",
        ),
        (
            "ok = '/value'",
            "ok = '/value', fail = 'x'",
            "one of ok, fail, refused, info and next",
        ),
        (
            "ok = '/value'",
            "ok = '/value', leader = '/l'",
            "leader goes with refused",
        ),
        ("status = 200, ", "", "it would hold for any answer"),
        ("200", "99", "a status from 100 to 599"),
        ("200", "'6xx'", "a status from 100 to 599"),
        (
            "ok = '/value'",
            "ok = '/value', where = {'/a' = {is = 1}}",
            "a table here is {exists = true}",
        ),
        (
            "ok = '/value'",
            "ok = '/value', where = {'/a' = '{old}'}",
            "http.read.answer.0: read has no place {old}",
        ),
        ("path", "method = 'head'\npath", "unknown variant `head`"),
        ("path", "body = {a = 1}\ntext = 'a'\npath", "two bodies"),
        (
            "path",
            "headers = {'a b' = 'c'}\npath",
            "\"a b\" is no name of a header",
        ),
        ("path", "pfad = 1\npath", "unknown field `pfad`"),
        ("path", "body = {at = 2026-01-01}\npath", "JSON has no dates"),
        (
            "[http.read]",
            "[http.reed]",
            "no workload asks \"reed\"; there are read-lease, read-local, read, ",
        ),
        ("[http.read]", "[http.hold]", "no workload asks \"hold\""),
        (
            "[http.read]",
            "[http]\nauth.bearer = \"a\\nb\"\n[http.read]",
            "http.auth: bearer: a token has no control",
        ),
        (
            "[http.read]",
            "[http]\ntls.ca = 'none.pem'\n[http.read]",
            "http.tls.ca: read ",
        ),
        (
            "[http.read]",
            "[http]\ntls.ca = 'system.toml'\n[http.read]",
            "it holds no certificate",
        ),
        (
            "[http.read]",
            "[http]\nheaders.a = '{value}'\n[http.read]",
            "http.headers: no place {value} is there for every",
        ),
        (
            "[http.read]",
            "[http]\nanswer = [{status = 1, ok = true}]\n[http.read]",
            "a status from 100 to 599",
        ),
        (
            "[http.read]",
            "[http]\nanswer = [{status = 200, ok = true}]\n[http.read]",
            "http.answer.0: it is looked at for",
        ),
    ] {
        let error = wrong(&read.replacen(from, to, 1));
        assert!(error.contains(said), "{to}: {error}");
    }
    assert!(wrong("client = 'http'").contains("client: the client http asks as the table [http] says"));
    assert!(wrong("[http]\n").contains("it has no requests"));
    let write = "[[http.write]]\npath = '/a'\nanswer = [{status = 200, next = {id = '/id'}}]\n\
                 [[http.write]]\npath = '/b/{id}'\nanswer = [{status = 200, ok = true}]\n";
    assert!(kind_of(write).is_ok());
    for (from, to, said) in [
        (
            "{id}",
            "{idd}",
            "http.write.1.path: write has no place {idd}; it has {key}, {value}, {token.client}, {token.seq}, {id}",
        ),
        (
            "ok = true",
            "ok = '/a'",
            "http.write.1.answer.0: its result is what was asked for",
        ),
        (
            "path = '/b",
            "effect = false\npath = '/b",
            "http.write.1.effect: write changes something",
        ),
        (
            "next = {id = '/id'}",
            "info = 'x'",
            "http.write.0.answer: no case goes on",
        ),
        ("{id = '/id'}", "{Id = '/id'}", "nothing can be bound to \"Id\""),
        ("{id = '/id'}", "{key = '/id'}", "nothing can be bound to \"key\""),
    ] {
        let error = wrong(&write.replacen(from, to, 1));
        assert!(error.contains(said), "{to}: {error}");
    }
    assert!(wrong(&write.repeat(5)).contains("1 to 8 requests"));
}

#[test]
fn a_mistake_in_form_shows_its_line_and_has_a_mark() {
    let error = wrong("[http.read]\npath = '/kv'\nanswer = [\n  {status = 200, ok = 'value'},\n]\n");
    assert!(
        error.contains("line 4, column 23") && error.contains('^'),
        "{error}"
    );
    let error = wrong("[http.read]\npath = '/kv'\n[http.read.body]\na = 1\nb = ['x', '{key|jason}']\n");
    assert!(error.contains("line 5, column 11"), "{error}");
}
