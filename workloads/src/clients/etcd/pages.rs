//! Ranges that may be longer than one answer: read in pages, all at the revision of the first.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::gateway::{CallError, Gateway, decode, encode, number};

/// Keys asked for at once. Halved where an answer with that many is longer than it may be.
const PAGE: usize = 2000;

/// The longest range in memory: keys, values and what it takes to hold each, in bytes.
const RANGE_MAX: usize = 16 << 20;

/// What it takes to hold an entry, roughly, in bytes.
const ENTRY_OVERHEAD: usize = 100;

/// One key of etcd.
pub(super) struct KeyValue {
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// Revision of its last change.
    pub revision: u64,
}

/// Every key from `from` up to `end`, which is not in it; a zero byte as end means no end. Linearizable or serializable,
/// and in any case as it was at one moment.
pub(super) async fn range(
    gateway: &Gateway,
    member: SocketAddr,
    from: &[u8],
    end: &[u8],
    serializable: bool,
) -> Result<Vec<KeyValue>, CallError> {
    let (mut entries, mut size, mut page): (Vec<KeyValue>, usize, usize) = (Vec::new(), 0, PAGE);
    let (mut from, mut revision) = (from.to_vec(), 0);
    loop {
        let mut body = json!({"key": encode(&from), "range_end": encode(end), "limit": page.to_string(),
            "serializable": serializable});
        if revision > 0 {
            // The member has it: any of its own states that has this revision is as good.
            body["revision"] = json!(revision.to_string());
            body["serializable"] = json!(true);
        }
        let answer = match gateway.call(member, "kv/range", &body).await {
            Err(CallError::Http(duress_http::RequestError::TooLarge { .. })) if page > 1 => {
                page /= 2;
                continue;
            }
            answer => answer?,
        };
        if revision == 0 {
            revision = number(answer.pointer("/header/revision"));
        }
        let kvs = answer.get("kvs").and_then(Value::as_array);
        for entry in kvs.into_iter().flatten() {
            let entry = KeyValue {
                key: decode(entry.get("key"))?,
                value: decode(entry.get("value"))?,
                revision: number(entry.get("mod_revision")),
            };
            // Else a member that always has more would be asked for ever.
            if entry.key < from {
                return Err(CallError::NoAnswer("its keys are out of order".to_owned()));
            }
            size += entry.key.len() + entry.value.len() + ENTRY_OVERHEAD;
            if size > RANGE_MAX {
                return Err(CallError::NoAnswer(format!(
                    "it holds more than {} MiB, the rest was not read: use fewer or shorter keys and values",
                    RANGE_MAX >> 20
                )));
            }
            from.clone_from(&entry.key);
            from.push(0);
            entries.push(entry);
        }
        let more = answer.get("more").and_then(Value::as_bool).unwrap_or(false);
        if !more || kvs.is_none_or(Vec::is_empty) {
            return Ok(entries);
        }
    }
}
