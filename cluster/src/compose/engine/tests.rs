//! What is made of an engine's answers, with engines of a few lines.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

use super::*;

/// An engine that answers as `answer` does, given what was asked for.
fn fake(answer: fn(&str, &mut UnixStream)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).expect("a socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut asked = Vec::new();
                let mut byte = [0];
                while !asked.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    asked.push(byte[0]);
                }
                let asked = String::from_utf8_lossy(&asked).into_owned();
                answer(asked.split(' ').nth(1).unwrap_or_default(), &mut stream);
            });
        }
    });
    (folder, socket)
}

fn reply(stream: &mut UnixStream, status: &str, kind: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
    let _ = stream.write_all((head + body).as_bytes());
}

fn greet(stream: &mut UnixStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nConnection: close\r\n\r\nOK");
}

const VERSION: &str = r#"{"ApiVersion":"1.41","Version":"20.10.24"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_says_is_part_of_the_error() {
    let (_folder, socket) = fake(|asked, stream| match asked {
        "/_ping" => greet(stream),
        asked if asked.ends_with("/version") => reply(stream, "200 OK", "application/json", VERSION),
        asked if asked.contains("/refused/") => {
            let why = r#"{"message":"the disk is on fire"}"#;
            reply(stream, "500 Internal Server Error", "application/json", why);
        }
        _ => {}
    });
    let engine = Engine::connect(&EngineAddress::Unix(socket.clone()))
        .await
        .expect("an engine");
    let said = engine
        .container("refused")
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        said.contains("look at container refused") && said.contains("the disk is on fire"),
        "{said}"
    );
    // The cause of this one is in an error within an error.
    let said = engine.container("gone").await.expect_err("cut off").to_string();
    assert!(
        said.contains("connection closed before message completed"),
        "{said}"
    );
}

/// As the engine frames what a container writes to its standard output.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short line").to_be_bytes();
    [&[1, 0, 0, 0], &length[..], payload].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_log_without_end_the_beginning_and_the_last_lines_are_kept() {
    let (folder, socket) = fake(|asked, stream| {
        if asked == "/_ping" {
            return greet(stream);
        }
        if asked.ends_with("/version") {
            return reply(stream, "200 OK", "application/json", VERSION);
        }
        reply(stream, "200 OK", "application/vnd.docker.raw-stream", "");
        if asked.contains("tail=1000") {
            let _ = stream.write_all(&frame(b"the last words\n"));
            return;
        }
        let line = [[b'x'; 16 * 1024].as_slice(), b"\n"].concat();
        // Until nobody reads any more.
        while stream.write_all(&frame(&line)).is_ok() {}
    });
    let engine = Engine::connect(&EngineAddress::Unix(socket.clone()))
        .await
        .expect("an engine");
    let path = folder.path().join("log");
    let file = std::fs::File::create(&path).expect("a file");
    engine.save_log("n1", file, &path).await.expect("is saved");
    let saved = std::fs::read_to_string(&path).expect("a log");
    assert!(saved.len() < 64 << 20, "{} bytes", saved.len());
    assert!(saved.starts_with('x') && saved.ends_with("the last words\n"));
    assert!(saved.contains("\nduress: cut here, after 50331648 bytes; the last lines follow\n"));
}
