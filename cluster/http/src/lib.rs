//! The HTTP client that speaks to nodes: requests of workloads, and probes of what nodes say of themselves.
//!
//! A node is under test and may do anything. So the client
//!
//! - follows no redirect: a 3xx is an answer like any other, and nothing is sent to where it points;
//! - repeats nothing on its own: one call is one request;
//! - reads no more than [`Options::body_max`] of a body, and no more than [`BODIES_AT_ONCE`] times that of all the bodies
//!   that it reads at one time. What is cut is no answer, but [`RequestError::TooLarge`]. Heads of answers end at 100 headers and
//!   some 400 KiB: that is `hyper`'s own limit;
//! - says of each error what it proves, see [`RequestError`]: whether the request may have arrived, and whether this machine is
//!   to blame and not the node.
//!
//! ```text
//! GET http://10.77.0.11:8080/status
//! ▶ Ok(Reply { status: 307, retry_after: None, headers: {…}, body: "" })
//! ▶ Err(NotSent("Connection refused (os error 111)"))
//! ▶ Err(Local("Too many open files (os error 24): …"))
//! ```
//!
//! The time of a call is limited by [`Options::time`], or by whoever drops the call. What a piece of work asks can be listened
//! to: [`overhear`].

mod overhear;
mod request_error;
mod retry_after;
mod tls;

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
pub use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

pub use overhear::{Exchange, overhear};
pub use request_error::{RequestError, cut, local_cause};
pub use tls::{Authorities, NoAuthorities};

/// What a body may be long unless somebody says otherwise, in bytes.
pub const BODY_MAX: usize = 1 << 20;

/// How many of the longest bodies may be in memory at one time.
pub const BODIES_AT_ONCE: usize = 64;

/// How a [`Client`] asks.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Address that requests come from.
    pub local: Option<IpAddr>,
    /// Limit of one call, from connecting to the last byte. `None`: the caller limits it.
    pub time: Option<Duration>,
    /// The longest body, in bytes.
    pub body_max: usize,
    /// Idle connections kept for each node.
    pub idle_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            local: None,
            time: None,
            body_max: BODY_MAX,
            idle_max: 1,
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET.
    Get,
    /// PUT.
    Put,
    /// POST.
    Post,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// How.
    pub method: Method,
    /// Where, e.g. `http://10.77.0.11:8080/kv/k1`.
    pub url: String,
    /// Beside those that every request has.
    pub headers: HeaderMap,
    /// Empty: none.
    pub body: Vec<u8>,
}

/// A whole answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// E.g. 200.
    pub status: u16,
    /// What `Retry-After` says in seconds, if it makes sense.
    pub retry_after: Option<Duration>,
    /// All of them.
    pub headers: HeaderMap,
    /// At most [`Options::body_max`] bytes.
    pub body: Vec<u8>,
}

impl Reply {
    /// The body, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// A client for any number of nodes and callers.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    body_max: usize,
    /// Bytes of bodies that are being read.
    in_memory: AtomicUsize,
    /// Where the names of `https:` addresses lead.
    nodes: tls::Nodes,
}

/// The beginning of any client: uses no proxy, follows no redirect, and trusts these authorities alone.
fn builder(authorities: &Authorities) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        // An answer of a node decides neither whom the client speaks to nor how often.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .tls_backend_preconfigured(authorities.config())
        .no_proxy()
}

/// The beginning of a client for plain HTTP that has its own ideas of the rest, as the specimen's nodes have. The default of
/// `reqwest` is no beginning: it looks for a provider of TLS where there is none.
pub fn plain() -> reqwest::ClientBuilder {
    builder(&Authorities::none())
}

impl Client {
    /// For plain HTTP. Fails only where this machine has no resources left.
    pub fn new(options: Options) -> Result<Client, RequestError> {
        Client::trusting(options, &Authorities::none())
    }

    /// The same for HTTPS too: nodes' certificates must be signed by one of these authorities.
    pub fn trusting(options: Options, authorities: &Authorities) -> Result<Client, RequestError> {
        let mut http = builder(authorities)
            .local_address(options.local)
            .pool_max_idle_per_host(options.idle_max)
            // After a partition an idle connection may be dead without knowing it.
            .pool_idle_timeout(Duration::from_secs(5))
            .tcp_nodelay(true);
        let nodes = tls::Nodes::default();
        if authorities.any() {
            http = http.dns_resolver(nodes.clone());
        }
        if let Some(time) = options.time {
            http = http.timeout(time);
        }
        Ok(Client {
            http: http.build().map_err(|error| request_error::of(&error))?,
            body_max: options.body_max,
            in_memory: AtomicUsize::new(0),
            nodes,
        })
    }

    /// From now on this name in an `https:` address leads there: certificates are made out to names.
    pub fn is_at(&self, name: &str, address: IpAddr) {
        self.nodes.set(name, address);
    }

    /// One request with a JSON body, or with none, and its whole answer.
    pub async fn call(
        &self,
        method: Method,
        url: impl Into<String>,
        body: Option<&Value>,
    ) -> Result<Reply, RequestError> {
        let mut headers = HeaderMap::new();
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        self.send(Request {
            method,
            url: url.into(),
            headers,
            // Twice as fast as by its `Display`.
            body: body.map_or_else(Vec::new, |body| {
                serde_json::to_vec(body).expect("a value is JSON")
            }),
        })
        .await
    }

    /// One request and its whole answer.
    pub async fn send(&self, request: Request) -> Result<Reply, RequestError> {
        let heard = overhear::begin(&request);
        let answered = self.exchange(request).await;
        overhear::end(heard, &answered);
        answered
    }

    async fn exchange(&self, request: Request) -> Result<Reply, RequestError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Put => reqwest::Method::PUT,
            Method::Post => reqwest::Method::POST,
            Method::Patch => reqwest::Method::PATCH,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut asked = self.http.request(method, &request.url).headers(request.headers);
        if !request.body.is_empty() {
            asked = asked.body(request.body);
        }
        let mut response = asked.send().await.map_err(|error| request_error::of(&error))?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let retry_after = (headers.get(RETRY_AFTER))
            .and_then(|value| value.to_str().ok())
            .and_then(retry_after::parse);
        let body = self.read(response).await?;
        Ok(Reply {
            status,
            retry_after,
            headers,
            body,
        })
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, RequestError> {
        let too_large = || RequestError::TooLarge { limit: self.body_max };
        if response
            .content_length()
            .is_some_and(|length| length > self.body_max as u64)
        {
            return Err(too_large());
        }
        let mut body = Vec::new();
        let mut held = Held {
            of: &self.in_memory,
            bytes: 0,
        };
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| request_error::of(&error))?
        {
            if chunk.len() > self.body_max - body.len() {
                return Err(too_large());
            }
            if held.add(chunk.len()) > self.body_max.saturating_mul(BODIES_AT_ONCE) {
                return Err(RequestError::TooMuch {
                    limit: self.body_max.saturating_mul(BODIES_AT_ONCE),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Bytes that count as in memory until this is dropped.
struct Held<'a> {
    of: &'a AtomicUsize,
    bytes: usize,
}

impl Held<'_> {
    /// Counts more, and says how many there are in all.
    fn add(&mut self, bytes: usize) -> usize {
        self.bytes += bytes;
        self.of.fetch_add(bytes, Ordering::Relaxed) + bytes
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
