//! Clusters for tests: child processes on free ports of a loopback address that no other test has, with their data in a temporary directory.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Far more than anything here takes, on the busiest machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Cluster {
    pub http: reqwest::Client,
    directory: TempDir,
    flags: Vec<String>,
    nodes: Vec<Node>,
}

struct Node {
    name: String,
    address: String,
    process: Option<Child>,
}

/// What a request came to: the HTTP status, and the body.
pub type Answer = (u16, Value);

/// All of 127.0.0.0/8 is loopback (RFC 1122, 3.2.1.3), so each process of tests has an address for itself. On a common one another test may get
/// the port of a node while that is not running, and its peers go on asking there.
fn own_address() -> Ipv4Addr {
    // Process ids have 22 bits at most (proc(5), pid_max).
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | high, middle, low)
}

impl Cluster {
    /// `size` nodes, started and ready.
    pub async fn start(size: usize, flags: &[&str]) -> Self {
        let mut cluster = Self::prepare(size, flags);
        for node in 0..size {
            cluster.spawn(node);
        }
        cluster.all_ready().await;
        cluster
    }

    /// `size` nodes with names and addresses, none of them started.
    pub fn prepare(size: usize, flags: &[&str]) -> Self {
        // All are held at once, so that no port is given out twice.
        let held: Vec<_> = (0..size)
            .map(|_| TcpListener::bind((own_address(), 0)).unwrap())
            .collect();
        let nodes = held.iter().enumerate().map(|(at, listener)| Node {
            name: format!("n{}", at + 1),
            address: listener.local_addr().unwrap().to_string(),
            process: None,
        });
        Self {
            http: duress_http::plain()
                .timeout(Duration::from_secs(5))
                .build()
                .unwrap(),
            directory: TempDir::new().unwrap(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            nodes: nodes.collect(),
        }
    }

    pub fn spawn(&mut self, node: usize) {
        let size = self.nodes.len();
        self.spawn_among(node, size);
    }

    /// Starts `node`, which is told of the first `known` nodes and of itself.
    pub fn spawn_among(&mut self, node: usize, known: usize) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log_path(node))
            .unwrap();
        // So that a limit on the size of files makes writes fail, and does not end the process: see `limit_files`.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "trap '' XFSZ; exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_duress-specimen"),
        ]);
        let own = &self.nodes[node];
        command.args(["--name", &own.name, "--listen", &own.address, "--data"]);
        command.arg(self.data(node));
        for (at, peer) in self.nodes.iter().enumerate() {
            if at < known || at == node {
                command
                    .arg("--peer")
                    .arg(format!("{}={}", peer.name, peer.address));
            }
        }
        let process = command
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.nodes[node].process = Some(process.unwrap());
    }

    /// The data directory of a node.
    pub fn data(&self, node: usize) -> PathBuf {
        self.directory.path().join(&self.nodes[node].name)
    }

    /// Waits until a node that was just started has written an entry to its log, which begins with a sector of padding.
    pub async fn has_begun(&self, node: usize) {
        let begun = Instant::now();
        let log = self.data(node).join("log.wal");
        while std::fs::metadata(&log).map_or(0, |log| log.len()) <= 4096 {
            assert!(
                begun.elapsed() < PATIENCE,
                "{} writes no log",
                self.nodes[node].name
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// From now on no file of the node's process may become longer than `bytes`: writes that would make it so fail.
    pub fn limit_files(&self, node: usize, bytes: u64) {
        let process = self.nodes[node].process.as_ref().expect("the node runs");
        let limited = Command::new("prlimit")
            .args(["--pid", &process.id().to_string(), &format!("--fsize={bytes}")])
            .status();
        assert!(limited.expect("prlimit is there (package util-linux)").success());
    }

    /// Waits until the process of a node has ended by itself; its exit code.
    pub async fn ended(&mut self, node: usize) -> Option<i32> {
        let begun = Instant::now();
        let mut process = self.nodes[node].process.take().expect("the node runs");
        while begun.elapsed() < PATIENCE {
            if let Some(status) = process.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        panic!("{} still runs\n{}", self.nodes[node].name, self.log(node));
    }

    fn log_path(&self, node: usize) -> std::path::PathBuf {
        self.directory
            .path()
            .join(format!("{}.log", self.nodes[node].name))
    }

    /// What the node has written to its log.
    pub fn log(&self, node: usize) -> String {
        std::fs::read_to_string(self.log_path(node)).unwrap()
    }

    pub fn address(&self, node: usize) -> &str {
        &self.nodes[node].address
    }

    pub fn name(&self, node: usize) -> &str {
        &self.nodes[node].name
    }

    pub fn signal(&self, node: usize, signal: Signal) {
        let process = self.nodes[node].process.as_ref().expect("the node runs");
        kill(Pid::from_raw(process.id() as i32), signal).unwrap();
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&mut self, node: usize) {
        let mut process = self.nodes[node].process.take().expect("the node runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// SIGTERM; returns the exit code.
    pub fn terminate(&mut self, node: usize) -> Option<i32> {
        self.signal(node, Signal::SIGTERM);
        self.nodes[node].process.take().unwrap().wait().unwrap().code()
    }

    pub async fn request(&self, node: usize, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_request(node, method, path, body)
            .await
            .expect("the node answers")
    }

    pub async fn try_request(
        &self,
        node: usize,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Answer> {
        let url = format!("http://{}{path}", self.nodes[node].address);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    pub async fn put(&self, node: usize, key: &str, value: i64) -> Answer {
        self.request(
            node,
            "PUT",
            &format!("/kv/{key}"),
            Some(json!({ "value": value })),
        )
        .await
    }

    pub async fn get(&self, node: usize, key: &str, read: &str) -> Answer {
        self.request(node, "GET", &format!("/kv/{key}?read={read}"), None)
            .await
    }

    /// The value of `key`, which must be there for the asking.
    pub async fn value(&self, node: usize, key: &str) -> Value {
        let (status, body) = self.get(node, key, "linearizable").await;
        assert_eq!(status, 200, "{body}");
        body["value"].clone()
    }

    pub async fn status(&self, node: usize) -> Option<Value> {
        self.try_request(node, "GET", "/status", None)
            .await
            .ok()
            .map(|(_, status)| status)
    }

    /// Waits until the status of `node` is as `wanted`, and returns it.
    pub async fn until(&self, node: usize, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < PATIENCE {
            last = self.status(node).await;
            match last {
                Some(status) if wanted(&status) => return status,
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        panic!(
            "{} is not {what}: {last:?}\n{}",
            self.nodes[node].name,
            self.log(node)
        );
    }

    pub async fn ready(&self, node: usize) -> Value {
        self.until(node, "ready", |status| status["ready"] == true).await
    }

    pub async fn all_ready(&self) {
        for node in self.running() {
            self.ready(node).await;
        }
    }

    fn running(&self) -> impl Iterator<Item = usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].process.is_some())
    }

    /// Waits for a leader among `nodes`, which must all be able to answer, that has served a read.
    pub async fn leader_of(&self, nodes: &[usize]) -> usize {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for node in nodes {
                if let Some(status) = self.status(*node).await
                    && status["role"] == "leader"
                    && self.get(*node, "-", "linearizable").await.0 == 200
                {
                    return *node;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no leader among {nodes:?}");
    }

    pub async fn leader(&self) -> usize {
        let nodes: Vec<_> = self.running().collect();
        self.leader_of(&nodes).await
    }

    /// All running nodes but `node`.
    pub fn others(&self, node: usize) -> Vec<usize> {
        self.running().filter(|other| *other != node).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            if let Some(process) = &mut node.process {
                // It may have ended by itself.
                let _ = process.kill();
                let _ = process.wait();
            }
        }
    }
}
