//! A lock as people build it on etcd: a key with a lease. The client that creates the key holds the lock; when the lease runs out the
//! key is gone, and the next one creates it, whether or not the first has noticed.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use super::gateway::{CallError, encode, number};
use super::{Etcd, had_no_effect, stored, unless_proven};
use crate::service::Answer;

/// Clients that find the lock taken look again after a while, and not at once.
const POLL: Duration = Duration::from_millis(20);

impl Etcd {
    /// A grant that nobody uses is harmless: it runs out. So only the txn can leave the outcome open.
    pub(super) async fn acquire(&self, member: SocketAddr, key: &str, holder: &Value) -> Answer {
        match self
            .gateway
            .call(member, "kv/range", &json!({"key": encode(key)}))
            .await
        {
            Err(error) => return had_no_effect(error),
            Ok(answer) if answer.get("kvs").is_some() => {
                tokio::time::sleep(POLL).await;
                return taken();
            }
            Ok(_) => {}
        }
        let grant = json!({"TTL": self.lease.as_secs().to_string()});
        let lease = match self.gateway.call(member, "lease/grant", &grant).await {
            Ok(answer) => match number(answer.get("ID")) {
                // Put without a lease the lock would be held for ever.
                0 => return Answer::refused("the answer has no lease"),
                lease => lease,
            },
            Err(error) => return had_no_effect(error),
        };
        let compare = json!({"key": encode(key), "target": "VERSION", "result": "EQUAL", "version": "0"});
        let put = json!({"request_put":
            {"key": encode(key), "value": encode(holder.to_string()), "lease": lease.to_string()}});
        match self.txn(member, compare, put).await {
            Ok(true) => Answer::Ok(holder.clone()),
            Ok(false) => taken(),
            Err(error) => unless_proven(error),
        }
    }

    /// The holder believes that the lock is its own until it gives it back, and so a release is `ok` even when the lease
    /// ran out long ago: that is the mistake. Only the holder's own key is deleted.
    pub(super) async fn release(&self, member: SocketAddr, key: &str, holder: &Value) -> Answer {
        let compare = json!({"key": encode(key), "target": "VALUE", "result": "EQUAL", "value": encode(holder.to_string())});
        let delete = json!({"request_delete_range": {"key": encode(key)}});
        match self.txn(member, compare, delete).await {
            Ok(_) => Answer::Ok(holder.clone()),
            Err(error) => unless_proven(error),
        }
    }

    /// The holder of the lock now, by the member's own state. For tests and reports.
    pub async fn holder(&self, member: SocketAddr, key: &str) -> Result<Value, CallError> {
        let answer = self
            .gateway
            .call(member, "kv/range", &json!({"key": encode(key)}))
            .await?;
        Ok(stored(&answer)?.value)
    }
}

fn taken() -> Answer {
    Answer::Failed {
        error: "taken".to_owned(),
    }
}
