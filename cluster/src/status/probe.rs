//! Asks nodes for their status: by HTTP, or by whatever else the request names.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duress_http::{Client, RequestError, cut};
use serde_json::Value;

use super::answer::{Answer, MemberNames};
use super::node::NodeStatus;
use super::request::{Method, StatusAsk, StatusRequest};
use crate::{ClusterError, Node, http};

/// A node that has not answered by then is not worth waiting for: it is asked again and again.
const PROBE_LIMIT: Duration = Duration::from_millis(300);

/// The same for whatever asks: a program may have to be started first.
const ASK_LIMIT: Duration = Duration::from_secs(1);

/// Asks one node what it says of itself, by other means than HTTP. [`ClusterError::Local`] is neither an answer nor silence.
#[async_trait]
pub trait AskStatus: Send + Sync {
    /// The answer, in which the status stands where [`Answer`] says.
    async fn ask(&self, node: &Node) -> Result<Value, ClusterError>;
}

/// Asks nodes for their status.
#[derive(Clone)]
pub struct StatusProbe {
    asker: Arc<dyn AskStatus>,
    answer: Arc<Answer>,
    names: Arc<MemberNames>,
}

impl StatusProbe {
    /// Asks at `port` where the request names no other. `local` is the observer's address, so that clients can be cut off
    /// without it. `program` asks where the request says so.
    pub fn new(
        request: StatusRequest,
        port: u16,
        local: Option<IpAddr>,
        program: Option<Arc<dyn AskStatus>>,
    ) -> Result<StatusProbe, ClusterError> {
        let asker = match (request.ask, program) {
            (StatusAsk::Exec, Some(program)) => program,
            (StatusAsk::Exec, None) => {
                return Err(ClusterError::Unsupported {
                    what: "ask nodes for their status".to_owned(),
                    why: "a program of the client exec is to ask, and there is none".to_owned(),
                });
            }
            (
                StatusAsk::Http {
                    method,
                    path,
                    port: own,
                    body,
                },
                _,
            ) => Arc::new(ByHttp {
                client: http::client(local, PROBE_LIMIT)?,
                port: own.unwrap_or(port),
                path,
                post: (method == Method::Post).then(|| body.unwrap_or_else(|| serde_json::json!({}))),
            }),
        };
        Ok(StatusProbe {
            asker,
            answer: Arc::new(request.answer),
            names: Arc::default(),
        })
    }

    /// Asks one node. Takes 300 ms at most by HTTP, a second by a program. [`ClusterError::Local`] is neither an answer of the
    /// node nor silence.
    pub async fn probe(&self, node: &Node) -> Result<NodeStatus, ClusterError> {
        let answer = match tokio::time::timeout(ASK_LIMIT, self.asker.ask(node)).await {
            Ok(answered) => answered?,
            Err(_) => return Err(unanswered(node, format!("no answer within {ASK_LIMIT:?}"))),
        };
        self.answer
            .read(&answer, &node.name, &self.names)
            .map_err(|why| unanswered(node, why))
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

/// Asks by HTTP.
struct ByHttp {
    client: Client,
    port: u16,
    path: String,
    /// What is posted; `None`: it is asked by GET.
    post: Option<Value>,
}

#[async_trait]
impl AskStatus for ByHttp {
    async fn ask(&self, node: &Node) -> Result<Value, ClusterError> {
        let to = node.at(self.port);
        let answered = match &self.post {
            None => http::get(&self.client, to, &self.path).await,
            Some(body) => http::post(&self.client, to, &self.path, body).await,
        };
        let answer = answered.map_err(|error| match error {
            RequestError::Local(why) => ClusterError::Local {
                what: asking(node),
                why,
            },
            error => unanswered(node, error.to_string()),
        });
        Ok(answer?.unwrap_or_default())
    }
}

fn asking(node: &Node) -> String {
    format!("ask {} for its status", node.name)
}

fn unanswered(node: &Node, why: String) -> ClusterError {
    ClusterError::Io {
        what: asking(node),
        source: std::io::Error::other(cut(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> Node {
        Node::new("n1", [127, 0, 0, 1].into(), None)
    }

    fn request(text: &str) -> Result<StatusRequest, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    fn probe_from(port: u16, local: Option<IpAddr>) -> StatusProbe {
        let request = request("path = '/status'\nanswer = {role = '/role', leader = '/leader'}").unwrap();
        StatusProbe::new(request, port, local, None).unwrap()
    }

    struct Says(&'static str);

    #[async_trait]
    impl AskStatus for Says {
        async fn ask(&self, _node: &Node) -> Result<Value, ClusterError> {
            Ok(serde_json::from_str(self.0).unwrap())
        }
    }

    #[tokio::test]
    async fn a_program_tells_what_http_would() {
        let by_program = request("exec = true\nanswer = {role = '/role', term = '/term'}").unwrap();
        let said =
            |answer| StatusProbe::new(by_program.clone(), 1, None, Some(Arc::new(Says(answer)))).unwrap();
        let status = said(r#"{"role": "leader", "term": 4}"#)
            .probe(&node())
            .await
            .unwrap();
        assert_eq!((status.role, status.term), (Some(crate::Role::Leader), Some(4)));
        let error = said(r#"{"role": "leader"}"#).probe(&node()).await.unwrap_err();
        assert!(error.to_string().contains("/term"), "{error}");
        assert!(StatusProbe::new(by_program.clone(), 1, None, None).is_err());
        let written = toml::to_string(&by_program).unwrap();
        assert_eq!(request(&written), Ok(by_program), "{written}");
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
