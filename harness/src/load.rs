//! Clients under load: processes that ask, wait for the answer and record both.
//!
//! *Closed loop*: a fixed number of processes, each asking as soon as it has its answer. A slow system is asked less.
//! *Open loop*: a fixed number of operations per second, whether answered or not. Latency counts from the moment at which an
//! operation should have begun, so that a system which stands still can't hide it (Tene's coordinated omission).
//!
//! Clients have threads of their own, half as many as the machine has cores and at least one: whatever else the controller
//! does then never counts as latency of the system, and the rest of the machine is left to it.
//!
//! A process whose operation ends `info` is retired: its number is never used again, since nobody knows whether it
//! still runs.

mod threads;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use duress_checker::history::{EventType, Note};
use duress_workloads::retry::{Clock, RetryBudget, RetryPolicy, Routing, Session};
use duress_workloads::{Endpoints, Op, Service, Token, Workload};
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::missteps::{Again, ComesBack, Crash, Missteps};
use crate::pacer::{Beats, Pacer};
use crate::recorder::Recorder;
use crate::watchdog::Pulse;

use self::threads::Threads;

/// How hard the clients push.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each process asks again at once.
    Closed {
        /// Operations outstanding at a time, at most.
        processes: usize,
    },
    /// Operations begin on a fixed beat, as long as a process is free.
    Open {
        /// Operations a second.
        rate: f64,
        /// Operations outstanding at a time, at most. A beat that finds none free waits, and its wait counts as latency.
        processes: usize,
    },
}

/// Everything that the processes share.
pub struct Clients {
    /// The system's client.
    pub service: Box<dyn Service>,
    /// Where nodes take requests.
    pub endpoints: Arc<dyn Endpoints>,
    /// When and how often to retry.
    pub policy: RetryPolicy,
    /// Leader or any node.
    pub routing: Routing,
    /// Where operations come from.
    pub workload: Mutex<Box<dyn Workload>>,
    /// Where operations go.
    pub recorder: Arc<Recorder>,
    /// How long what is dequeued is lent, in milliseconds.
    lease_ms: Option<u64>,
    budget: RetryBudget,
    missteps: Arc<Missteps>,
    processes: AtomicU64,
    seed: u64,
    threads: Threads,
}

impl Clients {
    /// Clients of `service` that ask what `workload` says. Fails when the machine gives no more threads.
    pub fn new(
        service: Box<dyn Service>,
        endpoints: Arc<dyn Endpoints>,
        policy: RetryPolicy,
        routing: Routing,
        workload: Box<dyn Workload>,
        recorder: Arc<Recorder>,
        seed: u64,
    ) -> std::io::Result<Self> {
        Ok(Clients {
            service,
            endpoints,
            policy,
            routing,
            workload: Mutex::new(workload),
            recorder,
            lease_ms: None,
            budget: RetryBudget::new(policy.budget_ratio),
            missteps: Arc::default(),
            processes: AtomicU64::new(0),
            seed,
            threads: Threads::start()?,
        })
    }

    /// The same, where what is dequeued is lent for so long.
    pub fn lending(mut self, lease: Option<Duration>) -> Self {
        self.lease_ms = lease.and_then(|lease| u64::try_from(lease.as_millis()).ok());
        self
    }

    /// The same, with faults of clients that others begin and end.
    pub fn misled_by(mut self, missteps: Arc<Missteps>) -> Self {
        self.missteps = missteps;
        self
    }

    /// Lets this beat as long as the clients' threads move.
    pub(crate) fn show(&self, pulse: Pulse) {
        self.threads
            .handle
            .spawn(async move { pulse.beat_for_ever().await });
    }

    /// Asks until `stop` turns true and every outstanding operation has ended, which takes a second at most.
    pub async fn run(self: &Arc<Self>, pace: Pace, mut stop: watch::Receiver<bool>) {
        let (processes, pacer) = match pace {
            Pace::Closed { processes } => (processes, None),
            Pace::Open { rate, processes } => (processes, Some(Pacer::start(self.recorder.start(), rate))),
        };
        let beats = pacer.as_ref().map(|pacer| pacer.beats.clone());
        let mut tasks = JoinSet::new();
        for slot in 0..processes {
            let process = self
                .clone()
                .process_loop(slot as u64, beats.clone(), stop.clone());
            tasks.spawn_on(process, &self.threads.handle);
        }
        // Fails when the sender is gone, which means stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
        drop(pacer);
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// Asks each of the workload's final operations until it is answered or `deadline` has passed, then what it closes with until
    /// there is nothing more; what is outstanding then takes a second at most. Returns how many of how many were answered, one for
    /// each process that has something to close. Dropped, it asks no more.
    pub async fn final_ops(self: &Arc<Self>, deadline: Instant) -> (usize, usize) {
        let clients = self.clone();
        let (stop, stopped) = watch::channel(false);
        let mut asking = JoinSet::new();
        asking.spawn_on(
            async move {
                let (answered, asked) = clients.ask_final_ops(stopped.clone()).await;
                let (closed, closing) = clients.close(stopped).await;
                (answered + closed, asked + closing)
            },
            &self.threads.handle,
        );
        let asked = match tokio::time::timeout_at(deadline, asking.join_next()).await {
            Ok(asked) => asked,
            Err(_) => {
                stop.send_replace(true);
                asking.join_next().await
            }
        };
        match asked {
            Some(Ok(answered)) => answered,
            Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            None => unreachable!("one task was spawned"),
        }
    }

    async fn ask_final_ops(self: &Arc<Self>, mut stop: watch::Receiver<bool>) -> (usize, usize) {
        let ops = self
            .workload
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .final_ops();
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed ^ FINAL_STREAM);
        let mut answered = 0;
        let mut client = ClientId::new(self);
        let mut session = self.session(stop.clone());
        for op in &ops {
            while !*stop.borrow() && !self.recorder.must_end() {
                let outcome = self.perform(&mut session, &mut client, op, None, &mut rng).await;
                if outcome == EventType::Ok {
                    answered += 1;
                    break;
                }
                tokio::select! {
                    () = tokio::time::sleep(self.policy.backoff) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        }
        (answered, ops.len())
    }

    /// Asks what the workload closes with, by several processes at once. Returns how many of them came to an end, of how many that
    /// had something to ask.
    async fn close(self: &Arc<Self>, stop: watch::Receiver<bool>) -> (usize, usize) {
        let mut tasks = JoinSet::new();
        for slot in 0..CLOSERS {
            tasks.spawn_on(
                self.clone().closing_loop(slot, stop.clone()),
                &self.threads.handle,
            );
        }
        let closers = tasks.join_all().await;
        let asked = closers.iter().flatten();
        (asked.clone().filter(|closed| **closed).count(), asked.count())
    }

    /// Whether there was an end to what this process was to ask; `None`: there was nothing.
    async fn closing_loop(self: Arc<Self>, slot: u64, mut stop: watch::Receiver<bool>) -> Option<bool> {
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed ^ FINAL_STREAM);
        rng.set_stream(slot + 1);
        let mut client = ClientId::new(&self);
        let mut session = self.session(stop.clone());
        let mut closed = None;
        while !*stop.borrow() && !self.recorder.must_end() {
            let next = self
                .workload
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .closing(client.process);
            let Some(op) = next else {
                return closed.map(|_| true);
            };
            closed = Some(false);
            let outcome = self.perform(&mut session, &mut client, &op, None, &mut rng).await;
            if outcome != EventType::Ok {
                tokio::select! {
                    () = tokio::time::sleep(self.policy.backoff) => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        }
        closed
    }

    async fn process_loop(
        self: Arc<Self>,
        slot: u64,
        beats: Option<Arc<Beats>>,
        stop: watch::Receiver<bool>,
    ) {
        let mut rng = ChaCha12Rng::seed_from_u64(self.seed);
        rng.set_stream(slot + 1);
        let mut client = ClientId::new(&self);
        let mut session = self.session(stop.clone());
        while !*stop.borrow() && !self.recorder.must_end() {
            let mut intended = None;
            if let Some(beats) = &beats {
                let Some(beat) = beats.next().await else { return };
                intended = Some(beat);
            }
            let op = self
                .workload
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .next(client.process, &mut rng);
            self.perform(&mut session, &mut client, &op, intended, &mut rng)
                .await;
        }
    }

    async fn perform(
        self: &Arc<Self>,
        session: &mut Session<'_>,
        client: &mut ClientId,
        op: &Op,
        intended: Option<u64>,
        rng: &mut ChaCha12Rng,
    ) -> EventType {
        client.token.seq += 1;
        self.recorder.invoke(client.process, op, intended);
        session.process = client.process;
        let crash = self.missteps.crash(rng);
        session.crashes_after = crash.as_ref().map(|crash| crash.after);
        let mut completion = session.perform(op, Some(&client.token), rng).await;
        let comes_back = crash.and_then(Crash::comes_back);
        let outcome = completion.outcome;
        let mut workload = self.workload.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            EventType::Ok => workload.observe(client.process, op, &completion.value),
            _ => workload.unanswered(client.process, op, outcome),
        }
        drop(workload);
        if op.f == "dequeue" {
            completion.lease_ms = self.lease_ms;
        }
        if completion.local {
            let error = completion.error.as_deref().unwrap_or_default();
            self.recorder.give_up(&format!("clients: {error}"));
        }
        if let Some(again) = self.missteps.again(op, &completion, rng) {
            self.threads
                .handle
                .spawn(self.clone().send_again(again, op.clone(), client.process));
        }
        self.recorder.complete(client.process, op, completion);
        match (comes_back, outcome) {
            (Some(ComesBack::Same), EventType::Info) => client.process = self.next_process(),
            (Some(ComesBack::New), _) | (None, EventType::Info) => *client = ClientId::new(self),
            _ => {}
        }
        outcome
    }

    /// Sends a request once more, with the token that it had. Nobody waits for what comes of it.
    async fn send_again(self: Arc<Self>, again: Again, op: Op, process: u64) {
        let (mut over, mut rng) = (again.over(), again.rng.clone());
        tokio::select! {
            () = tokio::time::sleep(again.after) => {}
            // Fails when the sender is gone, which means over as well.
            _ = over.wait_for(|over| *over) => return,
        }
        let mut session = self.session(over);
        session.process = process;
        let completion = session.perform(&op, Some(&again.token), &mut rng).await;
        self.recorder.note(&Note::SentAgain(again.ended(completion)));
    }

    fn next_process(&self) -> u64 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }

    fn session(&self, stop: watch::Receiver<bool>) -> Session<'_> {
        Session {
            service: &*self.service,
            endpoints: &*self.endpoints,
            policy: &self.policy,
            budget: &self.budget,
            clock: &*self.recorder as &dyn Clock,
            routing: self.routing,
            preferred: None,
            process: 0,
            stop,
            crashes_after: None,
        }
    }
}

/// Processes that ask at once what a workload closes with: each waits for its answers, and a long queue takes many.
const CLOSERS: u64 = 8;

/// Sets the random stream of the final operations apart from those of the processes.
const FINAL_STREAM: u64 = 0x66_69_6e_61_6c;

/// A process number and its idempotency token.
struct ClientId {
    process: u64,
    token: Token,
}

impl ClientId {
    fn new(clients: &Clients) -> Self {
        let process = clients.next_process();
        ClientId {
            process,
            token: Token {
                client: format!("p{process}"),
                seq: 0,
            },
        }
    }
}
