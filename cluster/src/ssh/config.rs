//! What an OpenSSH client's configuration says of a host: `Host`, `HostName`, `User`, `Port`, `IdentityFile`, `ProxyJump`.
//!
//! ```text
//! Host db*
//!   HostName 10.0.0.11
//!   User admin
//!   IdentityFile ~/.ssh/cluster
//!   ProxyJump bastion
//! ```
//!
//! As with OpenSSH, the first value of each key counts, of all blocks whose patterns fit. `Match` blocks and `Include` are passed over, and other
//! keys too: they are about what Duress does not do.

use std::path::{Path, PathBuf};

/// What is said of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// What its name stands for.
    pub host_name: Option<String>,
    /// Who logs in.
    pub user: Option<String>,
    /// Where sshd listens.
    pub port: Option<u16>,
    /// Private keys, in order.
    pub identity_files: Vec<PathBuf>,
    /// The host to go through, as it is written.
    pub proxy_jump: Option<String>,
}

impl Said {
    /// What this text says of `host`. `home` is what `~` stands for.
    pub fn of(text: &str, host: &str, home: &Path) -> Said {
        let mut said = Said::default();
        let mut applies = true;
        for line in text.lines() {
            let Some((key, value)) = words(line) else { continue };
            match key.to_ascii_lowercase().as_str() {
                "host" => applies = fits(&value, host),
                "match" => applies = false,
                _ if !applies => {}
                "hostname" => keep(&mut said.host_name, value.replace("%h", host)),
                "user" => keep(&mut said.user, value),
                "port" => {
                    if let Ok(port) = value.parse() {
                        keep(&mut said.port, port);
                    }
                }
                "identityfile" => said.identity_files.push(at_home(&value, home)),
                "proxyjump" => keep(&mut said.proxy_jump, value),
                _ => {}
            }
        }
        said.proxy_jump = said.proxy_jump.filter(|jump| jump != "none");
        said
    }
}

/// The first value counts.
fn keep<T>(known: &mut Option<T>, value: T) {
    known.get_or_insert(value);
}

/// A key and all that follows it, without quotes. `None`: an empty line, or a comment.
fn words(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (key, value) = line.split_once(|c: char| c.is_whitespace() || c == '=')?;
    let value = value.trim_start_matches(|c: char| c.is_whitespace() || c == '=');
    Some((key, value.replace('"', "")))
}

/// Whether a list of patterns names the host, and no `!pattern` excludes it.
fn fits(patterns: &str, host: &str) -> bool {
    let mut named = false;
    for pattern in patterns.split_whitespace() {
        match pattern.strip_prefix('!') {
            Some(excluded) if glob(excluded.as_bytes(), host.as_bytes()) => return false,
            Some(_) => {}
            None => named |= glob(pattern.as_bytes(), host.as_bytes()),
        }
    }
    named
}

/// `*` stands for anything, `?` for one character.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|from| glob(rest, &text[from..])),
        (Some((b'?', pattern)), Some((_, text))) => glob(pattern, text),
        (Some((one, pattern)), Some((other, text))) if one.eq_ignore_ascii_case(other) => glob(pattern, text),
        _ => false,
    }
}

/// A path in which `~/` stands for the home directory.
pub fn at_home(path: &str, home: &Path) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(below) => home.join(below),
        None => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\nUser everybody\nHost db? !db9\n\tHostName = 10.0.0.%h\n  Port 2222\n  User late\nHost *\n  \
                        IdentityFile \"~/.ssh/a\"\n  IdentityFile /b\n  ProxyJump bastion:7\n  Port 1\nMatch all\n  Port 9\n";

    fn said(host: &str) -> Said {
        Said::of(TEXT, host, Path::new("/home/me"))
    }

    #[test]
    fn the_first_value_counts_of_all_blocks_that_fit() {
        let of_db1 = said("db1");
        assert_eq!(of_db1.host_name.as_deref(), Some("10.0.0.db1"));
        assert_eq!(
            (of_db1.user.as_deref(), of_db1.port),
            (Some("everybody"), Some(2222))
        );
        assert_eq!(
            of_db1.identity_files,
            [PathBuf::from("/home/me/.ssh/a"), PathBuf::from("/b")]
        );
        assert_eq!(of_db1.proxy_jump.as_deref(), Some("bastion:7"));
        for other in ["db9", "db", "web"] {
            assert_eq!(
                (said(other).host_name, said(other).port),
                (None, Some(1)),
                "{other}"
            );
        }
    }

    #[test]
    fn a_jump_over_none_is_none() {
        let text = "Host a\nProxyJump none\nHost *\nProxyJump b\n";
        assert_eq!(Said::of(text, "a", Path::new("/")).proxy_jump, None);
    }
}
