//! With [`Defect::DedupInMemory`](crate::defect::Defect::DedupInMemory): which requests this node has carried out, for as long as it
//! runs and leads. Another leader, and a node that was started again, knows nothing of them.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::refusal::{Executed, Refusal};
use crate::sessions::SESSIONS_MAX;
use crate::types::{Reply, Token};

type Answer = Result<Reply, Refusal>;
type Coming = watch::Receiver<Option<Answer>>;

/// The last request of each client, and what came or comes of it.
#[derive(Default)]
pub struct Recent(Mutex<HashMap<String, (u64, Coming)>>);

impl Recent {
    /// What came of the request with this token; if it is new here, of `run`, which goes on when nobody waits any more.
    pub async fn once(&self, token: &Token, run: impl Future<Output = Answer> + Send + 'static) -> Answer {
        let mut coming = self.coming(token, run);
        let came = coming.wait_for(Option::is_some).await;
        let lost = || Err(Refusal::NoQuorum(Executed::Unknown));
        came.ok().and_then(|came| came.clone()).unwrap_or_else(lost)
    }

    /// That of the same request, unless it was refused; else that of `run`.
    fn coming(&self, token: &Token, run: impl Future<Output = Answer> + Send + 'static) -> Coming {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seq, coming)) = known.get(&token.client)
            && *seq == token.seq
            && !matches!(&*coming.borrow(), Some(Err(_)))
        {
            return coming.clone();
        }
        if known.len() >= SESSIONS_MAX {
            known.clear();
        }
        let (send, coming) = watch::channel(None);
        tokio::spawn(async move { send.send_replace(Some(run.await)) });
        known.insert(token.client.clone(), (token.seq, coming.clone()));
        coming
    }
}
