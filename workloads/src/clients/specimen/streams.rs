//! What the client of the specimen asks of streams: an operation has steps, and most steps are a request each.
//!
//! ```text
//! [["as",{"producer":"t1","epoch":3,"sequence":18,"txn":5}],
//!  ["send","out0",7],                                           POST /streams/out0/send    {"value":7,"producer":"t1","epoch":3,"sequence":18,"txn":5}
//!  ["commit",{"group":"g",…,"offsets":{"in0":18}}]]             POST /producers/t1/commit  {"epoch":3,"txn":5,"group":"g",…,"offsets":{"in0":18}}
//! ```
//!
//! All steps are one attempt. The same attempt again asks for the same sequences, so what was done is not done twice. As long as no commit was
//! asked for, nothing of a transaction has happened: if a step is refused, the attempt is.

use duress_http::{Client, Method, Reply};
use serde_json::{Map, Value, json};

use super::{kept, refused};
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Token};
use crate::workload::stream::step::{Offsets, Session, Step};

/// The operations.
pub(super) const OPERATIONS: [&str; 7] = ["init", "assign", "send", "poll", "txn", "subscribe", "replay"];

/// Refusals that will be given from now on whatever is asked for again, each with its status.
pub(super) const OVER: [(u16, &str); 5] = [
    (409, "fenced"),
    (409, "sequence-gap"),
    (409, "rebalanced"),
    (409, "txn-over"),
    (409, "txn-open"),
];

/// What is said of a sequence that is older than all whose answers are known.
const FORGOTTEN: &str = "sequence-forgotten";

/// Why a transaction did not happen that was not meant to.
const ABORTED: &str = "aborted";

/// The longest message that is kept as it came, in bytes: all that the specimen takes.
const MESSAGE_MAX: usize = 1024;

/// Makes one attempt at an operation.
pub(super) async fn attempt(http: &Client, endpoint: &Endpoint, op: &Op, token: Option<&Token>) -> Answer {
    if op.f == "assign" {
        // That is between the process and itself.
        return Answer::Ok(op.value.clone());
    }
    let Some(steps) = Step::all(&op.value) else {
        let error = "the client of the specimen knows no such steps".to_owned();
        return Answer::Failed { error };
    };
    let mut attempt = Attempt {
        http,
        base: format!("http://{}", endpoint.address),
        session: None,
        token,
        replays: op.f == "replay",
    };
    let mut done = Vec::with_capacity(steps.len());
    for step in &steps {
        match attempt.step(step).await {
            Ok(result) => done.push(result),
            Err(answer) => return answer,
        }
    }
    Answer::Ok(Value::Array(done))
}

struct Attempt<'a> {
    http: &'a Client,
    base: String,
    /// Who sends, with the next sequence.
    session: Option<Session>,
    token: Option<&'a Token>,
    /// What is asked was answered before.
    replays: bool,
}

impl Attempt<'_> {
    /// Does one step. The error is what the whole attempt proves.
    async fn step(&mut self, step: &Step) -> Result<Value, Answer> {
        match step {
            Step::As(session) => {
                self.session = Some(session.clone());
                Ok(step.to_json())
            }
            Step::Init(producer) => {
                let body = self.with_token(json!({}));
                let answer = self.ask(&format!("/producers/{producer}/init"), &body).await?;
                Ok(json!(["init", producer, number(&answer, "epoch")?]))
            }
            Step::Send(partition, message) => {
                let body = match &mut self.session {
                    Some(session) => {
                        let mut body = json!(session);
                        body["value"] = message.clone();
                        session.sequence += 1;
                        body
                    }
                    None => self.with_token(json!({"value": message})),
                };
                let answer = self.ask(&format!("/streams/{partition}/send"), &body).await?;
                Ok(json!(["send", partition, [number(&answer, "offset")?, message]]))
            }
            Step::Poll(from, max) => {
                let answer = self
                    .ask("/streams/poll", &json!({"from": from, "max": max}))
                    .await?;
                Ok(json!(["poll", shown(&answer)?]))
            }
            Step::Join(member) => {
                let mut body = json!(member);
                if let Some(body) = body.as_object_mut() {
                    body.remove("group");
                }
                let body = self.with_token(body);
                let answer = self.ask(&format!("/groups/{}/join", member.group), &body).await?;
                dealt(json!(member), &answer)
            }
            Step::Commit(offsets) => {
                let txn = self.session.as_ref().and_then(|session| session.txn);
                let answer = self.end("commit", txn, offsets.as_ref()).await?;
                is_done(&answer)?;
                Ok(step.to_json())
            }
            // It is a repeat: whatever is said of it, it must change nothing.
            Step::CommitAgain(txn, offsets) => match self.end("commit", Some(*txn), offsets.as_ref()).await {
                Err(answer @ Answer::Local { .. }) => Err(answer),
                _ => Ok(step.to_json()),
            },
            Step::Abort => {
                let txn = self.session.as_ref().and_then(|session| session.txn);
                let answer = self.end("abort", txn, None).await?;
                is_done(&answer)?;
                let error = ABORTED.to_owned();
                Err(Answer::Failed { error })
            }
        }
    }

    /// Ends a transaction of this session.
    async fn end(
        &self,
        how: &str,
        txn: Option<u64>,
        offsets: Option<&Offsets>,
    ) -> Result<Map<String, Value>, Answer> {
        let (Some(session), Some(txn)) = (&self.session, txn) else {
            let error = "there is no transaction to end".to_owned();
            return Err(Answer::Failed { error });
        };
        let mut body = offsets.map_or(json!({}), |offsets| json!(offsets));
        body["epoch"] = json!(session.epoch);
        body["txn"] = json!(txn);
        self.ask(&format!("/producers/{}/{how}", session.producer), &body)
            .await
    }

    /// For requests that no sequence protects. One token stands for one request, so only where there is only one.
    fn with_token(&self, mut body: Value) -> Value {
        if let Some(token) = self.token {
            body["client"] = json!(token.client);
            body["seq"] = json!(token.seq);
        }
        body
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Map<String, Value>, Answer> {
        let url = format!("{}{path}", self.base);
        let reply = self.http.call(Method::Post, url, Some(body)).await?;
        match interpret(&reply) {
            // It may have run, and it has: before. What is known for certain is that it did not run now.
            Err(Answer::Unknown { .. }) if self.replays && is_forgotten(&reply) => {
                let error = FORGOTTEN.to_owned();
                Err(Answer::Fenced { error })
            }
            answer => answer,
        }
    }
}

/// Whether a sequence was refused since its answer is not known any more.
fn is_forgotten(reply: &Reply) -> bool {
    let error = reply.json().and_then(|body| body.get("error").cloned());
    reply.status == 409 && error == Some(json!(FORGOTTEN))
}

/// The body of an answer that says that it was done.
fn interpret(reply: &Reply) -> Result<Map<String, Value>, Answer> {
    let Some(Value::Object(body)) = reply.json() else {
        return Err(Answer::unknown(format!(
            "status {}, and no JSON object",
            reply.status
        )));
    };
    match reply.status {
        200 if body.contains_key("error") || body.contains_key("executed") => {
            Err(Answer::unknown("status 200 with an error"))
        }
        200 => Ok(body),
        _ => Err(refused(reply, body)),
    }
}

fn lacks_result() -> Answer {
    Answer::unknown("answer lacks its result")
}

fn number(answer: &Map<String, Value>, name: &str) -> Result<u64, Answer> {
    answer.get(name).and_then(Value::as_u64).ok_or_else(lacks_result)
}

fn is_done(answer: &Map<String, Value>) -> Result<(), Answer> {
    match answer.get("done") {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(lacks_result()),
    }
}

/// What a poll shows: of each partition pairs of an offset and a message.
fn shown(answer: &Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let messages = answer.get("messages").and_then(Value::as_object);
    let mut shown = Map::new();
    for (partition, pairs) in messages.ok_or_else(lacks_result)? {
        let pairs = pairs.as_array().ok_or_else(lacks_result)?;
        let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
            Some([offset, message]) if offset.is_u64() => Ok(json!([offset, whole(message)])),
            _ => Err(lacks_result()),
        };
        if !pairs.is_empty() {
            let pairs: Vec<Value> = pairs.iter().map(pair).collect::<Result<_, _>>()?;
            shown.insert(partition.clone(), Value::Array(pairs));
        }
    }
    Ok(shown)
}

/// A message as it is kept: what is too long to have been sent is cut.
fn whole(message: &Value) -> Value {
    match message {
        Value::Object(_) if message.to_string().len() <= MESSAGE_MAX => message.clone(),
        other => kept(other),
    }
}

/// What a member was dealt, and from where on it reads.
fn dealt(mut member: Value, answer: &Map<String, Value>) -> Result<Value, Answer> {
    let generation = number(answer, "generation")?;
    let offsets = answer.get("offsets").and_then(Value::as_object);
    let offsets = offsets.ok_or_else(lacks_result)?;
    let assigned = answer.get("assigned").and_then(Value::as_array);
    let mut dealt = Map::new();
    for partition in assigned.ok_or_else(lacks_result)? {
        let name = partition.as_str().ok_or_else(lacks_result)?;
        let offset = offsets.get(name).filter(|offset| offset.is_u64());
        dealt.insert(name.to_owned(), offset.ok_or_else(lacks_result)?.clone());
    }
    member["generation"] = json!(generation);
    member["offsets"] = Value::Object(dealt);
    Ok(json!(["join", member]))
}

#[cfg(test)]
mod tests;
