//! One running program: it is asked one thing at a time, and ended as soon as it can't be trusted.

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::definition::Program;

/// Of what a program writes to standard error this much is kept, in bytes.
const COMPLAINT_MAX: usize = 2000;

/// A running program. Whoever drops it ends it, with all that it started.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// The end of what it wrote to standard error.
    complaint: Arc<Mutex<Vec<u8>>>,
    /// The number of its next question.
    pub id: u64,
}

impl Worker {
    pub fn start(program: &Program) -> io::Result<Worker> {
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
        let (input, output, errors) = (
            child.stdin.take().ok_or_else(missing)?,
            child.stdout.take().ok_or_else(missing)?,
            child.stderr.take().ok_or_else(missing)?,
        );
        let complaint = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(keep_end(errors, complaint.clone()));
        Ok(Worker {
            child,
            input,
            output: BufReader::new(output),
            complaint,
            id: 0,
        })
    }

    /// Writes a line and reads the next one, of at most `length_max` bytes. The error says in words what the program did.
    /// After an error, or when it is dropped meanwhile, nobody knows where the program is: end it.
    pub async fn ask(&mut self, line: &[u8], length_max: usize) -> Result<Vec<u8>, String> {
        let written = async {
            self.input.write_all(line).await?;
            self.input.flush().await
        };
        if let Err(error) = written.await {
            return Err(self.ended(&format!("it does not read its input: {error}")).await);
        }
        let mut answer = Vec::new();
        let limit = u64::try_from(length_max).unwrap_or(u64::MAX);
        let read = (&mut self.output)
            .take(limit)
            .read_until(b'\n', &mut answer)
            .await;
        match read {
            Ok(_) if answer.ends_with(b"\n") => Ok(answer),
            Ok(_) if answer.len() >= length_max => Err(format!(
                "the program wrote {length_max} bytes without an end of line, and was ended"
            )),
            Ok(_) => Err(self.ended("it closed its output").await),
            Err(error) => Err(format!("read the program's answer: {error}")),
        }
    }

    /// What became of a program that does not answer any more.
    async fn ended(&mut self, otherwise: &str) -> String {
        self.end();
        let how = match self.child.wait().await {
            Ok(status) if status.code().is_some() => format!("the program ended with {status}"),
            _ => format!("the program was ended: {otherwise}"),
        };
        // What it wrote last is on its way.
        tokio::task::yield_now().await;
        let complaint = self.complaint.lock().unwrap_or_else(PoisonError::into_inner);
        let complaint = String::from_utf8_lossy(&complaint);
        match complaint.trim().lines().next_back() {
            Some(last) if !last.is_empty() => format!("{how}: {last}"),
            _ => how,
        }
    }

    /// Ends it with all that it started. Its number is its own until it has been waited for.
    fn end(&mut self) {
        let group = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(group) = group {
            // One that is gone already is no trouble.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}

/// Reads to the end, and keeps the last of it.
async fn keep_end(mut errors: impl AsyncRead + Unpin, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = errors.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..read]);
        let excess = kept.len().saturating_sub(COMPLAINT_MAX);
        kept.drain(..excess);
    }
}
