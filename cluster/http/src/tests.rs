//! Against servers of a few lines that do what no node should.

use std::net::SocketAddr;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// Answers every connection like this, once the head of a request is there.
async fn serve<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn ask(options: Options, address: SocketAddr) -> Result<Reply, RequestError> {
    // A client that does what it should not may have no end.
    let options = Options {
        time: options.time.or(Some(Duration::from_secs(10))),
        ..options
    };
    let client = Client::new(options).expect("a client");
    client
        .call(Method::Get, &format!("http://{address}/"), None)
        .await
}

/// Writes this and hangs up.
async fn said(text: impl Into<String>) -> SocketAddr {
    let text = text.into();
    serve(move |mut stream| {
        let text = text.clone();
        async move {
            let _ = stream.write_all(text.as_bytes()).await;
        }
    })
    .await
}

/// Writes the head, then the chunk until nobody reads any more.
async fn endless(head: &'static str, chunk: String) -> SocketAddr {
    serve(move |mut stream| {
        let chunk = chunk.clone();
        async move {
            let mut written = stream.write_all(head.as_bytes()).await;
            while written.is_ok() {
                written = stream.write_all(chunk.as_bytes()).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_nobody_is_asked_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let there = listener.local_addr().expect("an address");
    let here = said(format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{there}/\r\ncontent-length: 0\r\n\r\n"
    ))
    .await;
    let reply = ask(Options::default(), here).await.expect("an answer");
    assert_eq!(reply.status, 307);
    // Whoever had connected would be in the queue by now: the answer of the client came after.
    let asked = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(asked.is_err(), "somebody was asked: {asked:?}");
}

#[tokio::test]
async fn bodies_end_at_the_limit() {
    let options = Options {
        body_max: 10_000,
        ..Options::default()
    };
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
    let too_large = Err(RequestError::TooLarge { limit: 10_000 });
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(
        ask(options, endless(chunked, chunk.clone()).await).await,
        too_large
    );
    let unframed = "HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(
        ask(options, endless(unframed, chunk.clone()).await).await,
        too_large
    );
    let promised = said("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
    assert_eq!(ask(options, promised).await, too_large);
    let full = format!("{chunked}{}0\r\n\r\n", chunk.repeat(10));
    let reply = ask(options, said(full).await).await.expect("an answer");
    assert_eq!(reply.body.len(), 10_000);
}

#[tokio::test]
async fn bodies_end_at_the_limit_of_all_together() {
    // 65 answers of which each but the last byte has come: one too many.
    let part = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{}",
        "x".repeat(999)
    );
    let address = serve(move |mut stream| {
        let part = part.clone();
        async move {
            let _ = stream.write_all(part.as_bytes()).await;
            std::future::pending::<()>().await;
        }
    })
    .await;
    let client = std::sync::Arc::new(
        Client::new(Options {
            body_max: 1000,
            ..Options::default()
        })
        .expect("a client"),
    );
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..=BODIES_AT_ONCE {
        let client = client.clone();
        calls.spawn(async move {
            client
                .call(Method::Get, &format!("http://{address}/"), None)
                .await
        });
    }
    let first = calls.join_next().await.expect("a call").expect("no panic");
    assert_eq!(first, Err(RequestError::TooMuch { limit: 64_000 }));
    calls.shutdown().await;
    assert_eq!(
        client.in_memory.load(Ordering::Relaxed),
        0,
        "what is dropped is given back"
    );
}

#[tokio::test]
async fn heads_end_too() {
    let header = "x-filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_owned();
    let answer = ask(Options::default(), endless("HTTP/1.1 200 OK\r\n", header).await).await;
    assert!(matches!(answer, Err(RequestError::Broken(_))), "{answer:?}");
    let long = ask(
        Options::default(),
        endless("HTTP/1.1 200 OK\r\nx: ", "y".repeat(1000)).await,
    )
    .await;
    assert!(matches!(long, Err(RequestError::Broken(_))), "{long:?}");
}

#[tokio::test]
async fn only_a_connection_that_was_never_made_proves_that_nothing_was_sent() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        listener.local_addr().expect("an address")
    };
    let refused = ask(Options::default(), closed).await;
    assert!(matches!(refused, Err(RequestError::NotSent(_))), "{refused:?}");
    for text in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        "garbage\r\n\r\n",
    ] {
        let answer = ask(Options::default(), said(text).await).await;
        assert!(
            matches!(answer, Err(RequestError::Broken(_))),
            "{text:?}: {answer:?}"
        );
    }
    let silent = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let limited = Options {
        time: Some(Duration::from_millis(50)),
        ..Options::default()
    };
    assert_eq!(
        ask(limited, silent).await,
        Err(RequestError::Broken("no answer in time".to_owned()))
    );
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_no_trouble_of_the_nodes() {
    let address = said("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    // TEST-NET-1 of RFC 5737: nobody's.
    let options = Options {
        local: Some([192, 0, 2, 1].into()),
        ..Options::default()
    };
    let answer = ask(options, address).await;
    assert!(
        matches!(&answer, Err(RequestError::Local(text)) if text.contains("no port left")),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_mad_retry_after_is_none() {
    for (text, seconds) in [("-1", None), ("nan", None), ("1e300", None), ("2", Some(2))] {
        let answer = format!("HTTP/1.1 429 Too Many\r\nretry-after: {text}\r\ncontent-length: 0\r\n\r\n");
        let reply = ask(Options::default(), said(answer).await)
            .await
            .expect("an answer");
        assert_eq!(reply.retry_after, seconds.map(Duration::from_secs), "{text}");
    }
}

/// A node that speaks TLS by the name n1. Its certificate, and that of the authority, are made for tests:
///
/// ```text
/// openssl req -x509 -newkey ec … -subj "/CN=Duress tests" -out ca.pem
/// openssl x509 -req -in n1.csr -CA ca.pem … -out n1.pem          # with subjectAltName=DNS:n1
/// ```
async fn secure() -> SocketAddr {
    let pem = |text: &'static str| text.as_bytes();
    let certificate = CertificateDer::from_pem_slice(pem(include_str!("../fixtures/n1.pem"))).expect("PEM");
    let key = PrivateKeyDer::from_pem_slice(pem(include_str!("../fixtures/n1.key"))).expect("PEM");
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a key for the certificate");
    let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust us hangs up.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                    .await;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_certificate_has_the_nodes_name_and_is_signed_by_whom_we_trust() {
    let address = secure().await;
    let asked = |authority: &'static str, name: &'static str| async move {
        let authorities = Authorities::from_pem(authority.as_bytes()).expect("certificates");
        let client = Client::trusting(Options::default(), &authorities).expect("a client");
        client.is_at("n1", address.ip());
        client.is_at("n2", address.ip());
        let url = format!("https://{name}:{}/", address.port());
        client.call(Method::Get, &url, None).await
    };
    let ca = include_str!("../fixtures/ca.pem");
    let reply = asked(ca, "n1").await.expect("an answer");
    assert_eq!((reply.status, reply.body.as_slice()), (200, b"ok".as_slice()));
    // Nothing was sent to anybody else.
    for (authority, name) in [
        (ca, "n2"),
        (ca, "elsewhere"),
        (include_str!("../fixtures/n1.pem"), "n1"),
    ] {
        let answer = asked(authority, name).await;
        assert!(
            matches!(answer, Err(RequestError::NotSent(_))),
            "{name}: {answer:?}"
        );
    }
    let error = Authorities::from_pem(b"no certificate")
        .expect_err("nothing")
        .to_string();
    assert!(error.contains("BEGIN CERTIFICATE"), "{error}");
}

#[tokio::test]
async fn whoever_listens_hears_the_request_and_what_became_of_it() {
    let address = said("HTTP/1.1 307 -\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n").await;
    let silent = serve(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let client = Client::new(Options::default()).expect("a client");
    let url = |address| format!("http://{address}/");
    let body = serde_json::json!({"a": 1});
    let work = async {
        let answered = client.call(Method::Put, &url(address), Some(&body)).await;
        let there = url(silent);
        let given_up = client.call(Method::Get, &there, None);
        let given_up = tokio::time::timeout(Duration::from_millis(50), given_up).await;
        (answered, given_up.is_err())
    };
    let ((answered, given_up), exchanges) = overhear(work).await;
    assert!(given_up);
    let [first, second] = exchanges.as_slice() else {
        panic!("{exchanges:?}");
    };
    assert_eq!(
        (first.request.method, first.request.body.as_slice()),
        (Method::Put, b"{\"a\":1}".as_slice())
    );
    assert_eq!(answered.as_ref().expect("an answer").headers["location"], "/x");
    assert_eq!(first.answered.as_ref(), Some(&answered));
    assert!(second.answered.is_none() && second.request.url == url(silent));
}
