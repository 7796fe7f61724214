//! The thread of a host: everything that goes over its one session.
//!
//! libssh2 knows no threads, and a read that waits would keep a write from going out. So one thread owns the session and waits for
//! whatever comes first: bytes from the host, from one of the local ends, or a task. A channel's local end is one of a pair of sockets; the
//! other is its user's.
//!
//! What is done at once (opening a channel, an upload) is waited for; channels that are open stand still meanwhile, and lose nothing.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel, ErrorCode, OpenFlags, OpenType, Session};
use tokio::sync::oneshot;

use super::login::Login;
use super::remote::{Remote, RemoteChannel, RemoteEnd};
use super::session::{self, ANSWER_LIMIT, Session2};
use crate::ClusterError;

/// Bytes on their way, each way, of each channel.
const CHUNK_BYTES: usize = 32 * 1024;
/// Of what a command writes to its standard error, the end is kept.
const SAID_BYTES_MAX: usize = 4000;
/// How often a session that is silent is looked at all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// An upload is written in pieces of this size; several are on their way at a time.
const UPLOAD_BYTES: usize = 512 * 1024;

enum Task {
    Open {
        command: String,
        local: UnixStream,
        opened: oneshot::Sender<Result<(), String>>,
        ended: oneshot::Sender<RemoteEnd>,
    },
    Tunnel {
        host: String,
        port: u16,
        local: UnixStream,
        opened: oneshot::Sender<Result<(), String>>,
    },
    Upload {
        file: PathBuf,
        to: String,
        mode: i32,
        done: oneshot::Sender<Result<(), String>>,
    },
}

/// A session and its thread. Dropping it ends both.
pub struct Pump {
    name: String,
    tasks: Option<mpsc::Sender<Task>>,
    /// Wakes the thread up.
    bell: UnixStream,
    thread: Option<thread::JoinHandle<()>>,
}

impl Pump {
    /// Logs in, on the thread that the session stays on.
    pub async fn log_in(login: Login) -> Result<Pump, ClusterError> {
        let name = login.name.clone();
        let (answer, logged_in) = oneshot::channel();
        let thread = thread::Builder::new().name("duress-login".to_owned());
        let spawned = thread.spawn(move || {
            let pump = session::log_in(&login).and_then(|session| Pump::start(&login.name, session));
            drop(answer.send(pump));
        });
        spawned.map_err(thread_failed)?;
        logged_in.await.unwrap_or_else(|_| {
            Err(ClusterError::Unsupported {
                what: format!("log in to {name}"),
                why: "its thread ended".to_owned(),
            })
        })
    }

    /// Takes over a session.
    pub(super) fn start(name: &str, session: Session2) -> Result<Pump, ClusterError> {
        let (tasks, inbox) = mpsc::channel();
        let (bell, woken) = UnixStream::pair().map_err(thread_failed)?;
        for end in [&bell, &woken] {
            end.set_nonblocking(true).map_err(thread_failed)?;
        }
        let thread = thread::Builder::new().name("duress-ssh".to_owned());
        let thread = thread.spawn(move || {
            let Session2 { session, tunnel } = session;
            let mut work = Work {
                session,
                channels: Vec::new(),
                stuck: None,
            };
            work.until_hung_up(&inbox, woken);
            drop(work);
            // What carried the session ends after it.
            drop(tunnel);
        });
        Ok(Pump {
            name: name.to_owned(),
            tasks: Some(tasks),
            bell,
            thread: Some(thread.map_err(thread_failed)?),
        })
    }

    fn ask(&self, task: Task) -> Result<(), String> {
        let tasks = self.tasks.as_ref().ok_or("the connection was closed")?;
        tasks.send(task).map_err(|_| "the connection is broken".to_owned())?;
        // A bell that is full rings already.
        let _ = (&self.bell).write(&[0]);
        Ok(())
    }

    /// Connects to another host from there. Waits: not for a runtime's threads.
    pub(super) fn tunnel(&self, host: &str, port: u16) -> Result<UnixStream, String> {
        let (ours, local) = UnixStream::pair().map_err(|error| error.to_string())?;
        let (opened, answer) = oneshot::channel();
        let host = host.to_owned();
        self.ask(Task::Tunnel { host, port, local, opened })?;
        answer
            .blocking_recv()
            .unwrap_or_else(|_| Err("the connection is broken".to_owned()))?;
        Ok(ours)
    }

    fn failed(&self, what: &str, why: String) -> ClusterError {
        ClusterError::Unsupported {
            what: format!("{what} on {}", self.name),
            why,
        }
    }
}

fn thread_failed(source: std::io::Error) -> ClusterError {
    ClusterError::Io {
        what: "start a thread for an SSH session".to_owned(),
        source,
    }
}

#[async_trait]
impl Remote for Pump {
    async fn open(&self, command: &str) -> Result<RemoteChannel, ClusterError> {
        let what = || format!("start `{command}`");
        let failed = |why: String| self.failed(&what(), why);
        let (ours, local) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        ours.set_nonblocking(true).map_err(|error| failed(error.to_string()))?;
        let ours = tokio::net::UnixStream::from_std(ours).map_err(|error| failed(error.to_string()))?;
        let (opened, answer) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let command = command.to_owned();
        self.ask(Task::Open { command, local, opened, ended }).map_err(failed)?;
        answer
            .await
            .unwrap_or_else(|_| Err("the connection is broken".to_owned()))
            .map_err(failed)?;
        let (output, input) = ours.into_split();
        Ok(RemoteChannel { input, output, ended: end })
    }

    async fn upload(&self, file: &Path, to: &str, mode: i32) -> Result<(), ClusterError> {
        let failed = |why: String| self.failed(&format!("write {to}"), why);
        let (done, answer) = oneshot::channel();
        let task = Task::Upload {
            file: file.to_owned(),
            to: to.to_owned(),
            mode,
            done,
        };
        self.ask(task).map_err(failed)?;
        answer
            .await
            .unwrap_or_else(|_| Err("the connection is broken".to_owned()))
            .map_err(failed)
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.tasks = None;
        let _ = (&self.bell).write(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What the thread works on.
struct Work {
    session: Session,
    channels: Vec<Open>,
    /// The channel whose last write the session took in part: until it has taken the rest, it takes nothing else.
    stuck: Option<usize>,
}

/// A channel that is open.
struct Open {
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
}

/// What the whole session fails with.
type Broken = String;

impl Work {
    fn until_hung_up(&mut self, inbox: &mpsc::Receiver<Task>, mut woken: UnixStream) {
        loop {
            loop {
                match inbox.try_recv() {
                    Ok(task) => self.begin(task),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return self.hang_up(),
                }
            }
            self.session.set_blocking(false);
            match self.move_bytes() {
                Ok(()) => {}
                Err(why) => return self.broke(&why),
            }
            if let Err(why) = self.wait(&woken) {
                return self.broke(&why);
            }
            let mut rings = [0; 64];
            while matches!(woken.read(&mut rings), Ok(count) if count > 0) {}
        }
    }

    fn begin(&mut self, task: Task) {
        self.session.set_blocking(true);
        self.session.set_timeout(ANSWER_LIMIT.as_millis() as u32);
        match task {
            Task::Open { command, local, opened, ended } => {
                let channel = self.session.channel_session().and_then(|mut channel| {
                    channel.exec(&command)?;
                    Ok(channel)
                });
                self.keep(channel, local, opened, Some(ended));
            }
            Task::Tunnel { host, port, local, opened } => {
                let channel = self.session.channel_direct_tcpip(&host, port, None);
                self.keep(channel, local, opened, None);
            }
            Task::Upload { file, to, mode, done } => {
                let _ = done.send(upload(&self.session, &file, &to, mode));
            }
        }
    }

    fn keep(
        &mut self,
        channel: Result<Channel, ssh2::Error>,
        local: UnixStream,
        opened: oneshot::Sender<Result<(), String>>,
        ended: Option<oneshot::Sender<RemoteEnd>>,
    ) {
        let kept = channel
            .map_err(|error| error.to_string())
            .and_then(|channel| {
                local.set_nonblocking(true).map_err(|error| error.to_string())?;
                self.channels.push(Open {
                    channel,
                    local: Some(local),
                    outgoing: Vec::new(),
                    input_over: false,
                    eof_sent: false,
                    incoming: Vec::new(),
                    said: Vec::new(),
                    ended,
                });
                Ok(())
            });
        let _ = opened.send(kept);
    }

    /// Until nothing moves any more.
    fn move_bytes(&mut self) -> Result<(), Broken> {
        loop {
            let mut moved = false;
            let only = self.stuck;
            for (index, open) in self.channels.iter_mut().enumerate() {
                if only.is_some_and(|stuck| stuck != index) {
                    continue;
                }
                let (outgoing, stuck) = open.outgoing()?;
                self.stuck = stuck.then_some(index);
                moved |= outgoing;
                if stuck {
                    break;
                }
                moved |= open.incoming()?;
            }
            if self.stuck.is_none() {
                self.channels.retain_mut(|open| !open.is_over());
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// Until something can move.
    fn wait(&self, woken: &UnixStream) -> Result<(), Broken> {
        // SAFETY: the session owns the socket, and outlives this call.
        let socket = unsafe { BorrowedFd::borrow_raw(self.session.as_raw_fd()) };
        let mut session = PollFlags::POLLIN;
        let directions = self.session.block_directions();
        if matches!(directions, BlockDirections::Outbound | BlockDirections::Both) {
            session |= PollFlags::POLLOUT;
        }
        let mut waited = vec![PollFd::new(woken.as_fd(), PollFlags::POLLIN)];
        if !self.channels.is_empty() {
            // Without a channel nobody reads what comes.
            waited.push(PollFd::new(socket, session));
        }
        for open in &self.channels {
            let Some(local) = &open.local else { continue };
            let mut flags = PollFlags::empty();
            if open.outgoing.is_empty() && !open.input_over {
                flags |= PollFlags::POLLIN;
            }
            if !open.incoming.is_empty() {
                flags |= PollFlags::POLLOUT;
            }
            // A hang-up is told in any case, and would be told again and again.
            if !flags.is_empty() {
                waited.push(PollFd::new(local.as_fd(), flags));
            }
        }
        let limit = PollTimeout::try_from(LOOK_AGAIN).unwrap_or(PollTimeout::MAX);
        match poll(&mut waited, limit) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Nobody wants the session any more: each command sees the end of its input, and has a moment to be told.
    fn hang_up(&mut self) {
        self.session.set_blocking(true);
        self.session.set_timeout(1000);
        for open in &mut self.channels {
            if !open.eof_sent {
                let _ = open.channel.send_eof();
            }
            let _ = open.channel.close();
        }
        let _ = self.session.disconnect(None, "done", None);
    }

    fn broke(&mut self, why: &str) {
        for open in self.channels.drain(..) {
            if let Some(ended) = open.ended {
                let said = format!("the connection broke: {why}");
                let _ = ended.send(RemoteEnd { status: None, said });
            }
        }
    }
}

/// Whether the session would take or give nothing now.
fn would_block(error: &std::io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
}

impl Open {
    /// From its user to the host. Gives whether something moved, and whether the session has taken a part and wants the rest.
    fn outgoing(&mut self) -> Result<(bool, bool), Broken> {
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
    fn incoming(&mut self) -> Result<bool, Broken> {
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
    fn is_over(&mut self) -> bool {
        if !self.channel.eof() || !self.incoming.is_empty() {
            return false;
        }
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
                let signal = self.channel.exit_signal().ok().and_then(|signal| signal.exit_signal);
                let mut said = String::from_utf8_lossy(&self.said).into_owned();
                let status = match signal {
                    Some(signal) => {
                        said.push_str(&format!(" (signal {signal})"));
                        None
                    }
                    None => self.channel.exit_status().ok(),
                };
                let _ = ended.send(RemoteEnd { status, said });
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

fn upload(session: &Session, file: &Path, to: &str, mode: i32) -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| {
        format!("{error}; see that its disk is not full (`df -h`) and that the folder may be written")
    };
    let mut from = std::fs::File::open(file).map_err(|error| format!("read {}: {error}", file.display()))?;
    let sftp = session
        .sftp()
        .map_err(|error| format!("sshd there offers no SFTP ({error}); see the line `Subsystem sftp` in its sshd_config"))?;
    let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
    let opened = sftp.open_mode(to, flags, mode, OpenType::File);
    let mut written = opened.map_err(|error| told(&error))?;
    let mut chunk = vec![0; UPLOAD_BYTES];
    let sent = loop {
        match from.read(&mut chunk) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                if let Err(error) = written.write_all(&chunk[..count]) {
                    break Err(told(&error));
                }
            }
            Err(error) => break Err(format!("read {}: {error}", file.display())),
        }
    };
    let closed = written.close().map_err(|error| told(&error));
    sent.and(closed).inspect_err(|_| {
        // Half a file is worth nothing, and takes the room that there is.
        let _ = sftp.unlink(Path::new(to));
    })
}
