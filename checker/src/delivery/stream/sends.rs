//! Whether acknowledged sends lie in a partition as they followed each other in real time.

use super::log::Logs;
use crate::delivery::anomaly::Anomaly;
use crate::delivery::findings::{Finding, Findings, cause};
use crate::delivery::journal::{Journal, NONE, Touch, TouchKind};
use crate::delivery::promise::Order;
use crate::history::Val;

/// `reordered`. What one process sent itself is `nonmonotonic-send`.
pub(super) fn judge(journal: &Journal, logs: &Logs, order: Order, findings: &mut Findings) {
    let unit = |touch: &Touch| match order {
        Order::Key => (touch.stream, touch.key),
        _ => (touch.stream, Val::NONE),
    };
    let mut sends: Vec<&Touch> = (journal.touches.iter())
        .filter(|touch| touch.kind == TouchKind::Send && touch.at != NONE && journal.request(touch).is_ok())
        .filter(|touch| logs.log(touch).is_some())
        .collect();
    sends.sort_unstable_by_key(|touch| (unit(touch), touch.at));
    for sends in sends.chunk_by(|a, b| unit(a) == unit(b)) {
        // Of those that lie behind, the one that was acknowledged first.
        let mut first: Option<&Touch> = None;
        for &send in sends.iter().rev() {
            let request = journal.request(send);
            if let Some(other) = first
                && journal.request(other).precedes(request)
                && journal.request(other).process != request.process
            {
                let name =
                    |touch: &Touch| crate::history::shortened(&journal.values.json(touch.value).to_string());
                findings.add(Finding {
                    anomaly: Anomaly::Reordered,
                    cause: cause(journal, Some(request), None),
                    stream: send.stream,
                    value: send.value,
                    requests: vec![other.request, send.request],
                    sentence: format!(
                        "{} was acknowledged before {} was sent, and lies behind it: offset {}, and {}",
                        name(other),
                        name(send),
                        other.at,
                        send.at
                    ),
                });
            }
            if first.is_none_or(|first| request.end < journal.request(first).end) {
                first = Some(send);
            }
        }
    }
}
