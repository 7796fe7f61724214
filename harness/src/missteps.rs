//! Faults of clients: which are in force, whom they happen to, and what came of them.
//!
//! A client that crashes waits no longer for its answer, and its operation ends with what is known by then. A request that is sent
//! again is no operation of the history: of one that was answered nothing may come of it, and one whose outcome is not known may
//! take effect at any time anyway.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use duress_checker::history::{EventType, SentAgain};
use duress_nemesis::{ClientFault, ClientsSeen, DurationRange, Misleading, Misstep};
use duress_workloads::retry::Completion;
use duress_workloads::{Op, Token};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

/// All faults of clients that have begun, by number.
#[derive(Default)]
pub struct Missteps(RwLock<BTreeMap<u64, Arc<Begun>>>);

/// One that has begun.
struct Begun {
    what: ClientFault,
    seen: Mutex<ClientsSeen>,
    on_their_way: AtomicUsize,
    over: watch::Sender<bool>,
}

impl Begun {
    fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    fn seen(&self) -> MutexGuard<'_, ClientsSeen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client that is going to crash.
pub struct Crash {
    /// How long after it asks.
    pub after: Duration,
    at: Instant,
    comes_back: ComesBack,
    fault: Arc<Begun>,
}

/// As whom a client comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComesBack {
    /// As who it was to the system.
    Same,
    /// As somebody whom the system has never heard of.
    New,
}

impl Crash {
    /// As whom it comes back, if it has crashed before its operation ended.
    pub fn comes_back(self) -> Option<ComesBack> {
        (Instant::now() >= self.at).then(|| {
            self.fault.seen().hit += 1;
            self.comes_back
        })
    }
}

/// A request that is going to be sent again.
pub struct Again {
    /// How long from now.
    pub after: Duration,
    /// What it carries.
    pub token: Token,
    /// For what its retries draw.
    pub rng: ChaCha12Rng,
    /// What was answered the first time; `None`: nothing.
    first: Option<Value>,
    fault: Arc<Begun>,
}

impl Again {
    /// Turns true when the fault ends.
    pub fn over(&self) -> watch::Receiver<bool> {
        self.fault.over.subscribe()
    }

    /// What came of it, as the history has it.
    pub fn ended(self, completion: Completion) -> SentAgain {
        let mut seen = self.fault.seen();
        let count = match (completion.outcome, &self.first) {
            (EventType::Ok, Some(first)) if *first != completion.value => &mut seen.differed,
            (EventType::Ok, _) => &mut seen.answered,
            (EventType::Fail, _) => &mut seen.refused,
            _ => &mut seen.unanswered,
        };
        *count += 1;
        // Only what was sent.
        seen.hit += 1;
        drop(seen);
        SentAgain {
            token: self.token.clone(),
            outcome: completion.outcome,
            attempts: completion.attempts,
        }
    }
}

impl Drop for Again {
    fn drop(&mut self) {
        self.fault.on_their_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Missteps {
    fn begun(&self, fault: u64) -> Option<Arc<Begun>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&fault)
            .cloned()
    }

    /// One of those in force that happens now, drawn by their shares; the first that does.
    fn draw<T>(&self, rng: &mut ChaCha12Rng, is: impl Fn(&Misstep) -> Option<T>) -> Option<(Arc<Begun>, T)> {
        let begun = self.0.read().unwrap_or_else(PoisonError::into_inner);
        begun.values().filter(|fault| !fault.is_over()).find_map(|fault| {
            let what = is(&fault.what.how)?;
            rng.random_bool(fault.what.share).then(|| (fault.clone(), what))
        })
    }

    /// Whether the client of the next operation crashes, and when.
    pub fn crash(&self, rng: &mut ChaCha12Rng) -> Option<Crash> {
        let (fault, (within, comes_back)) = self.draw(rng, |how| match how {
            Misstep::Crash {
                within,
                same_identity,
            } => Some((
                *within,
                if *same_identity {
                    ComesBack::Same
                } else {
                    ComesBack::New
                },
            )),
            _ => None,
        })?;
        let after = within.mul_f64(rng.random_range(0.0..=1.0));
        Some(Crash {
            after,
            at: Instant::now() + after,
            comes_back,
            fault,
        })
    }

    /// Whether the request of an operation is sent again, and when. Only one that may do something, and that the system knows by a token.
    pub fn again(&self, op: &Op, completion: &Completion, rng: &mut ChaCha12Rng) -> Option<Again> {
        let token = completion.token.as_ref().filter(|_| !op.idempotent)?;
        let (fault, after) = self.draw(rng, |how| match (how, completion.outcome) {
            (Misstep::Replay { after }, EventType::Ok) => Some(*after),
            (Misstep::LateRetry { after }, EventType::Info) => Some(*after),
            _ => None,
        })?;
        fault.on_their_way.fetch_add(1, Ordering::Relaxed);
        Some(Again {
            after: drawn(after, rng),
            token: token.clone(),
            rng: ChaCha12Rng::from_rng(rng),
            first: (completion.outcome == EventType::Ok).then(|| completion.value.clone()),
            fault,
        })
    }
}

fn drawn(range: DurationRange, rng: &mut ChaCha12Rng) -> Duration {
    Duration::from_millis(rng.random_range(range.min_ms..=range.max_ms))
}

impl Misleading for Missteps {
    fn begin(&self, fault: u64, what: ClientFault) {
        let begun = Begun {
            what,
            seen: Mutex::default(),
            on_their_way: AtomicUsize::default(),
            over: watch::channel(false).0,
        };
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(fault, Arc::new(begun));
    }

    fn seen(&self, fault: u64) -> Option<ClientsSeen> {
        let begun = self.begun(fault).filter(|begun| !begun.is_over())?;
        Some(*begun.seen())
    }

    fn end(&self, fault: u64) -> Option<ClientsSeen> {
        let begun = self.begun(fault)?;
        begun.over.send_replace(true);
        Some(*begun.seen())
    }

    fn on_their_way(&self, fault: u64) -> usize {
        self.begun(fault)
            .map_or(0, |begun| begun.on_their_way.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use duress_workloads::retry::Completion;
    use serde_json::json;

    use super::*;

    fn fault(how: Misstep) -> (Missteps, ChaCha12Rng) {
        let missteps = Missteps::default();
        missteps.begin(3, ClientFault { share: 1.0, how });
        (missteps, ChaCha12Rng::seed_from_u64(1))
    }

    fn completion(outcome: EventType, value: Value) -> Completion {
        Completion {
            outcome,
            value,
            node: None,
            error: None,
            local: false,
            attempts: Vec::new(),
            token: Some(Token {
                client: "p1".to_owned(),
                seq: 7,
            }),
            lease_ms: None,
        }
    }

    const AFTER: DurationRange = DurationRange {
        min_ms: 10,
        max_ms: 20,
    };

    #[test]
    fn what_was_answered_is_replayed_and_an_answer_that_differs_is_counted() {
        let (missteps, mut rng) = fault(Misstep::Replay { after: AFTER });
        let enqueue = Op::changing("enqueue", json!(5));
        let first = completion(EventType::Ok, json!(5));
        for (outcome, value) in [
            (EventType::Ok, json!(5)),
            (EventType::Ok, json!(6)),
            (EventType::Fail, json!(5)),
            (EventType::Info, json!(5)),
        ] {
            let again = missteps
                .again(&enqueue, &first, &mut rng)
                .expect("a share of 1 is all");
            assert!((10..=20).contains(&again.after.as_millis()));
            assert_eq!((again.token.seq, missteps.on_their_way(3)), (7, 1));
            again.ended(completion(outcome, value));
        }
        let seen = missteps.end(3).expect("it has begun");
        assert_eq!((seen.hit, seen.answered, seen.differed), (4, 1, 1));
        assert_eq!((seen.refused, seen.unanswered), (1, 1));
        assert_eq!((missteps.seen(3), missteps.on_their_way(3)), (None, 0));
        assert!(missteps.again(&enqueue, &first, &mut rng).is_none(), "it is over");
    }

    #[test]
    fn only_what_changes_something_and_has_a_token_is_sent_again() {
        let (missteps, mut rng) = fault(Misstep::LateRetry { after: AFTER });
        let unknown = completion(EventType::Info, json!(5));
        let write = Op::changing("write", json!(5));
        assert!(missteps.again(&write, &unknown, &mut rng).is_some());
        assert!(
            missteps
                .again(&Op::observing("read"), &unknown, &mut rng)
                .is_none()
        );
        let mut known = completion(EventType::Ok, json!(5));
        assert!(missteps.again(&write, &known, &mut rng).is_none());
        (known.outcome, known.token) = (EventType::Info, None);
        assert!(missteps.again(&write, &known, &mut rng).is_none());
    }

    #[tokio::test]
    async fn a_client_that_was_answered_in_time_has_not_crashed() {
        for (within, comes_back) in [
            (Duration::from_secs(1 << 40), None),
            (Duration::ZERO, Some(ComesBack::Same)),
        ] {
            let same_identity = true;
            let (missteps, mut rng) = fault(Misstep::Crash {
                within,
                same_identity,
            });
            let crash = missteps.crash(&mut rng).expect("a share of 1 is all");
            assert_eq!(crash.comes_back(), comes_back);
            let hit = missteps.seen(3).map(|seen| seen.hit);
            assert_eq!(hit, Some(u64::from(comes_back.is_some())));
        }
    }
}
