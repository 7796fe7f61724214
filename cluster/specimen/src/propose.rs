//! Writes: gathered into batches, proposed, answered.
//!
//! The consensus library syncs the log once for each entry. So commands wait while [`PIPELINE`] entries are on
//! their way, and all that have gathered by then become the next entry: the busier the node, the larger the
//! batches.
//!
//! A client must be able to trust `"executed":"no"`. It is said only when a command was withdrawn before it was
//! proposed, or when its proposal was refused and this node's log has never seen it ([`Logged`]). Once in any
//! log, a later leader may still commit it.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use openraft::error::ClientWriteError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::defect::{Defect, Defects};
use crate::refusal::{Executed, Refusal};
use crate::types::{Batch, Command, Logged, Op, Raft, Reply};

/// Entries on their way at once: one being synced here, one being synced by followers, one in between.
const PIPELINE: usize = 3;
/// Commands in one entry. Bounds how much one request to a follower carries.
const BATCH_MAX: usize = 128;

type Answer = Result<Reply, Refusal>;

/// Takes commands from handlers, to the log. Clones are one.
#[derive(Clone)]
pub struct Proposer {
    queue: mpsc::Sender<Waiting>,
    /// With [`Defect::AckBeforeQuorum`]: the last index answered before it was committed.
    acknowledged: Arc<AtomicU64>,
}

/// What [`Defect::AckBeforeQuorum`] leaves behind.
#[derive(Clone)]
struct Hasty {
    acknowledged: Arc<AtomicU64>,
    defects: Defects,
}

/// A command whose client waits.
struct Waiting {
    command: Command,
    /// Taken once: by the proposer to propose it, or by its handler to withdraw it.
    claim: Arc<AtomicBool>,
    answer: oneshot::Sender<Answer>,
}

impl Proposer {
    /// A proposer that lets `waiting_max` commands wait, each for `limit`.
    pub fn start(raft: Raft, waiting_max: usize, limit: Duration, defects: Defects) -> Self {
        let (queue, commands) = mpsc::channel(waiting_max);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let hasty = defects.has(Defect::AckBeforeQuorum).then(|| Hasty {
            acknowledged: acknowledged.clone(),
            defects,
        });
        tokio::spawn(propose(raft, commands, limit, hasty));
        Self { queue, acknowledged }
    }

    /// Runs `command` through the log; gives up after `limit`.
    pub async fn submit(&self, command: Command, limit: Duration) -> Answer {
        let (answer, answered) = oneshot::channel();
        let claim = Arc::new(AtomicBool::new(false));
        let waiting = Waiting {
            command,
            claim: claim.clone(),
            answer,
        };
        if self.queue.try_send(waiting).is_err() {
            return Err(Refusal::Overloaded);
        }
        match timeout(limit, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Refusal::Internal("the node is shutting down".into())),
            Err(_) if claim.swap(true, Ordering::SeqCst) => Err(Refusal::NoQuorum(Executed::Unknown)),
            Err(_) => Err(Refusal::NoQuorum(Executed::No)),
        }
    }

    /// The index that reads must not fall behind: 0 but for [`Defect::AckBeforeQuorum`], which would otherwise
    /// show itself without any fault.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

async fn propose(raft: Raft, mut commands: mpsc::Receiver<Waiting>, limit: Duration, hasty: Option<Hasty>) {
    let slots = Arc::new(Semaphore::new(PIPELINE));
    while let Some(first) = commands.recv().await {
        let Ok(slot) = slots.clone().acquire_owned().await else {
            return;
        };
        let gathered = std::iter::once(first)
            .chain(std::iter::from_fn(|| commands.try_recv().ok()))
            .take(BATCH_MAX);
        let (commands, answers): (Vec<_>, Vec<_>) = gathered
            .filter(|waiting| !waiting.claim.swap(true, Ordering::SeqCst))
            .map(|waiting| (waiting.command, waiting.answer))
            .unzip();
        if commands.is_empty() {
            continue;
        }
        let logged = Arc::new(Logged::default());
        let blind = commands
            .iter()
            .map(|command| matches!(command.op, Op::Put { .. } | Op::Delete { .. }))
            .collect();
        let entry = Entry {
            answers: answers.into_iter().map(Some).collect(),
            blind,
            logged: logged.clone(),
        };
        let batch = Batch {
            commands,
            logged: Some(logged),
        };
        match raft.client_write_ff(batch).await {
            Ok(written) => {
                let hasty = hasty.clone();
                tokio::spawn(async move {
                    entry.settle(written, limit, hasty).await;
                    drop(slot);
                });
            }
            Err(fatal) => entry.refuse(&Refusal::Internal(fatal.to_string())),
        }
    }
}

/// A batch that has been proposed, and the clients that wait for it.
struct Entry {
    answers: Vec<Option<oneshot::Sender<Answer>>>,
    /// By command: whether its answer is known before it has run.
    blind: Vec<bool>,
    logged: Arc<Logged>,
}

type Written = oneshot::Receiver<openraft::raft::ClientWriteResult<crate::types::TypeConfig>>;

impl Entry {
    async fn settle(mut self, written: Written, limit: Duration, hasty: Option<Hasty>) {
        let mut written = std::pin::pin!(timeout(limit, written));
        let logged = self.logged.clone();
        let own_log = async {
            match &hasty {
                Some(_) => logged.wait_durable().await,
                None => future::pending().await,
            }
        };
        let written = tokio::select! {
            written = &mut written => written,
            () = own_log => {
                self.answer_early(hasty.as_ref());
                written.await
            }
        };
        match written {
            Ok(Ok(Ok(response))) => {
                for (answer, reply) in self.answers.into_iter().zip(response.data) {
                    send(answer, reply_or_refusal(reply));
                }
            }
            Ok(Ok(Err(ClientWriteError::ForwardToLeader(forward)))) if self.logged.index().is_none() => {
                self.refuse(&Refusal::NotLeader(forward.leader_node));
            }
            Ok(Ok(Err(_)) | Err(_)) | Err(_) => self.refuse(&Refusal::NoQuorum(Executed::Unknown)),
        }
    }

    /// [`Defect::AckBeforeQuorum`]: this node's log has the batch, so it will surely be committed. Won't it?
    fn answer_early(&mut self, hasty: Option<&Hasty>) {
        let (Some(hasty), Some(index)) = (hasty, self.logged.index()) else {
            return;
        };
        hasty.acknowledged.fetch_max(index, Ordering::SeqCst);
        hasty.defects.diverged(Defect::AckBeforeQuorum);
        for (answer, _) in self
            .answers
            .iter_mut()
            .zip(&self.blind)
            .filter(|(_, blind)| **blind)
        {
            send(answer.take(), Ok(Reply::Written(index)));
        }
    }

    fn refuse(self, refusal: &Refusal) {
        for answer in self.answers {
            send(answer, Err(refusal.clone()));
        }
    }
}

/// What a client is told.
pub fn reply_or_refusal(reply: Reply) -> Answer {
    match reply {
        Reply::StaleSeq { last } => Err(Refusal::StaleSeq(last)),
        Reply::Declined(declined) => Err(Refusal::Declined(declined)),
        reply if reply.is_refusal() => Err(Refusal::Full),
        reply => Ok(reply),
    }
}

fn send(to: Option<oneshot::Sender<Answer>>, answer: Answer) {
    if let Some(to) = to {
        // Whoever does not wait any more has told its client so.
        let _ = to.send(answer);
    }
}
