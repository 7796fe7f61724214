//! The little HTTP that is needed to look at nodes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A client that calls from this address, so that the calls are the observer's and not a client's.
pub(crate) fn client(local: Option<IpAddr>, limit: Duration) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .local_address(local)
        .timeout(limit)
        .no_proxy()
        .build()
}

/// The body of a successful answer as JSON, if it is JSON.
pub(crate) async fn get(
    client: &reqwest::Client,
    to: SocketAddr,
    path: &str,
) -> Result<Option<serde_json::Value>, String> {
    answer(client.get(format!("http://{to}{path}"))).await
}

/// The same for a POST with a JSON body.
pub(crate) async fn post(
    client: &reqwest::Client,
    to: SocketAddr,
    path: &str,
    body: &serde_json::Value,
) -> Result<Option<serde_json::Value>, String> {
    answer(client.post(format!("http://{to}{path}")).json(body)).await
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Option<serde_json::Value>, String> {
    let response = request.send().await.map_err(innermost)?;
    let status = response.status();
    let body = response.bytes().await.map_err(innermost)?;
    if !status.is_success() {
        return Err(format!("HTTP {status}"));
    }
    Ok(serde_json::from_slice(&body).ok())
}

/// `reqwest` wraps the one sentence that says something, such as `connection refused`, several times.
fn innermost(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
