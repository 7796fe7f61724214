//! Reads what each member holds once nobody writes any more, for the property `converged`.

use std::time::Duration;

use duress_checker::converged::{Content, Contents, Member};
use duress_workloads::{Endpoint, Service};
use tokio::time::Instant;

/// Members that are still catching up are asked again after this.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads all members again and again until they are at one index, or it is too late; then what there is has to do.
pub async fn read(service: &dyn Service, endpoints: &[Endpoint], deadline: Instant) -> Contents {
    loop {
        let mut contents = Contents::default();
        for endpoint in endpoints {
            let limit = deadline.max(Instant::now() + PAUSE);
            let read = tokio::time::timeout_at(limit, service.content(endpoint)).await;
            let read = read.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let (content, error) = match read {
                Ok(content) => (content, None),
                Err(error) => (Content::default(), Some(error)),
            };
            contents.members.push(Member {
                node: endpoint.node.clone(),
                error,
                content,
            });
        }
        if contents.comparable() || Instant::now() >= deadline {
            return contents;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
