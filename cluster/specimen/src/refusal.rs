//! Why a request was not served, in a form that tells a client whether it may have happened all the same.
//!
//! ```json
//! {"error":"not-leader","executed":"no","leader":"n2","leader_address":"10.77.0.12:8080"}
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Json;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::streams::op::Declined;
use crate::types::Member;

/// Seconds after which an overloaded node may be asked again. The queue empties in milliseconds; this is the
/// smallest delay that the header can express.
const RETRY_AFTER: &str = "1";

/// A request that was not served.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// Another node must be asked, if anyone knows which.
    NotLeader(Option<Member>),
    /// Too many requests are in flight.
    Overloaded,
    /// No majority confirmed in time, or leadership was lost while it was asked.
    NoQuorum(Executed),
    /// The request makes no sense; the text says why.
    BadRequest(String),
    /// There is nothing at this path.
    UnknownPath,
    /// The client has already sent a later request; this is that one's number.
    StaleSeq(u64),
    /// There is no room: for one more message in its queue or partition, or for one more of these.
    Full,
    /// It does not show the token of the session that it names.
    BadToken,
    /// The streams do not allow it.
    Declined(Declined),
    /// This node cannot go on; the text says why.
    Internal(String),
}

/// Whether a refused request took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// It did not, and never will.
    No,
    /// Nobody knows.
    Unknown,
}

impl Refusal {
    const REASONS: [&'static str; 15] = [
        "not-leader",
        "overloaded",
        "no-quorum",
        "bad-request",
        "unknown-path",
        "stale-seq",
        "full",
        "internal",
        "fenced",
        "sequence-gap",
        "sequence-forgotten",
        "rebalanced",
        "txn-over",
        "txn-open",
        "bad-token",
    ];

    fn reason(&self) -> usize {
        match self {
            Refusal::NotLeader(_) => 0,
            Refusal::Overloaded => 1,
            Refusal::NoQuorum(_) => 2,
            Refusal::BadRequest(_) => 3,
            Refusal::UnknownPath => 4,
            Refusal::StaleSeq(_) => 5,
            Refusal::Full | Refusal::Declined(Declined::Full) => 6,
            Refusal::Internal(_) => 7,
            Refusal::Declined(Declined::Fenced { .. }) => 8,
            Refusal::Declined(Declined::Gap { .. }) => 9,
            Refusal::Declined(Declined::Forgotten) => 10,
            Refusal::Declined(Declined::Rebalanced { .. }) => 11,
            Refusal::Declined(Declined::Over) => 12,
            Refusal::Declined(Declined::Open { .. }) => 13,
            Refusal::BadToken => 14,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Refusal::NotLeader(_) => StatusCode::MISDIRECTED_REQUEST,
            Refusal::Overloaded | Refusal::Full | Refusal::Declined(Declined::Full) => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Refusal::NoQuorum(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::BadRequest(_) => StatusCode::BAD_REQUEST,
            Refusal::BadToken => StatusCode::FORBIDDEN,
            Refusal::UnknownPath => StatusCode::NOT_FOUND,
            Refusal::StaleSeq(_) | Refusal::Declined(_) => StatusCode::CONFLICT,
            Refusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn executed(&self) -> Executed {
        match self {
            Refusal::NoQuorum(executed) => *executed,
            Refusal::Internal(_) | Refusal::Declined(Declined::Forgotten) => Executed::Unknown,
            _ => Executed::No,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let executed = match self.executed() {
            Executed::No => "no",
            Executed::Unknown => "unknown",
        };
        let mut body = json!({ "error": Self::REASONS[self.reason()], "executed": executed });
        let status = self.status();
        match self {
            Refusal::NotLeader(leader) => {
                let (name, address) = leader.map(|leader| (leader.name, leader.address)).unzip();
                body["leader"] = json!(name);
                body["leader_address"] = json!(address);
            }
            Refusal::Overloaded => {
                let retry: [(HeaderName, &str); 1] = [(header::RETRY_AFTER, RETRY_AFTER)];
                return (status, retry, Json(body)).into_response();
            }
            Refusal::BadRequest(detail) | Refusal::Internal(detail) => body["detail"] = json!(detail),
            Refusal::StaleSeq(last) => body["last"] = json!(last),
            Refusal::Declined(Declined::Fenced { epoch }) => body["epoch"] = json!(epoch),
            Refusal::Declined(Declined::Gap { next }) => body["next"] = json!(next),
            Refusal::Declined(Declined::Rebalanced { generation }) => body["generation"] = json!(generation),
            Refusal::Declined(Declined::Open { txn }) => body["open"] = json!(txn),
            Refusal::Declined(Declined::Forgotten | Declined::Over | Declined::Full)
            | Refusal::NoQuorum(_)
            | Refusal::UnknownPath
            | Refusal::BadToken
            | Refusal::Full => {}
        }
        (status, Json(body)).into_response()
    }
}

/// Refused requests by reason, since the start.
#[derive(Debug, Default)]
pub struct Refused([AtomicU64; Refusal::REASONS.len()]);

impl Refused {
    /// One more.
    pub fn count(&self, refusal: &Refusal) {
        self.0[refusal.reason()].fetch_add(1, Ordering::Relaxed);
    }

    /// As an object: `{"not-leader":3,"overloaded":0,…}`.
    pub fn to_json(&self) -> Map<String, Value> {
        let counts = self.0.iter().map(|count| json!(count.load(Ordering::Relaxed)));
        Refusal::REASONS
            .iter()
            .map(|reason| (*reason).to_owned())
            .zip(counts)
            .collect()
    }
}
