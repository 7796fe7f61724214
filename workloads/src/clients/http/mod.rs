//! The client of any system that speaks HTTP: requests are templates in its `system.toml`, and so is what answers mean.
//!
//! ```toml
//! client = "http"
//!
//! [http.read]
//! path = "/kv/{key}"
//! answer = [
//!   { status = 200, ok = "/value" },
//!   { status = 404, ok = "absent" },
//! ]
//!
//! [http.write]
//! method = "put"
//! path = "/kv/{key}"
//! body = { value = "{value}" }
//! answer = [
//!   { status = 200, ok = true },
//!   { status = 421, refused = "not-leader", leader = "/leader" },
//! ]
//! ```
//!
//! [`template`] and [`shape`] are what is sent, [`source`] what is received, [`case`] what it means; [`step`] is one request,
//! [`block`] which there may be, [`table`] all of them, [`check`] whether they make sense. `docs/http-client.md` teaches the
//! language.
//!
//! Whatever no case maps proves nothing: the operation ends `info`. Only a request that can't have had an effect, and none
//! before it that can, is as good as refused whatever becomes of it.

mod block;
mod case;
mod check;
mod shape;
mod source;
mod step;
mod table;
mod template;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use duress_http::{Client, HeaderMap, HeaderValue, Reply, Request, RequestError, cut};
use serde_json::{Value, json};

use self::case::{Good, Meaning};
use self::source::Answered;
use self::step::{Body, Step};
use self::table::Templates;
use self::template::{Values, text};
use super::kind::{ClientKind, Definition, Options, Problem, ReadMode, Tokens};
use super::receipts::Receipts;
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Asker, Service, for_processes, hold};
use crate::workload::HOLD;

/// As the templates of a system have it.
pub fn kind(definition: &Definition<'_>) -> Result<ClientKind, Problem> {
    let templates = Arc::new(Templates::parse(definition.text, definition.folder)?);
    Ok(ClientKind {
        name: "http",
        operations: templates.operations().into(),
        reads: templates.reads().into(),
        reads_members: false,
        tokens: match templates.sends_tokens() {
            true => Tokens::Always {
                executed_once: templates.executes_tokens_once,
            },
            false => Tokens::None,
        },
        proof: "a case of the templates that the answer fits says so",
        service: None,
        make: Arc::new(move |options| Ok(Box::new(Http::new(templates.clone(), options)?))),
    })
}

/// A client that asks by templates.
#[derive(Debug)]
struct Http {
    client: Client,
    templates: Arc<Templates>,
    read: ReadMode,
    lease: Duration,
    receipts: Receipts,
}

impl Http {
    fn new(templates: Arc<Templates>, options: Options) -> Result<Self, RequestError> {
        let how = for_processes(options.from, options.body_max);
        let client = match &templates.authorities {
            Some(authorities) => Client::trusting(how, authorities)?,
            None => Client::new(how)?,
        };
        Ok(Http {
            client,
            templates,
            read: options.read,
            lease: options.lease.unwrap_or_default(),
            receipts: Receipts::default(),
        })
    }

    /// One request, filled in. The error says what can't be.
    fn request(&self, step: &Step, endpoint: &Endpoint, values: &Values<'_>) -> Result<Request, String> {
        let mut headers = HeaderMap::new();
        let (kind, body) = match &step.body {
            Body::None => (None, Vec::new()),
            Body::Json(shape) => {
                let body = shape.value(values)?.to_string();
                (Some("application/json"), body.into_bytes())
            }
            Body::Text(template) => (
                Some("text/plain; charset=utf-8"),
                template.text(values)?.into_bytes(),
            ),
        };
        if let Some(kind) = kind {
            headers.insert("content-type", HeaderValue::from_static(kind));
        }
        if let Some(authorization) = &self.templates.authorization {
            headers.insert("authorization", authorization.clone());
        }
        for (name, template) in self.templates.headers.0.iter().chain(&step.headers) {
            let value = HeaderValue::from_str(&template.text(values)?);
            let value =
                value.map_err(|_| format!("the header {name} would have control characters in it"))?;
            headers.insert(name, value);
        }
        Ok(Request {
            method: step.method,
            url: format!("{}{}", self.origin(endpoint), step.path.path(values)?),
            headers,
            body,
        })
    }

    fn origin(&self, endpoint: &Endpoint) -> String {
        let address: SocketAddr = endpoint.address;
        if self.templates.authorities.is_none() {
            return format!("http://{address}");
        }
        let name = self.templates.server_name.as_ref().unwrap_or(&endpoint.node);
        self.client.is_at(name, address.ip());
        format!("https://{name}:{}", address.port())
    }

    /// The first case that matches, what it means, and how long to wait then. The error says why nothing is proven.
    fn judge<'a>(
        &'a self,
        block: &str,
        step: &'a Step,
        reply: &Reply,
        values: &Values<'_>,
    ) -> Result<(Judged<'a>, Duration), String> {
        let answered = Answered::new(reply);
        for case in self.templates.common.iter().chain(&step.answer) {
            if !case.matches(&answered, values)? {
                continue;
            }
            let judged = match &case.then {
                Meaning::Ok(Good::Done) => Judged::Ends(Answer::Ok(values.op.value.clone())),
                Meaning::Ok(Good::At(source)) => {
                    let found = result(values.op, source.need(&answered)?.as_ref())?;
                    if let Some(keep) = &case.keep {
                        let kept = keep.need(&answered)?.into_owned();
                        self.receipts.keep(values.process, found.clone(), kept);
                    }
                    Judged::Ends(Answer::Ok(found))
                }
                Meaning::Fail(why) => Judged::Ends(Answer::Failed {
                    error: why.said(&answered),
                }),
                Meaning::Refused { why, leader } => Judged::Ends(Answer::Refused {
                    error: why.said(&answered),
                    leader: leader
                        .as_ref()
                        .and_then(|leader| host(leader.of(&answered).ok()??.as_ref())),
                    retry_after: reply.retry_after,
                }),
                Meaning::Info(why) => return Err(why.said(&answered)),
                Meaning::Next(sources) => {
                    let bind = |(name, source): &'a (String, source::Source)| {
                        Ok((name.as_str(), source.need(&answered)?.into_owned()))
                    };
                    Judged::GoesOn(sources.iter().map(bind).collect::<Result<_, String>>()?)
                }
            };
            return Ok((judged, case.pause));
        }
        Err(format!(
            "status {}, which no case of [http.{block}] maps{}",
            reply.status,
            beginning(&reply.body)
        ))
    }
}

/// What an answer means.
enum Judged<'a> {
    /// The operation ends so.
    Ends(Answer),
    /// It goes on, with these names bound.
    GoesOn(Vec<(&'a str, Value)>),
}

/// What is known of a request's effect, by all that was sent so far.
#[derive(Clone, Copy)]
struct Effect {
    /// Of steps before.
    before: bool,
    /// Of this one.
    now: bool,
}

impl Effect {
    /// An answer that proves nothing.
    fn unproven(self, why: String) -> Answer {
        match self.before || self.now {
            true => Answer::unknown(why),
            false => Answer::refused(why),
        }
    }

    /// This request was never sent.
    fn unsent(self, why: String) -> Answer {
        let now = false;
        Effect { now, ..self }.unproven(why)
    }

    fn of_error(self, error: RequestError) -> Answer {
        match error {
            RequestError::NotSent(why) => self.unsent(why),
            RequestError::Local(error) => Answer::Local { error },
            error => self.unproven(error.to_string()),
        }
    }

    /// That nothing happened is only true of this request; of one before it, it is not.
    fn limits(self, answer: Answer) -> Answer {
        match answer {
            Answer::Failed { error } | Answer::Refused { error, .. } if self.before => {
                Answer::unknown(format!("{error}, after a request that may have had an effect"))
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl Service for Http {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answer {
        if op.f == HOLD {
            return hold(op).await;
        }
        let (block, steps) = match self.templates.for_op(op, self.read) {
            Ok(found) => found,
            Err(error) => return Answer::Failed { error },
        };
        let mut values = Values {
            op,
            process: asker.process,
            token: asker.token,
            lease: self.lease,
            kept: match op.f {
                "ack" | "nack" => self.receipts.of(asker.process, &op.value),
                _ => None,
            },
            bound: Vec::new(),
        };
        let mut before = false;
        for step in steps {
            let now = step.effect.unwrap_or(op.f != "read");
            let effect = Effect { before, now };
            let request = match self.request(step, endpoint, &values) {
                Ok(request) => request,
                Err(why) => return effect.unsent(why),
            };
            let reply = match self.client.send(request).await {
                Ok(reply) => reply,
                Err(error) => return effect.of_error(error),
            };
            let (judged, pause) = match self.judge(block, step, &reply, &values) {
                Ok(judged) => judged,
                Err(why) => return effect.unproven(why),
            };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            match judged {
                Judged::GoesOn(bound) => values.bound.extend(bound),
                Judged::Ends(answer) => return effect.limits(answer),
            }
            before |= now;
        }
        unreachable!("the last step of a template that was checked does not go on")
    }

    fn honours_tokens(&self) -> bool {
        self.templates.executes_tokens_once
    }
}

/// What a read is taken to have seen. Whatever is long, or deep, was never written by any client, and so is its beginning:
/// as false as the whole, but not as long.
fn result(op: &Op, found: &Value) -> Result<Value, String> {
    let kept = |value: &Value| match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        value => json!(cut(text(value).into_owned())),
    };
    match (op.key.is_some(), found) {
        (false, Value::Null) => Ok(json!([])),
        (_, Value::Array(list)) => Ok(list.iter().map(kept).collect()),
        (false, other) => Err(format!("all elements are a list, and not {}", kept(other))),
        (true, value) => Ok(kept(value)),
    }
}

/// The host that an address names, as `http://n2:8080/kv/k1`, `10.77.0.12:8080` and `n2` do.
fn host(named: &Value) -> Option<String> {
    let text = named.as_str()?;
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    let text = text.split(['/', '?', '#']).next()?;
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let host = match text.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    (!host.is_empty()).then(|| cut(host.to_owned()))
}

/// Bytes of an answer that are shown in an error.
const SHOWN_MAX: usize = 200;

fn beginning(body: &[u8]) -> String {
    let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN_MAX)]);
    match (shown.is_empty(), body.len() > SHOWN_MAX) {
        (true, _) => String::new(),
        (false, false) => format!(": {shown}"),
        (false, true) => format!(": {shown}…"),
    }
}

#[cfg(test)]
mod tests;
