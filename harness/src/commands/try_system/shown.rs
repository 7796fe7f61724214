//! What a trial shows: short, without secrets, and such that nothing a system or a program says passes for what Duress says.

use duress_http::{Exchange, HeaderMap};
use duress_workloads::clients::exec;
use duress_workloads::{Answer, Op};

use crate::runs::trial::Expected;

/// Characters of a body that are shown.
const BODY_SHOWN_MAX: usize = 2000;
/// Lines of a program's standard error that are shown for one question.
const ERROR_LINES_MAX: usize = 30;
/// Headers that are shown.
const HEADERS_SHOWN_MAX: usize = 30;
/// Characters of a header that are shown.
const HEADER_SHOWN_MAX: usize = 200;

/// `cas of "try": [1,2]`.
pub fn asked(op: &Op) -> String {
    let object = op
        .key
        .as_ref()
        .map_or_else(|| "everything".to_owned(), ToString::to_string);
    match op.f {
        "read" => format!("read of {object}"),
        f => format!("{f} of {object}: {}", op.value),
    }
}

pub fn shown(node: &str, exchange: &Exchange) -> String {
    let request = &exchange.request;
    let mut text = format!("  > {node}: {} {}\n", request.method.as_str(), request.url);
    text += &headers(&request.headers);
    text += &body(&request.body);
    match &exchange.answered {
        Some(Ok(reply)) => {
            text += &format!("  < {}\n", reply.status);
            text += &headers(&reply.headers);
            text += &body(&reply.body);
        }
        Some(Err(trouble)) => text += &format!("  < no answer: {trouble}\n"),
        None => text += "  < no answer in time\n",
    }
    text
}

/// The two lines of the protocol, and what the program wrote to its standard error, as it is written: a line each.
pub fn shown_line(node: &str, exchange: &exec::Exchange) -> String {
    let line = |bytes: &[u8]| one_line(&cut(&String::from_utf8_lossy(bytes), BODY_SHOWN_MAX));
    let mut text = format!("  > {node}: {}\n", line(&exchange.sent));
    let errors = String::from_utf8_lossy(&exchange.errors);
    for said in errors.lines().take(ERROR_LINES_MAX) {
        text += &format!("    stderr: {}\n", one_line(&cut(said, BODY_SHOWN_MAX)));
    }
    if let more @ 1.. = errors.lines().count().saturating_sub(ERROR_LINES_MAX) {
        text += &format!("    stderr: … ({more} more lines)\n");
    }
    match &exchange.received {
        Some(received) => text += &format!("  < {}\n", line(received)),
        None => text += "  < no answer\n",
    }
    text
}

fn headers(headers: &HeaderMap) -> String {
    let line = |(name, value): (_, &duress_http::HeaderValue)| {
        let value = match value.is_sensitive() {
            true => "(not shown)".to_owned(),
            false => cut(
                &one_line(&String::from_utf8_lossy(value.as_bytes())),
                HEADER_SHOWN_MAX,
            ),
        };
        format!("    {name}: {value}\n")
    };
    headers.iter().take(HEADERS_SHOWN_MAX).map(line).collect()
}

fn body(body: &[u8]) -> String {
    if body.is_empty() {
        return String::new();
    }
    format!(
        "    {}\n",
        one_line(&cut(&String::from_utf8_lossy(body), BODY_SHOWN_MAX))
    )
}

/// A text of others, in one line.
pub fn said(text: &str) -> String {
    one_line(&cut(text, BODY_SHOWN_MAX))
}

/// Line ends and tabs are spelled out too, so that nothing passes for what Duress says.
fn one_line(text: &str) -> String {
    text.trim_end_matches(['\r', '\n'])
        .replace('\n', "\\n")
        .replace('\t', "\\t")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!(
            "{}… (cut, it has {} characters)",
            &text[..end],
            text.chars().count()
        ),
    }
}

pub fn taken_for(answer: &Answer) -> String {
    let said = match answer {
        Answer::Ok(value) => format!("ok: {value}"),
        Answer::Failed { error } => format!("fail: it did not happen, {error}"),
        Answer::Fenced { error } => {
            format!("fail: this attempt did not happen and none will any more, {error}")
        }
        Answer::Refused { error, leader, .. } => {
            let leader = leader
                .as_ref()
                .map(|leader| format!("; {leader} leads"))
                .unwrap_or_default();
            format!("refused: it did not happen and may be asked again, {error}{leader}")
        }
        Answer::Unknown { error } => format!("info: it may have happened, {error}"),
        Answer::Local { error } => format!("this machine could not ask: {error}"),
    };
    one_line(&cut(&said, BODY_SHOWN_MAX))
}

pub fn must_be(expects: &Expected) -> String {
    match expects {
        Expected::Ok(value) => format!("ok: {value}"),
        Expected::Fail => "fail".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use duress_http::{HeaderValue, Method, Reply, Request};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_program_was_asked_answered_and_complained_of_is_shown() {
        let mut exchange = exec::Exchange {
            sent: b"{\"id\":1,\"f\":\"read\"}\n".to_vec(),
            received: Some(b"{\"id\":1,\"type\":\"info\"}\n".to_vec()),
            errors: b"Traceback\n  = ok: 7\n\tat line 3\n".to_vec(),
        };
        assert_eq!(
            shown_line("n1", &exchange),
            "  > n1: {\"id\":1,\"f\":\"read\"}\n    stderr: Traceback\n    stderr:   = ok: 7\n    stderr: \\tat line 3\n  \
             < {\"id\":1,\"type\":\"info\"}\n"
        );
        exchange.received = None;
        exchange.errors = "x\n".repeat(100).into_bytes();
        let text = shown_line("n1", &exchange);
        assert!(text.ends_with("(70 more lines)\n  < no answer\n"), "{text}");
        exchange.received = Some(vec![b'y'; 100_000]);
        assert!(shown_line("n1", &exchange).len() < 4000);
    }

    #[test]
    fn what_is_shown_is_short_keeps_secrets_and_passes_for_nothing_else() {
        let mut secret = HeaderValue::from_static("Basic c2VjcmV0");
        secret.set_sensitive(true);
        let headers = HeaderMap::from_iter([("authorization".parse().expect("a name"), secret)]);
        let exchange = Exchange {
            request: Request {
                method: Method::Put,
                url: "http://10.77.0.11:8080/kv/try".to_owned(),
                headers,
                body: json!({"value": 7}).to_string().into_bytes(),
            },
            answered: Some(Ok(Reply {
                status: 200,
                retry_after: None,
                headers: HeaderMap::new(),
                body: format!("a\n  = ok: 7\t{}", "x".repeat(100_000)).into_bytes(),
            })),
        };
        let text = shown("n1", &exchange);
        assert!(text.contains("  > n1: PUT http://10.77.0.11:8080/kv/try\n    authorization: (not shown)\n    {\"value\":7}\n"), "{text}");
        assert!(!text.contains("c2VjcmV0"), "{text}");
        assert!(
            text.contains("  < 200\n    a\\n  = ok: 7\\tx") && text.lines().count() == 5,
            "{text}"
        );
        assert!(
            text.len() < 3000 && text.contains("(cut, it has "),
            "{}",
            text.len()
        );
    }
}
