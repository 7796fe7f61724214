//! Linearizable reads by read-index, many for one round (Ongaro 2014, §6.4).
//!
//! A round asks a majority whether this node still leads and then waits until everything that was committed when
//! the round began has been applied. All reads that arrive before a round begins share it; later ones wait for
//! the next, because what they must see may be newer.

use std::sync::Arc;
use std::time::Duration;

use openraft::error::{CheckIsLeaderError, RaftError};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};

use crate::refusal::{Executed, Refusal};
use crate::types::Raft;

/// Rounds under way at once. Two, so that the next one does not wait for the slowest answer of the one before.
const ROUNDS: usize = 2;
/// The pause before a majority that did not answer is asked again.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a majority is asked before its reads are refused. Longer than one lost heartbeat, shorter than a
/// client is patient.
const PATIENCE: Duration = Duration::from_millis(500);

type Answer = Result<(), Refusal>;

/// Lets reads through when it is safe.
pub struct Reader(mpsc::Sender<oneshot::Sender<Answer>>);

impl Reader {
    /// A reader that lets `waiting_max` reads wait.
    pub fn start(raft: Raft, waiting_max: usize) -> Self {
        let (queue, mut reads) = mpsc::channel::<oneshot::Sender<Answer>>(waiting_max);
        tokio::spawn(async move {
            let slots = Arc::new(Semaphore::new(ROUNDS));
            while let Some(first) = reads.recv().await {
                let Ok(slot) = slots.clone().acquire_owned().await else {
                    return;
                };
                let waiting: Vec<_> = std::iter::once(first)
                    .chain(std::iter::from_fn(|| reads.try_recv().ok()))
                    .collect();
                let raft = raft.clone();
                tokio::spawn(async move {
                    let answer = round(&raft).await;
                    for read in waiting {
                        // Whoever does not wait any more has told its client so.
                        let _ = read.send(answer.clone());
                    }
                    drop(slot);
                });
            }
        });
        Self(queue)
    }

    /// Resolves when this node's state holds everything that was committed when this was called.
    pub async fn wait(&self) -> Answer {
        let (answer, answered) = oneshot::channel();
        if self.0.try_send(answer).is_err() {
            return Err(Refusal::Overloaded);
        }
        answered.await.unwrap_or(Err(Refusal::NoQuorum(Executed::No)))
    }
}

async fn round(raft: &Raft) -> Answer {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let check = tokio::time::timeout_at(deadline, raft.ensure_linearizable()).await;
        match check {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward)))) => {
                return Err(Refusal::NotLeader(forward.leader_node));
            }
            Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(_))))
                if Instant::now() < deadline =>
            {
                sleep(PAUSE).await;
            }
            _ => return Err(Refusal::NoQuorum(Executed::No)),
        }
    }
}
