//! The layer: a file system of ours over a node's data directory, which passes on every call, and does something to those that a rule is about.
//!
//! ```text
//! the node's program ──▶ kernel (page cache, locks, permissions) ──FUSE──▶ layer ──▶ the same directory, below
//!                                                                           ▲ rules, by a socket
//!                                                                         agent
//! ```
//!
//! What lies below is the directory itself, so files are where they always were, and without the layer nothing is missing.
//!
//! It is a process of its own, `duress disk-layer SOURCE DIRECTORY`, whose standard input is the socket (see [`call`]). **The end
//! of that socket disarms everything** and takes the layer away from where it was mounted. Whoever still has it mounted, as nodes
//! that live have, keeps a disk that works; when nobody has, it ends.

mod answers;
mod attributes;
mod below;
pub mod call;
mod control;
mod elsewhere;
mod extended;
mod file_system;
mod inodes;
mod meet;
pub mod mounts;
pub(crate) mod name;
mod rules;
mod space;
mod write;

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use fuser::{Config, Session, SessionACL};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};

use below::Below;
use inodes::Inodes;
pub use inodes::PROBE;
use meet::{FileSystem, Layer};
pub use name::COMMAND;
use rules::Rules;
pub use rules::fits;
pub use write::digest;
pub(crate) use write::hexadecimal;

/// Disarms everything: for `duress heal`, where an agent does not end.
pub(crate) const DISARM: Signal = Signal::SIGUSR1;

/// Threads that take calls from the kernel. What is late waits on threads of its own.
const THREADS: usize = 4;

/// The whole life of a layer. `arguments`: its source and directory, and the process in whose mount namespace that is, if it is another
/// one. Must be called while the process has a single thread.
pub fn main(arguments: &[OsString]) -> ExitCode {
    let (source, directory, namespace) = match arguments {
        [source, directory] => (source, directory, None),
        [source, directory, namespace] => (source, directory, Some(namespace)),
        _ => return ExitCode::from(64),
    };
    // Blocked before there are any threads, so that none of them ends it: nodes would lose their disks.
    let mut deaf = SigSet::empty();
    for signal in [
        DISARM,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        deaf.add(signal);
    }
    if deaf.thread_block().is_err() {
        return ExitCode::FAILURE;
    }
    let mut signals = SigSet::empty();
    signals.add(DISARM);
    let mut control = control::Control::of_stdin();
    let served = start(&source.to_string_lossy(), Path::new(directory), namespace);
    let (layer, place, session) = match served {
        Ok(started) => started,
        Err(error) => {
            control.say(&call::Answer::Error(error.to_string()));
            return ExitCode::FAILURE;
        }
    };
    let notifier = session.notifier();
    let on_signal = Arc::clone(&layer);
    thread::spawn(move || {
        while signals.wait().is_ok() {
            on_signal.rules.disarm_all();
        }
    });
    let serving = thread::spawn(move || session.run());
    control.say(&call::Answer::Ok(serde_json::Value::Null));
    control.obey(&layer, &notifier, place);
    match serving.join() {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

type Started = (Arc<Layer>, mounts::Place, Session<FileSystem>);

fn start(source: &str, directory: &Path, namespace: Option<&OsString>) -> io::Result<Started> {
    if let Some(process) = namespace {
        elsewhere::leave_for(process)?;
    }
    // Modes come from the kernel as they shall be.
    umask(Mode::empty());
    let mounted = mounts::put(source, directory)?;
    let _ = duress_cluster::raise_open_files();
    let layer = Arc::new(Layer {
        below: Below {
            inodes: Inodes::new(mounted.root, mounted.handles)?,
        },
        rules: Rules::default(),
    });
    let mut config = Config::default();
    config.acl = SessionACL::All;
    config.n_threads = Some(THREADS);
    let session = Session::from_fd(
        FileSystem(Arc::clone(&layer)),
        mounted.device,
        SessionACL::All,
        config,
    );
    match session {
        Ok(session) => Ok((layer, mounted.place, session)),
        Err(error) => {
            let _ = mounted.place.take_away();
            Err(error)
        }
    }
}
