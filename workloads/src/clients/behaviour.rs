//! How a client behaves, in sentences for a person: whoever asks is as much a part of what is tested as the system is.

use std::fmt;
use std::time::Duration;

use super::kind::{ClientKind, Tokens};
use crate::retry::RetryPolicy;

/// What is tried again, what counts as proof, and whether tokens are sent. Without a policy, as it is whatever a spec says.
pub fn sentences(kind: &ClientKind, policy: Option<&RetryPolicy>) -> Vec<String> {
    let executed_once = match kind.tokens {
        Tokens::None => false,
        Tokens::Optional => policy.is_none_or(|policy| policy.tokens),
        Tokens::Always { executed_once } => executed_once,
    };
    let unknown = if executed_once {
        "Whatever changes something carries a token, and the system is taken to execute a token once. So an attempt of \
         unknown outcome is tried again, under the same token."
    } else {
        "No token makes it safe to ask twice. So after an attempt of unknown outcome only what is harmless twice is tried \
         again: reads, and what a workload says is so."
    };
    let mut said = vec![
        format!(
            "An attempt counts as not executed if no connection was made, or if {}; it is tried again{}. Whatever else goes \
             wrong, it may have happened.",
            kind.proof,
            policy
                .map(Limits)
                .map(|limits| format!(", {limits}"))
                .unwrap_or_default(),
        ),
        unknown.to_owned(),
    ];
    said.extend(policy.into_iter().flat_map(choices));
    said
}

/// What a policy does otherwise than others do.
fn choices(policy: &RetryPolicy) -> Vec<String> {
    let mut said = Vec::new();
    for (tried_again, after) in [
        (policy.retry_on.refused, "was provably not executed"),
        (policy.retry_on.unknown, "has no known outcome"),
    ] {
        if !tried_again {
            said.push(format!(
                "Here nothing is tried again after an attempt that {after}."
            ));
        }
    }
    if let Some(hedge) = policy.hedge {
        said.push(format!(
            "What is harmless twice is asked of a second node as well when the first has not answered within {}, and the first answer that \
             proves something decides.",
            Span(hedge)
        ));
    }
    said
}

/// The limits of a policy, in words.
struct Limits<'a>(&'a RetryPolicy);

impl fmt::Display for Limits<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let policy = self.0;
        write!(
            formatter,
            "up to {} attempts of {} each within {}, with {} to {} between them and at most {} retries for each first attempt",
            policy.attempts_max,
            Span(policy.timeout),
            Span(policy.deadline),
            Span(policy.backoff),
            Span(policy.backoff_max),
            policy.budget_ratio,
        )
    }
}

/// `500 ms`, `2.5 s`.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds if seconds < 1.0 => write!(formatter, "{} ms", self.0.as_millis()),
            seconds => write!(formatter, "{seconds} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{etcd, specimen};
    use crate::retry::RetryOn;

    fn policy(tokens: bool) -> RetryPolicy {
        RetryPolicy {
            timeout: Duration::from_millis(500),
            deadline: Duration::from_millis(2500),
            attempts_max: 5,
            backoff: Duration::from_millis(20),
            backoff_max: Duration::from_millis(500),
            budget_ratio: 2.0,
            tokens,
            retry_on: RetryOn::ALL,
            hedge: None,
        }
    }

    #[test]
    fn it_is_said_what_is_tried_again() {
        let said = sentences(&specimen::kind(), Some(&policy(true)));
        assert!(
            said[0].contains(
                "tried again, up to 5 attempts of 500 ms each within 2.5 s, with 20 ms to 500 ms between"
            ),
            "{said:?}"
        );
        assert!(
            said[1].starts_with("Whatever changes something carries a token"),
            "{said:?}"
        );
        for said in [
            sentences(&specimen::kind(), Some(&policy(false))),
            sentences(&etcd::kind(), Some(&policy(true))),
            sentences(&etcd::kind(), None),
        ] {
            assert!(said[1].starts_with("No token makes it safe"), "{said:?}");
        }
    }
    #[test]
    fn it_is_said_what_a_policy_does_otherwise() {
        let plain = sentences(&specimen::kind(), Some(&policy(true)));
        let other = RetryPolicy {
            retry_on: RetryOn {
                unknown: false,
                ..RetryOn::ALL
            },
            hedge: Some(Duration::from_millis(50)),
            ..policy(true)
        };
        let said = sentences(&specimen::kind(), Some(&other));
        let [unknown, hedge] = &said[plain.len()..] else {
            panic!("{said:?}");
        };
        assert_eq!(
            unknown,
            "Here nothing is tried again after an attempt that has no known outcome."
        );
        assert!(
            hedge.contains("a second node") && hedge.contains("50 ms"),
            "{hedge}"
        );
    }
}
