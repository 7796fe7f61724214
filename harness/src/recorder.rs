//! Writes the history while it happens.
//!
//! Every event gets its time and its index under one lock, so that the order of lines is the order of time. A thread of
//! its own takes them away in batches, serialises and writes them, so that recording costs clients neither a system call
//! nor a switch of threads. What was recorded more than [`FLUSH_INTERVAL`] ago survives a `kill -9` of the controller.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use duress_checker::delivery::{LEASE_FIELD, LENT_FIELD};
use duress_checker::history::{
    Event, EventType, FaultEvent, HISTORY_FORMAT, Note, Process, RunNote, TOKEN_FIELD,
};
use duress_workloads::Op;
use duress_workloads::retry::{Clock, Completion};
use serde_json::{Map, Value, json};

use crate::watchdog::Pulse;

/// Events that may wait for the writer. When the disk is slower than that, the load waits, and nothing is dropped.
const QUEUE_LENGTH: usize = 1 << 16;

/// What the values of events that wait may weigh, see [`weight`]: some 32 MiB.
const QUEUE_WEIGHT: usize = 1 << 20;

/// How long an event may stay in memory.
const FLUSH_INTERVAL: Duration = Duration::from_millis(25);

/// Why a history could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write {path}: {source}")]
pub struct RecordError {
    path: PathBuf,
    source: std::io::Error,
}

/// Client operations so far, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Operations that ended `ok`.
    pub ok: u64,
    /// Operations that ended `fail`.
    pub fail: u64,
    /// Operations that ended `info`.
    pub info: u64,
}

/// Records the history of one run. Shared by everything that does or breaks something.
#[derive(Debug)]
pub struct Recorder {
    start: Instant,
    queue: Arc<Queue>,
    trouble: OnceLock<String>,
    ok: AtomicU64,
    fail: AtomicU64,
    info: AtomicU64,
}

/// Where events wait for the writer.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// The writer is told here that the history ends, and that the queue is full.
    work: Condvar,
    /// Tells recording threads that there is room again.
    room: Condvar,
    /// Nothing can be written any more.
    broken: AtomicBool,
    /// The writer moves.
    writes: Pulse,
}

#[derive(Debug, Default)]
struct Waiting {
    next_index: u64,
    events: Vec<Event>,
    weight: usize,
    closed: bool,
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.events.len() >= QUEUE_LENGTH || self.weight >= QUEUE_WEIGHT
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Takes what waits, after at most [`FLUSH_INTERVAL`], and says whether more may come.
    fn take(&self, batch: &mut Vec<Event>) -> bool {
        let (mut waiting, _) = self
            .work
            .wait_timeout_while(self.lock(), FLUSH_INTERVAL, |waiting| {
                !waiting.closed && !waiting.is_full()
            })
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.events, batch);
        waiting.weight = 0;
        self.room.notify_all();
        !waiting.closed
    }
}

/// The thread that writes. [`Writer::finish`] ends it.
#[derive(Debug)]
#[must_use]
pub struct Writer {
    thread: JoinHandle<Result<(), RecordError>>,
}

impl Recorder {
    /// Creates `history.jsonl` at `path` and begins the run: time is counted from here.
    pub fn create(path: &Path, run: RunNote) -> Result<(Arc<Recorder>, Writer), RecordError> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(path)
            .map_err(|source| RecordError {
                path: path.to_owned(),
                source,
            })?;
        let (recorder, writer) = Recorder::over(file, path);
        recorder.note(&Note::Run(RunNote {
            format: HISTORY_FORMAT,
            ..run
        }));
        Ok((recorder, writer))
    }

    /// Records into a file that is open; `path` is for error messages.
    fn over(file: File, path: &Path) -> (Arc<Recorder>, Writer) {
        let queue = Arc::new(Queue::default());
        let thread = std::thread::spawn({
            let (path, queue) = (path.to_owned(), queue.clone());
            move || {
                let result = write_events(&queue, BufWriter::with_capacity(1 << 16, file));
                if result.is_err() {
                    queue.broken.store(true, Ordering::Release);
                    // Writers that wait for room must not wait for ever.
                    let _waiting = queue.lock();
                    queue.room.notify_all();
                }
                result.map_err(|source| RecordError { path, source })
            }
        });
        let recorder = Arc::new(Recorder {
            start: Instant::now(),
            queue,
            trouble: OnceLock::new(),
            ok: AtomicU64::new(0),
            fail: AtomicU64::new(0),
            info: AtomicU64::new(0),
        });
        (recorder, Writer { thread })
    }

    /// Ends the run: the harness can't go on, for a reason that is not the system's. The first reason counts.
    pub fn give_up(&self, why: &str) {
        let _ = self.trouble.set(why.to_owned());
    }

    /// Why the run must end: somebody gave up, or the history can no longer be written.
    pub fn trouble(&self) -> Option<String> {
        let broken = || (self.queue.is_broken()).then(|| "the history can't be written".to_owned());
        self.trouble.get().cloned().or_else(broken)
    }

    /// Whether there is [`Recorder::trouble`].
    pub fn must_end(&self) -> bool {
        self.queue.is_broken() || self.trouble.get().is_some()
    }

    /// Beats as long as the writer moves.
    pub(crate) fn writer_pulse(&self) -> Pulse {
        self.queue.writes.clone()
    }

    /// When the run began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Client operations so far.
    pub fn tally(&self) -> Tally {
        Tally {
            ok: self.ok.load(Ordering::Relaxed),
            fail: self.fail.load(Ordering::Relaxed),
            info: self.info.load(Ordering::Relaxed),
        }
    }

    /// An operation begins. `intended` is when it should have begun, in open-loop load: latencies count from then.
    pub fn invoke(&self, process: u64, op: &Op, intended: Option<u64>) {
        let mut event = event(Process::Client(process), EventType::Invoke, op.f);
        event.key = op.key.clone();
        event.value = op.value.clone();
        if let Some(intended) = intended {
            event.extra.insert("intended".to_owned(), json!(intended));
        }
        self.record(event);
    }

    /// An operation ends.
    pub fn complete(&self, process: u64, op: &Op, completion: Completion) {
        let counter = match completion.outcome {
            EventType::Ok => &self.ok,
            EventType::Fail => &self.fail,
            EventType::Info | EventType::Invoke => &self.info,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut event = event(Process::Client(process), completion.outcome, op.f);
        event.key = op.key.clone();
        event.value = completion.value;
        event.node = completion.node;
        event.attempts = completion.attempts;
        event.error = completion.error;
        if let Some(token) = completion.token {
            event.extra.insert(TOKEN_FIELD.to_owned(), json!(token));
        }
        if let Some(lease_ms) = completion.lease_ms {
            event.extra.insert(LEASE_FIELD.to_owned(), json!(lease_ms));
            // What a client calls empty has nothing that is lent either: it was told so.
            if completion.outcome == EventType::Ok && event.value.is_null() {
                event.extra.insert(LENT_FIELD.to_owned(), json!(0));
            }
        }
        self.record(event);
    }

    /// A step of a fault.
    pub fn fault(&self, kind: &str, fault: &FaultEvent) {
        match serde_json::to_value(fault) {
            Ok(value) => self.nemesis(kind, value),
            Err(error) => unreachable!("a fault event is plain data: {error}"),
        }
    }

    /// What else a reader of the history needs, e.g. that a phase began.
    pub fn note(&self, note: &Note) {
        let (f, value) = note.write();
        self.nemesis(&f, value);
    }

    fn nemesis(&self, f: &str, value: Value) {
        let mut event = event(Process::Nemesis, EventType::Info, f);
        event.value = value;
        self.record(event);
    }

    fn record(&self, mut event: Event) {
        let queue = &*self.queue;
        let mut waiting = queue
            .room
            .wait_while(queue.lock(), |waiting| waiting.is_full() && !queue.is_broken())
            .unwrap_or_else(PoisonError::into_inner);
        // Users of the recorder learn from `trouble` and `Writer::finish`.
        if waiting.closed || queue.is_broken() {
            return;
        }
        event.index = waiting.next_index;
        event.time = self.now();
        waiting.next_index += 1;
        waiting.weight += weight(&event.value);
        waiting.events.push(event);
        if waiting.is_full() {
            queue.work.notify_one();
        }
    }
}

impl Clock for Recorder {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Writer {
    /// Ends the history: what is recorded from now on is lost. Returns when everything before is on disk.
    pub fn finish(self, recorder: &Recorder) -> Result<(), RecordError> {
        recorder.queue.lock().closed = true;
        recorder.queue.work.notify_one();
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// How much memory a value takes, in steps of some 32 bytes.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / 32,
        Value::Array(values) => 1 + values.iter().map(weight).sum::<usize>(),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| 3 + name.len() / 32 + weight(value);
            1 + fields.iter().map(field).sum::<usize>()
        }
    }
}

fn event(process: Process, kind: EventType, f: &str) -> Event {
    Event {
        index: 0,
        time: 0,
        process,
        kind,
        f: f.to_owned(),
        key: None,
        value: Value::Null,
        node: None,
        attempts: Vec::new(),
        error: None,
        extra: Map::new(),
    }
}

fn write_events(queue: &Queue, mut file: BufWriter<File>) -> std::io::Result<()> {
    let mut batch = Vec::new();
    loop {
        let more = queue.take(&mut batch);
        queue.writes.beat();
        for event in batch.drain(..) {
            serde_json::to_writer(&mut file, &event)?;
            file.write_all(b"\n")?;
        }
        file.flush()?;
        if !more {
            return file.into_inner().map_err(|error| error.into_error())?.sync_all();
        }
    }
}

#[cfg(test)]
mod tests;
