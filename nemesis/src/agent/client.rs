//! The controller's end of the line to an agent.

use std::collections::HashMap;
use std::future::Future;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duress_cluster::Place;
use duress_cluster::procfs::living;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinSet;

use super::ends::{AgentEnd, AgentError};
use super::procfs::stopped;
use super::protocol::{Command, CommandResult, Hello, Identity, Mark, PROTOCOL_VERSION, Reply, Request};

/// No command takes this long; an agent that doesn't answer in this time counts as dead.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(20);

/// Between two questions whether the agent still answers at all.
const PING_INTERVAL: Duration = Duration::from_secs(1);

/// An agent that has not answered a ping for this long is stopped, or its machine stands still. Each command has a thread
/// of its own over there, so a ping waits for none of them.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// After the controller itself stood still, what the agent has answered meanwhile takes this long to be read.
const GRACE: Duration = Duration::from_secs(1);

/// How long an agent that doesn't answer has to end once it is killed.
const KILLED_WAIT_MAX: Duration = Duration::from_secs(2);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<CommandResult>>>>;

type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// An agent, wherever it runs. Dropping it closes the agent's input, upon which it heals everything and exits.
pub struct AgentClient {
    line: Arc<Line>,
    hello: Hello,
    /// Ends a child that does not answer any more.
    kill: Arc<Notify>,
    /// Asks again and again whether it still answers; ends with the client.
    _pings: JoinSet<()>,
}

/// The line to an agent.
struct Line {
    input: tokio::sync::Mutex<Option<Input>>,
    waiting: Waiting,
    next: AtomicU64,
    gone: watch::Receiver<Option<AgentEnd>>,
    silent: watch::Sender<Option<String>>,
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
                Ok(status) => AgentEnd {
                    how: status.to_string(),
                    healed: status.success(),
                },
                Err(error) => AgentEnd {
                    how: format!("waiting for it failed: {error}"),
                    healed: false,
                },
            }
        });
        let ended = async move {
            ended.await.unwrap_or_else(|error| AgentEnd {
                how: format!("nobody waited for it: {error}"),
                healed: false,
            })
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

    /// What the agent said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Asks, and waits for the answer.
    pub async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
        self.line.call(command).await
    }

    /// Whether a kind of fault can be done to a node.
    pub async fn can(&self, kind: &str, place: &Place) -> Result<(), AgentError> {
        let (kind, place) = (kind.to_owned(), place.clone());
        self.call(Command::Can { kind, place }).await
    }

    /// Does what the kind reads in `order`, at these nodes.
    pub async fn inject<T: DeserializeOwned>(
        &self,
        kind: &str,
        fault: u64,
        nodes: &[Identity],
        order: &impl Serialize,
    ) -> Result<T, AgentError> {
        self.inject_known(kind, fault, nodes, order, &()).await
    }

    /// The same where it is known beforehand what it takes to heal it: the agent remembers that before it touches anything.
    pub async fn inject_known<T: DeserializeOwned>(
        &self,
        kind: &str,
        fault: u64,
        nodes: &[Identity],
        order: &impl Serialize,
        held: &impl Serialize,
    ) -> Result<T, AgentError> {
        self.call(AgentClient::to_inject(kind, fault, nodes, order, held)?)
            .await
    }

    pub(super) fn to_inject(
        kind: &str,
        fault: u64,
        nodes: &[Identity],
        order: &impl Serialize,
        held: &impl Serialize,
    ) -> Result<Command, AgentError> {
        Ok(Command::Inject {
            kind: kind.to_owned(),
            fault,
            nodes: nodes.to_vec(),
            order: serde_json::to_value(order)?,
            held: serde_json::to_value(held)?,
        })
    }

    /// What is there of a fault.
    pub async fn look<T: DeserializeOwned>(&self, kind: &str, fault: u64) -> Result<T, AgentError> {
        let kind = kind.to_owned();
        self.call(Command::Look { kind, fault }).await
    }

    /// Asks what the kind reads in `question`.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        kind: &str,
        question: &impl Serialize,
    ) -> Result<T, AgentError> {
        let (kind, question) = (kind.to_owned(), serde_json::to_value(question)?);
        self.call(Command::Ask { kind, question }).await
    }

    /// Undoes a fault. Gives what the kind answers for each node where there was something to undo.
    pub async fn heal<T: DeserializeOwned>(&self, kind: &str, fault: u64) -> Result<Vec<T>, AgentError> {
        let kind = kind.to_owned();
        self.call(Command::Heal { kind, fault }).await
    }

    /// Returns when the agent has ended or does not answer any more, with which of them. Before
    /// [`AgentClient::close`] that is a failure of the harness.
    pub async fn lost(&self) -> AgentError {
        tokio::select! {
            end = self.line.end() => AgentError::Gone { how: end.how },
            how = self.line.silence() => AgentError::Silent { how },
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

impl Line {
    async fn call<T: DeserializeOwned>(&self, command: Command) -> Result<T, AgentError> {
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

    /// Returns when the agent has not answered for too long, with what is known of it.
    async fn silence(&self) -> String {
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
async fn ping(line: Arc<Line>, pid: u32, here: bool) {
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
