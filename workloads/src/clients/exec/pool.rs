//! The programs that run: started before they are asked, so that no attempt pays for it, and ended when they misbehave.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::definition::Program;
use super::protocol::{HELLO, Reply};
use super::worker::Worker;

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
    /// It is not there yet, or does not start as it should.
    NotYet(String),
}

/// A program that was greeted, and counts until it is dropped.
#[derive(Debug)]
pub(super) struct Ready {
    pub worker: Worker,
    _counted: OwnedSemaphorePermit,
}

/// All programs of a load.
#[derive(Debug)]
pub(super) struct Pool {
    program: Arc<Program>,
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
    pub fn new(program: Arc<Program>, answer_max: usize) -> Arc<Pool> {
        Arc::new(Pool {
            program,
            answer_max,
            idle: Mutex::default(),
            came: Notify::new(),
            room: Arc::new(Semaphore::new(PROGRAMS_MAX)),
            waiting: AtomicUsize::new(0),
            starting: AtomicUsize::new(0),
            trouble: Mutex::new((None, Instant::now())),
        })
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
                return Err(
                    trouble.unwrap_or_else(|| NoProgram::NotYet("the program is still starting".to_owned()))
                );
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
        let failed =
            |error: io::Error| NoProgram::Local(format!("start {}: {error}", self.program.path.display()));
        let mut worker = Worker::start(&self.program).map_err(failed)?;
        let greeted = timeout(GREETING_MAX, worker.ask(HELLO, self.answer_max)).await;
        let answer = greeted
            .unwrap_or_else(|_| Err(format!("it does not answer the greeting within {GREETING_MAX:?}")))
            .and_then(|answer| Reply::read(&answer, 0));
        match answer {
            Ok(_) => Ok(worker),
            Err(what) => Err(NoProgram::NotYet(format!("the program does not start: {what}"))),
        }
    }

    #[cfg(test)]
    pub fn idle(&self) -> Vec<u64> {
        lock(&self.idle).iter().map(|ready| ready.worker.id).collect()
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
