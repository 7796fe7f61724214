//! What one member of etcd says of itself: its content and how far it is.
//!
//! A member's content is read serializably, from its own state, and only counts together with the index up to which it
//! had applied the log. etcd has no call that gives both at once, so the index is read before and after; when it moved in
//! between, the content is of no use and is read again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use duress_checker::converged::{Content, Entry};
use serde_json::{Value, json};

use super::gateway::{Gateway, Trouble, decode, encode, number};

/// Keys read in one call.
const PAGE: usize = 5000;
/// How often an unmoving state is looked for.
const TRIES_MAX: usize = 20;
const TRY_PAUSE: Duration = Duration::from_millis(250);

/// The log index up to which a member has applied.
pub async fn applied(gateway: &Gateway, member: SocketAddr) -> Result<u64, Trouble> {
    let status = gateway.call(member, "maintenance/status", &json!({})).await?;
    Ok(number(status.get("raftAppliedIndex")))
}

/// Reads everything that a member has stored, at an applied index that stood still meanwhile. An etcd without clients
/// stands still but for its own housekeeping.
pub async fn content(gateway: &Gateway, member: SocketAddr) -> Result<Content, Trouble> {
    for _ in 0..TRIES_MAX {
        let before = applied(gateway, member).await?;
        let keys = everything(gateway, member).await?;
        if applied(gateway, member).await? == before {
            return Ok(Content {
                applied: before,
                keys,
            });
        }
        tokio::time::sleep(TRY_PAUSE).await;
    }
    Err(Trouble::NoAnswer(
        "its applied index would not stand still".to_owned(),
    ))
}

async fn everything(gateway: &Gateway, member: SocketAddr) -> Result<BTreeMap<String, Entry>, Trouble> {
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
            let entry = Entry {
                revision: number(entry.get("mod_revision")),
                value,
            };
            keys.insert(String::from_utf8_lossy(&key).into_owned(), entry);
            last = Some(key);
        }
        let more = answer.get("more").and_then(Value::as_bool).unwrap_or(false);
        match last {
            Some(mut last) if more => {
                last.push(0);
                from = last;
            }
            _ => return Ok(keys),
        }
    }
}
