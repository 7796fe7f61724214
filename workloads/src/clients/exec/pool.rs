//! The programs that run: started before they are asked, so that no attempt pays for it, and ended when they misbehave.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::definition::Program;
use super::overhear::Exchange;
use super::protocol::{HELLO, Reply};
use super::start;
use super::worker::Worker;
use crate::clients::programs::StartPrograms;

/// Programs at one time, at most. Attempts beyond that wait.
const PROGRAMS_MAX: usize = 256;

/// What a program may take to answer the greeting.
const GREETING_MAX: Duration = Duration::from_secs(30);

/// After a program that could not be greeted the next one is started no sooner.
const START_PAUSE: Duration = Duration::from_millis(100);

/// An attempt waits this long for a program that is still starting. It has sent nothing, so it may give up.
const WAIT_MAX: Duration = Duration::from_millis(200);

/// Why there is no program to ask: nothing was sent.
#[derive(Clone, Debug)]
pub(super) enum NoProgram {
    /// This machine can't start it.
    Local(String),
    /// It is not there yet, or does not start as it should: then with how it was greeted.
    NotYet(String, Option<Exchange>),
}

/// A program that was greeted, and counts until it is dropped.
#[derive(Debug)]
pub(super) struct Ready {
    pub worker: Worker,
    _counted: OwnedSemaphorePermit,
}

/// All programs of a load.
pub(super) struct Pool {
    program: Arc<Program>,
    /// Who starts them, if not this process.
    starts: Option<Arc<dyn StartPrograms>>,
    answer_max: usize,
    idle: Mutex<Vec<Ready>>,
    came: Notify,
    room: Arc<Semaphore>,
    /// Attempts that wait for a program, and programs that are being started.
    waiting: AtomicUsize,
    starting: AtomicUsize,
    /// Why the last one could not be started, and before when none is.
    trouble: Mutex<(Option<NoProgram>, Instant)>,
}

impl Pool {
    pub fn new(
        program: Arc<Program>,
        starts: Option<Arc<dyn StartPrograms>>,
        answer_max: usize,
    ) -> Arc<Pool> {
        Arc::new(Pool {
            program,
            starts,
            answer_max,
            idle: Mutex::default(),
            came: Notify::new(),
            room: Arc::new(Semaphore::new(PROGRAMS_MAX)),
            waiting: AtomicUsize::new(0),
            starting: AtomicUsize::new(0),
            trouble: Mutex::new((None, Instant::now())),
        })
    }

    /// Whether programs reach this node by its name.
    pub fn knows(&self, node: &str) -> bool {
        self.starts.as_ref().is_some_and(|starts| starts.knows(node))
    }

    /// The same as [`Pool::take`] for those who need not hurry: a program that is still starting is waited for as long as it may take.
    pub async fn take_patiently(self: &Arc<Self>) -> Result<Ready, NoProgram> {
        loop {
            match self.take().await {
                Err(NoProgram::NotYet(_, None)) => {}
                taken => return taken,
            }
        }
    }

    /// A program to ask. It is the caller's until it is [put back](Pool::put_back).
    pub async fn take(self: &Arc<Self>) -> Result<Ready, NoProgram> {
        let _waiting = Counted::one_more(&self.waiting);
        let until = Instant::now() + WAIT_MAX;
        loop {
            let came = self.came.notified();
            if let Some(ready) = lock(&self.idle).pop() {
                return Ok(ready);
            }
            self.start_more();
            if timeout_at(until, came).await.is_err() {
                let trouble = lock(&self.trouble).0.clone();
                return Err(trouble
                    .unwrap_or_else(|| NoProgram::NotYet("the program is still starting".to_owned(), None)));
            }
        }
    }

    /// It answered what it was asked, and may be asked more.
    pub fn put_back(&self, ready: Ready) {
        lock(&self.idle).push(ready);
        self.came.notify_one();
    }

    /// Starts programs for those who wait.
    fn start_more(self: &Arc<Self>) {
        while self.starting.load(Ordering::Relaxed) < self.waiting.load(Ordering::Relaxed) {
            let Ok(permit) = self.room.clone().try_acquire_owned() else {
                return;
            };
            self.starting.fetch_add(1, Ordering::Relaxed);
            let pool = self.clone();
            tokio::spawn(async move {
                let started = pool.start().await;
                pool.starting.fetch_sub(1, Ordering::Relaxed);
                match started {
                    Ok(worker) => {
                        lock(&pool.trouble).0 = None;
                        pool.put_back(Ready {
                            worker,
                            _counted: permit,
                        });
                    }
                    Err(trouble) => *lock(&pool.trouble) = (Some(trouble), Instant::now() + START_PAUSE),
                }
            });
        }
    }

    async fn start(&self) -> Result<Worker, NoProgram> {
        let not_before = lock(&self.trouble).1;
        sleep_until(not_before).await;
        let name = self.program.name();
        let started = match &self.starts {
            Some(elsewhere) => elsewhere.start(&self.program.argv(), &self.program.env).await,
            None => start::here(&self.program).map_err(|error| error.to_string()),
        };
        let started = started.map_err(|error| NoProgram::Local(format!("start {name}: {error}")))?;
        let mut worker = Worker::new(started);
        let greeted = timeout(GREETING_MAX, worker.ask(HELLO, self.answer_max)).await;
        let answered = greeted
            .unwrap_or_else(|_| Err(format!("it does not answer the greeting within {GREETING_MAX:?}")));
        let answer = answered.as_ref().map_err(String::clone);
        match answer.and_then(|answer| Reply::read(answer, 0)) {
            Ok(_) => Ok(worker),
            Err(what) => {
                let exchange = Exchange {
                    sent: HELLO.to_vec(),
                    received: answered.ok(),
                    errors: worker.complaint().to_vec(),
                };
                let what = format!("the program does not start: {what}");
                Err(NoProgram::NotYet(what, Some(exchange)))
            }
        }
    }

    #[cfg(test)]
    pub fn idle(&self) -> Vec<u64> {
        lock(&self.idle).iter().map(|ready| ready.worker.id).collect()
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pool")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

/// Counts as one until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
