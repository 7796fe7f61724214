//! What nodes say of themselves, and who leads by their words.
//!
//! ```json
//! {"role":"leader","term":3,"leader":"n1","commit":120,"applied":120,"ready":true}
//! ```

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use duress_http::{Client, Trouble, cut};
use serde::{Deserialize, Serialize};

use crate::systems::{StatusKind, System};
use crate::{ClusterError, Node, http};

mod etcd;
use etcd::MemberNames;

/// A node that has not answered by then is not worth waiting for: roles are asked for again and again.
const PROBE_LIMIT: Duration = Duration::from_millis(300);

/// What a member of a replicated system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It orders the writes, or believes that it does.
    Leader,
    /// It follows a leader and votes.
    Follower,
    /// It wants to lead.
    Candidate,
    /// It follows without a vote.
    Learner,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What it is.
    pub role: Role,
    /// In which term.
    pub term: u64,
    /// Whom it believes to lead.
    pub leader: Option<String>,
    /// Up to which index of the log it knows entries to be committed.
    pub commit: u64,
    /// Up to which index it has applied them.
    pub applied: u64,
    /// Whether it can be used.
    pub ready: bool,
}

/// Asks nodes for their status.
#[derive(Clone, Debug)]
pub struct StatusProbe {
    client: Arc<Client>,
    kind: StatusKind,
    port: u16,
    names: Arc<MemberNames>,
}

impl StatusProbe {
    /// For a system that has a status. `local` is the observer's address, so that clients can be cut off without it.
    pub fn new(system: &System, local: Option<IpAddr>) -> Result<StatusProbe, ClusterError> {
        let kind = system.status.ok_or_else(|| ClusterError::Unsupported {
            what: format!("ask nodes of {} for their status", system.name),
            why: "the system doesn't offer one; choose faults that need no roles".into(),
        })?;
        Ok(StatusProbe {
            client: Arc::new(http::client(local, PROBE_LIMIT)?),
            kind,
            port: system.port,
            names: Arc::default(),
        })
    }

    /// Asks one node. Takes 300 ms at most. [`ClusterError::Local`] is no answer of the node, and no silence either.
    pub async fn probe(&self, node: &Node) -> Result<NodeStatus, ClusterError> {
        let what = || format!("ask {} for its status", node.name);
        let failed = |why: String| ClusterError::Io {
            what: what(),
            source: std::io::Error::other(cut(why)),
        };
        let unanswered = |trouble: Trouble| match trouble {
            Trouble::Local(why) => ClusterError::Local { what: what(), why },
            trouble => failed(trouble.to_string()),
        };
        let to = SocketAddr::new(node.ipv4.into(), self.port);
        match self.kind {
            StatusKind::Http => {
                let body = http::get(&self.client, to, "/status").await.map_err(unanswered)?;
                let status: NodeStatus = serde_json::from_value(body.unwrap_or_default())
                    .map_err(|error| failed(error.to_string()))?;
                Ok(NodeStatus {
                    leader: status.leader.map(cut),
                    ..status
                })
            }
            StatusKind::Etcd => {
                let body =
                    http::post(&self.client, to, "/v3/maintenance/status", &serde_json::json!({})).await;
                let body = body.map_err(unanswered)?.unwrap_or_default();
                etcd::status(&body, &node.name, &self.names).map_err(failed)
            }
        }
    }

    /// Asks all nodes at once. Who doesn't answer is missing.
    pub async fn probe_all(&self, nodes: &[Node]) -> BTreeMap<String, NodeStatus> {
        let mut asked = tokio::task::JoinSet::new();
        for node in nodes.iter().cloned() {
            let probe = self.clone();
            asked.spawn(async move { Some((node.name.clone(), probe.probe(&node).await.ok()?)) });
        }
        asked.join_all().await.into_iter().flatten().collect()
    }
}

/// Who is what, by all statuses together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// Who claims to lead in the highest term that anyone leads in.
    pub leader: Option<String>,
    /// Who claims to lead, but in a lower term: an old leader that hasn't heard of its successor.
    pub stale_leaders: Vec<String>,
    /// Every other node that answered.
    pub followers: Vec<String>,
    /// Who didn't answer.
    pub silent: Vec<String>,
}

impl Roles {
    /// Two leaders of one term are a violation of the system's own promise; then the first by name counts as leader,
    /// and the other as stale.
    pub fn of(nodes: &[Node], statuses: &BTreeMap<String, NodeStatus>) -> Roles {
        let claims = statuses.iter().filter(|(_, status)| status.role == Role::Leader);
        let leader = claims
            .min_by_key(|(_, status)| std::cmp::Reverse(status.term))
            .map(|(name, _)| name.clone());
        let mut roles = Roles {
            leader,
            ..Roles::default()
        };
        for node in nodes {
            let name = node.name.clone();
            match statuses.get(&name) {
                _ if roles.leader.as_ref() == Some(&name) => {}
                None => roles.silent.push(name),
                Some(status) if status.role == Role::Leader => roles.stale_leaders.push(name),
                Some(_) => roles.followers.push(name),
            }
        }
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"n1:L3 n2:F3"`: a leader and a follower in term 3. `n3:-` doesn't answer.
    fn roles(text: &str) -> Roles {
        let (mut nodes, mut statuses) = (Vec::new(), BTreeMap::new());
        for word in text.split(' ') {
            let (name, status) = word.split_once(':').unwrap();
            nodes.push(Node {
                name: name.into(),
                ipv4: [10, 77, 0, 11].into(),
                ipv6: None,
            });
            let role = match &status[..1] {
                "L" => Role::Leader,
                "F" => Role::Follower,
                "C" => Role::Candidate,
                _ => continue,
            };
            let term = status[1..].parse().unwrap();
            let status = NodeStatus {
                role,
                term,
                leader: None,
                commit: 0,
                applied: 0,
                ready: true,
            };
            statuses.insert(name.into(), status);
        }
        Roles::of(&nodes, &statuses)
    }

    #[test]
    fn the_leader_of_the_highest_term_leads() {
        let roles = roles("n1:L3 n2:L4 n3:F4 n4:- n5:C9");
        assert_eq!(roles.leader.as_deref(), Some("n2"));
        assert_eq!(roles.stale_leaders, ["n1"]);
        assert_eq!(roles.followers, ["n3", "n5"]);
        assert_eq!(roles.silent, ["n4"]);
    }

    #[test]
    fn nobody_leads_where_nobody_says_so() {
        assert_eq!(roles("n1:F3 n2:C4").leader, None);
    }

    #[test]
    fn of_two_leaders_in_one_term_the_first_counts() {
        let roles = roles("n1:L3 n2:L3");
        assert_eq!(
            (roles.leader.as_deref(), roles.stale_leaders),
            (Some("n1"), vec!["n2".to_owned()])
        );
    }

    #[test]
    fn a_status_with_more_fields_than_needed_is_understood() {
        let text = r#"{"name":"n1","role":"follower","term":3,"leader":null,"commit":1,"applied":1,"last_log":2,"ready":false}"#;
        let status: NodeStatus = serde_json::from_str(text).unwrap();
        assert_eq!((status.role, status.leader), (Role::Follower, None));
    }

    fn node() -> Node {
        Node {
            name: "n1".into(),
            ipv4: [127, 0, 0, 1].into(),
            ipv6: None,
        }
    }

    fn probe_from(port: u16, local: Option<IpAddr>) -> StatusProbe {
        let system = System {
            port,
            ..System::specimen()
        };
        StatusProbe::new(&system, local).unwrap()
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
