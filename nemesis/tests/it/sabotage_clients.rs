//! Faults of clients that do nothing, or stop on the way, are not proven.

use std::sync::Arc;

use duress_checker::history::FaultStep;

use super::clients::{KINDS, Said};
use super::sabotage::{Tally, rounds};
use super::stage::Stage;

async fn sabotage(hit: u64, forgets: bool, said: &str) {
    for kind in KINDS {
        let mut tally = Tally::new(kind, said);
        for round in 0..rounds() {
            let clients = Arc::new(Said {
                hit,
                forgets,
                ..Said::default()
            });
            let stage = Stage::new(1).await.with_clients(clients);
            let running = stage.begin(&[(kind, 20)]);
            if hit == 0 {
                // Else it is waited for as long as a client may take to do something.
                stage.event(0, FaultStep::Inject).await;
                stage.cancel.send_replace(true);
            }
            running.await.unwrap().unwrap();
            tally.add(stage.bit(0), said, round);
        }
        tally.end();
    }
}

#[tokio::test]
pub async fn clients_to_whom_nothing_happens() {
    sabotage(0, false, "it has happened to no operation").await;
}

#[tokio::test]
pub async fn clients_that_forget_it() {
    sabotage(3, true, "the clients do nothing of the kind").await;
}
