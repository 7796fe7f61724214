//! For tests: members of a few lines, which answer as they are told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::endpoint::Endpoint;

/// Status, headers and body. Status 0 breaks the connection.
pub(super) type Script = Vec<(u16, &'static str, String)>;

pub(super) fn said(status: u16, body: &Value) -> (u16, &'static str, String) {
    (status, "", body.to_string())
}

/// Heads and bodies of requests.
pub(super) type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A member that gives these answers in turn, one to a connection, and keeps what it was asked: the head, and the body.
pub(super) async fn member(script: Script) -> (Endpoint, Asked) {
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
