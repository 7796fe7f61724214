//! The little HTTP that is needed to look at nodes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use duress_http::{Client, Method, Options, Reply, RequestError};
use serde_json::Value;

use crate::ClusterError;

/// A client that calls from this address, so that the calls are the observer's and not a client's.
pub(crate) fn client(local: Option<IpAddr>, limit: Duration) -> Result<Client, ClusterError> {
    let options = Options {
        local,
        time: Some(limit),
        ..Options::default()
    };
    Client::new(options).map_err(|error| ClusterError::Local {
        what: "make an HTTP client".into(),
        why: error.to_string(),
    })
}

/// The body of a successful answer as JSON, if it is JSON. Anything but 2xx is not a success, redirects included.
pub(crate) async fn get(client: &Client, to: SocketAddr, path: &str) -> Result<Option<Value>, RequestError> {
    success(
        client
            .call(Method::Get, &format!("http://{to}{path}"), None)
            .await?,
    )
}

/// The same for a POST with a JSON body.
pub(crate) async fn post(
    client: &Client,
    to: SocketAddr,
    path: &str,
    body: &Value,
) -> Result<Option<Value>, RequestError> {
    success(
        client
            .call(Method::Post, &format!("http://{to}{path}"), Some(body))
            .await?,
    )
}

fn success(reply: Reply) -> Result<Option<Value>, RequestError> {
    if reply.is_success() {
        Ok(reply.json())
    } else {
        Err(RequestError::Broken(format!("HTTP status {}", reply.status)))
    }
}
