//! Asks nodes for their status.
//!
//! ```toml
//! [status]
//! method = "post"
//! path = "/v3/maintenance/status"
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use duress_http::{Client, RequestError, cut};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::{Answer, MemberNames};
use super::node::NodeStatus;
use crate::{ClusterError, Node, http};

/// A node that has not answered by then is not worth waiting for: it is asked again and again.
const PROBE_LIMIT: Duration = Duration::from_millis(300);

/// How a node is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Without a body.
    #[default]
    Get,
    /// With a JSON body.
    Post,
}

/// How a node is asked for its status, and where in the answer it stands: the table `[status]` of a `system.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", rename_all = "kebab-case")]
pub struct StatusRequest {
    /// By GET or POST.
    pub method: Method,
    /// E.g. `/status`.
    pub path: String,
    /// On the node's IPv4 address; the port of clients if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Of a post; `{}` if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Where in the answer what stands.
    pub answer: Answer,
}

/// The same before its keys have been looked at together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    method: Method,
    path: String,
    port: Option<u16>,
    body: Option<Value>,
    answer: Answer,
}

impl TryFrom<Written> for StatusRequest {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written {
            method,
            path,
            port,
            body,
            answer,
        } = written;
        if !path.starts_with('/') {
            return Err("path begins with a slash, as in path = \"/status\"");
        }
        if port == Some(0) {
            return Err("port 0 is none; use 1 to 65535");
        }
        if method == Method::Get && body.is_some() {
            return Err("a body goes with method = \"post\"");
        }
        if answer == Answer::default() {
            return Err("the answer tells nothing; name a pointer, e.g. answer.role = \"/role\"");
        }
        if answer.role.is_none() && !answer.words.is_empty() {
            return Err("words for roles go with answer.role");
        }
        if answer.member.is_some() && answer.leader.is_none() {
            return Err("answer.member goes with answer.leader");
        }
        Ok(StatusRequest {
            method,
            path,
            port,
            body,
            answer,
        })
    }
}

/// Asks nodes for their status.
#[derive(Clone, Debug)]
pub struct StatusProbe {
    client: Arc<Client>,
    request: Arc<StatusRequest>,
    port: u16,
    names: Arc<MemberNames>,
}

impl StatusProbe {
    /// Asks at `port` where the request names no other. `local` is the observer's address, so that clients can be cut off
    /// without it.
    pub fn new(
        request: StatusRequest,
        port: u16,
        local: Option<IpAddr>,
    ) -> Result<StatusProbe, ClusterError> {
        Ok(StatusProbe {
            client: Arc::new(http::client(local, PROBE_LIMIT)?),
            port: request.port.unwrap_or(port),
            request: Arc::new(request),
            names: Arc::default(),
        })
    }

    /// Asks one node. Takes 300 ms at most. [`ClusterError::Local`] is neither an answer of the node nor silence.
    pub async fn probe(&self, node: &Node) -> Result<NodeStatus, ClusterError> {
        let what = || format!("ask {} for its status", node.name);
        let failed = |why: String| ClusterError::Io {
            what: what(),
            source: std::io::Error::other(cut(why)),
        };
        let unanswered = |error: RequestError| match error {
            RequestError::Local(why) => ClusterError::Local { what: what(), why },
            error => failed(error.to_string()),
        };
        let to = SocketAddr::new(node.ipv4.into(), self.port);
        let path = &self.request.path;
        let answered = match self.request.method {
            Method::Get => http::get(&self.client, to, path).await,
            Method::Post => {
                let nothing = serde_json::json!({});
                let body = self.request.body.as_ref().unwrap_or(&nothing);
                http::post(&self.client, to, path, body).await
            }
        };
        let answer = answered.map_err(unanswered)?.unwrap_or_default();
        self.request
            .answer
            .read(&answer, &node.name, &self.names)
            .map_err(failed)
    }

    /// Asks all nodes at once. Nodes that don't answer are missing from the result.
    pub async fn probe_all(&self, nodes: &[Node]) -> BTreeMap<String, NodeStatus> {
        let mut asked = tokio::task::JoinSet::new();
        for node in nodes.iter().cloned() {
            let probe = self.clone();
            asked.spawn(async move { Some((node.name.clone(), probe.probe(&node).await.ok()?)) });
        }
        asked.join_all().await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node {
            name: "n1".into(),
            ipv4: [127, 0, 0, 1].into(),
            ipv6: None,
        }
    }

    fn request(text: &str) -> Result<StatusRequest, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    fn probe_from(port: u16, local: Option<IpAddr>) -> StatusProbe {
        let request = request("path = '/status'\nanswer = {role = '/role', leader = '/leader'}").unwrap();
        StatusProbe::new(request, port, local).unwrap()
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (text, said) in [
            ("path = 'status'\nanswer.leader = '/l'", "begins with a slash"),
            ("path = '/'\nport = 0\nanswer.leader = '/l'", "port 0"),
            ("path = '/'\nbody = {}\nanswer.leader = '/l'", "method = \"post\""),
            ("path = '/'\nanswer = {}", "tells nothing"),
            (
                "path = '/'\nanswer = {leader = '/l', words.leader = ['x']}",
                "answer.role",
            ),
            (
                "path = '/'\nanswer = {term = '/t', member = '/m'}",
                "goes with answer.leader",
            ),
            ("path = '/'\nanswer.rolle = '/r'", "`role`"),
        ] {
            let error = request(text).unwrap_err();
            assert!(error.contains(said), "{text}\n{error}");
        }
    }

    /// A node that answers each request with this text.
    fn serve(answer: String) -> u16 {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        port
    }

    #[tokio::test]
    async fn what_this_machine_lacks_is_no_silence_of_a_node() {
        // TEST-NET-1 of RFC 5737: no address of this machine.
        let nobody = Some([192, 0, 2, 1].into());
        let probed = probe_from(1, nobody).probe(&node()).await;
        assert!(matches!(probed, Err(ClusterError::Local { .. })), "{probed:?}");
        let probed = probe_from(1, None).probe(&node()).await;
        assert!(matches!(probed, Err(ClusterError::Io { .. })), "{probed:?}");
    }

    #[tokio::test]
    async fn a_redirect_is_no_status() {
        let there = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        there.set_nonblocking(true).unwrap();
        let location = there.local_addr().unwrap();
        let port = serve(format!(
            "HTTP/1.1 307 -\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n"
        ));
        assert!(probe_from(port, None).probe(&node()).await.is_err());
        let asked = there.accept().map(|(_, from)| from);
        assert!(asked.is_err(), "another one was asked, by {asked:?}");
    }

    #[tokio::test]
    async fn a_leader_with_a_long_name_is_kept_short() {
        let status = serde_json::json!({"role": "follower", "term": 1, "leader": "n".repeat(100_000), "commit": 1,
            "applied": 1, "ready": true});
        let status = status.to_string();
        let port = serve(format!(
            "HTTP/1.1 200 -\r\ncontent-length: {}\r\n\r\n{status}",
            status.len()
        ));
        let leader = probe_from(port, None)
            .probe(&node())
            .await
            .unwrap()
            .leader
            .unwrap();
        assert!(leader.len() < 1100, "{}", leader.len());
    }
}
