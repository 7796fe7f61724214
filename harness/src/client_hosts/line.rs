//! The line to a worker: who waits for which answer, and what is known of its clock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use duress_cluster::clock_offset::{Offset, RoundTrip, monotonic_ns};
use duress_cluster::ssh::RemoteChannel;
use duress_workloads::service::{Answer, Answered};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::clocks::{Clocks, RunStart};
use super::{Asked, Request, Said, Setup, Told, What};

/// Between two questions what its clock reads, which are signs of life as well.
const CLOCK_INTERVAL: Duration = Duration::from_secs(1);
/// As many are asked before anything else.
const CLOCK_FIRST: usize = 10;
/// What a worker may take to be ready, and to answer what its clock reads.
const ANSWER_MAX: Duration = Duration::from_secs(15);

/// A host with a worker. Dropping it ends the worker.
pub struct ClientHost {
    name: String,
    run: RunStart,
    line: Arc<Line>,
    tasks: Vec<AbortHandle>,
}

struct Line {
    input: mpsc::UnboundedSender<Vec<u8>>,
    /// By the number of what was asked; `None`: the worker has ended.
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Said>>>>,
    next: AtomicU64,
    clocks: Mutex<Clocks>,
    /// How it ended.
    ended: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Asks, and gives what will be the answer. `None`: the worker has ended.
    fn ask(&self, what: What) -> Option<(u64, oneshot::Receiver<Said>)> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        lock(&self.waiting).as_mut()?.insert(id, answer);
        self.write(id, what);
        Some((id, answered))
    }

    fn write(&self, id: u64, what: What) {
        if let Ok(mut line) = serde_json::to_vec(&Asked { id, what }) {
            line.push(b'\n');
            // Whoever waits is told when it has ended.
            let _ = self.input.send(line);
        }
    }

    fn forget(&self, id: u64) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting
            .as_mut()
            .is_some_and(|waiting| waiting.remove(&id).is_some())
    }

    fn how(&self) -> String {
        lock(&self.ended)
            .clone()
            .unwrap_or_else(|| "it has ended".to_owned())
    }

    async fn ask_clock(&self) -> Result<(), String> {
        let sent = monotonic_ns();
        let (_, answer) = self.ask(What::Clock).ok_or_else(|| self.how())?;
        let answer = tokio::time::timeout(ANSWER_MAX, answer).await;
        let answer = answer.map_err(|_| format!("no answer in {ANSWER_MAX:?}"))?;
        let Said::Clock(theirs) = answer.map_err(|_| self.how())? else {
            return Err("it answers something else than it is asked".to_owned());
        };
        lock(&self.clocks).add(RoundTrip {
            sent,
            theirs,
            received: monotonic_ns(),
        });
        Ok(())
    }
}

/// Takes back a question whose answer nobody waits for any more.
struct Waits<'a>(&'a Line, u64);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.0.forget(self.1) {
            self.0.write(self.1, What::Drop);
        }
    }
}

impl ClientHost {
    /// Makes a worker that was started on this host what it is to be, and asks for its clock.
    pub async fn greet(
        name: &str,
        channel: RemoteChannel,
        setup: &Setup,
        start: std::time::Instant,
    ) -> Result<ClientHost, String> {
        let RemoteChannel {
            input: mut to_worker,
            output,
            ended,
        } = channel;
        let failed = |why: String| format!("start a client on {name}: {why}");
        let (input, mut lines) = mpsc::unbounded_channel::<Vec<u8>>();
        let (ready, is_ready) = oneshot::channel();
        let line = Arc::new(Line {
            input,
            waiting: Mutex::new(Some(HashMap::from([(0, ready)]))),
            next: AtomicU64::new(1),
            clocks: Mutex::default(),
            ended: Mutex::default(),
        });
        let mut first = serde_json::to_vec(setup).map_err(|error| failed(error.to_string()))?;
        first.push(b'\n');
        let writes = tokio::spawn(async move {
            let mut next = Some(first);
            while let Some(line) = next {
                if to_worker.write_all(&line).await.is_err() {
                    return;
                }
                next = lines.recv().await;
            }
        });
        let heard = Arc::clone(&line);
        let reads = tokio::spawn(async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(Told { id, what }) = serde_json::from_str(&line)
                    && let Some(waiting) = lock(&heard.waiting).as_mut().and_then(|all| all.remove(&id))
                {
                    let _ = waiting.send(what);
                }
            }
            let how = ended
                .await
                .map_or("its connection was closed".to_owned(), |end| end.how());
            *lock(&heard.ended) = Some(how);
            lock(&heard.waiting).take();
        });
        let mut host = ClientHost {
            name: name.to_owned(),
            run: RunStart::of(start),
            line: Arc::clone(&line),
            tasks: vec![writes.abort_handle(), reads.abort_handle()],
        };
        match tokio::time::timeout(ANSWER_MAX, is_ready).await {
            Ok(Ok(Said::Ready(_))) => {}
            Ok(Ok(Said::Unable(why))) => return Err(failed(why)),
            Ok(Ok(_)) => return Err(failed("it does not say whether it is ready".to_owned())),
            Ok(Err(_)) => return Err(failed(line.how())),
            Err(_) => return Err(failed(format!("it is not ready after {ANSWER_MAX:?}"))),
        }
        for _ in 0..CLOCK_FIRST {
            line.ask_clock().await.map_err(failed)?;
        }
        let asks = tokio::spawn(async move {
            loop {
                tokio::time::sleep(CLOCK_INTERVAL).await;
                if line.ask_clock().await.is_err() && lock(&line.waiting).is_none() {
                    return;
                }
            }
        });
        host.tasks.push(asks.abort_handle());
        Ok(host)
    }

    /// As users know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How far its clock is ahead now.
    pub fn offset(&self) -> Offset {
        lock(&self.line.clocks).offset(monotonic_ns()).unwrap_or_default()
    }

    /// Lets the worker make an attempt.
    pub(super) async fn attempt(&self, request: Request) -> Answered {
        let lost = || {
            let error = format!("the client on {} has ended: {}", self.name, self.line.how());
            Answered::from(Answer::Local { error })
        };
        let Some((id, answer)) = self.line.ask(What::Attempt(Box::new(request))) else {
            return lost();
        };
        let _waits = Waits(&self.line, id);
        match answer.await {
            Ok(Said::Done(done)) => Answered {
                seen: lock(&self.line.clocks).seen(&self.name, done.start, done.end, self.run),
                answer: done.answer,
            },
            Ok(_) => Answer::unknown("the client's host answers something else than it was asked").into(),
            Err(_) => lost(),
        }
    }
}

impl Drop for ClientHost {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}
