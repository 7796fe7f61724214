//! What a program and Duress say to each other: JSON, one object a line.
//!
//! ```text
//! ▶ {"id":0,"f":"hello"}
//! ◀ {"id":0,"type":"ok"}
//! ▶ {"id":7,"f":"write","key":"k1","value":3,"node":"n2","address":"10.77.0.12:8080","read":"linearizable"}
//! ◀ {"id":7,"type":"ok"}
//! ▶ {"id":8,"f":"read","key":"k1","value":null,"node":"n2","address":"10.77.0.12:8080","read":"linearizable"}
//! ◀ {"id":8,"type":"refused","error":"not-leader","leader":"n1"}
//! ▶ {"id":9,"f":"dequeue","key":"q1","value":null,"node":"n1","address":"10.77.0.11:8080","read":"linearizable","lease-ms":500}
//! ◀ {"id":9,"type":"ok","value":7,"keep":"r-31"}
//! ▶ {"id":10,"f":"ack","key":"q1","value":7,"node":"n1","address":"10.77.0.11:8080","read":"linearizable","kept":"r-31"}
//! ◀ {"id":10,"type":"ok"}
//! ```

use std::time::Duration;

use duress_checker::history::Content;
use duress_http::cut;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clients::kind::ReadMode;
use crate::endpoint::Endpoint;
use crate::op::Op;
use crate::service::{Answer, Token};

/// What every program is asked first. It says `ok` when it can be asked more.
pub(super) const HELLO: &[u8] = b"{\"id\":0,\"f\":\"hello\"}\n";

/// What the program is asked.
#[derive(Debug, Serialize)]
pub(super) struct Question<'a> {
    /// Comes back with the answer.
    pub id: u64,
    /// Which operation; `contents` asks for all that the member has.
    pub f: &'a str,
    /// The object; left out where the workload has only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<&'a Value>,
    /// The arguments.
    pub value: &'a Value,
    /// Which node to ask.
    pub node: &'a str,
    /// Its address, or in a service its name, and port.
    pub address: String,
    /// How to read.
    pub read: &'static str,
    /// Which the system is to execute once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<&'a Token>,
    /// For how long a lock or a message is to be lent.
    #[serde(rename = "lease-ms", skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
    /// What the program wanted kept with the message that this is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<Value>,
}

impl<'a> Question<'a> {
    /// At this node; `named` says whether the program reaches it by its name rather than by its address.
    pub fn new(
        id: u64,
        op: &'a Op,
        endpoint: &'a Endpoint,
        named: bool,
        read: ReadMode,
        token: Option<&'a Token>,
    ) -> Self {
        Question {
            id,
            f: op.f,
            key: op.key.as_ref(),
            value: &op.value,
            node: &endpoint.node,
            address: match named {
                true => format!("{}:{}", endpoint.node, endpoint.address.port()),
                false => endpoint.address.to_string(),
            },
            read: read.as_str(),
            token,
            lease_ms: None,
            kept: None,
        }
    }

    /// The same, with how long what this asks for is to be lent, if it asks for that.
    pub fn lending(self, lease: Option<Duration>) -> Self {
        let lease_ms = lease
            .filter(|_| matches!(self.f, "acquire" | "dequeue"))
            .and_then(|lease| u64::try_from(lease.as_millis()).ok());
        Question { lease_ms, ..self }
    }

    /// The same, with what was kept with its message.
    pub fn with_kept(self, kept: Option<Value>) -> Self {
        Question { kept, ..self }
    }

    /// Its line.
    pub fn line(&self) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_else(|error| unreachable!("plain data: {error}"));
        line.push(b'\n');
        line
    }
}

/// What the program says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Reply {
    /// Of the question.
    id: u64,
    #[serde(rename = "type")]
    kind: ReplyType,
    /// The result of what is `ok`; what was asked, if it says nothing.
    #[serde(default, deserialize_with = "given")]
    value: Option<Value>,
    /// What is to come back with the ack or the nack of this message.
    #[serde(default)]
    pub keep: Option<Value>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    leader: Option<String>,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ReplyType {
    Ok,
    Fail,
    Refused,
    Info,
}

/// A value that is null is one.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Reply {
    /// Reads the answer to question `id`. The error says in words what came instead.
    pub fn read(line: &[u8], id: u64) -> Result<Reply, String> {
        let reply: Reply = serde_json::from_slice(line).map_err(|error| {
            let said = cut(String::from_utf8_lossy(line).trim().to_owned());
            format!("the program's answer can't be understood ({error}): {said}")
        })?;
        match reply.id == id {
            true => Ok(reply),
            false => Err(format!(
                "the program answers question {} when it is asked {id}, and was ended",
                reply.id
            )),
        }
    }

    /// What it proves. A read without a value read nothing, and a dequeue neither found nor missed anything.
    pub fn answer(self, op: &Op) -> Answer {
        let error = self
            .error
            .unwrap_or_else(|| "the program gave no reason".to_owned());
        match (self.kind, self.value) {
            (ReplyType::Ok, Some(value)) => Answer::Ok(value),
            (ReplyType::Ok, None) if matches!(op.f, "read" | "dequeue") => {
                Answer::unknown(format!("the program's answer to a {} has no value", op.f))
            }
            (ReplyType::Ok, None) => Answer::Ok(op.value.clone()),
            (ReplyType::Fail, _) => Answer::Failed { error },
            (ReplyType::Refused, _) => Answer::Refused {
                error,
                leader: self.leader,
                retry_after: self.retry_after_ms.map(Duration::from_millis),
            },
            (ReplyType::Info, _) => Answer::unknown(error),
        }
    }

    /// What a member says of itself, if it answers that.
    pub fn status(self) -> Result<Value, String> {
        match (self.kind, self.value) {
            (ReplyType::Ok, Some(value)) => Ok(value),
            (ReplyType::Ok, None) => Err("the program's answer has no value".to_owned()),
            _ => Err(self
                .error
                .unwrap_or_else(|| "the program gave no reason".to_owned())),
        }
    }

    /// What a member holds, if it answers that.
    pub fn content(self) -> Result<Content, String> {
        match (self.kind, self.value) {
            (ReplyType::Ok, Some(value @ Value::Object(_))) => {
                serde_json::from_value(value).map_err(|error| format!("the program's contents: {error}"))
            }
            (ReplyType::Ok, Some(_)) => Err(
                "the program's contents are not {\"applied\": N, \"keys\": {KEY: {\"revision\": N, \"value\": V}}}".to_owned(),
            ),
            (ReplyType::Ok, None) => Err("the program's answer has no value".to_owned()),
            _ => Err(self.error.unwrap_or_else(|| "the program gave no reason".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn op(f: &'static str) -> Op {
        Op {
            f,
            key: Some(json!("k")),
            value: json!(4),
            idempotent: false,
        }
    }

    fn answer(f: &'static str, line: &str) -> Answer {
        serde_json::from_str::<Reply>(line).expect(line).answer(&op(f))
    }

    #[test]
    fn an_answer_proves_what_it_says() {
        assert_eq!(answer("write", r#"{"id":1,"type":"ok"}"#), Answer::Ok(json!(4)));
        assert_eq!(
            answer("read", r#"{"id":1,"type":"ok","value":null}"#),
            Answer::Ok(Value::Null)
        );
        assert!(matches!(
            answer("read", r#"{"id":1,"type":"ok"}"#),
            Answer::Unknown { .. }
        ));
        assert!(matches!(
            answer("dequeue", r#"{"id":1,"type":"ok"}"#),
            Answer::Unknown { .. }
        ));
        assert!(matches!(
            answer("write", r#"{"id":1,"type":"info"}"#),
            Answer::Unknown { .. }
        ));
        assert_eq!(
            answer("cas", r#"{"id":1,"type":"fail","error":"mismatch"}"#),
            Answer::Failed {
                error: "mismatch".to_owned()
            }
        );
        let refused = r#"{"id":1,"type":"refused","error":"not-leader","leader":"n2","retry-after-ms":50}"#;
        assert_eq!(
            answer("write", refused),
            Answer::Refused {
                error: "not-leader".to_owned(),
                leader: Some("n2".to_owned()),
                retry_after: Some(Duration::from_millis(50)),
            }
        );
        for line in [
            "{}",
            "[]",
            r#"{"id":1}"#,
            r#"{"id":1,"type":"done"}"#,
            r#"{"id":-1,"type":"ok"}"#,
        ] {
            assert!(serde_json::from_str::<Reply>(line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_question_says_how_long_is_lent_and_what_was_kept() {
        let endpoint = Endpoint {
            node: "n1".to_owned(),
            address: "10.77.0.11:8080".parse().expect("an address"),
        };
        let asked = |f| {
            let op = op(f);
            let question = Question::new(3, &op, &endpoint, false, ReadMode::Linearizable, None);
            let question = question.lending(Some(Duration::from_millis(500)));
            serde_json::to_value(question.with_kept((f == "ack").then(|| json!("r")))).expect("JSON")
        };
        assert_eq!(asked("dequeue")["lease-ms"], 500);
        assert_eq!(
            (&asked("ack")["lease-ms"], &asked("ack")["kept"]),
            (&Value::Null, &json!("r"))
        );
        assert_eq!(asked("enqueue").get("kept"), None);
    }

    #[test]
    fn contents_have_a_form() {
        let content = |line: &str| serde_json::from_str::<Reply>(line).expect(line).content();
        let good = r#"{"id":1,"type":"ok","value":{"applied":9,"keys":{"a":{"revision":3,"value":5}}}}"#;
        assert_eq!(content(good).expect("contents").applied, 9);
        assert!(content(r#"{"id":1,"type":"ok","value":[]}"#).is_err());
        assert_eq!(
            content(r#"{"id":1,"type":"info","error":"gone"}"#),
            Err("gone".to_owned())
        );
    }
}
