//! What one member of etcd says of itself: its content and how far it is.
//!
//! A member's content is read serializably, from its own state, and only counts together with the index up to which it
//! had applied the log. etcd has no call that gives both at once, so the index is read before and after; when it moved in
//! between, the content is of no use and is read again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use duress_checker::history::{Content, Entry};
use serde_json::{Value, json};

use super::gateway::{CallError, Gateway, number};
use super::pages;

/// How often an unmoving state is looked for.
const TRIES_MAX: usize = 20;
const TRY_PAUSE: Duration = Duration::from_millis(250);

/// The log index up to which a member has applied.
pub async fn applied(gateway: &Gateway, member: SocketAddr) -> Result<u64, CallError> {
    let status = gateway.call(member, "maintenance/status", &json!({})).await?;
    Ok(number(status.get("raftAppliedIndex")))
}

/// Reads everything that a member has stored, at an applied index that stood still meanwhile. An etcd without clients
/// stands still but for its own housekeeping.
pub async fn content(gateway: &Gateway, member: SocketAddr) -> Result<Content, CallError> {
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
    Err(CallError::NoAnswer(
        "its applied index would not stand still".to_owned(),
    ))
}

/// A zero byte as both ends means everything.
async fn everything(gateway: &Gateway, member: SocketAddr) -> Result<BTreeMap<String, Entry>, CallError> {
    let entries = pages::range(gateway, member, &[0], &[0], true).await?;
    let keys = entries.into_iter().map(|entry| {
        let value = serde_json::from_slice(&entry.value)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&entry.value).into_owned()));
        let revision = entry.revision;
        (
            String::from_utf8_lossy(&entry.key).into_owned(),
            Entry { revision, value },
        )
    });
    Ok(keys.collect())
}
