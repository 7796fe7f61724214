//! Puts what lies under data directories in place, and removes it.
//!
//! An agent works for one run, so what it has put in place is the process', and the kinds of fault find it here by the node's name.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::elsewhere::{elsewhere, from_here, there};
use super::file_system;
use super::protocol::Mark;
use crate::layer::call::{Answer, Ask, Rule};
use crate::layer::{COMMAND, mounts};
use crate::storage::{NodeStorage, Storage};

/// A layer answers at once, or its machine stands still.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// The layers that this agent has put in place, by node.
static LAYERS: Mutex<BTreeMap<String, Arc<Layer>>> = Mutex::new(BTreeMap::new());

/// A layer under a node's data directory.
pub struct Layer {
    /// What its mount is called.
    pub source: String,
    /// The data directory, as reached from here.
    pub directory: PathBuf,
    /// The same, as named where it is.
    pub named: PathBuf,
    line: Mutex<Line>,
    process: Mutex<Child>,
    /// What it is armed with, by the number of the fault.
    armed: Mutex<BTreeMap<u64, Rule>>,
}

struct Line {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
}

impl Line {
    fn read<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the layer is gone"));
        }
        match serde_json::from_str(&line).map_err(io::Error::other)? {
            Answer::Ok(value) => serde_json::from_value(value).map_err(io::Error::other),
            Answer::Error(why) => Err(io::Error::other(why)),
        }
    }
}

impl Layer {
    /// Asks, and waits for the answer.
    pub fn ask<T: DeserializeOwned>(&self, ask: &Ask) -> io::Result<T> {
        let mut text = serde_json::to_vec(ask)?;
        text.push(b'\n');
        let mut armed = self.armed.lock().unwrap_or_else(PoisonError::into_inner);
        match ask {
            Ask::Arm { rule } => drop(armed.insert(rule.fault, rule.clone())),
            Ask::Disarm { fault } => drop(armed.remove(fault)),
            Ask::Count { .. } | Ask::Detach => {}
        }
        drop(armed);
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        line.writer.write_all(&text)?;
        line.read()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).id()
    }
}

/// The layer under the data directory of this node.
pub fn layer(node: &str) -> io::Result<Arc<Layer>> {
    let layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    let layer = layers.get(node).cloned();
    layer.ok_or_else(|| io::Error::other("no layer was put under its data directory"))
}

/// Puts all of it in place, for the run with this mark.
pub fn put(mark: &Mark, nodes: &[NodeStorage]) -> io::Result<()> {
    for node in nodes {
        for storage in &node.under {
            let named = |error: io::Error| io::Error::other(format!("{}: {error}", node.node));
            match storage {
                Storage::Layer => {
                    let layer = put_layer(mark, &node.node, &node.directory).map_err(named)?;
                    let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
                    layers.insert(node.node.clone(), Arc::new(layer));
                }
                Storage::FileSystem => {
                    there(|| file_system::put(&node.node, &node.directory)).map_err(named)?;
                }
            }
        }
    }
    Ok(())
}

/// Takes all of it away from where it was put. What nodes use they keep as long as they use it.
pub fn remove() -> io::Result<()> {
    let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut failed = Vec::new();
    layers.retain(|node, layer| match layer.ask::<()>(&Ask::Detach) {
        Ok(()) => false,
        Err(error) => {
            failed.push(format!("{node}: {error}"));
            true
        }
    });
    // What lies below them.
    failed.extend(there(file_system::remove).err().map(|error| error.to_string()));
    match failed.is_empty() {
        true => Ok(()),
        false => Err(io::Error::other(failed.join("; "))),
    }
}

/// Mounts what a cut has left of a disk, where there is one that was cut off; see [`file_system::restore`]. A layer that lay on it is of the
/// disk that is no more: another one takes its place, armed with the same, and counts anew.
pub fn restore(mark: &Mark, node: &str, directory: &Path, pid: Option<u32>) -> io::Result<String> {
    // Held until the other one is there: whoever asks for the node's layer meanwhile waits for that.
    let mut layers = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(old) = layers.get(node).cloned() else {
        return there(|| file_system::restore(node, directory, pid));
    };
    if !file_system::is_cut(node)? {
        return Ok("its disk works".to_owned());
    }
    let armed = old.armed.lock().unwrap_or_else(PoisonError::into_inner).clone();
    old.ask::<()>(&Ask::Detach)?;
    let restored = there(|| file_system::restore(node, directory, pid));
    // Also where that failed: the node is to have the layer that it had, and healing is tried again.
    let layer = put_layer(mark, node, directory)?;
    there(|| file_system::lay_uppermost(directory, pid))?;
    for rule in armed.into_values() {
        layer.ask::<()>(&Ask::Arm { rule })?;
    }
    layers.insert(node.to_owned(), Arc::new(layer));
    // It ends when nobody has it mounted any more.
    thread::spawn(move || {
        let mut process = old.process.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = process.wait();
    });
    Ok(format!("{}, and a layer on it again", restored?))
}

fn put_layer(mark: &Mark, node: &str, directory: &Path) -> io::Result<Layer> {
    let source = mounts::source(mark.as_str(), node);
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_read_timeout(Some(ANSWER_WAIT_MAX))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(COMMAND)
        .arg(&source)
        .arg(directory)
        .args(elsewhere().map(|process| process.to_string()))
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // It outlives us, and a terminal is not its business.
        .process_group(0);
    // What this agent blocks for itself would stay blocked there.
    // SAFETY: between fork and exec only sigprocmask(2) is called, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            nix::sys::signal::SigSet::empty()
                .thread_set_mask()
                .map_err(io::Error::from)
        });
    }
    let process = command.spawn()?;
    // Ours alone: the end of this is the end of what it is armed with.
    drop(command);
    let mut line = Line {
        reader: BufReader::new(ours.try_clone()?),
        writer: ours,
    };
    line.read::<()>()
        .map_err(|error| io::Error::other(format!("put a layer under {}: {error}", directory.display())))?;
    Ok(Layer {
        source,
        directory: from_here(directory),
        named: directory.to_owned(),
        line: Mutex::new(line),
        process: Mutex::new(process),
        armed: Mutex::default(),
    })
}
