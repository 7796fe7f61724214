//! Runs the few system programs that a cluster needs, such as `ip`.
//!
//! Ordinary users often have no `sbin` in their search path, so the usual folders are tried first. The programs run in
//! the namespaces of the calling thread: whoever calls this decides where `ip` makes its interfaces.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::ClusterError;

const FOLDERS: [&str; 6] = [
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];

/// Where the program is, if it is installed in one of the usual folders.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
}

/// Runs `ip -batch -` on these lines. With `-force`, lines that fail don't stop the ones after them.
pub(crate) fn ip_batch(lines: &str, force: bool) -> Result<(), ClusterError> {
    let ip = find("ip").ok_or_else(|| ClusterError::Unsupported {
        what: "set up interfaces".into(),
        why: "there is no program `ip`; install the package iproute2".into(),
    })?;
    let mut command = Command::new(ip);
    if force {
        command.arg("-force");
    }
    let failed = |source| ClusterError::Io {
        what: "run `ip -batch`".into(),
        source,
    };
    let mut child = command
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    // A program that ends early leaves a broken pipe; what it said then is the better message.
    let written = stdin.write_all(lines.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return written.map_err(failed);
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(ClusterError::Io {
        what: format!(
            "set up interfaces with `ip -batch` (its input: {})",
            lines.trim().replace('\n', "; ")
        ),
        source: std::io::Error::other(said),
    })
}
