//! What is asked of an SSH client, whichever it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;

use super::shell;
use crate::ClusterError;

/// Of what a command writes, as much is kept unless more is asked for.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;
/// What a command may take that is expected to end at once.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// A connection to a host, open until it is dropped.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Starts a command by the shell of the user who logged in.
    async fn open(&self, command: &str) -> Result<RemoteChannel, ClusterError>;

    /// Writes a file, whose folder is there. What was at that path before is replaced.
    async fn upload(&self, file: &Path, to: &str, mode: i32) -> Result<(), ClusterError>;

    /// Takes the connection for broken, since nothing comes by it any more: what runs there by it is cut off, and what is asked next is asked
    /// by another.
    async fn give_up(&self);
}

/// A command that runs on a host.
pub struct RemoteChannel {
    /// Its standard input. Dropping it, or shutting it down, is the end of the input.
    pub input: OwnedWriteHalf,
    /// Its standard output.
    pub output: OwnedReadHalf,
    /// How it ended.
    pub ended: oneshot::Receiver<RemoteEnd>,
}

/// How a command on a host ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteEnd {
    /// Its exit status; `None` where a signal ended it, or the connection broke.
    pub status: Option<i32>,
    /// The end of what it wrote to its standard error, or why the connection broke.
    pub said: String,
    /// The connection broke, and nobody knows what became of the command.
    pub broke: bool,
}

impl RemoteEnd {
    /// In words.
    pub fn how(&self) -> String {
        if self.broke {
            return self.said.clone();
        }
        let said = match self.said.trim() {
            "" => String::new(),
            said => format!(": {said}"),
        };
        match self.status {
            Some(status) => format!("exit status: {status}{said}"),
            None => format!("it has no exit status{said}"),
        }
    }
}

/// A host that somebody is logged in to.
#[derive(Clone)]
pub struct Host {
    /// As users know it, e.g. `root@10.0.0.11:22`.
    pub name: String,
    /// The line to it.
    pub remote: Arc<dyn Remote>,
    /// Whether commands have to be run by sudo.
    pub sudo: bool,
}

impl Host {
    /// Runs a command and gives what it wrote; its failure is an error.
    pub async fn run(&self, command: &str) -> Result<String, ClusterError> {
        let (output, end) = self.ended(command).await?;
        if end.status == Some(0) {
            return Ok(output);
        }
        Err(self.error(&format!("run `{command}`"), end.how()))
    }

    /// Runs a command to its end, however that comes.
    pub async fn ended(&self, command: &str) -> Result<(String, RemoteEnd), ClusterError> {
        let (bytes, end) = self.bytes(command, OUTPUT_BYTES_MAX).await?;
        Ok((String::from_utf8_lossy(&bytes).into_owned(), end))
    }

    /// The same, with the first bytes of what it wrote as they are.
    pub async fn bytes(&self, command: &str, bytes_max: u64) -> Result<(Vec<u8>, RemoteEnd), ClusterError> {
        let ended = async {
            let RemoteChannel { input, output, ended } = self.remote.open(command).await?;
            drop(input);
            let mut bytes = Vec::new();
            let _ = output.take(bytes_max).read_to_end(&mut bytes).await;
            let closed = |_| self.error(&format!("run `{command}`"), "the connection was closed");
            Ok((bytes, ended.await.map_err(closed)?))
        };
        match tokio::time::timeout(COMMAND_LIMIT, ended).await {
            Ok(ended) => ended,
            Err(_) => Err(ClusterError::Timeout {
                what: format!("run `{command}` on {}", self.name),
                limit_ms: COMMAND_LIMIT.as_millis() as u64,
                detail: String::new(),
            }),
        }
    }

    /// The command line that does this as root.
    pub fn as_root<'a>(&self, words: impl IntoIterator<Item = &'a str>) -> String {
        let line = shell::line(words);
        match self.sudo {
            true => format!("exec sudo -n -- {line}"),
            false => format!("exec {line}"),
        }
    }

    /// The same for a script.
    pub fn script_as_root(&self, script: &str) -> String {
        self.as_root(["sh", "-c", script])
    }

    /// What can't be done there, and why.
    pub fn error(&self, what: &str, why: impl Into<String>) -> ClusterError {
        ClusterError::Unsupported {
            what: format!("{what} on {}", self.name),
            why: why.into(),
        }
    }
}
