//! Starting programs on this machine.

use std::io;
use std::process::Stdio;

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::definition::Program;
use crate::clients::programs::{Running, Started};

/// Starts a program on this machine.
pub(super) fn here(program: &Program) -> io::Result<Started> {
    let mut child = Command::new(&program.path)
        .args(&program.arguments)
        .envs(&program.env)
        .current_dir(&program.folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // So that what it starts ends with it, and Ctrl-C is not for it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let missing = || io::Error::other("the program has no pipes");
    Ok(Started {
        input: Box::new(child.stdin.take().ok_or_else(missing)?),
        output: Box::new(child.stdout.take().ok_or_else(missing)?),
        errors: Box::new(child.stderr.take().ok_or_else(missing)?),
        running: Box::new(Here(child)),
    })
}

/// A process of this machine, the first of its group.
#[derive(Debug)]
struct Here(Child);

#[async_trait]
impl Running for Here {
    /// Its number is its own until it has been waited for.
    fn end(&mut self) {
        let group = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            // One that is gone already is no trouble.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    async fn how(&mut self, _errors: &mut Vec<u8>) -> Option<String> {
        let status = self.0.wait().await.ok()?;
        status.code().map(|_| status.to_string())
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.end();
    }
}
