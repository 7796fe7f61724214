//! Whether a host is the one that it was: its key against those that are known.

use std::path::{Path, PathBuf};

use ssh2::{CheckResult, KnownHostFileKind, Session};

/// The kinds of keys that a host can show, each asked for on a connection of its own until one is known: a file may have only one of them.
pub const KEY_KINDS: [&str; 3] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
];

/// What is known of a host's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    /// Nothing, of keys of this kind or of any.
    Nothing,
    /// It has another key.
    Other,
    /// It has this key.
    It,
}

/// Compares the key of a session whose handshake is done.
pub fn look(session: &Session, files: &[PathBuf], host: &str, port: u16) -> Result<Known, String> {
    let (key, _) = session.host_key().ok_or("it shows no host key")?;
    let mut known = session.known_hosts().map_err(|error| error.to_string())?;
    for file in files.iter().filter(|file| file.exists()) {
        known
            .read_file(file, KnownHostFileKind::OpenSSH)
            .map_err(|error| format!("read {}: {error}", file.display()))?;
    }
    Ok(match known.check_port(host, port, key) {
        CheckResult::Match => Known::It,
        CheckResult::Mismatch => Known::Other,
        CheckResult::NotFound => Known::Nothing,
        CheckResult::Failure => {
            return Err("compare its key with those that are known: libssh2 failed".to_owned());
        }
    })
}

/// What to say of a host that is not known, or has another key than the one that is.
pub fn refusal(known: Known, file: &Path, host: &str, port: u16) -> String {
    let (name, scan) = match port {
        22 => (host.to_owned(), host.to_owned()),
        port => (format!("[{host}]:{port}"), format!("-p {port} {host}")),
    };
    let file = file.display();
    match known {
        Known::Other => format!(
            "its host key is not the one in {file}: it was installed anew, or somebody is in between. If you know that it is right: \
             `ssh-keygen -f {file} -R '{name}' && ssh-keyscan {scan} >>{file}`"
        ),
        _ => format!(
            "its host key is not known. If the network between can be trusted: `ssh-keyscan {scan} >>{file}`; or log in once by ssh and compare \
             the key"
        ),
    }
}
