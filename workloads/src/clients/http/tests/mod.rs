//! Templates against members of a few lines, which answer as they are told.

use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::clients::scripted::{Script, member, said};
use crate::service::Token;

mod etcd;
mod mistakes;
mod places;
mod queue;

const REGISTER: &str = include_str!("../../../../../harness/tests/fixtures/register-http/system.toml");

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
        programs: None,
    }
}

fn client(text: &str) -> Box<dyn Service> {
    let kind = kind_of(text).unwrap_or_else(|problem| panic!("{problem}"));
    (kind.make)(options(ReadMode::Linearizable)).expect("a client")
}

fn op(f: &'static str, key: Option<&str>, value: Value) -> Op {
    Op {
        f,
        key: key.map(|key| json!(key)),
        value,
        idempotent: false,
    }
}

const NO_TOKEN: Asker<'_> = Asker {
    process: 7,
    token: None,
};

/// What the client makes of these answers, and what it asked.
async fn attempt(client: &dyn Service, op: &Op, script: Script) -> (Answer, Vec<(String, String)>) {
    let (endpoint, asked) = member(script).await;
    let token = Token {
        client: "p7".to_owned(),
        seq: 3,
    };
    let answer = client
        .attempt(
            &endpoint,
            op,
            Asker {
                process: 7,
                token: Some(&token),
            },
        )
        .await;
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
        .attempt(&nobody, &op("write", Some("k"), json!(7)), NO_TOKEN)
        .await;
    assert!(
        matches!(answer, Answer::Refused { .. }),
        "without a token it can't be filled in: {answer:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_read_meets_no_condition_and_its_opposite_neither() {
    for test in ["1", "{exists = false}", "[1, {exists = false}]"] {
        let text = format!(
            "[http.write]\nmethod = 'put'\npath = '/'\nanswer = [{{status = 200, where = {{'/n|number' = {test}}}, fail = 'x'}}, \
             {{status = 200, ok = true}}]\n"
        );
        let write = op("write", Some("k"), json!(7));
        let answered = |body: Value| vec![said(200, &body)];
        let (answer, _) = attempt(&*client(&text), &write, answered(json!({"n": "many"}))).await;
        assert!(
            matches!(&answer, Answer::Unknown { error } if error.contains("no number")),
            "{answer:?}"
        );
        let (answer, _) = attempt(&*client(&text), &write, answered(json!({"n": "2"}))).await;
        assert_eq!(answer, Answer::Ok(json!(7)), "{test}");
    }
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

/// A node that speaks TLS by the name n1, and takes every write.
async fn secure() -> std::net::SocketAddr {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificate = include_bytes!("../../../../../cluster/http/fixtures/n1.pem");
    let key = include_bytes!("../../../../../cluster/http/fixtures/n1.key");
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate).expect("PEM")],
                PrivateKeyDer::from_pem_slice(key).expect("PEM"),
            )
            .expect("a key for the certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await;
            }
        }
    });
    address
}

#[tokio::test]
async fn nodes_are_asked_by_https_where_authorities_are_named() {
    let write = "[http.write]\nmethod = 'put'\npath = '/{key}'\nanswer = [{status = 200, ok = true}]\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/http/fixtures");
    let address = secure().await;
    let asked = |tls: &'static str, node: &'static str| {
        let definition = format!("{tls}{write}");
        let definition = Definition {
            text: &definition,
            folder: &folder,
        };
        let kind = super::kind(&definition).expect("a client");
        let client = (kind.make)(options(ReadMode::Linearizable)).expect("a client");
        let node = node.to_owned();
        async move {
            let (endpoint, write) = (Endpoint { node, address }, op("write", Some("k"), json!(7)));
            client.attempt(&endpoint, &write, NO_TOKEN).await
        }
    };
    let trusted = "[http]\ntls.ca = 'ca.pem'\n";
    assert_eq!(asked(trusted, "n1").await, Answer::Ok(json!(7)));
    let named = "[http]\ntls = {ca = 'ca.pem', server-name = 'n1'}\n";
    assert_eq!(asked(named, "whatever").await, Answer::Ok(json!(7)));
    // To anybody else nothing is sent.
    for (tls, node) in [(trusted, "n2"), ("[http]\ntls.ca = 'n1.pem'\n", "n1")] {
        let answer = asked(tls, node).await;
        assert!(
            matches!(answer, Answer::Refused { .. }),
            "{tls}{node}: {answer:?}"
        );
    }
    // Without authorities it is plain HTTP, which this node does not understand.
    let answer = asked("", "n1").await;
    assert!(matches!(answer, Answer::Unknown { .. }), "{answer:?}");
}

#[test]
fn the_examples_of_the_page_are_understood() {
    let page = include_str!("../../../../../docs/http-client.md");
    // The authorities of the page are those of the tests.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster/http/fixtures");
    let examples = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let mut understood = 0;
    for example in examples {
        let read = "[http.read]\npath = '/'\nanswer = [{ status = 200, ok = '/value' }]\n";
        let more = if example.contains("[http.read]") { "" } else { read };
        let definition = Definition {
            text: &format!("{example}{more}"),
            folder: &folder,
        };
        super::kind(&definition).unwrap_or_else(|problem| panic!("{example}\n{problem}"));
        understood += 1;
    }
    assert_eq!(understood, 3);
}
