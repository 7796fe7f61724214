//! What a system gives a consumer together with a message, and wants to see again with its ack: a receipt, a delivery tag.
//!
//! A workload acknowledges by value. So whoever asks for a process keeps the receipt of the message that the process got last, which
//! is the only one that it has.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Receipts, by process, each with its message.
#[derive(Debug, Default)]
pub(super) struct Receipts(Mutex<HashMap<u64, (Value, Value)>>);

impl Receipts {
    /// Keeps what came with `message`, in the place of what this process had.
    pub fn keep(&self, process: u64, message: Value, receipt: Value) {
        self.all().insert(process, (message, receipt));
    }

    /// What came with `message` when this process got it.
    pub fn of(&self, process: u64, message: &Value) -> Option<Value> {
        let all = self.all();
        let (of, receipt) = all.get(&process)?;
        (of == message).then(|| receipt.clone())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, (Value, Value)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a process can't acknowledge a message.
pub(super) const NO_RECEIPT: &str = "this process was not given that message";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_receipt_is_that_of_the_message_which_the_process_got_last() {
        let receipts = Receipts::default();
        receipts.keep(1, json!(7), json!("a"));
        receipts.keep(2, json!(7), json!("b"));
        assert_eq!(receipts.of(1, &json!(7)), Some(json!("a")));
        assert_eq!(receipts.of(1, &json!(8)), None);
        receipts.keep(1, json!(8), json!("c"));
        assert_eq!(receipts.of(1, &json!(7)), None);
        assert_eq!(receipts.of(2, &json!(7)), Some(json!("b")));
    }
}
