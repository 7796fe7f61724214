//! The client of a system, on hosts of its own.

use async_trait::async_trait;
use duress_checker::history::Content;
use duress_workloads::service::Answered;
use duress_workloads::{Answer, Asker, Endpoint, Op, RequestError, Service};
use serde_json::Value;

use super::{ClientHost, Request};

/// Attempts are made by workers, each process by its own; whatever else is asked is asked from here.
pub struct OnHosts {
    here: Box<dyn Service>,
    hosts: Vec<ClientHost>,
}

impl OnHosts {
    /// On these hosts, of which there is at least one.
    pub fn new(here: Box<dyn Service>, hosts: Vec<ClientHost>) -> OnHosts {
        OnHosts { here, hosts }
    }
}

#[async_trait]
impl Service for OnHosts {
    async fn attempt(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answer {
        self.attempt_seen(endpoint, op, asker).await.answer
    }

    async fn attempt_seen(&self, endpoint: &Endpoint, op: &Op, asker: Asker<'_>) -> Answered {
        let host = &self.hosts[asker.process as usize % self.hosts.len()];
        let request = Request {
            endpoint: endpoint.clone(),
            f: op.f.to_owned(),
            key: op.key.clone(),
            value: op.value.clone(),
            idempotent: op.idempotent,
            process: asker.process,
            token: asker.token.cloned(),
        };
        host.attempt(request).await
    }

    async fn content(&self, endpoint: &Endpoint) -> Result<Content, RequestError> {
        self.here.content(endpoint).await
    }

    async fn status(&self, endpoint: &Endpoint) -> Result<Value, RequestError> {
        self.here.status(endpoint).await
    }

    fn honours_tokens(&self) -> bool {
        self.here.honours_tokens()
    }
}
