//! A host as it is written: `db1`, `root@10.0.0.11`, `admin@[fd00::1]:2222`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A host, and what is said of how to log in there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostAddress {
    /// Who logs in.
    pub user: Option<String>,
    /// A name that the client's configuration or the resolver knows, or an address.
    pub host: String,
    /// Where sshd listens.
    pub port: Option<u16>,
}

/// Characters of a user's name, or of a host's.
const LENGTH_MAX: usize = 255;

impl FromStr for HostAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| {
            Err(format!(
                "{text:?} is not a host: {why}; write \"user@host:port\", of which only the host is needed"
            ))
        };
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = if let Some(inside) = rest.strip_prefix('[') {
            match inside.split_once(']') {
                Some((host, "")) => (host, None),
                Some((host, after)) => match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None => return refuse("something follows the bracket"),
                },
                None => return refuse("a bracket has no partner"),
            }
        } else {
            match rest.split_once(':') {
                // More colons are an IPv6 address without brackets.
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let fits = |word: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
            (1..=LENGTH_MAX).contains(&word.len()) && !word.starts_with('-') && word.chars().all(plain)
        };
        if !fits(host) {
            return refuse("its name has letters, digits, \"-\", \"_\" and \".\"");
        }
        if !user.is_none_or(fits) {
            return refuse("a user's name has letters, digits, \"-\", \"_\" and \".\"");
        }
        let port = match port.map(str::parse) {
            None => None,
            Some(Ok(port)) if port > 0 => Some(port),
            Some(_) => return refuse("ports are 1 to 65535"),
        };
        Ok(HostAddress {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }
}

impl TryFrom<String> for HostAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<HostAddress> for String {
    fn from(address: HostAddress) -> String {
        address.to_string()
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(formatter, "{user}@")?;
        }
        match (self.port, self.host.contains(':')) {
            (Some(port), true) => write!(formatter, "[{}]:{port}", self.host),
            (Some(port), false) => write!(formatter, "{}:{port}", self.host),
            (None, _) => formatter.write_str(&self.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_written_again() {
        for (text, user, host, port) in [
            ("db1", None, "db1", None),
            ("root@10.0.0.11", Some("root"), "10.0.0.11", None),
            ("db1:2222", None, "db1", Some(2222)),
            ("a.b@[fd00::1]:22", Some("a.b"), "fd00::1", Some(22)),
            ("fd00::1", None, "fd00::1", None),
        ] {
            let read: HostAddress = text.parse().unwrap();
            assert_eq!(
                (read.user.as_deref(), read.host.as_str(), read.port),
                (user, host, port)
            );
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_form() {
        for bad in [
            "",
            "@a",
            "a@",
            "a:0",
            "a:70000",
            "a:x",
            "-oProxyCommand=x",
            "[fd00::1",
            "a b",
            "a;b",
        ] {
            let error = bad.parse::<HostAddress>().unwrap_err();
            assert!(error.contains("user@host:port"), "{bad:?}: {error}");
        }
    }
}
