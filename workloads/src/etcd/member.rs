//! What one member of etcd says of itself: its content and how far it is.
//!
//! A member's content is read serializably, from its own state, and only counts together with the index up to which it
//! had applied the log. etcd has no call that gives both at once, so the index is read before and after; when it moved in
//! between, the content is of no use and is read again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::gateway::{Gateway, Trouble, decode, encode, number};

/// Keys read in one call.
const PAGE: usize = 5000;
/// How often an unmoving state is looked for.
const TRIES_MAX: usize = 20;
const TRY_PAUSE: Duration = Duration::from_millis(250);

/// What `POST /v3/maintenance/status` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The member that answered.
    pub member: u64,
    /// Whom it takes for the leader; 0: nobody.
    pub leader: u64,
    /// Its term.
    pub term: u64,
    /// The log index that it knows to be committed.
    pub index: u64,
    /// The log index up to which it has applied.
    pub applied: u64,
    /// Whether it follows without a vote.
    pub learner: bool,
    /// e.g. `3.5.1`.
    pub version: String,
}

/// Everything that one member has stored, at one applied index.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The log index up to which it has applied.
    pub applied: u64,
    /// The store's revision.
    pub revision: u64,
    /// Revision of the last change and value of every key.
    pub keys: BTreeMap<String, (u64, Value)>,
}

/// Reads a status.
pub async fn status(gateway: &Gateway, member: SocketAddr) -> Result<Status, Trouble> {
    Ok(parse_status(
        &gateway.call(member, "maintenance/status", &json!({})).await?,
    ))
}

fn parse_status(answer: &Value) -> Status {
    Status {
        member: number(answer.pointer("/header/member_id")),
        leader: number(answer.get("leader")),
        term: number(answer.get("raftTerm")),
        index: number(answer.get("raftIndex")),
        applied: number(answer.get("raftAppliedIndex")),
        learner: answer.get("isLearner").and_then(Value::as_bool).unwrap_or(false),
        version: answer
            .get("version")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    }
}

/// Reads everything that a member has stored, at an applied index that stood still meanwhile. An etcd without clients
/// stands still but for its own housekeeping.
pub async fn content(gateway: &Gateway, member: SocketAddr) -> Result<Content, Trouble> {
    for _ in 0..TRIES_MAX {
        let before = status(gateway, member).await?.applied;
        let (revision, keys) = everything(gateway, member).await?;
        if status(gateway, member).await?.applied == before {
            return Ok(Content {
                applied: before,
                revision,
                keys,
            });
        }
        tokio::time::sleep(TRY_PAUSE).await;
    }
    Err(Trouble::NoAnswer(
        "its applied index would not stand still".to_owned(),
    ))
}

async fn everything(
    gateway: &Gateway,
    member: SocketAddr,
) -> Result<(u64, BTreeMap<String, (u64, Value)>), Trouble> {
    let mut keys = BTreeMap::new();
    // A zero byte as both ends means everything; later pages begin just after the last key.
    let mut from = vec![0];
    loop {
        let body = json!({"key": encode(&from), "range_end": encode([0]), "serializable": true,
            "limit": PAGE.to_string()});
        let answer = gateway.call(member, "kv/range", &body).await?;
        let mut last = None;
        for entry in answer.get("kvs").and_then(Value::as_array).into_iter().flatten() {
            let key = decode(entry.get("key"))?;
            let bytes = decode(entry.get("value"))?;
            let value = serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
            keys.insert(
                String::from_utf8_lossy(&key).into_owned(),
                (number(entry.get("mod_revision")), value),
            );
            last = Some(key);
        }
        let more = answer.get("more").and_then(Value::as_bool).unwrap_or(false);
        match last {
            Some(mut last) if more => {
                last.push(0);
                from = last;
            }
            _ => return Ok((number(answer.pointer("/header/revision")), keys)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_and_what_is_left_out_is_zero() {
        let answer = json!({"header": {"member_id": "9804125642168846726", "raft_term": "2"}, "version": "3.5.1",
            "leader": "9536007736426086141", "raftIndex": "19", "raftTerm": "2", "raftAppliedIndex": "18"});
        let status = parse_status(&answer);
        assert_eq!(
            (status.member, status.leader),
            (9_804_125_642_168_846_726, 9_536_007_736_426_086_141)
        );
        assert_eq!(
            (status.term, status.index, status.applied, status.learner),
            (2, 19, 18, false)
        );
        assert_eq!(parse_status(&json!({})).leader, 0);
    }
}
