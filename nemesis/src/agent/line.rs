//! The line to an agent: who asked what, and whether it still answers.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duress_cluster::procfs::living;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{oneshot, watch};

use super::ends::{AgentEnd, AgentError};
use super::procfs::stopped;
use super::protocol::{Command, CommandResult, Reply, Request};

/// No command takes this long; an agent that doesn't answer in this time counts as dead.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Between two questions whether the agent still answers at all.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// An agent that has not answered a ping for this long is stopped, or its machine stands still. Each command has a thread
/// of its own over there, so a ping waits for none of them.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// After the controller itself stood still, what the agent has answered meanwhile takes this long to be read.
const GRACE: Duration = Duration::from_secs(1);

/// Who waits for which answer.
pub type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<CommandResult>>>>;

type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// The line to an agent.
pub struct Line {
    /// `None`: it was closed.
    pub input: tokio::sync::Mutex<Option<Input>>,
    /// By the number of what was asked.
    pub waiting: Waiting,
    /// Number of the next that is asked.
    pub next: AtomicU64,
    /// How it ended, once it has.
    pub gone: watch::Receiver<Option<AgentEnd>>,
    /// What is known of it, once it does not answer any more.
    pub silent: watch::Sender<Option<String>>,
}

impl Line {
    /// Asks, and waits for the answer.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer_tx, answer) = oneshot::channel();
        lock(&self.waiting).insert(id, answer_tx);
        let mut line = serde_json::to_vec(&Request { id, command })?;
        line.push(b'\n');
        // An agent that is stopped reads nothing: writing may take for ever, too.
        let asked = async {
            self.write(&line).await?;
            answer
                .await
                .map_err(|_| self.is_gone("its output ended".to_owned()))
        };
        let outcome = tokio::select! {
            outcome = asked => outcome,
            how = self.silence() => Err(AgentError::Silent { how }),
            () = tokio::time::sleep(ANSWER_WAIT_MAX) => Err(AgentError::Silent {
                how: format!("no answer in {ANSWER_WAIT_MAX:?}"),
            }),
        };
        lock(&self.waiting).remove(&id);
        match outcome? {
            CommandResult::Ok(value) => Ok(serde_json::from_value::<T>(value)?),
            CommandResult::Error(why) => Err(AgentError::Refused(why)),
        }
    }

    async fn write(&self, line: &[u8]) -> Result<(), AgentError> {
        let written = match self.input.lock().await.as_mut() {
            Some(input) => input.write_all(line).await.map_err(|error| error.to_string()),
            None => Err("it was closed".to_owned()),
        };
        // After the asker was entered: whoever ends the waiting of all has either seen it or made itself seen here.
        let written = written.and_then(|()| self.gone.borrow().clone().map_or(Ok(()), |end| Err(end.how)));
        written.map_err(|how| self.is_gone(how))
    }

    fn is_gone(&self, otherwise: String) -> AgentError {
        AgentError::Gone {
            how: self.gone.borrow().clone().map_or(otherwise, |end| end.how),
        }
    }

    /// Returns when it has ended, with how.
    pub async fn end(&self) -> AgentEnd {
        let mut gone = self.gone.clone();
        let end = gone
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|end| end.clone());
        end.unwrap_or_else(|| AgentEnd::seen("nobody watches it any more", false))
    }

    /// Returns when the agent has not answered for too long, with what is known of it.
    pub async fn silence(&self) -> String {
        let mut silent = self.silent.subscribe();
        let how = silent
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|how| how.clone());
        match how {
            Some(how) => how,
            // The sender is ours, and lives as long as we do.
            None => std::future::pending().await,
        }
    }
}

/// Asks whether the agent still answers, until it does not.
pub async fn ping(line: Arc<Line>, pid: u32, here: bool) {
    loop {
        tokio::time::sleep(PING_INTERVAL).await;
        let mut answer = std::pin::pin!(line.call::<()>(Command::Ping));
        let mut answered = tokio::time::timeout(SILENCE_MAX, &mut answer).await;
        if answered.is_err() {
            answered = tokio::time::timeout(GRACE, &mut answer).await;
        }
        match answered {
            Ok(Ok(())) => {}
            // It has ended, and whoever wants to know that knows it.
            Ok(Err(_)) => return,
            Err(_) => {
                let state = living(pid).filter(|_| here).map(|stat| stat.state);
                let process = match state {
                    Some(state) if stopped(state) => format!("process {pid} is stopped"),
                    _ => format!("process {pid}"),
                };
                line.silent
                    .send_replace(Some(format!("{process}, no answer in {SILENCE_MAX:?}")));
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands answers to who waits for them, until there are no more.
pub async fn read_answers(
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
