//! The controller's side of the sandboxes: a thread that starts them and lives as long as they do, and one that
//! listens to each.
//!
//! `PR_SET_PDEATHSIG` speaks of the parent *thread*: sandboxes started from a runtime's worker would die when the
//! runtime retires that worker. Both kinds of thread are started from the thread that deploys, so they are in the
//! isolated namespaces, and so is the `ip` that they run.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::isolation::Isolation;
use super::protocol::{Event, Order};
use crate::{ClusterError, ProgramState, tools};

/// What a sandbox has said so far.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// The init's pid, once its namespaces are there.
    pub pid: Option<u32>,
    pub networked: bool,
    pub program: ProgramState,
    /// The id of the newest start that was answered, and why it was refused if it was.
    pub answer: Option<(u64, Result<(), String>)>,
    /// Why the sandbox can't go on, or `Some` of something when it has ended.
    pub ended: Option<String>,
}

/// One sandbox: orders go in, and what it says can be watched.
#[derive(Clone)]
pub(super) struct Line {
    stdin: Arc<Mutex<Option<ChildStdin>>>,
    pub heard: watch::Receiver<Heard>,
}

impl Line {
    pub(super) fn order(&self, order: &Order) -> std::io::Result<()> {
        let mut line = serde_json::to_vec(order).map_err(std::io::Error::other)?;
        line.push(b'\n');
        match self.stdin.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(stdin) => stdin.write_all(&line),
            None => Err(std::io::Error::other("the sandbox was taken down")),
        }
    }

    /// The order to die.
    fn hang_up(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A sandbox to start.
pub(super) struct SandboxSpec {
    pub name: String,
    /// Gets what the sandbox itself has to complain about.
    pub log: PathBuf,
}

enum Task {
    Ip {
        lines: String,
        force: bool,
        done: oneshot::Sender<Result<(), ClusterError>>,
    },
    End {
        grace: Duration,
        done: oneshot::Sender<Result<(), ClusterError>>,
    },
}

/// Owns the sandboxes. Dropping it kills them.
pub(super) struct Keeper {
    tasks: mpsc::Sender<Task>,
    thread: Option<JoinHandle<()>>,
    lines: Vec<Line>,
}

impl Keeper {
    /// Starts the sandboxes and returns as soon as their processes exist.
    pub(super) async fn start(
        isolation: Isolation,
        exe: Vec<OsString>,
        sandboxes: Vec<SandboxSpec>,
    ) -> Result<Keeper, ClusterError> {
        let (tasks, inbox) = mpsc::channel();
        let (opened, lines) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("duress-keeper".into())
            .spawn(move || {
                let mut children = Children(Vec::new());
                let result = isolation
                    .check_this_thread()
                    .and_then(|()| open_all(&exe, &sandboxes, &mut children));
                let failed = result.is_err();
                if opened.send(result).is_err() || failed {
                    return;
                }
                keep(&inbox, children);
            })
            .map_err(|source| ClusterError::Io {
                what: "start a thread".into(),
                source,
            })?;
        let lines = lines.await.map_err(|_| gone())??;
        Ok(Keeper {
            tasks,
            thread: Some(thread),
            lines,
        })
    }

    pub(super) fn line(&self, index: usize) -> &Line {
        &self.lines[index]
    }

    /// Runs `ip` in the controller's network namespace.
    pub(super) async fn ip(&self, lines: String, force: bool) -> Result<(), ClusterError> {
        let (done, result) = oneshot::channel();
        self.tasks
            .send(Task::Ip { lines, force, done })
            .map_err(|_| gone())?;
        match tokio::time::timeout(IP_LIMIT, result).await {
            Ok(result) => result.map_err(|_| gone())?,
            Err(_) => Err(ClusterError::Timeout {
                what: "set up interfaces with `ip -batch`".into(),
                limit_ms: u64::try_from(IP_LIMIT.as_millis()).unwrap_or(u64::MAX),
                detail: ": the kernel's network configuration may be held up".into(),
            }),
        }
    }

    /// Hangs up on every sandbox, waits until each has ended, kills those that haven't after `grace`.
    pub(super) async fn end(&self, grace: Duration) -> Result<(), ClusterError> {
        self.hang_up();
        let (done, result) = oneshot::channel();
        // A keeper that is gone has nothing left to end.
        if self.tasks.send(Task::End { grace, done }).is_err() {
            return Ok(());
        }
        result.await.unwrap_or(Ok(()))
    }

    fn hang_up(&self) {
        self.lines.iter().for_each(Line::hang_up);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.hang_up();
        // The thread ends when there can be no more tasks, and kills what is left when it does.
        self.tasks = mpsc::channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn gone() -> ClusterError {
    ClusterError::Io {
        what: "speak to the sandboxes' keeper".into(),
        source: std::io::Error::other("the cluster was taken down"),
    }
}

/// The outer processes. Dropped after hanging up on them: gives them a moment to end by themselves, which leaves
/// nobody to be adopted and reaped by the host's init, then kills them; their inits follow.
struct Children(Vec<Child>);

impl Drop for Children {
    fn drop(&mut self) {
        let _ = end_all(self, Instant::now() + DROP_GRACE);
    }
}

fn keep(inbox: &mpsc::Receiver<Task>, mut children: Children) {
    while let Ok(task) = inbox.recv() {
        // The caller may have given up: then nobody wants the answer.
        match task {
            Task::Ip { lines, force, done } => {
                let _ = done.send(tools::ip_batch(&lines, force));
            }
            Task::End { grace, done } => {
                let ended = end_all(&mut children, Instant::now() + grace);
                let _ = done.send(ended.map_err(|killed| ClusterError::Timeout {
                    what: format!("end {killed} sandboxes"),
                    limit_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
                    detail: ": they were killed; a process in them may hang in the kernel".into(),
                }));
            }
        }
    }
}

/// Some milliseconds a node, but the whole kernel shares one lock for it.
const IP_LIMIT: Duration = Duration::from_secs(20);

/// A drop must not hold its caller up for long.
const DROP_GRACE: Duration = Duration::from_millis(500);

/// How often ended sandboxes are looked for. There are few, and this happens once in a cluster's life.
const POLL: Duration = Duration::from_millis(2);

/// Waits until all have ended, or kills the rest at the deadline and says how many that were.
fn end_all(children: &mut Children, deadline: Instant) -> Result<(), usize> {
    while Instant::now() < deadline {
        children
            .0
            .retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        if children.0.is_empty() {
            return Ok(());
        }
        thread::sleep(POLL);
    }
    let killed = children.0.len();
    children.0.iter_mut().for_each(|child| drop(child.kill()));
    children.0.drain(..).for_each(|mut child| drop(child.wait()));
    Err(killed)
}

fn open_all(
    exe: &[OsString],
    sandboxes: &[SandboxSpec],
    children: &mut Children,
) -> Result<Vec<Line>, ClusterError> {
    sandboxes
        .iter()
        .map(|sandbox| open(exe, sandbox, children))
        .collect()
}

fn open(exe: &[OsString], sandbox: &SandboxSpec, children: &mut Children) -> Result<Line, ClusterError> {
    let failed = |source| ClusterError::Io {
        what: format!("start the sandbox of {}", sandbox.name),
        source,
    };
    let (program, arguments) = exe
        .split_first()
        .ok_or_else(|| failed(std::io::Error::other("no command line for it")))?;
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&sandbox.log)
        .map_err(failed)?;
    let mut child = Command::new(program)
        .args(arguments)
        .arg(&sandbox.name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        // A terminal's Ctrl-C is for the controller alone.
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    let stdout = child.stdout.take().expect("stdout was asked to be a pipe");
    children.0.push(child);

    let (heard, watched) = watch::channel(Heard::nothing());
    thread::Builder::new()
        .name(format!("duress-{}", sandbox.name))
        .spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                heard.send_modify(|state| state.hear(&line));
            }
            heard.send_modify(|state| state.end("it ended"));
        })
        .map_err(failed)?;
    Ok(Line {
        stdin: Arc::new(Mutex::new(Some(stdin))),
        heard: watched,
    })
}

impl Heard {
    pub(crate) fn nothing() -> Heard {
        Heard {
            pid: None,
            networked: false,
            program: ProgramState::Stopped {
                how: "never started".into(),
            },
            answer: None,
            ended: None,
        }
    }

    /// A line that the sandbox said.
    pub(crate) fn hear(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(event) => self.note(event),
            Err(error) => {
                let why = || format!("it said {line:?}, which is not an event: {error}");
                self.ended.get_or_insert_with(why);
            }
        }
    }

    /// It says nothing more.
    pub(crate) fn end(&mut self, why: &str) {
        self.ended.get_or_insert_with(|| why.to_owned());
        if self.program == ProgramState::Running {
            self.program = ProgramState::Stopped {
                how: "its sandbox ended".into(),
            };
        }
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Up { pid } => self.pid = Some(pid),
            Event::Networked => self.networked = true,
            Event::Started { id } => {
                self.answer = Some((id, Ok(())));
                self.program = ProgramState::Running;
            }
            Event::Refused { id, why } => self.answer = Some((id, Err(why))),
            Event::Exited { how } => self.program = ProgramState::Stopped { how },
            Event::Failed { what } => self.ended = Some(what),
            Event::Again(events) => events.into_iter().for_each(|event| self.note(event)),
        }
    }
}
