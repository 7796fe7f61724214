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
//! take, writes what can't be understood or answers something else is ended, and the attempt is unknown. Another takes its
//! place, and is asked once it has answered a greeting ([`pool`]). `docs/exec-client.md` has the protocol.
//!
//! Programs run on this machine, or in a service of the compose file that is no node; who deployed it starts them there
//! ([`StartPrograms`]).

mod definition;
mod overhear;
mod pool;
mod protocol;
mod start;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duress_checker::history::Content;
use duress_http::{RequestError, cut};
use serde_json::Value;

use self::definition::Program;
pub use self::overhear::{Exchange, overhear};
use self::pool::{NoProgram, Pool, Ready};
use self::protocol::{Question, Reply};
use super::kind::{ClientKind, Definition, Options, Problem, ReadMode, Tokens};
pub use super::programs::{Running, StartPrograms, Started};
use super::receipts::Receipts;
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Asker, Service, Token, hold};
use crate::workload::HOLD;

/// As in `system.toml`.
pub const NAME: &str = "exec";

/// As the definition of a system has it.
pub fn kind(definition: &Definition<'_>) -> Result<ClientKind, Problem> {
    let program = Arc::new(Program::parse(definition.text, definition.folder)?);
    Ok(ClientKind {
        name: NAME,
        operations: program.operations.clone().into(),
        reads: program.reads.clone().into(),
        reads_members: program.contents,
        tokens: match program.executes_tokens_once {
            true => Tokens::Optional,
            false => Tokens::None,
        },
        proof: "the program says so (`fail`, `refused`)",
        service: program.service.clone(),
        make: Arc::new(move |options| match (&program.service, &options.programs) {
            (Some(service), None) => Err(RequestError::Local(format!(
                "this cluster starts no programs in the service {service}"
            ))),
            _ => Ok(Box::new(Exec::new(program.clone(), options))),
        }),
    })
}

/// A client that asks by programs.
#[derive(Debug)]
struct Exec {
    program: Arc<Program>,
    read: ReadMode,
    lease: Option<Duration>,
    answer_max: usize,
    pool: Arc<Pool>,
    /// Which program acknowledges is not said: another one may have dequeued.
    receipts: Receipts,
}

impl Exec {
    fn new(program: Arc<Program>, options: Options) -> Self {
        let starts = options.programs.filter(|_| program.service.is_some());
        Exec {
            read: options.read,
            lease: options.lease,
            answer_max: options.body_max,
            pool: Pool::new(program.clone(), starts, options.body_max),
            program,
            receipts: Receipts::default(),
        }
    }

    /// Asks a program, and puts it back if it answered what it was asked. Dropped meanwhile, it ends the program.
    async fn ask(
        &self,
        taken: Result<Ready, NoProgram>,
        endpoint: &Endpoint,
        op: &Op,
        read: ReadMode,
        token: Option<&Token>,
        kept: Option<Value>,
    ) -> Result<Reply, Answer> {
        let mut ready = taken.map_err(|none| match none {
            NoProgram::Local(error) => Answer::Local { error },
            NoProgram::NotYet(error, greeting) => {
                if let Some(greeting) = greeting {
                    overhear::note(|| greeting);
                }
                Answer::refused(error)
            }
        })?;
        ready.worker.id += 1;
        let id = ready.worker.id;
        let named = self.pool.knows(&endpoint.node);
        let question = Question::new(id, op, endpoint, named, read, token);
        let line = question.lending(self.lease).with_kept(kept).line();
        let answer = ready.worker.ask(&line, self.answer_max).await;
        let reply = answer.and_then(|answer| Reply::read(&answer, id));
        let reply = reply.map_err(Answer::unknown)?;
        self.pool.put_back(ready);
        Ok(reply)
    }

    /// Asks what one member says by itself. A program that is still starting is waited for: the caller limits the time.
    async fn look(&self, endpoint: &Endpoint, f: &'static str) -> Result<Reply, RequestError> {
        let op = Op {
            f,
            key: None,
            value: Value::Null,
            idempotent: true,
        };
        let ready = self.pool.take_patiently().await;
        let reply = self.ask(ready, endpoint, &op, ReadMode::Local, None, None).await;
        reply.map_err(|answer| {
            let error = cut(answer.error().unwrap_or_default().to_owned());
            match answer {
                Answer::Local { .. } => RequestError::Local(error),
                _ => RequestError::Broken(error),
            }
        })
    }
}

#[async_trait]
impl Service for Exec {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answer {
        if op.f == HOLD {
            return hold(op).await;
        }
        let kept = match op.f {
            "ack" | "nack" => self.receipts.of(asker.process, &op.value),
            _ => None,
        };
        let ready = self.pool.take().await;
        let reply = self.ask(ready, endpoint, op, self.read, asker.token, kept).await;
        let mut reply = match reply {
            Ok(reply) => reply,
            Err(answer) => return answer,
        };
        let keep = reply.keep.take();
        let answer = reply.answer(op);
        if let ("dequeue", Answer::Ok(message), Some(keep)) = (op.f, &answer, keep) {
            self.receipts.keep(asker.process, message.clone(), keep);
        }
        answer
    }

    async fn content(&self, endpoint: &Endpoint) -> Result<Content, RequestError> {
        let reply = self.look(endpoint, "contents").await?;
        reply.content().map_err(|error| RequestError::Broken(cut(error)))
    }

    async fn status(&self, endpoint: &Endpoint) -> Result<Value, RequestError> {
        let reply = self.look(endpoint, "status").await?;
        reply.status().map_err(|error| RequestError::Broken(cut(error)))
    }

    fn honours_tokens(&self) -> bool {
        self.program.executes_tokens_once
    }
}

#[cfg(test)]
mod tests;
