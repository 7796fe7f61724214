//! The controller's end of the line to an agent.

use std::collections::HashMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{oneshot, watch};

use super::protocol::{Command, Hello, Mark, Outcome, PROTOCOL_VERSION, Reply, Request};

/// No command takes this long; an agent that doesn't answer in this time is as good as dead.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// It could not be started.
    #[error("start the agent {program:?}")]
    Start {
        /// What was run.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is dead, deaf or mute: nothing that the nemesis says can be trusted any more.
    #[error("the agent is gone ({how}); run `duress heal` on the run's directory to remove what it left")]
    Gone {
        /// How it went.
        how: String,
    },
    /// It tried, and says why it failed.
    #[error("{0}")]
    Refused(String),
    /// It answered what this controller does not understand.
    #[error("the agent's answer makes no sense: {0}")]
    Answer(#[from] serde_json::Error),
}

/// How an agent ended.
#[derive(Clone, Debug)]
pub struct AgentEnd {
    /// In words, e.g. `exit status: 0`.
    pub how: String,
    /// It healed everything before.
    pub healed: bool,
}

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Outcome>>>>;

type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// An agent, wherever it runs. Dropping it closes the agent's input, upon which it heals everything and exits.
pub struct AgentClient {
    input: tokio::sync::Mutex<Option<Input>>,
    waiting: Waiting,
    next: std::sync::atomic::AtomicU64,
    gone: watch::Receiver<Option<AgentEnd>>,
    hello: Hello,
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
        let ended = async move {
            match child.wait().await {
                Ok(status) => AgentEnd {
                    how: status.to_string(),
                    healed: status.success(),
                },
                Err(error) => AgentEnd {
                    how: format!("waiting for it failed: {error}"),
                    healed: false,
                },
            }
        };
        AgentClient::greet(input, output, ended, mark).await
    }

    /// Greets an agent that was started elsewhere. Dropping `input` must be what it sees as the end of its input, and
    /// `ended` is awaited once `output` has ended.
    pub async fn greet(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
        ended: impl Future<Output = AgentEnd> + Send + 'static,
        mark: &Mark,
    ) -> Result<AgentClient, AgentError> {
        let waiting = Waiting::default();
        let (gone_tx, gone) = watch::channel(None);
        tokio::spawn(read_answers(
            BufReader::new(output),
            ended,
            Arc::clone(&waiting),
            gone_tx,
        ));
        let mut client = AgentClient {
            input: tokio::sync::Mutex::new(Some(Box::new(input))),
            waiting,
            next: std::sync::atomic::AtomicU64::new(1),
            gone,
            hello: Hello {
                version: 0,
                pid: 0,
                boot: String::new(),
            },
        };
        client.hello = client
            .call(Command::Hello {
                version: PROTOCOL_VERSION,
                mark: mark.clone(),
            })
            .await?;
        Ok(client)
    }

    /// Who answered.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Asks, and waits for the answer.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
        let id = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (answer_tx, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, answer_tx);
        let mut line = serde_json::to_vec(&Request { id, command })?;
        line.push(b'\n');
        let written = match self.input.lock().await.as_mut() {
            Some(input) => input.write_all(&line).await.map_err(|error| error.to_string()),
            None => Err("it was closed".to_owned()),
        };
        // After the insertion: whoever ends the waiting of all has either seen this one or made itself seen here.
        let written = written.and_then(|()| self.gone.borrow().clone().map_or(Ok(()), |end| Err(end.how)));
        if let Err(how) = written {
            lock(&self.waiting).remove(&id);
            return Err(self.is_gone(how));
        }
        let outcome = tokio::time::timeout(ANSWER_WAIT_MAX, answer).await;
        lock(&self.waiting).remove(&id);
        match outcome {
            Ok(Ok(Outcome::Ok(value))) => Ok(serde_json::from_value::<T>(value)?),
            Ok(Ok(Outcome::Error(why))) => Err(AgentError::Refused(why)),
            Ok(Err(_)) => Err(self.is_gone("its output ended".to_owned())),
            Err(_) => Err(AgentError::Gone {
                how: format!("no answer in {ANSWER_WAIT_MAX:?}"),
            }),
        }
    }

    fn is_gone(&self, otherwise: String) -> AgentError {
        AgentError::Gone {
            how: self.gone.borrow().clone().map_or(otherwise, |end| end.how),
        }
    }

    /// Returns when the agent has ended, with how. Before [`AgentClient::close`] that is a failure of the harness.
    pub async fn gone(&self) -> String {
        self.end().await.how
    }

    async fn end(&self) -> AgentEnd {
        let mut gone = self.gone.clone();
        let end = gone
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|end| end.clone());
        end.unwrap_or_else(|| AgentEnd {
            how: "nobody watches it any more".to_owned(),
            healed: false,
        })
    }

    /// Closes the agent's input, upon which it heals everything and ends. An error means that something may stay broken.
    pub async fn close(&self) -> Result<(), AgentError> {
        drop(self.input.lock().await.take());
        match tokio::time::timeout(ANSWER_WAIT_MAX, self.end()).await {
            Ok(end) if end.healed => Ok(()),
            Ok(end) => Err(AgentError::Gone { how: end.how }),
            Err(_) => Err(AgentError::Gone {
                how: format!("it still runs {ANSWER_WAIT_MAX:?} after it was to end"),
            }),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read_answers(
    output: BufReader<impl AsyncRead + Unpin>,
    ended: impl Future<Output = AgentEnd>,
    waiting: Waiting,
    gone: watch::Sender<Option<AgentEnd>>,
) {
    let mut lines = output.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // A line that can't be read leaves its asker without an answer, which is then an error in words.
        if let Ok(reply) = serde_json::from_str::<Reply>(&line)
            && let Some(asker) = lock(&waiting).remove(&reply.id)
        {
            let _ = asker.send(reply.outcome);
        }
    }
    let end = ended.await;
    gone.send_replace(Some(end));
    lock(&waiting).clear();
}
