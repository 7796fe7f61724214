//! Removes what a dead run left under data directories.
//!
//! A layer takes itself away when its agent dies. What can be left is the mount of one that was killed itself, and a layer that is
//! still used by nodes that live.

use std::io;

use rustix::process::Signal;

use super::report::HealReport;
use crate::agent::file_system;
use crate::agent::processes::signal;
use crate::agent::procfs::layers;
use crate::agent::protocol::Mark;
use crate::layer::mounts;
use crate::storage::{NodeStorage, Storage};

/// True if nothing is left.
pub fn remove_storage(mark: &Mark, nodes: &[NodeStorage], report: &mut HealReport) -> bool {
    let failed_before = report.failed.len();
    for node in nodes {
        for storage in node.under.iter().rev() {
            let what = format!("the disk of {}", node.node);
            let removed = match storage {
                Storage::Layer => remove_layer(mark, node),
                Storage::FileSystem => file_system::remove_at(&node.directory),
            };
            match removed {
                Ok(done) => report.done.extend(done.map(|said| format!("{what}: {said}"))),
                Err(error) => report.failed.push(format!("{what}: {error}")),
            }
        }
    }
    report.failed.len() == failed_before
}

fn remove_layer(mark: &Mark, node: &NodeStorage) -> io::Result<Option<String>> {
    let source = mounts::source(mark.as_str(), &node.node);
    let mut done = Vec::new();
    // One may lie on another.
    while mounts::take_away_here(&source, &node.directory)? {
        done.push("unmounted its layer".to_owned());
    }
    for process in layers(&source)? {
        if signal(&process, Signal::KILL)? {
            done.push(format!("ended process {}, its layer", process.pid));
        }
    }
    Ok((!done.is_empty()).then(|| done.join(", ")))
}
