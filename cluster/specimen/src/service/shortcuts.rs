//! What defects make of a write on its way to the log. A correct node never comes here.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::{LIMIT, Service};
use crate::defect::Defect;
use crate::propose::reply_or_refusal;
use crate::refusal::Refusal;
use crate::streams::op::{Progress, StreamOp, TxnId};
use crate::types::{Command, Op, Reply, Scalar, Token};

impl Service {
    /// Runs a command as the defects of this node have it.
    pub(super) async fn write_wrongly(&self, command: Command) -> Result<Reply, Refusal> {
        let has = |defect| self.defects.has(defect);
        match command.op {
            Op::Cas { key, old, new } if has(Defect::SplitCas) => {
                self.rival(&key, 1);
                let done = self.cas_in_two_steps(key.clone(), &old, new, command.token).await;
                self.rival(&key, -1);
                done
            }
            Op::Ack { .. } if has(Defect::AckNotReplicated) => {
                self.run_alone(&command, Defect::AckNotReplicated)
            }
            Op::Stream(StreamOp::Progress(_)) if has(Defect::OffsetByLeader) => {
                self.run_alone(&command, Defect::OffsetByLeader)
            }
            Op::Stream(StreamOp::Commit {
                transaction,
                progress: Some(progress),
            }) if has(Defect::OffsetByLeader) || has(Defect::TxnInTwoSteps) => {
                self.commit_in_two_steps(transaction, progress, command.token)
                    .await
            }
            _ => self.submit_once(command).await,
        }
    }

    /// Runs a command here, and nowhere else.
    fn run_alone(&self, command: &Command, defect: Defect) -> Result<Reply, Refusal> {
        self.defects.diverged(defect);
        reply_or_refusal(self.machine.run_alone(command))
    }

    /// With [`Defect::DedupInMemory`] it is this node that knows whether a request has run.
    async fn submit_once(&self, command: Command) -> Result<Reply, Refusal> {
        match command.token.clone() {
            Some(token) if self.defects.has(Defect::DedupInMemory) => {
                let proposer = self.proposer.clone();
                let run = async move { proposer.submit(command, LIMIT).await };
                self.recent.once(&token, run).await
            }
            _ => self.submit(command).await,
        }
    }

    /// [`Defect::TxnInTwoSteps`], and [`Defect::OffsetByLeader`], whose second step is taken here alone: a commit that fails in between
    /// stays at the first step, since a repeat finds it done.
    async fn commit_in_two_steps(
        &self,
        transaction: TxnId,
        progress: Progress,
        token: Option<Token>,
    ) -> Result<Reply, Refusal> {
        let (done, admitted) = {
            let replica = self.state();
            let streams = replica.state.streams();
            (streams.has_committed(&transaction), streams.admits(&progress))
        };
        if !done {
            admitted.map_err(Refusal::Declined)?;
        }
        let commit = StreamOp::Commit {
            transaction,
            progress: None,
        };
        let op = Op::Stream(commit);
        let reply = self.submit_once(Command { op, token }).await?;
        if done {
            return Ok(reply);
        }
        let progress = Command {
            op: Op::Stream(StreamOp::Progress(progress)),
            token: None,
        };
        if self.defects.has(Defect::OffsetByLeader) {
            self.run_alone(&progress, Defect::OffsetByLeader)?;
        } else {
            self.defects.diverged(Defect::TxnInTwoSteps);
            self.submit(progress).await?;
        }
        Ok(reply)
    }

    /// [`Defect::SplitCas`]: between the comparison and the write, anything may happen.
    async fn cas_in_two_steps(
        &self,
        key: String,
        old: &Scalar,
        new: Scalar,
        token: Option<Token>,
    ) -> Result<Reply, Refusal> {
        let seen = self.read_index(&key).await?;
        let others = |rivals: &BTreeMap<String, usize>| rivals.get(&key).is_some_and(|count| *count > 1);
        if seen.value == *old && others(&self.rivals.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.defects.diverged(Defect::SplitCas);
        }
        if seen.value != *old {
            return Ok(Reply::Cas {
                swapped: false,
                index: seen.index,
            });
        }
        let put = Command {
            op: Op::Put { key, value: new },
            token,
        };
        match self.submit(put).await? {
            Reply::Written(index) => Ok(Reply::Cas { swapped: true, index }),
            reply => Ok(reply),
        }
    }

    fn rival(&self, key: &str, more: isize) {
        let mut rivals = self.rivals.lock().unwrap_or_else(PoisonError::into_inner);
        let count = rivals.entry(key.to_owned()).or_default();
        *count = count.saturating_add_signed(more);
        if *count == 0 {
            rivals.remove(key);
        }
    }
}
