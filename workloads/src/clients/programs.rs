//! Programs that clients ask by, wherever they are started.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

/// Starts programs in a service of the cluster: who deployed it can.
#[async_trait]
pub trait StartPrograms: Send + Sync {
    /// Whether programs there reach this node by its name; otherwise by its address.
    fn knows(&self, node: &str) -> bool;

    /// Starts `argv` with these variables. The error says in words why this can't be done, which is no fault of the system.
    async fn start(&self, argv: &[String], env: &BTreeMap<String, String>) -> Result<Started, String>;
}

/// A program that was started.
pub struct Started {
    /// Its standard input.
    pub input: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    /// Its standard output.
    pub output: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// Its standard error. It is read only while the program is asked something.
    pub errors: Box<dyn AsyncRead + Send + Sync + Unpin>,
    /// The program itself.
    pub running: Box<dyn Running>,
}

/// A program that runs. Dropping it ends it, with all that it has started.
#[async_trait]
pub trait Running: fmt::Debug + Send + Sync {
    /// Ends it, with all that it has started. Its input has ended before.
    fn end(&mut self);

    /// How it ended, e.g. `exit status: 3`; `None`: by [`Running::end`], or nobody knows. `errors` is the end of what it wrote
    /// to its standard error, from which what is not its own is taken.
    async fn how(&mut self, errors: &mut Vec<u8>) -> Option<String>;
}
