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

mod definition;
mod pool;
mod protocol;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use duress_checker::history::Content;
use duress_http::{RequestError, cut};
use serde_json::Value;

use self::definition::Program;
use self::pool::{NoProgram, Pool};
use self::protocol::{Question, Reply};
use super::kind::{ClientKind, Definition, Options, Problem, ReadMode};
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Service, Token, hold};
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

/// A client that asks by programs.
#[derive(Debug)]
struct Exec {
    program: Arc<Program>,
    read: ReadMode,
    answer_max: usize,
    pool: Arc<Pool>,
}

impl Exec {
    fn new(program: Arc<Program>, options: Options) -> Self {
        Exec {
            read: options.read,
            answer_max: options.body_max,
            pool: Pool::new(program.clone(), options.body_max),
            program,
        }
    }

    /// Asks a program, and puts it back if it answered what it was asked. Dropped meanwhile, it ends the program.
    async fn ask(&self, question: impl FnOnce(u64) -> Vec<u8>) -> Result<Reply, Answer> {
        let mut ready = self.pool.take().await.map_err(|none| match none {
            NoProgram::Local(error) => Answer::Local { error },
            NoProgram::NotYet(error) => Answer::refused(error),
        })?;
        ready.worker.id += 1;
        let id = ready.worker.id;
        let answer = ready.worker.ask(&question(id), self.answer_max).await;
        let reply = answer.and_then(|answer| Reply::read(&answer, id));
        let reply = reply.map_err(Answer::unknown)?;
        self.pool.put_back(ready);
        Ok(reply)
    }
}

#[async_trait]
impl Service for Exec {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, token: Option<&Token>) -> Answer {
        if op.f == HOLD {
            return hold(op).await;
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
