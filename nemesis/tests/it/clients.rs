//! Faults of clients: what is asked of them, what they tell, and what is made of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use duress_checker::history::{FaultStep, StepResult};
use duress_nemesis::{ClientFault, ClientsSeen, Misleading, Misstep};

use super::stage::Stage;

pub const KINDS: [&str; 3] = [
    r#"{"kind":"client-crash","within":"1ms"}"#,
    r#"{"kind":"client-replay","after":"1ms"}"#,
    r#"{"kind":"client-late-retry","after":"1ms"}"#,
];

/// Clients that say it has happened to so many of their operations.
#[derive(Default)]
pub struct Said {
    pub in_force: Mutex<BTreeMap<u64, ClientFault>>,
    pub hit: u64,
    /// They have forgotten it by the second look.
    pub forgets: bool,
    pub looks: Mutex<u64>,
}

impl Misleading for Said {
    fn begin(&self, fault: u64, what: ClientFault) {
        self.in_force.lock().unwrap().insert(fault, what);
    }

    fn seen(&self, fault: u64) -> Option<ClientsSeen> {
        let mut looks = self.looks.lock().unwrap();
        *looks += 1;
        let there = self.in_force.lock().unwrap().contains_key(&fault);
        let there = there && !(self.forgets && *looks > 1);
        there.then_some(ClientsSeen {
            hit: self.hit,
            answered: self.hit,
            ..ClientsSeen::default()
        })
    }

    fn end(&self, fault: u64) -> Option<ClientsSeen> {
        let seen = self.seen(fault);
        self.in_force.lock().unwrap().remove(&fault);
        seen
    }

    fn on_their_way(&self, _fault: u64) -> usize {
        0
    }
}

#[tokio::test]
async fn faults_of_clients_are_proven_by_what_clients_count() {
    let clients = Arc::new(Said {
        hit: 4,
        ..Said::default()
    });
    let stage = Stage::new(3).await.with_clients(clients.clone());
    for (id, kind) in (0..).zip(KINDS) {
        stage.begin_from(id, &[(kind, 20)]).await.unwrap().unwrap();
        stage.assert_proven(id);
        let events = stage.events(id);
        assert!(events.iter().all(|event| event.targets.is_empty()));
        let verify = events
            .iter()
            .find(|event| event.step == FaultStep::Verify)
            .unwrap();
        assert_eq!(verify.evidence["clients"]["hit"], 4);
        assert!(verify.detail.starts_with("4 "), "{}", verify.detail);
    }
    assert!(clients.in_force.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_a_spec_says_gets_to_the_clients() {
    let clients = Arc::new(Said {
        hit: 1,
        ..Said::default()
    });
    let stage = Stage::new(1).await.with_clients(clients.clone());
    let fault = r#"{"kind":"client-crash","share":0.25,"within":"30ms","comes-back":"new"}"#;
    let running = stage.begin(&[(fault, 60_000)]);
    stage.event(0, FaultStep::Verify).await;
    let asked = *clients.in_force.lock().unwrap().get(&0).unwrap();
    let crash = Misstep::Crash {
        within: std::time::Duration::from_millis(30),
        same_identity: false,
    };
    assert_eq!((asked.share, asked.how), (0.25, crash));
    stage.cancel.send_replace(true);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn without_a_run_there_are_no_clients() {
    let stage = Stage::new(1).await;
    stage.begin(&[(KINDS[1], 10)]).await.unwrap().unwrap();
    let events = stage.events(0);
    assert_eq!(events[0].result, StepResult::Skipped);
    assert!(events[0].detail.contains("put it into a spec"), "{events:?}");
}
