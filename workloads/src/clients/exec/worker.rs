//! One running program: it is asked one thing at a time, and ended as soon as it can't be trusted.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};
use tokio::time::timeout;

use super::overhear;
use crate::clients::programs::{Running, Started};

/// Of what a program writes to standard error this much is kept, in bytes.
const COMPLAINT_MAX: usize = 2000;

/// What a program that has ended wrote last comes within this, unless something that it started holds its output open.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// A running program. Whoever drops it ends it, with all that it started.
pub(super) struct Worker {
    input: Box<dyn AsyncWrite + Send + Sync + Unpin>,
    output: BufReader<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    complaint: Complaint,
    running: Box<dyn Running>,
    /// The number of its next question.
    pub id: u64,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Worker")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Worker {
    pub fn new(started: Started) -> Worker {
        Worker {
            input: started.input,
            output: BufReader::new(started.output),
            complaint: Complaint {
                errors: Some(started.errors),
                end: Vec::new(),
            },
            running: started.running,
            id: 0,
        }
    }

    /// Writes a line and reads the next one, of at most `length_max` bytes. The error says in words what the program did.
    /// After an error, or when it is dropped meanwhile, nobody knows where the program is: end it.
    pub async fn ask(&mut self, line: &[u8], length_max: usize) -> Result<Vec<u8>, String> {
        overhear::sent(line);
        let input = &mut self.input;
        let written = async {
            input.write_all(line).await?;
            input.flush().await
        };
        if let Err(error) = self.complaint.listen_while(written).await {
            return Err(self.ended(&format!("it does not read its input: {error}")).await);
        }
        let mut answer = Vec::new();
        let limit = u64::try_from(length_max).unwrap_or(u64::MAX);
        let output = (&mut self.output).take(limit);
        let read = async { pin!(output).read_until(b'\n', &mut answer).await };
        let read = self.complaint.listen_while(read).await;
        overhear::received(&answer);
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
        // The end of its input.
        self.input = Box::new(tokio::io::sink());
        self.running.end();
        self.complaint.hear_out().await;
        let how = match self.running.how(&mut self.complaint.end).await {
            Some(status) => format!("the program ended with {status}"),
            None => format!("the program was ended: {otherwise}"),
        };
        let complaint = String::from_utf8_lossy(&self.complaint.end);
        match complaint.trim().lines().next_back() {
            Some(last) if !last.is_empty() => format!("{how}: {last}"),
            _ => how,
        }
    }

    /// The end of what it wrote to its standard error.
    pub fn complaint(&self) -> &[u8] {
        &self.complaint.end
    }
}

/// A program's standard error. It is read while the program is asked something, which then can't be stopped by it.
struct Complaint {
    /// `None`: it has ended.
    errors: Option<Box<dyn AsyncRead + Send + Sync + Unpin>>,
    /// The end of what came.
    end: Vec<u8>,
}

impl Complaint {
    /// Reads on until the work is done, and then what has come by then.
    async fn listen_while<F: Future>(&mut self, work: F) -> F::Output {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    self.hear_what_is_there().await;
                    return done;
                }
                () = self.hear(), if self.errors.is_some() => {}
            }
        }
    }

    /// Waits for more.
    async fn hear(&mut self) {
        let mut buffer = [0; 4096];
        let Some(errors) = &mut self.errors else { return };
        match errors.read(&mut buffer).await {
            Ok(read @ 1..) => self.keep(&buffer[..read]),
            _ => self.errors = None,
        }
    }

    /// Takes one piece that need not be waited for: what was written before an answer is there with it.
    async fn hear_what_is_there(&mut self) {
        let mut buffer = [0; 4096];
        let mut buffer = ReadBuf::new(&mut buffer);
        let Some(errors) = &mut self.errors else { return };
        let read = poll_fn(
            |context| match Pin::new(&mut *errors).poll_read(context, &mut buffer) {
                Poll::Pending => Poll::Ready(Ok(())),
                ready => ready,
            },
        );
        if read.await.is_ok() {
            self.keep(buffer.filled());
        }
    }

    /// Waits for its end.
    async fn hear_out(&mut self) {
        let all = async {
            while self.errors.is_some() {
                self.hear().await;
            }
        };
        let _ = timeout(LAST_WORDS_MAX, all).await;
    }

    fn keep(&mut self, bytes: &[u8]) {
        overhear::errors(bytes);
        self.end.extend_from_slice(bytes);
        let excess = self.end.len().saturating_sub(COMPLAINT_MAX);
        self.end.drain(..excess);
    }
}
