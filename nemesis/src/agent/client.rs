//! The controller's end of the line to an agent.

use std::collections::BTreeMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::ends::{AgentEnd, AgentError};
use super::line::{ANSWER_WAIT_MAX, Line, Waiting, ping, read_answers};
use super::protocol::{Command, Hello, Mark, PROTOCOL_VERSION};
use crate::in_force::InForce;

/// How long an agent that doesn't answer has to end once it is killed.
const KILLED_WAIT_MAX: Duration = Duration::from_secs(2);

/// An agent, wherever it runs. Dropping it closes the agent's input, upon which it heals everything and exits.
pub struct AgentClient {
    line: Arc<Line>,
    hello: Hello,
    /// Ends a child that does not answer any more.
    kill: Arc<Notify>,
    /// Asks again and again whether it still answers; ends with the client.
    _pings: JoinSet<()>,
}

/// What became of an agent that is of no use any more.
pub(super) enum Loss {
    Ended(AgentEnd),
    /// It does not answer: what is known of it.
    Silent(String),
}

impl AgentClient {
    /// Starts an agent as a child, in a process group of its own, out of a terminal's reach, and greets it in the name of
    /// the run that has this mark.
    ///
    /// It must run where the cluster's client addresses are (for a local cluster, in the network namespace of its
    /// bridge): the probes that prove that clients are cut start at the agent.
    pub async fn spawn(argv: &[String], mark: &Mark) -> Result<AgentClient, AgentError> {
        let program = argv.join(" ");
        let started = |source| AgentError::Start {
            program: program.clone(),
            source,
        };
        let (first, rest) = argv
            .split_first()
            .ok_or_else(|| started(std::io::ErrorKind::InvalidInput.into()))?;
        let mut child = tokio::process::Command::new(first)
            .args(rest)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(started)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(AgentError::Gone {
                how: "it has no pipes".to_owned(),
            });
        };
        let kill = Arc::new(Notify::new());
        let killed = Arc::clone(&kill);
        // A task of its own: it has to end a child that is stopped, and whose output therefore does not end.
        let ended = tokio::spawn(async move {
            let status = tokio::select! {
                status = child.wait() => status,
                () = killed.notified() => match child.start_kill() {
                    Ok(()) => child.wait().await,
                    Err(error) => Err(error),
                },
            };
            match status {
                Ok(status) => AgentEnd::seen(status.to_string(), status.success()),
                Err(error) => AgentEnd::seen(format!("waiting for it failed: {error}"), false),
            }
        });
        let ended = async move {
            let unseen = |error| AgentEnd::seen(format!("nobody waited for it: {error}"), false);
            ended.await.unwrap_or_else(unseen)
        };
        AgentClient::over(input, output, ended, mark, kill, true).await
    }

    /// Greets an agent that was started elsewhere. Dropping `input` must be what it sees as the end of its input, and
    /// `ended` is awaited once `output` has ended.
    pub async fn greet(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        ended: impl Future<Output = AgentEnd> + Send + 'static,
        mark: &Mark,
    ) -> Result<AgentClient, AgentError> {
        AgentClient::over(input, output, ended, mark, Arc::default(), true).await
    }

    /// The same where its machine is another, whose processes have other numbers than here.
    pub async fn greet_on_host(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        ended: impl Future<Output = AgentEnd> + Send + 'static,
        mark: &Mark,
    ) -> Result<AgentClient, AgentError> {
        AgentClient::over(input, output, ended, mark, Arc::default(), false).await
    }

    async fn over(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        ended: impl Future<Output = AgentEnd> + Send + 'static,
        mark: &Mark,
        kill: Arc<Notify>,
        here: bool,
    ) -> Result<AgentClient, AgentError> {
        let waiting = Waiting::default();
        let (gone_tx, gone) = watch::channel(None);
        tokio::spawn(read_answers(
            BufReader::new(output),
            ended,
            Arc::clone(&waiting),
            gone_tx,
        ));
        let line = Arc::new(Line {
            input: tokio::sync::Mutex::new(Some(Box::new(input))),
            waiting,
            next: AtomicU64::new(1),
            gone,
            silent: watch::channel(None).0,
        });
        let greeting = Command::Hello {
            version: PROTOCOL_VERSION,
            mark: mark.clone(),
        };
        let hello: Hello = line.call(greeting).await?;
        let mut pings = JoinSet::new();
        pings.spawn(ping(Arc::clone(&line), hello.pid, here));
        Ok(AgentClient {
            line,
            hello,
            kill,
            _pings: pings,
        })
    }

    /// Lets it heal what another agent, which is dead, may have left in force. Says what it did.
    pub async fn heal_left(&self, faults: &BTreeMap<u64, InForce>) -> Result<Vec<String>, AgentError> {
        for (fault, in_force) in faults {
            let InForce { kind, nodes, held } = in_force.clone();
            let adopt = Command::Adopt {
                kind,
                fault: *fault,
                nodes,
                held: held.unwrap_or_default(),
            };
            self.call::<()>(adopt).await?;
        }
        let spared = Vec::new();
        self.call(Command::HealAll { spared }).await
    }

    /// What the agent said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Asks, and waits for the answer.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
        self.line.call(command).await
    }

    /// Whether it answers nothing any more.
    pub(super) fn is_silent(&self) -> bool {
        self.line.silent.borrow().is_some()
    }

    /// Returns when the agent has ended or does not answer any more, with which of them. Before
    /// [`AgentClient::close`] that is a failure of the harness.
    pub async fn lost(&self) -> AgentError {
        match self.loss().await {
            Loss::Ended(end) => AgentError::Gone { how: end.how },
            Loss::Silent(how) => AgentError::Silent { how },
        }
    }

    /// The same, with all that is known.
    pub(super) async fn loss(&self) -> Loss {
        tokio::select! {
            end = self.line.end() => Loss::Ended(end),
            how = self.line.silence() => Loss::Silent(how),
        }
    }

    /// Closes the agent's input, upon which it heals everything and ends. An error means that something may stay broken.
    /// One that does not answer any more is killed, if it is a child.
    pub async fn close(&self) -> Result<(), AgentError> {
        let silent = self.line.silent.borrow().clone();
        if let Some(how) = silent {
            self.kill.notify_one();
            let _ = tokio::time::timeout(KILLED_WAIT_MAX, self.line.end()).await;
            return Err(AgentError::Silent { how });
        }
        drop(self.line.input.lock().await.take());
        match tokio::time::timeout(ANSWER_WAIT_MAX, self.line.end()).await {
            Ok(end) if end.healed => Ok(()),
            Ok(end) => Err(AgentError::Gone { how: end.how }),
            Err(_) => Err(AgentError::Gone {
                how: format!("it still runs {ANSWER_WAIT_MAX:?} after it was to end"),
            }),
        }
    }
}
