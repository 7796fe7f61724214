//! A channel that is open: bytes between its user and the host.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::poll::PollFlags;
use ssh2::{Channel, ErrorCode};
use tokio::sync::oneshot;

use super::remote::RemoteEnd;

/// Bytes on their way, each way, of each channel.
const CHUNK_BYTES: usize = 32 * 1024;
/// Of what a command writes to its standard error, the end is kept.
const SAID_BYTES_MAX: usize = 4000;

/// What the whole session fails with.
pub type Broken = String;

/// A channel of a session, from when it is asked for to its end.
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    /// Counts it.
    pub fn one_more(channels: &Arc<AtomicUsize>) -> Counted {
        channels.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(channels))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A channel that is open.
pub struct Open {
    channel: Channel,
    /// `None`: its user wants nothing more.
    local: Option<UnixStream>,
    /// To the host: what its user wrote and the session has not taken.
    outgoing: Vec<u8>,
    /// Its user has written all that there is.
    input_over: bool,
    /// The host knows that.
    eof_sent: bool,
    /// From the host, for its user.
    incoming: Vec<u8>,
    said: Vec<u8>,
    ended: Option<oneshot::Sender<RemoteEnd>>,
    _counted: Option<Counted>,
}

/// Whether the session would take or give nothing now.
fn would_block(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

impl Open {
    /// One that was opened just now. `local` must not block.
    pub fn new(
        channel: Channel,
        local: UnixStream,
        command: Option<(oneshot::Sender<RemoteEnd>, Counted)>,
    ) -> Open {
        let (ended, counted) = command.unzip();
        Open {
            channel,
            local: Some(local),
            outgoing: Vec::new(),
            input_over: false,
            eof_sent: false,
            incoming: Vec::new(),
            said: Vec::new(),
            ended,
            _counted: counted,
        }
    }

    /// What its user's end is to be waited for, if for anything: a hang-up is told in any case, and would be told again and again.
    pub fn waits_for(&self) -> Option<(&UnixStream, PollFlags)> {
        let mut flags = PollFlags::empty();
        if self.outgoing.is_empty() && !self.input_over {
            flags |= PollFlags::POLLIN;
        }
        if !self.incoming.is_empty() {
            flags |= PollFlags::POLLOUT;
        }
        self.local
            .as_ref()
            .filter(|_| !flags.is_empty())
            .map(|local| (local, flags))
    }

    /// Its user wants nothing more.
    pub fn hang_up(&mut self) {
        if !self.eof_sent {
            let _ = self.channel.send_eof();
        }
        let _ = self.channel.close();
    }

    /// What carried it broke.
    pub fn broke(self, why: &str) {
        if let Some(ended) = self.ended {
            let said = format!("the connection broke: {why}");
            let _ = ended.send(RemoteEnd {
                status: None,
                said,
                broke: true,
            });
        }
    }

    /// From its user to the host. Gives whether something moved, and whether the session has taken a part and wants the rest.
    pub fn outgoing(&mut self) -> Result<(bool, bool), Broken> {
        let mut moved = false;
        loop {
            if self.outgoing.is_empty() && !self.input_over {
                let mut chunk = [0; CHUNK_BYTES];
                match self.local.as_mut().map(|local| local.read(&mut chunk)) {
                    Some(Ok(0)) | None => self.input_over = true,
                    Some(Ok(count)) => self.outgoing.extend_from_slice(&chunk[..count]),
                    Some(Err(error)) if would_block(&error) || error.kind() == ErrorKind::Interrupted => {}
                    Some(Err(_)) => self.input_over = true,
                }
            }
            if !self.outgoing.is_empty() {
                if self.channel.eof() {
                    // Nobody reads it any more.
                    self.outgoing.clear();
                    continue;
                }
                match self.channel.write(&self.outgoing) {
                    Ok(count) => {
                        self.outgoing.drain(..count);
                        moved = true;
                        continue;
                    }
                    Err(error) if would_block(&error) => return Ok((moved, true)),
                    // It was closed meanwhile.
                    Err(_) if self.channel.eof() => continue,
                    Err(error) => return Err(error.to_string()),
                }
            }
            if self.input_over && !self.eof_sent {
                match self.channel.send_eof() {
                    Ok(()) => {
                        self.eof_sent = true;
                        moved = true;
                    }
                    Err(error) if again(&error) => return Ok((moved, true)),
                    // A channel that the host has closed.
                    Err(_) => self.eof_sent = true,
                }
            }
            return Ok((moved, false));
        }
    }

    /// From the host to its user.
    pub fn incoming(&mut self) -> Result<bool, Broken> {
        let mut moved = false;
        let mut chunk = [0; CHUNK_BYTES];
        loop {
            match self.channel.stderr().read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    self.said.extend_from_slice(&chunk[..count]);
                    let excess = self.said.len().saturating_sub(SAID_BYTES_MAX);
                    self.said.drain(..excess);
                    moved = true;
                }
                Err(error) if would_block(&error) => break,
                Err(_) if self.channel.eof() => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        loop {
            if self.incoming.is_empty() {
                match self.channel.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(count) => {
                        self.incoming.extend_from_slice(&chunk[..count]);
                        moved = true;
                    }
                    Err(error) if would_block(&error) => break,
                    Err(_) if self.channel.eof() => break,
                    Err(error) => return Err(error.to_string()),
                }
            }
            let Some(local) = self.local.as_mut() else {
                self.incoming.clear();
                continue;
            };
            match local.write(&self.incoming) {
                Ok(count) => {
                    self.incoming.drain(..count);
                    moved = true;
                }
                Err(error) if would_block(&error) => break,
                // Nobody reads it.
                Err(_) => self.incoming.clear(),
            }
        }
        Ok(moved)
    }

    /// Whether the command has ended, and all that it wrote has been passed on. Then its user knows.
    pub fn is_over(&mut self) -> bool {
        if !self.channel.eof() || !self.incoming.is_empty() {
            return false;
        }
        // After the close that follows, the host knows of no such channel, and ends a session that speaks of one.
        (self.input_over, self.eof_sent) = (true, true);
        self.outgoing.clear();
        match self.ended.take() {
            None => {}
            Some(ended) => {
                // The status comes before the channel is closed, and after the end of the output.
                match self.channel.close().and_then(|()| self.channel.wait_close()) {
                    Err(error) if again(&error) => {
                        self.ended = Some(ended);
                        return false;
                    }
                    _ => {}
                }
                let signal = self
                    .channel
                    .exit_signal()
                    .ok()
                    .and_then(|signal| signal.exit_signal);
                let mut said = String::from_utf8_lossy(&self.said).into_owned();
                let status = match signal {
                    Some(signal) => {
                        said.push_str(&format!(" (signal {signal})"));
                        None
                    }
                    None => self.channel.exit_status().ok(),
                };
                let _ = ended.send(RemoteEnd {
                    status,
                    said,
                    broke: false,
                });
            }
        }
        self.local = None;
        true
    }
}

fn again(error: &ssh2::Error) -> bool {
    const EAGAIN: i32 = -37;
    error.code() == ErrorCode::Session(EAGAIN)
}
