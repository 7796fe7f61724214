//! The client of any system that a program of the user's speaks to: in whatever language, one JSON object a line.
//!
//! ```toml
//! client = "exec"
//!
//! [exec]
//! argv = ["python3", "client.py"]
//! operations = ["read", "write", "cas"]
//! ```
//!
//! Each process of the load has a program of its own at any time, which is asked one thing after the other. What it says
//! ([`protocol`]) is believed; what it does not say is not known. One that ends, is silent for longer than an attempt may
//! take, writes what can't be understood or answers something else is ended, and the attempt is unknown: the next one
//! starts another. `docs/exec-client.md` has the protocol.

mod definition;
mod protocol;
mod worker;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::Content;
use duress_http::{RequestError, cut};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until};

use self::definition::Program;
use self::protocol::{Question, Reply};
use self::worker::Worker;
use super::kind::{ClientKind, Definition, Options, Problem, ReadMode};
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Service, Token};
use crate::workload::HOLD;

/// As the definition of a system has it.
pub fn kind(definition: &Definition<'_>) -> Result<ClientKind, Problem> {
    let program = Arc::new(Program::parse(definition.text, definition.folder)?);
    Ok(ClientKind {
        name: "exec",
        operations: program.operations.clone().into(),
        reads: program.reads.clone().into(),
        reads_members: program.contents,
        sends_tokens: false,
        make: Arc::new(move |options| Ok(Box::new(Exec::new(program.clone(), options)))),
    })
}

/// Programs at one time, at most. Attempts beyond that wait.
const PROGRAMS_MAX: usize = 256;

/// After a program that ended without a single answer the next one is started no sooner.
const START_PAUSE: Duration = Duration::from_millis(100);

/// A client that asks by programs.
#[derive(Debug)]
struct Exec {
    program: Arc<Program>,
    read: ReadMode,
    answer_max: usize,
    /// Programs that wait for a question.
    idle: Mutex<Vec<Worker>>,
    running: Semaphore,
    /// No program is started before.
    start_after: Mutex<Instant>,
}

impl Exec {
    fn new(program: Arc<Program>, options: Options) -> Self {
        Exec {
            program,
            read: options.read,
            answer_max: options.body_max,
            idle: Mutex::default(),
            running: Semaphore::new(PROGRAMS_MAX),
            start_after: Mutex::new(Instant::now()),
        }
    }

    /// Asks a program, and puts it back if it answered what it was asked. Dropped meanwhile, it ends the program.
    async fn ask(&self, question: impl FnOnce(u64) -> Vec<u8>) -> Result<Reply, Answer> {
        let Ok(_running) = self.running.acquire().await else {
            unreachable!("nobody closes it");
        };
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => self.start().await?,
        };
        worker.id += 1;
        let (id, line) = (worker.id, question(worker.id));
        let answer = worker.ask(&line, self.answer_max).await.map_err(|error| {
            if id == 1 {
                let mut start_after = self.start_after.lock().unwrap_or_else(PoisonError::into_inner);
                *start_after = Instant::now() + START_PAUSE;
            }
            Answer::unknown(error)
        })?;
        let reply: Reply = serde_json::from_slice(&answer).map_err(|error| {
            let said = cut(String::from_utf8_lossy(&answer).trim().to_owned());
            Answer::unknown(format!(
                "the program's answer can't be understood ({error}): {said}"
            ))
        })?;
        if reply.id != id {
            let what = format!(
                "the program answers question {} when it is asked {id}, and was ended",
                reply.id
            );
            return Err(Answer::unknown(what));
        }
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(worker);
        Ok(reply)
    }

    /// Starts a program. What can't be started was never asked.
    async fn start(&self) -> Result<Worker, Answer> {
        let start_after = *self.start_after.lock().unwrap_or_else(PoisonError::into_inner);
        sleep_until(start_after).await;
        Worker::start(&self.program).map_err(|error| {
            let error = format!("start {}: {error}", self.program.path.display());
            Answer::Local { error }
        })
    }
}

#[async_trait]
impl Service for Exec {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, token: Option<&Token>) -> Answer {
        if op.f == HOLD {
            sleep(Duration::from_millis(
                op.value.get("ms").and_then(Value::as_u64).unwrap_or_default(),
            ))
            .await;
            return Answer::Ok(op.value.clone());
        }
        let reply = self
            .ask(|id| Question::new(id, op, endpoint, self.read, token).line())
            .await;
        match reply {
            Ok(reply) => reply.answer(op),
            Err(answer) => answer,
        }
    }

    async fn content(&self, endpoint: &Endpoint) -> Result<Content, RequestError> {
        let op = Op {
            f: "contents",
            key: None,
            value: Value::Null,
            idempotent: true,
        };
        let reply = self
            .ask(|id| Question::new(id, &op, endpoint, ReadMode::Local, None).line())
            .await;
        match reply {
            Ok(reply) => reply.content().map_err(|error| RequestError::Broken(cut(error))),
            Err(answer) => Err(RequestError::Broken(cut(answer
                .error()
                .unwrap_or_default()
                .to_owned()))),
        }
    }

    fn honours_tokens(&self) -> bool {
        self.program.executes_tokens_once
    }
}

#[cfg(test)]
mod tests;
