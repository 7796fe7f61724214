//! What operations end as, whatever systems answer.

mod choices;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rand::SeedableRng;
use rand_chacha::ChaCha12Rng;
use serde_json::json;

use super::*;
use crate::endpoint::Endpoint;
use crate::service::Asker;
use crate::workload::HOLD;

/// Gives these answers in turn, and remembers who was asked. `None`: never answers.
struct Script {
    answers: Mutex<VecDeque<Option<Answer>>>,
    asked: Mutex<Vec<String>>,
    addresses: Mutex<Vec<SocketAddr>>,
    honours_tokens: bool,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = Option<Answer>>) -> Self {
        Script {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: Mutex::default(),
            addresses: Mutex::default(),
            honours_tokens: true,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }
}

#[async_trait]
impl Service for Script {
    async fn attempt(&self, endpoint: &Endpoint, _op: &Op, _asker: Asker<'_>) -> Answer {
        self.asked.lock().expect("no panic").push(endpoint.node.clone());
        self.addresses.lock().expect("no panic").push(endpoint.address);
        let answer = self.answers.lock().expect("no panic").pop_front();
        match answer.expect("as many answers as attempts") {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    fn honours_tokens(&self) -> bool {
        self.honours_tokens
    }
}

struct NoClock;

impl Clock for NoClock {
    fn now(&self) -> u64 {
        0
    }
}

const POLICY: RetryPolicy = RetryPolicy {
    timeout: Duration::from_secs(30),
    deadline: Duration::from_secs(60),
    attempts_max: 3,
    backoff: Duration::from_millis(1),
    backoff_max: Duration::from_millis(1),
    budget_ratio: 1.0,
    tokens: true,
    retry_on: RetryOn::ALL,
    hedge: None,
};

fn endpoint(node: &str, last: u8) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        node: node.to_owned(),
        address: SocketAddr::from(([127, 0, 0, last], 1)),
    })
}

/// One write, with three nodes there; `stop` is when the load is stopped.
async fn write(script: &Script, policy: &RetryPolicy, stop: Option<Duration>) -> (Completion, Duration) {
    let endpoints = ["n1", "n2", "n3"].map(|node| endpoint(node, 1)).to_vec();
    write_at(&endpoints, script, policy, stop).await
}

/// The same, with the nodes there.
async fn write_at(
    endpoints: &dyn Endpoints,
    script: &Script,
    policy: &RetryPolicy,
    stop: Option<Duration>,
) -> (Completion, Duration) {
    let (sender, stopped) = watch::channel(false);
    let budget = RetryBudget::new(1.0);
    let mut session = Session {
        service: script,
        endpoints,
        policy,
        budget: &budget,
        clock: &NoClock,
        routing: Routing::Leader,
        preferred: None,
        process: 7,
        stop: stopped,
        crashes_after: None,
    };
    let op = Op {
        f: "write",
        key: Some(json!("k")),
        value: json!(1),
        idempotent: false,
    };
    let token = Token {
        client: "p1".to_owned(),
        seq: 1,
    };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let start = Instant::now();
    let stopping = async {
        match stop {
            Some(stop) => tokio::time::sleep(stop).await,
            None => std::future::pending().await,
        }
        sender.send_replace(true);
        std::future::pending::<Completion>().await
    };
    let completion = tokio::select! {
        completion = session.perform(&op, Some(&token), &mut rng) => completion,
        never = stopping => never,
    };
    (completion, start.elapsed())
}

fn refused() -> Option<Answer> {
    Some(Answer::refused("overloaded"))
}

fn unknown() -> Option<Answer> {
    Some(Answer::unknown("connection reset"))
}

fn come_back_after(wait: Duration) -> Option<Answer> {
    Some(Answer::Refused {
        error: "overloaded".to_owned(),
        leader: None,
        retry_after: Some(wait),
    })
}

#[tokio::test]
async fn only_proofs_make_a_failure() {
    let mismatch = || {
        Some(Answer::Failed {
            error: "mismatch".to_owned(),
        })
    };
    let fenced = || {
        Some(Answer::Fenced {
            error: "fenced".to_owned(),
        })
    };
    let local = Some(Answer::Local {
        error: "no descriptor".to_owned(),
    });
    for (answers, honours_tokens, outcome) in [
        (vec![refused(), refused(), refused()], true, EventType::Fail),
        (vec![refused(), unknown(), refused()], true, EventType::Info),
        (vec![unknown(), refused(), refused()], true, EventType::Info),
        (vec![unknown(), Some(Answer::Ok(json!(1)))], true, EventType::Ok),
        (vec![unknown()], false, EventType::Info),
        (vec![refused(), unknown()], false, EventType::Info),
        // The second answer is about the token, and so about both attempts.
        (vec![unknown(), mismatch()], true, EventType::Fail),
        // That a session is over says nothing of an attempt that may have come before its end.
        (vec![refused(), fenced()], true, EventType::Fail),
        (vec![unknown(), fenced()], true, EventType::Info),
        (vec![refused(), local.clone()], true, EventType::Info),
        (vec![local], true, EventType::Info),
    ] {
        let count = answers.len();
        let script = Script {
            honours_tokens,
            ..Script::new(answers.clone())
        };
        let (completion, _) = write(&script, &POLICY, None).await;
        assert_eq!(completion.outcome, outcome, "{answers:?}");
        assert_eq!(completion.attempts.len(), count, "{answers:?}");
        assert_eq!(
            completion.local,
            completion.error.as_deref() == Some("no descriptor")
        );
    }
}

#[tokio::test]
async fn a_wait_ends_at_the_deadline() {
    let policy = RetryPolicy {
        deadline: Duration::from_millis(50),
        ..POLICY
    };
    for wait in [Duration::from_secs(100_000), Duration::MAX] {
        let script = Script::new([come_back_after(wait)]);
        let (completion, took) = write(&script, &policy, None).await;
        assert_eq!(completion.outcome, EventType::Fail);
        // As long as may be: a system that wants to be left alone is not asked at once for the next operation.
        assert!((50..5000).contains(&took.as_millis()), "{took:?}");
    }
    let script = Script::new([unknown(), come_back_after(Duration::MAX)]);
    assert_eq!(write(&script, &policy, None).await.0.outcome, EventType::Info);
}

#[tokio::test]
async fn an_attempt_ends_at_the_deadline_of_its_operation() {
    let policy = RetryPolicy {
        deadline: Duration::from_millis(50),
        ..POLICY
    };
    let (completion, took) = write(&Script::new([None]), &policy, None).await;
    assert_eq!(completion.error.as_deref(), Some("timeout"));
    assert_eq!(completion.outcome, EventType::Info);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn waits_end_when_the_load_is_stopped() {
    let stop = Some(Duration::from_millis(20));
    let script = Script::new([come_back_after(Duration::from_secs(50))]);
    let (completion, took) = write(&script, &POLICY, stop).await;
    assert_eq!(completion.outcome, EventType::Fail);
    assert!(took < Duration::from_secs(5), "{took:?}");
    let script = Script::new([unknown(), come_back_after(Duration::from_secs(50))]);
    let (completion, took) = write(&script, &POLICY, stop).await;
    assert_eq!(completion.outcome, EventType::Info);
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn attempts_end_soon_after_the_load_is_stopped() {
    let (completion, took) = write(&Script::new([None]), &POLICY, Some(Duration::ZERO)).await;
    assert_eq!(completion.outcome, EventType::Info);
    assert_eq!(
        completion.error.as_deref(),
        Some("no answer when the load was stopped")
    );
    assert!(took >= STOP_GRACE && took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn only_nodes_of_the_cluster_are_asked_when_one_is_named() {
    let named = |leader: &str| {
        Some(Answer::Refused {
            error: "not-leader".to_owned(),
            leader: Some(leader.to_owned()),
            retry_after: None,
        })
    };
    let script = Script::new([named("127.0.0.2"), refused(), refused()]);
    let apart = vec![endpoint("n1", 1), endpoint("n2", 2), endpoint("n3", 3)];
    write_at(&apart, &script, &POLICY, None).await;
    assert_eq!(script.asked()[1], "n2", "an address is as good as the name");
    let script = Script::new([named("n3"), named("127.0.0.1:2375"), named("elsewhere")]);
    let (completion, _) = write(&script, &POLICY, None).await;
    assert_eq!(completion.outcome, EventType::Fail);
    let asked = script.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[1], "n3");
    assert!(asked.iter().all(|node| node.starts_with('n')), "{asked:?}");
}

#[tokio::test]
async fn errors_are_kept_short() {
    let script = Script::new([Some(Answer::unknown("x".repeat(1 << 20))), refused(), refused()]);
    let (completion, _) = write(&script, &POLICY, None).await;
    let error = completion.error.expect("an error");
    assert!(
        error.len() < 1100 && error.ends_with("(cut, it has 1048576 bytes)"),
        "{error}"
    );
    assert_eq!(completion.attempts[0].error.as_ref(), Some(&error));
}

/// One node, which is at another address from the first doubt on.
#[derive(Default)]
struct Mover {
    doubts: AtomicUsize,
}

impl Endpoints for Mover {
    fn count(&self) -> usize {
        1
    }

    fn endpoint(&self, _node: usize) -> Arc<Endpoint> {
        let moved = self.doubts.load(Ordering::Relaxed) > 0;
        endpoint("n1", if moved { 2 } else { 1 })
    }

    fn doubt(&self, _node: usize) {
        self.doubts.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn each_attempt_is_made_where_the_node_is_by_then() {
    for first in [refused(), unknown()] {
        let script = Script::new([first, Some(Answer::Ok(json!(1)))]);
        let mover = Mover::default();
        let (completion, _) = write_at(&mover, &script, &POLICY, None).await;
        assert_eq!(completion.outcome, EventType::Ok);
        let hosts: Vec<String> = (script.addresses.lock().expect("no panic").iter())
            .map(|address| address.ip().to_string())
            .collect();
        assert_eq!(hosts, ["127.0.0.1", "127.0.0.2"]);
        // A node that answers is where it is thought to be.
        assert_eq!(mover.doubts.load(Ordering::Relaxed), 1);
    }
}

/// Holds what it is told to hold.
struct Holder;

#[async_trait]
impl Service for Holder {
    async fn attempt(&self, _endpoint: &Endpoint, op: &Op, _asker: Asker<'_>) -> Answer {
        crate::service::hold(op).await
    }
}

#[tokio::test]
async fn who_only_holds_something_is_not_late() {
    let policy = RetryPolicy {
        timeout: Duration::from_millis(5),
        ..POLICY
    };
    let (_sender, stop) = watch::channel(false);
    let mut session = Session {
        service: &Holder,
        endpoints: &vec![endpoint("n1", 1)],
        policy: &policy,
        budget: &RetryBudget::new(1.0),
        clock: &NoClock,
        routing: Routing::Leader,
        preferred: None,
        process: 7,
        stop,
        crashes_after: None,
    };
    let hold = Op {
        f: HOLD,
        key: Some(json!("k")),
        value: json!({"ms": 50}),
        idempotent: true,
    };
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let completion = session.perform(&hold, None, &mut rng).await;
    assert_eq!(
        (completion.outcome, completion.attempts.len()),
        (EventType::Ok, 1)
    );
}

#[tokio::test]
async fn an_attempt_says_whether_its_answer_proves_that_nothing_happened() {
    let refused = Some(Answer::refused("not-leader"));
    let unknown = Some(Answer::unknown("timeout"));
    let script = Script::new([refused, unknown, Some(Answer::Ok(json!(1)))]);
    let (completion, _) = write(&script, &POLICY, None).await;
    let proven: Vec<bool> = completion
        .attempts
        .iter()
        .map(|attempt| attempt.refused)
        .collect();
    assert_eq!(proven, [true, false, false]);
}
