//! Reads what each member holds once nobody writes any more, for the property `converged`.

use std::time::Duration;

use duress_checker::history::{Content, Contents, Member};
use duress_workloads::{Endpoints, RequestError, Service};
use tokio::time::Instant;

/// Members that are still catching up are asked again after this.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads all members again and again until they are at one index, or it is too late; then what there is has to do. The
/// error is what this machine lacks to read any.
pub async fn read(
    service: &dyn Service,
    endpoints: &dyn Endpoints,
    deadline: Instant,
) -> Result<Contents, String> {
    loop {
        let mut contents = Contents::default();
        for node in 0..endpoints.count() {
            let endpoint = endpoints.endpoint(node);
            let limit = deadline.max(Instant::now() + PAUSE);
            let read = tokio::time::timeout_at(limit, service.content(&endpoint)).await;
            let (content, error) = match read {
                Ok(Ok(content)) => (content, None),
                Ok(Err(RequestError::Local(what))) => return Err(what),
                Ok(Err(error)) => (Content::default(), Some(error.to_string())),
                Err(_) => (Content::default(), Some("no answer in time".to_owned())),
            };
            contents.members.push(Member {
                node: endpoint.node.clone(),
                error,
                content,
            });
        }
        if contents.comparable() || Instant::now() >= deadline {
            return Ok(contents);
        }
        tokio::time::sleep(PAUSE).await;
    }
}
