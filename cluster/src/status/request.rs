//! How nodes are asked for their status: the table `[status]` of a `system.toml`.
//!
//! ```toml
//! [status]
//! method = "post"
//! path = "/v3/maintenance/status"
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::answer::Answer;

/// How a node is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Without a body.
    #[default]
    Get,
    /// With a JSON body.
    Post,
}

/// How a node is asked for its status, and where in the answer it stands: the table `[status]` of a `system.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct StatusRequest {
    /// By whom, and how.
    pub ask: StatusAsk,
    /// Where in the answer what stands.
    pub answer: Answer,
}

/// Who asks a node for its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatusAsk {
    /// Duress, by HTTP.
    Http {
        /// By GET or POST.
        method: Method,
        /// E.g. `/status`.
        path: String,
        /// On the node's IPv4 address; the port of clients if it is not said.
        port: Option<u16>,
        /// Of a post; `{}` if it is not said.
        body: Option<Value>,
    },
    /// A program of the client `exec`.
    Exec,
}

/// The same as it is written, before its keys have been looked at together.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    exec: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Method>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    answer: Answer,
}

impl TryFrom<Written> for StatusRequest {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let Written {
            exec,
            method,
            path,
            port,
            body,
            answer,
        } = written;
        let ask = match (exec, path) {
            (true, None) if method.is_none() && port.is_none() && body.is_none() => StatusAsk::Exec,
            (true, _) => {
                return Err(
                    "exec = true asks by the client's program; it goes without path, method, port and body",
                );
            }
            (false, None) => {
                return Err(
                    "name a path, as in path = \"/status\", or let the client's program ask by exec = true",
                );
            }
            (false, Some(path)) => {
                let method = method.unwrap_or_default();
                if !path.starts_with('/') {
                    return Err("path begins with a slash, as in path = \"/status\"");
                }
                if port == Some(0) {
                    return Err("port 0 is none; use 1 to 65535");
                }
                if method == Method::Get && body.is_some() {
                    return Err("a body goes with method = \"post\"");
                }
                StatusAsk::Http {
                    method,
                    path,
                    port,
                    body,
                }
            }
        };
        if answer == Answer::default() {
            return Err("the answer tells nothing; name a pointer, e.g. answer.role = \"/role\"");
        }
        if answer.role.is_none() && !answer.words.is_empty() {
            return Err("words for roles go with answer.role");
        }
        if answer.member.is_some() && answer.leader.is_none() {
            return Err("answer.member goes with answer.leader");
        }
        Ok(StatusRequest { ask, answer })
    }
}

impl From<StatusRequest> for Written {
    fn from(request: StatusRequest) -> Written {
        let answer = request.answer;
        match request.ask {
            StatusAsk::Exec => Written {
                exec: true,
                answer,
                ..Written::default()
            },
            StatusAsk::Http {
                method,
                path,
                port,
                body,
            } => Written {
                exec: false,
                method: Some(method),
                path: Some(path),
                port,
                body,
                answer,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<StatusRequest, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (text, said) in [
            ("path = 'status'\nanswer.leader = '/l'", "begins with a slash"),
            ("path = '/'\nport = 0\nanswer.leader = '/l'", "port 0"),
            ("path = '/'\nbody = {}\nanswer.leader = '/l'", "method = \"post\""),
            ("path = '/'\nanswer = {}", "tells nothing"),
            (
                "path = '/'\nanswer = {leader = '/l', words.leader = ['x']}",
                "answer.role",
            ),
            (
                "path = '/'\nanswer = {term = '/t', member = '/m'}",
                "goes with answer.leader",
            ),
            ("path = '/'\nanswer.rolle = '/r'", "`role`"),
            ("answer.leader = '/l'", "or let the client's program ask"),
            (
                "exec = true\npath = '/'\nanswer.leader = '/l'",
                "goes without path",
            ),
        ] {
            let error = request(text).unwrap_err();
            assert!(error.contains(said), "{text}\n{error}");
        }
    }
}
