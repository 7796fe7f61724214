//! When a node is ready: the system's own probe.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How to tell that a node is ready.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "probe", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Readiness {
    /// `GET path` is answered with 200, and if asked for, with this text in the body.
    Http {
        /// Port of the node.
        port: u16,
        /// e.g. `/health`.
        path: String,
        /// Text that the body must have in it.
        #[serde(default)]
        contains: Option<String>,
    },
    /// A connection is taken.
    Tcp {
        /// Port of the node.
        port: u16,
    },
    /// A program in the container ends with exit status 0.
    Command {
        /// Program and arguments.
        argv: Vec<String>,
    },
    /// The `healthcheck` of the compose file says healthy.
    Healthcheck,
    /// The container runs. For systems that offer no better.
    Running,
}

/// One attempt must end within this.
const ATTEMPT_TIME_MAX: Duration = Duration::from_secs(2);
/// Readiness answers are short; more is not read.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Whether `GET path` says ready; if not, why.
pub(super) async fn http(address: SocketAddr, path: &str, contains: Option<&str>) -> Result<(), String> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = limited(exchange).await?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split_whitespace().nth(1).unwrap_or("nothing");
    if status != "200" {
        return Err(format!("GET {path} on {address} was answered with {status}"));
    }
    match contains {
        Some(text) if !answer.contains(text) => {
            Err(format!("the answer to GET {path} has no {text:?} in it"))
        }
        _ => Ok(()),
    }
}

/// Whether a connection is taken; if not, why.
pub(super) async fn tcp(address: SocketAddr) -> Result<(), String> {
    limited(TcpStream::connect(address)).await.map(drop)
}

async fn limited<T>(attempt: impl Future<Output = std::io::Result<T>>) -> Result<T, String> {
    match tokio::time::timeout(ATTEMPT_TIME_MAX, attempt).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ATTEMPT_TIME_MAX.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A server that answers one connection with these bytes.
    async fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        address
    }

    #[tokio::test]
    async fn http_wants_200_and_the_text() {
        let healthy = "HTTP/1.0 200 OK\r\n\r\n{\"health\":\"true\"}";
        assert_eq!(
            http(answering(healthy).await, "/health", Some("true")).await,
            Ok(())
        );
        let missing = http(answering(healthy).await, "/health", Some("leader")).await;
        assert!(missing.expect_err("the text is not there").contains("leader"));
        let busy = http(answering("HTTP/1.1 503 Busy\r\n\r\n").await, "/health", None).await;
        assert!(busy.expect_err("503 is not ready").contains("503"));
    }

    #[test]
    fn probes_are_written_plainly() {
        let probe: Readiness =
            serde_json::from_str(r#"{"probe":"http","port":2379,"path":"/health"}"#).expect("valid");
        assert_eq!(
            probe,
            Readiness::Http {
                port: 2379,
                path: "/health".to_owned(),
                contains: None
            }
        );
        assert!(serde_json::from_str::<Readiness>(r#"{"probe":"tcp","port":1,"path":"/"}"#).is_err());
    }
}
