//! The line to a sandbox on a host, which outlives the connection that it was started by.
//!
//! ```text
//! controller ── SSH ── relay ── the socket `keeper` in the node's folder ── init
//! ```
//!
//! The init listens at the socket, and has one connection at a time as its stdin and stdout: a new one takes the place of the one before. When
//! one breaks, nothing happens to the node. Whoever connects next is told what counts of all that was said meanwhile ([`Event::Again`]). An init
//! that has heard nothing for as long as it was told takes the controller for dead and ends, and with it the node.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use nix::unistd::{ForkResult, dup2_stderr, dup2_stdin, dup2_stdout, fork, setsid};

use super::protocol::Event;

/// What makes a process speak to a sandbox that runs: the node's folder follows.
pub(crate) const ATTACH: &str = "--attach";
/// How such a process ends when there is no sandbox to speak to any more.
pub(crate) const NOBODY: i32 = 4;

/// In the node's folder, which is entered first: paths of sockets have 107 characters at most.
const SOCKET: &str = "keeper";
const CHUNK_BYTES: usize = 16 * 1024;

/// A socket that connections come to, and when one was heard of.
pub(super) struct Line {
    listener: UnixListener,
    silence_max: Duration,
    heard: Instant,
    /// There is no connection now.
    pub broke: bool,
}

/// Becomes two processes: the one that is to be the sandbox, which gets a line, and the one that was started, which carries the first
/// connection to it and returns when that ends.
pub(super) fn part(folder: &Path, silence_max: Duration) -> io::Result<Option<Line>> {
    std::env::set_current_dir(folder)?;
    let listener = UnixListener::bind(SOCKET)?;
    let stream = UnixStream::connect(SOCKET)?;
    // SAFETY: the process has a single thread, so the child may do whatever the parent may.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => {
            drop(listener);
            relay(stream);
            Ok(None)
        }
        ForkResult::Child => {
            drop(stream);
            setsid()?;
            let mut line = Line {
                listener,
                silence_max,
                heard: Instant::now(),
                broke: true,
            };
            dup2_stderr(nowhere()?)?;
            line.take_up()?;
            Ok(Some(line))
        }
    }
}

/// Speaks to the sandbox of the node with this folder, until one of both has nothing more to say.
pub(super) fn attach(folder: &Path) -> ExitCode {
    let connected = std::env::set_current_dir(folder).and_then(|()| UnixStream::connect(SOCKET));
    match connected {
        Ok(stream) => {
            relay(stream);
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::from(NOBODY as u8),
    }
}

impl Line {
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Makes the connection that waits the one that is spoken by.
    pub fn take_up(&mut self) -> io::Result<()> {
        let (stream, _) = self.listener.accept()?;
        dup2_stdin(&stream)?;
        dup2_stdout(&stream)?;
        self.broke = false;
        self.hears();
        Ok(())
    }

    /// The controller lives.
    pub fn hears(&mut self) {
        self.heard = Instant::now();
    }

    /// There is nothing to hear by this connection any more.
    pub fn breaks(&mut self) -> io::Result<()> {
        let nowhere = nowhere()?;
        dup2_stdin(&nowhere)?;
        dup2_stdout(&nowhere)?;
        self.broke = true;
        Ok(())
    }

    /// When the silence has lasted too long.
    pub fn given_up_at(&self) -> Instant {
        self.heard + self.silence_max
    }

    pub fn is_given_up(&self) -> bool {
        self.given_up_at() <= Instant::now()
    }
}

fn nowhere() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}

/// Copies both ways. The end of what the controller says is passed on; the end of what the sandbox says is the end.
fn relay(stream: UnixStream) {
    let Ok(mut to_sandbox) = stream.try_clone() else {
        return;
    };
    thread::spawn(move || {
        copy(io::stdin().lock(), &mut to_sandbox);
        let _ = to_sandbox.shutdown(Shutdown::Write);
    });
    copy(stream, &mut io::stdout().lock());
}

/// Passes on what comes as it comes.
fn copy(mut from: impl Read, to: &mut impl Write) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => return,
            Ok(length) => {
                if to.write_all(&chunk[..length]).and_then(|()| to.flush()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// What counts of all that a sandbox has said.
#[derive(Default)]
pub(super) struct Said {
    up: Option<Event>,
    networked: Option<Event>,
    /// To the newest start.
    answer: Option<Event>,
    /// How the program ended, unless it was started since.
    exited: Option<Event>,
}

impl Said {
    pub fn note(&mut self, event: Event) {
        match event {
            Event::Up { .. } => self.up = Some(event),
            Event::Networked => self.networked = Some(event),
            Event::Started { .. } => (self.answer, self.exited) = (Some(event), None),
            Event::Refused { .. } => self.answer = Some(event),
            Event::Exited { .. } => self.exited = Some(event),
            Event::Failed { .. } | Event::Again(_) => {}
        }
    }

    /// In an order in which it could have been said.
    pub fn all(&self) -> Vec<Event> {
        let said = [&self.up, &self.networked, &self.answer, &self.exited];
        said.into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(events: &[Event]) -> Vec<Event> {
        let mut said = Said::default();
        events.iter().for_each(|event| said.note(event.clone()));
        said.all()
    }

    #[test]
    fn what_a_program_did_since_is_what_counts() {
        let up = Event::Up { pid: 7 };
        let started = |id| Event::Started { id };
        let exited = || Event::Exited {
            how: "signal 9".to_owned(),
        };
        let only_up = [up.clone()];
        assert_eq!(said(&only_up), only_up);
        assert_eq!(
            said(&[up.clone(), started(1), exited()]),
            [up.clone(), started(1), exited()]
        );
        assert_eq!(
            said(&[up.clone(), started(1), exited(), started(2)]),
            [up, started(2)]
        );
    }
}
