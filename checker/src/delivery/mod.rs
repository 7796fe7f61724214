//! Delivery: what became of every message, and which promise of delivery that keeps.
//!
//! Most duplicates and losses are made by the ambiguity of a retry: a request was carried out, its answer was lost, and the client
//! asked again. So a [`Request`] is one logical operation whatever its attempts, and what is judged is what it did in the end.
//!
//! ```text
//! events, operations ──▶ Journal          who sent, received, acknowledged what: one shape of three
//!                          ├─ queue       enqueue dequeue ack nack drain
//!                          ├─ stream      send poll txn assign subscribe, as jepsen.tests.kafka has them
//!                          └─ effects     add increment append, read
//!                        ──▶ Findings     anomalies by name with their cause, fates, latencies
//! ```
//!
//! A [`Promise`] is broken by some anomalies and not by others ([`Anomaly::breach`]); an anomaly is only called so if no moments at
//! which requests of unknown outcome took effect, or never did, explain what was seen. Everything is a
//! few passes and sorts.

mod anomaly;
mod by_message;
mod collect;
mod effects;
mod findings;
mod journal;
mod lines;
mod micro;
mod promise;
mod queue;
mod stream;

pub use anomaly::{Anomaly, Breach, Cause};
pub use collect::{Collector, DeliveryError, LEASE_FIELD, LENT_FIELD, ORDERING_KEY_FIELD};
pub use findings::{Ambiguous, Finding, Findings, KEPT_MAX, Spread};
pub use journal::{Journal, NONE, Request, Shape, Touch, TouchKind};
pub use promise::{Isolation, Order, Promise, Terms, Until};

/// What an order is where none is named.
fn usual(order: Order, shape: Shape) -> Order {
    match (order, shape) {
        (Order::Usual, Shape::Stream) => Order::Partition,
        (Order::Usual, _) => Order::None,
        (order, _) => order,
    }
}

/// Where a promise ends; an error if the history does not show that.
fn until(until: Until, journal: &Journal, shape: Shape) -> Result<Until, String> {
    let acks = journal.has(TouchKind::Ack);
    match (until, shape) {
        (Until::Shown | Until::Applied, Shape::Effects) => Ok(Until::Applied),
        (_, Shape::Effects) => {
            Err("effects are neither delivered nor acknowledged: use until=applied".to_owned())
        }
        // What was made of messages is judged in any case.
        (Until::Applied, Shape::Stream) if journal.has(TouchKind::Output) => Ok(until),
        (Until::Applied, _) => Err(
            "what messages do is not in the history: it takes effects (add, increment, append; read), or outputs that name their input"
                .to_owned(),
        ),
        (Until::Shown, Shape::Queue) if acks => Ok(Until::Acknowledged),
        (Until::Acknowledged, Shape::Queue) if !acks => Err("nobody acknowledged any message".to_owned()),
        (Until::Acknowledged, Shape::Stream) => {
            Err("of a stream it is judged what is delivered: use until=delivered".to_owned())
        }
        (Until::Shown, _) => Ok(Until::Delivered),
        (until, _) => Ok(until),
    }
}

/// How far transactions are apart where that is not said; an error if there are none.
fn isolation(isolation: Isolation, shape: Shape) -> Result<Isolation, String> {
    match (isolation, shape) {
        (Isolation::Usual, Shape::Stream) => Ok(Isolation::Kafka),
        (isolation, Shape::Stream) => Ok(isolation),
        (Isolation::Usual | Isolation::None, _) => Ok(Isolation::None),
        _ => Err("only transactions of streams are isolated from each other: leave out isolation".to_owned()),
    }
}

/// Judges a journal: everything that is wrong under some promise, of these terms the promise aside. It is an error if there is nothing to
/// judge, or if the history does not show how far the promise was kept.
pub fn judge(journal: &Journal, terms: Terms) -> Result<Findings, String> {
    let Some(shape) = journal.shape else {
        return Err("there was no operation on any message".to_owned());
    };
    let until = until(terms.until, journal, shape)?;
    let order = usual(terms.order, shape);
    let isolation = isolation(terms.isolation, shape)?;
    Ok(match shape {
        Shape::Queue => queue::judge(journal, order, until),
        Shape::Stream => stream::judge(journal, order, isolation),
        Shape::Effects => effects::judge(journal),
    })
}
