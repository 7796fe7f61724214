//! The thread of a host: everything that goes over its one session.
//!
//! libssh2 knows no threads, and a read that waits would keep a write from going out. So one thread owns the session and waits for
//! whatever comes first: bytes from the host, from one of the local ends, or a task. A channel's local end is one of a pair of sockets; the
//! other is its user's.
//!
//! What is done at once (opening a channel, an upload) is waited for; channels that are open stand still meanwhile, and lose nothing.

use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ssh2::{BlockDirections, Channel, Session};
use tokio::sync::oneshot;

use super::channel::{Broken, Counted, Open};
use super::login::Login;
use super::remote::{RemoteChannel, RemoteEnd};
use super::session::{self, ANSWER_LIMIT, LoggedIn};
use super::upload::upload;
use crate::ClusterError;

/// How often a session that is silent is looked at all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

enum Task {
    Open {
        command: String,
        local: UnixStream,
        opened: oneshot::Sender<Result<(), String>>,
        ended: oneshot::Sender<RemoteEnd>,
        counted: Counted,
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
    broken: Arc<AtomicBool>,
    channels: Arc<AtomicUsize>,
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
    pub(super) fn start(name: &str, session: LoggedIn) -> Result<Pump, ClusterError> {
        let (tasks, inbox) = mpsc::channel();
        let (bell, woken) = UnixStream::pair().map_err(thread_failed)?;
        for end in [&bell, &woken] {
            end.set_nonblocking(true).map_err(thread_failed)?;
        }
        let thread = thread::Builder::new().name("duress-ssh".to_owned());
        let broken = Arc::new(AtomicBool::new(false));
        let given_up = Arc::clone(&broken);
        let thread = thread.spawn(move || {
            let LoggedIn { session, tunnel } = session;
            let mut work = Work {
                session,
                channels: Vec::new(),
                stuck: None,
                broken: given_up,
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
            broken,
            channels: Arc::default(),
        })
    }

    /// How many commands run by it, or are to.
    pub fn channels(&self) -> usize {
        self.channels.load(Ordering::Acquire)
    }

    /// Whether nothing can be asked by it any more.
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Takes it for broken.
    pub fn break_off(&self) {
        self.broken.store(true, Ordering::Release);
        let _ = (&self.bell).write(&[0]);
    }

    fn ask(&self, task: Task) -> Result<(), String> {
        let tasks = self.tasks.as_ref().ok_or("the connection was closed")?;
        tasks
            .send(task)
            .map_err(|_| "the connection is broken".to_owned())?;
        // A bell that is full rings already.
        let _ = (&self.bell).write(&[0]);
        Ok(())
    }

    /// Connects to another host from there. Waits: not for a runtime's threads.
    pub(super) fn tunnel(&self, host: &str, port: u16) -> Result<UnixStream, String> {
        let (ours, local) = UnixStream::pair().map_err(|error| error.to_string())?;
        let (opened, answer) = oneshot::channel();
        let host = host.to_owned();
        self.ask(Task::Tunnel {
            host,
            port,
            local,
            opened,
        })?;
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

/// Whether it says that the session itself has ended.
fn is_lost(error: &ssh2::Error) -> bool {
    /// Of libssh2: `SOCKET_SEND`, `TIMEOUT`, `SOCKET_DISCONNECT`, `SOCKET_TIMEOUT`, `SOCKET_RECV`.
    const LOST: [i32; 5] = [-7, -9, -13, -30, -43];
    matches!(error.code(), ssh2::ErrorCode::Session(code) if LOST.contains(&code))
}

impl Pump {
    /// Starts a command by the shell of the user who logged in.
    pub async fn open(&self, command: &str) -> Result<RemoteChannel, ClusterError> {
        let what = || format!("start `{command}`");
        let failed = |why: String| self.failed(&what(), why);
        let (ours, local) = UnixStream::pair().map_err(|error| failed(error.to_string()))?;
        ours.set_nonblocking(true)
            .map_err(|error| failed(error.to_string()))?;
        let ours = tokio::net::UnixStream::from_std(ours).map_err(|error| failed(error.to_string()))?;
        let (opened, answer) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let command = command.to_owned();
        self.ask(Task::Open {
            command,
            local,
            opened,
            ended,
            counted: Counted::one_more(&self.channels),
        })
        .map_err(failed)?;
        answer
            .await
            .unwrap_or_else(|_| Err("the connection is broken".to_owned()))
            .map_err(failed)?;
        let (output, input) = ours.into_split();
        Ok(RemoteChannel {
            input,
            output,
            ended: end,
        })
    }

    /// Writes a file.
    pub async fn upload(&self, file: &Path, to: &str, mode: i32) -> Result<(), ClusterError> {
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
    /// The session is, or is taken to be.
    broken: Arc<AtomicBool>,
}

impl Work {
    fn until_hung_up(&mut self, inbox: &mpsc::Receiver<Task>, mut woken: UnixStream) {
        loop {
            loop {
                if self.broken.load(Ordering::Acquire) {
                    return self.broke("it was given up: nothing was heard by it");
                }
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
            Task::Open {
                command,
                local,
                opened,
                ended,
                counted,
            } => {
                let channel = self.session.channel_session().and_then(|mut channel| {
                    channel.exec(&command)?;
                    Ok(channel)
                });
                self.keep(channel, local, opened, Some((ended, counted)));
            }
            Task::Tunnel {
                host,
                port,
                local,
                opened,
            } => {
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
        command: Option<(oneshot::Sender<RemoteEnd>, Counted)>,
    ) {
        if let Err(error) = &channel
            && is_lost(error)
        {
            self.broken.store(true, Ordering::Release);
        }
        let kept = channel.map_err(|error| error.to_string()).and_then(|channel| {
            local.set_nonblocking(true).map_err(|error| error.to_string())?;
            self.channels.push(Open::new(channel, local, command));
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
            if let Some((local, flags)) = open.waits_for() {
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
        self.channels.iter_mut().for_each(Open::hang_up);
        let _ = self.session.disconnect(None, "done", None);
    }

    fn broke(&mut self, why: &str) {
        // First: whoever is told looks whether there is another.
        self.broken.store(true, Ordering::Release);
        self.channels.drain(..).for_each(|open| open.broke(why));
    }
}
