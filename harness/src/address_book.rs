//! Where nodes are now: the addresses by which clients, and whoever looks at nodes, reach them.
//!
//! Most nodes keep their address as long as the cluster lives. Where the cluster says that they may not
//! ([`NodeAddresses`]), an address is looked up again once a request there brought no answer, and when a node was
//! started again. Nobody waits for a look-up: until it ends, the last address counts.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use duress_cluster::{Cluster, Node, NodeAddresses};
use duress_workloads::{Endpoint, Endpoints};
use tokio::runtime::Handle;

/// Between two look-ups of one node. A node that is cut off, or dead, brings no answer again and again.
const LOOK_UP_INTERVAL: Duration = Duration::from_secs(1);

/// The addresses of all nodes of a cluster.
pub struct AddressBook {
    cluster: Arc<dyn Cluster>,
    /// On which look-ups run: that of the controller, which outlives the clients'.
    runtime: Handle,
    nodes: Vec<Arc<Known>>,
}

/// What is known of a node.
struct Known {
    name: String,
    port: u16,
    now: RwLock<Located>,
    looking: AtomicBool,
    last_look_up: Mutex<Option<Instant>>,
}

/// A node at its address, in both forms.
#[derive(Clone)]
struct Located {
    node: Node,
    endpoint: Arc<Endpoint>,
}

impl Located {
    fn new(node: Node, port: u16) -> Self {
        let endpoint = Arc::new(Endpoint {
            node: node.name.clone(),
            address: node.at(port),
        });
        Located { node, endpoint }
    }
}

impl AddressBook {
    /// Of the nodes of a cluster, which take requests at `port`. Must be called from within a runtime.
    pub fn new(cluster: Arc<dyn Cluster>, port: u16) -> Self {
        let known = |node: &Node| {
            Arc::new(Known {
                name: node.name.clone(),
                port,
                now: RwLock::new(Located::new(node.clone(), port)),
                looking: AtomicBool::new(false),
                last_look_up: Mutex::new(None),
            })
        };
        AddressBook {
            nodes: cluster.nodes().iter().map(known).collect(),
            runtime: Handle::current(),
            cluster,
        }
    }

    /// This node, from 0, with the addresses that it is known by now.
    pub fn node(&self, index: usize) -> Node {
        self.nodes[index].located().node
    }

    /// Looks up where a node is, which was started again. Without an answer, the last address counts on.
    pub async fn look_up(&self, node: &str) {
        let known = self.nodes.iter().find(|known| known.name == node);
        if let (Some(known), Some(addresses)) = (known, self.cluster.node_addresses()) {
            known.look_up(addresses).await;
        }
    }
}

impl Known {
    fn located(&self) -> Located {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn look_up(&self, addresses: &dyn NodeAddresses) {
        if let Ok(node) = addresses.current(&self.name).await {
            let located = Located::new(node, self.port);
            *self.now.write().unwrap_or_else(PoisonError::into_inner) = located;
        }
    }

    /// Whether it is time for a look-up, which then counts as begun.
    fn is_due(&self) -> bool {
        let mut last = self.last_look_up.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| last.elapsed() >= LOOK_UP_INTERVAL)
            && !self.looking.swap(true, Ordering::AcqRel);
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

impl Endpoints for AddressBook {
    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn endpoint(&self, node: usize) -> Arc<Endpoint> {
        self.nodes[node].located().endpoint
    }

    fn doubt(&self, node: usize) {
        let known = &self.nodes[node];
        if self.cluster.node_addresses().is_none() || !known.is_due() {
            return;
        }
        let (known, cluster) = (known.clone(), self.cluster.clone());
        self.runtime.spawn(async move {
            if let Some(addresses) = cluster.node_addresses() {
                known.look_up(addresses).await;
            }
            known.looking.store(false, Ordering::Release);
        });
    }
}

/// The first IPv4 address of these.
pub fn first_v4(addresses: &[IpAddr]) -> Option<IpAddr> {
    addresses.iter().copied().find(IpAddr::is_ipv4)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::atomic::AtomicUsize;

    use async_trait::async_trait;
    use duress_cluster::{ClusterError, Place, ProgramState};
    use duress_workloads::Op;
    use duress_workloads::clients::ReadMode;
    use duress_workloads::clients::specimen::Specimen;
    use duress_workloads::retry::{Clock, RetryBudget, RetryOn, RetryPolicy, Routing, Session};
    use rand::SeedableRng;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::sync::watch;

    use super::*;

    const BEFORE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
    const NOW: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

    /// A cluster of one node, which was at one address and is at another.
    struct Moved {
        nodes: [Node; 1],
        look_ups: AtomicUsize,
    }

    impl Moved {
        fn new() -> Arc<Self> {
            Arc::new(Moved {
                nodes: [Node::new("n1", BEFORE, None)],
                look_ups: AtomicUsize::new(0),
            })
        }
    }

    #[async_trait]
    impl NodeAddresses for Moved {
        async fn current(&self, _node: &str) -> Result<Node, ClusterError> {
            self.look_ups.fetch_add(1, Ordering::Relaxed);
            Ok(Node {
                ipv4: NOW,
                ..self.nodes[0].clone()
            })
        }
    }

    #[async_trait]
    impl Cluster for Moved {
        fn kind(&self) -> &'static str {
            "moved"
        }

        fn nodes(&self) -> &[Node] {
            &self.nodes
        }

        fn client_addresses(&self) -> Vec<IpAddr> {
            Vec::new()
        }

        fn observer_addresses(&self) -> Option<Vec<IpAddr>> {
            None
        }

        fn node_addresses(&self) -> Option<&dyn NodeAddresses> {
            Some(self)
        }

        async fn place(&self, _node: &str) -> Result<Place, ClusterError> {
            unreachable!("nobody asks where it is")
        }

        async fn start(&self, _node: &str) -> Result<(), ClusterError> {
            Ok(())
        }

        async fn state(&self, _node: &str) -> Result<ProgramState, ClusterError> {
            Ok(ProgramState::Running)
        }

        async fn log_tail(&self, _node: &str, _lines_max: usize) -> String {
            String::new()
        }

        async fn down(&self) -> Result<(), ClusterError> {
            Ok(())
        }
    }

    struct NoClock;

    impl Clock for NoClock {
        fn now(&self) -> u64 {
            0
        }
    }

    /// Answers one request as the specimen does a write.
    async fn serve_once(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.read(&mut [0; 4096]).await.expect("a request");
        let body = r#"{"index":3}"#;
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream
            .write_all(answer.as_bytes())
            .await
            .expect("somebody listens");
    }

    #[tokio::test]
    async fn an_operation_finds_the_node_at_its_new_address() {
        let listener = TcpListener::bind((NOW, 0)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let cluster = Moved::new();
        let addresses = AddressBook::new(cluster.clone(), port);
        let service = Specimen::new(None, ReadMode::Linearizable, None, 1 << 20).expect("a client");
        let policy = RetryPolicy {
            timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(60),
            attempts_max: 50,
            backoff: Duration::from_millis(5),
            backoff_max: Duration::from_millis(5),
            budget_ratio: 1.0,
            tokens: true,
            retry_on: RetryOn::ALL,
            hedge: None,
        };
        let (_stop, stopped) = watch::channel(false);
        let mut session = Session {
            service: &service,
            endpoints: &addresses,
            policy: &policy,
            budget: &RetryBudget::new(1.0),
            clock: &NoClock,
            routing: Routing::Leader,
            preferred: None,
            process: 0,
            stop: stopped,
            crashes_after: None,
        };
        let op = Op {
            f: "write",
            key: Some(json!("k1")),
            value: json!(7),
            idempotent: false,
        };
        let mut rng = rand_chacha::ChaCha12Rng::seed_from_u64(1);
        let server = tokio::spawn(serve_once(listener));
        let completion = session.perform(&op, None, &mut rng).await;
        server.abort();
        assert_eq!(completion.value, json!(7));
        assert_eq!(completion.error, None, "{completion:?}");
        assert!(
            completion.attempts[0].error.is_some(),
            "the first went to the old address"
        );
        assert_eq!(addresses.node(0).ipv4, NOW);
        // However many attempts failed by then, and whatever fails within the next moment.
        for _ in 0..100 {
            addresses.doubt(0);
        }
        tokio::task::yield_now().await;
        assert_eq!(cluster.look_ups.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_node_that_was_started_again_is_looked_up_at_once() {
        let cluster = Moved::new();
        let addresses = AddressBook::new(cluster.clone(), 80);
        assert_eq!(addresses.endpoint(0).address, (BEFORE, 80).into());
        addresses.look_up("n1").await;
        assert_eq!(addresses.endpoint(0).address, (NOW, 80).into());
    }
}
