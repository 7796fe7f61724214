//! What each client says of itself before it is made: what it can be asked, and how.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use duress_http::RequestError;
use serde::{Deserialize, Serialize};

use super::programs::StartPrograms;
use crate::op::Operation;
use crate::service::Service;
use crate::workload::catalogue;

/// How a client reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadMode {
    /// The leader confirms with a majority that it still leads.
    #[default]
    Linearizable,
    /// The leader trusts its lease.
    Lease,
    /// Any node answers from its own state. Stale by design. etcd calls it serializable.
    #[serde(alias = "serializable")]
    Local,
}

impl ReadMode {
    /// As specs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            ReadMode::Linearizable => "linearizable",
            ReadMode::Lease => "lease",
            ReadMode::Local => "local",
        }
    }
}

/// What a client is told when it is made.
#[derive(Clone)]
pub struct Options {
    /// The address that requests come from.
    pub from: Option<IpAddr>,
    /// How to read.
    pub read: ReadMode,
    /// For how long locks, or what is dequeued, are lent. `None`: nothing is.
    pub lease: Option<Duration>,
    /// Whether each write of a register looks at all keys first.
    pub long_writes: bool,
    /// The longest body of an answer, in bytes. A longer one proves nothing.
    pub body_max: usize,
    /// Starts programs in the service that the client names.
    pub programs: Option<Arc<dyn StartPrograms>>,
}

/// Whether a client sends idempotency tokens, by which the system executes a request once however often it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tokens {
    /// The system knows none.
    None,
    /// Unless a spec switches them off.
    Optional,
    /// It can't ask without.
    Always {
        /// Whether the system executes a token once.
        executed_once: bool,
    },
}

/// Makes a client. It is shared by all processes.
pub type Make = Arc<dyn Fn(Options) -> Result<Box<dyn Service>, RequestError> + Send + Sync>;

/// A client, before it is made.
#[derive(Clone)]
pub struct ClientKind {
    /// As in `system.toml`.
    pub name: &'static str,
    /// What it can be asked. It must refuse whatever else is asked.
    pub operations: Cow<'static, [Operation]>,
    /// How it can read.
    pub reads: Cow<'static, [ReadMode]>,
    /// Whether it reads what a single member holds; see [`Service::content`].
    pub reads_members: bool,
    /// Whether it sends tokens.
    pub tokens: Tokens,
    /// What proves that an attempt was not executed, beside that no connection was made: goes on a sentence that begins with
    /// "if".
    pub proof: &'static str,
    /// The service of the compose file that it asks from, which is no node. `None`: it asks from where Duress runs.
    pub service: Option<String>,
    /// Makes one.
    pub make: Make,
}

impl Options {
    /// For a client that asks over HTTP, shared by all processes: whoever asks limits the time of each attempt.
    pub fn http(&self) -> duress_http::Options {
        crate::service::for_processes(self.from, self.body_max)
    }
}

impl ClientKind {
    /// One whose reads are linearizable, that sends no tokens, and takes only what is said here as
    /// [proof](ClientKind::proof).
    pub fn new(
        name: &'static str,
        operations: &'static [Operation],
        proof: &'static str,
        make: fn(Options) -> Result<Box<dyn Service>, RequestError>,
    ) -> Self {
        ClientKind {
            name,
            operations: Cow::Borrowed(operations),
            reads: Cow::Borrowed(&[ReadMode::Linearizable]),
            reads_members: false,
            tokens: Tokens::None,
            proof,
            service: None,
            make: Arc::new(make),
        }
    }

    /// Of what a workload asks, what this client does not carry.
    pub fn lacks(&self, asked: &[Operation]) -> Vec<Operation> {
        let lacking = |operation: &&Operation| !self.operations.contains(operation);
        asked.iter().filter(lacking).copied().collect()
    }

    /// The workloads that it carries.
    pub fn workloads(&self) -> Vec<&'static str> {
        let carried = catalogue()
            .into_iter()
            .filter(|workload| self.lacks(workload.operations).is_empty());
        carried.map(|workload| workload.name).collect()
    }
}

impl fmt::Debug for ClientKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientKind")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Where a system is defined: what a client reads that is told there how to ask.
#[derive(Clone, Copy, Debug)]
pub struct Definition<'a> {
    /// The whole text of its `system.toml`.
    pub text: &'a str,
    /// Where files that it names start from.
    pub folder: &'a Path,
}

/// Why a definition makes no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has an unknown or missing key, or a value of the wrong kind. Says where.
    #[error(transparent)]
    Form(Box<toml::de::Error>),
    /// Its values make no sense together.
    #[error(transparent)]
    Meaning(#[from] Mistake),
}

/// A value that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Mistake {
    /// The way to it, from the top of the file.
    pub at: Vec<Turn>,
    /// What would make sense.
    pub what: String,
}

/// One turn on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// To this key of a table.
    Key(String),
    /// To this entry of a list; the first is 0.
    Entry(usize),
}

impl Mistake {
    /// At the value that these keys lead to.
    pub(crate) fn at<'a>(keys: impl IntoIterator<Item = &'a str>, what: impl Into<String>) -> Self {
        Mistake {
            at: keys.into_iter().map(|key| Turn::Key(key.to_owned())).collect(),
            what: what.into(),
        }
    }

    /// Further on, at this key.
    pub(crate) fn key(mut self, key: &str) -> Self {
        self.at.push(Turn::Key(key.to_owned()));
        self
    }

    /// Further on, at this entry.
    pub(crate) fn entry(mut self, index: usize) -> Self {
        self.at.push(Turn::Entry(index));
        self
    }

    /// At the same place.
    pub(crate) fn saying(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }
}
