//! The sandbox of one node: two small processes and whatever the node's program starts.
//!
//! ```text
//! controller ── outer ── init (PID 1 of the node, the *keeper*) ── the program ── …
//! ```
//!
//! The outer process makes the namespaces and waits. The init obeys the orders of [`super::protocol`], reaps what is
//! orphaned, and outlives the program: kills and restarts leave the namespaces, and with them interfaces and firewall
//! rules, as they were. When the init ends the kernel ends everything in the sandbox.
//!
//! Nothing survives the controller. When it dies, however it dies, its thread that started the outer process takes
//! that with it (`PR_SET_PDEATHSIG`), and that one the init. Where a parent dies before the child has asked for that
//! signal, the child sees a pipe end that only the parent held open: so there is no moment at which a sandbox could
//! be forgotten. On a host the controller is at the other end of a connection that may break: see [`super::on_host`].
//!
//! Runs without threads, before any runtime: `fork` and `unshare` ask for it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, pipe2, read, sethostname, setsid};

use super::on_host::{self, Line, Said};
use super::protocol::{Event, Order, StartOrder};
use super::start::{is_dying, spawn};
use crate::tools;

/// All processes of the namespace but the init, as `kill` names them.
const EVERYONE: Pid = Pid::from_raw(-1);

/// What makes a sandbox share the network of its machine, and outlive the connection that it is spoken to by, but not for longer than so many
/// milliseconds of silence.
pub(crate) const ON_HOST: &str = "--on-host";

/// The sandbox's whole life, in a process of its own. `args` is the node's name; on a host, after `--on-host`, the longest silence in
/// milliseconds and the node's folder. Orders come from stdin, events go to stdout. `--attach` and the folder speak to one that runs. Must be
/// called while the process has a single thread.
pub fn main(args: &[OsString]) -> ExitCode {
    let silence = |ms: &OsString| ms.to_str()?.parse().ok().map(Duration::from_millis);
    let done = match args {
        [option, folder] if option == on_host::ATTACH => return on_host::attach(Path::new(folder)),
        [name] => outer(name, None),
        [option, ms, folder, name] if option == ON_HOST && silence(ms).is_some() => {
            match on_host::part(Path::new(folder), silence(ms).unwrap_or_default()) {
                Ok(None) => return ExitCode::SUCCESS,
                Ok(Some(line)) => outer(name, Some(line)),
                Err(source) => Err(Failure {
                    what: "make the socket that the node is spoken to by",
                    source,
                }),
            }
        }
        _ => {
            report(&Event::Failed {
                what: "a sandbox takes one argument, the node's name".into(),
            });
            return ExitCode::from(64);
        }
    };
    match done {
        Ok(code) => code,
        Err(Failure { what, source }) => {
            report(&Event::Failed {
                what: format!("{what}: {source}"),
            });
            ExitCode::from(3)
        }
    }
}

/// Something that keeps a sandbox from being set up.
struct Failure {
    what: &'static str,
    source: io::Error,
}

trait During<T> {
    fn during(self, what: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: &'static str) -> Result<T, Failure> {
        self.map_err(|source| Failure {
            what,
            source: source.into(),
        })
    }
}

fn outer(name: &OsString, line: Option<Line>) -> Result<ExitCode, Failure> {
    let mut apart = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWPID;
    if line.is_none() {
        prctl::set_pdeathsig(Signal::SIGKILL).during("tie the sandbox to the controller")?;
        apart |= CloneFlags::CLONE_NEWNET;
    }
    unshare(apart).during("create the node's namespaces")?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .during("make mounts private")?;
    sethostname(name).during("set the hostname")?;
    let (alive, held_by_outer) = pipe2(OFlag::O_CLOEXEC).during("create a pipe")?;
    // SAFETY: the process has a single thread, so the child may do whatever the parent may.
    match unsafe { fork() }.during("fork the init")? {
        ForkResult::Child => {
            drop(held_by_outer);
            // Not `exit`ing through the caller: its frames are the outer process'.
            std::process::exit(match init(alive, line) {
                Ok(()) => 0,
                Err(Failure { what, source }) => {
                    report(&Event::Failed {
                        what: format!("{what}: {source}"),
                    });
                    3
                }
            })
        }
        ForkResult::Parent { child } => {
            drop(alive);
            if let Some(mut line) = line {
                // Whoever else holds a connection keeps it from ending.
                let _ = line.breaks();
            }
            while waitpid(child, None) == Err(Errno::EINTR) {}
            drop(held_by_outer);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn init(outer_alive: OwnedFd, line: Option<Line>) -> Result<(), Failure> {
    prctl::set_pdeathsig(Signal::SIGKILL).during("tie the init to its parent")?;
    // Away from the terminal: Ctrl-C is the controller's business.
    setsid().during("start a session")?;
    // The old /proc still shows the controller's numbers; under the fresh one this process is 1.
    let own_pid = fs::read_link("/proc/self").during("read /proc/self")?;
    let pid = own_pid
        .to_string_lossy()
        .parse()
        .map_err(io::Error::other)
        .during("parse /proc/self")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>).during(
        "mount a fresh /proc (in a container, its own /proc must not be masked: docker --security-opt systempaths=unconfined)",
    )?;
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&children), None).during("block SIGCHLD")?;
    let child_ended = SignalFd::with_flags(&children, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .during("create a signalfd")?;

    let mut init = Init {
        program: Program::Idle,
        deferred: None,
        stop_deadline: None,
        line,
        said: Said::default(),
    };
    init.say(Event::Up { pid });
    init.obey(outer_alive, child_ended)
}

/// What there is of the node's program.
enum Program {
    /// Nothing.
    Idle,
    /// This process, and what it has started.
    Running(Pid),
    /// It has ended; what it had started is being killed.
    Ending { how: String },
}

struct Init {
    program: Program,
    /// A start that came while the program was ending.
    deferred: Option<StartOrder>,
    stop_deadline: Option<Instant>,
    /// On a host: what outlives a connection.
    line: Option<Line>,
    said: Said,
}

impl Init {
    /// Until the controller or the outer process ends. Then so does the init, and the kernel does the rest.
    fn obey(mut self, outer_alive: OwnedFd, child_ended: SignalFd) -> Result<(), Failure> {
        // Unbuffered: `poll` doesn't know what a buffer holds.
        let stdin = io::stdin();
        let mut received = Vec::new();
        loop {
            // With nobody at the other end there is nothing to hear; without a socket nobody knocks.
            let (hears, knocks) = match &self.line {
                None => (PollFlags::POLLIN, outer_alive.as_fd()),
                Some(line) if line.broke => (PollFlags::empty(), line.socket()),
                Some(line) => (PollFlags::POLLIN, line.socket()),
            };
            let mut waiting = [
                PollFd::new(stdin.as_fd(), hears),
                PollFd::new(outer_alive.as_fd(), PollFlags::POLLIN),
                PollFd::new(child_ended.as_fd(), PollFlags::POLLIN),
                PollFd::new(knocks, PollFlags::POLLIN),
            ];
            match poll(&mut waiting, self.patience()) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno).during("wait for orders"),
            }
            let told = |fd: PollFd<'_>| fd.revents().is_some_and(|events| !events.is_empty());
            let [orders, outer, _, knocked] = waiting.map(told);
            if outer {
                return Ok(());
            }
            if let Some(line) = self.line.as_mut().filter(|_| knocked) {
                line.take_up().during("take up a connection")?;
                received.clear();
                report(&Event::Again(self.said.all()));
                continue;
            }
            // Before any order: a start must see that the program was killed a moment ago.
            while matches!(child_ended.read_signal(), Ok(Some(_))) {}
            self.reap();
            self.kill_the_stubborn();
            if self.line.as_ref().is_some_and(Line::is_given_up) {
                return Ok(());
            }
            if !orders {
                continue;
            }
            let mut chunk = [0; 4096];
            match (read(&stdin, &mut chunk), &mut self.line) {
                (Ok(length @ 1..), line) => {
                    line.iter_mut().for_each(Line::hears);
                    received.extend_from_slice(&chunk[..length]);
                }
                (_, Some(line)) => line.breaks().during("let go of a connection")?,
                (Ok(_), None) => return Ok(()),
                (Err(errno), None) => return Err(errno).during("read orders"),
            }
            while let Some(end) = received.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = received.drain(..=end).collect();
                let order: Order = serde_json::from_slice(&line).during("understand an order")?;
                if let Order::End = order {
                    return Ok(());
                }
                self.execute(order)?;
            }
        }
    }

    fn patience(&self) -> PollTimeout {
        let silence = self.line.as_ref().map(Line::given_up_at);
        let Some(deadline) = self.stop_deadline.into_iter().chain(silence).min() else {
            return PollTimeout::NONE;
        };
        // One more than the whole milliseconds that are left: waking up early would spin.
        let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    fn say(&mut self, event: Event) {
        report(&event);
        self.said.note(event);
    }

    fn execute(&mut self, order: Order) -> Result<(), Failure> {
        match order {
            Order::Network { lines, hosts } => {
                tools::ip_batch(&lines, false)
                    .map_err(io::Error::other)
                    .during("give the node its addresses")?;
                if Path::new("/etc/hosts").exists() {
                    mount(
                        Some(&hosts),
                        "/etc/hosts",
                        None::<&str>,
                        MsFlags::MS_BIND,
                        None::<&str>,
                    )
                    .during("put the names of the nodes into /etc/hosts")?;
                }
                self.say(Event::Networked);
            }
            Order::Start(order) => self.start(order),
            Order::Alive | Order::End => {}
            Order::Stop { grace_ms } => {
                if let Program::Running(pid) = self.program {
                    // A paused program could not obey. The signal may find nobody: then it has just ended.
                    let _ = kill(pid, Signal::SIGTERM);
                    let _ = kill(EVERYONE, Signal::SIGCONT);
                    self.stop_deadline = Some(Instant::now() + Duration::from_millis(grace_ms));
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, order: StartOrder) {
        match self.program {
            Program::Running(pid) if is_dying(pid) => self.deferred = Some(order),
            Program::Running(_) => self.say(Event::Started { id: order.id }),
            Program::Ending { .. } => self.deferred = Some(order),
            Program::Idle => match spawn(&order) {
                Ok(pid) => {
                    self.program = Program::Running(pid);
                    self.say(Event::Started { id: order.id });
                }
                Err(error) => self.say(Event::Refused {
                    id: order.id,
                    why: error.to_string(),
                }),
            },
        }
    }

    /// Collects every child that ended. As in a container, the program's end is the end of all it started: a restart
    /// finds an empty sandbox.
    fn reap(&mut self) {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => return,
                Ok(status) => self.note_end(status),
                Err(_) => break,
            }
        }
        // There are no more children.
        if let Program::Ending { how } = &mut self.program {
            let how = std::mem::take(how);
            self.say(Event::Exited { how });
            self.program = Program::Idle;
            self.stop_deadline = None;
            if let Some(order) = self.deferred.take() {
                self.start(order);
            }
        }
    }

    fn note_end(&mut self, status: WaitStatus) {
        let how = match status {
            WaitStatus::Exited(_, code) => format!("exit status {code}"),
            WaitStatus::Signaled(_, signal, _) => format!("signal {}", signal as i32),
            _ => return,
        };
        if matches!(self.program, Program::Running(pid) if Some(pid) == status.pid()) {
            let _ = kill(EVERYONE, Signal::SIGKILL);
            self.program = Program::Ending { how };
        }
    }

    fn kill_the_stubborn(&mut self) {
        if self
            .stop_deadline
            .is_some_and(|deadline| deadline <= Instant::now())
        {
            self.stop_deadline = None;
            let _ = kill(EVERYONE, Signal::SIGKILL);
        }
    }
}

/// A controller that no longer listens is dead: so is this process, in a moment.
fn report(event: &Event) {
    let mut line = serde_json::to_vec(event).expect("events have no maps with keys that aren't strings");
    line.push(b'\n');
    let _ = io::stdout().write_all(&line).and_then(|()| io::stdout().flush());
}
