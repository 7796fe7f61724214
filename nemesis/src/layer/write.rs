//! Writes, which can be torn: their beginning reaches the disk, the rest never does.

use std::sync::Arc;
use std::thread;

use fuser::{Errno, FileHandle, INodeNo, ReplyWrite};
use rustix::fs::OFlags;
use rustix::io::{Result, pread};
use sha2::{Digest, Sha256};

use super::call::{Call, Torn};
use super::meet::{About, EIO, Layer, error};
use super::rules::Fate;

/// Which file, as it was opened, and where in it.
type Spot = (INodeNo, FileHandle, u64);

/// Does a write as the rules say. `kills`: it takes bits from the file's mode that its writer may not give.
pub fn write(layer: &Arc<Layer>, spot: Spot, data: &[u8], kills: bool, reply: ReplyWrite) {
    let (number, file, offset) = spot;
    let length = data.len() as u64;
    let synchronous = layer.below.inodes.file(file).is_ok_and(|open| open.synchronous);
    let takes_space = || layer.below.grows(file, offset, length);
    let also = synchronous.then_some(Call::Fsync);
    let work = move |layer: &Layer, data: &[u8]| {
        if kills {
            layer.below.drop_privileges(number)?;
        }
        layer.below.write(file, offset, data)
    };
    let tears = |sector| tears(layer, number, offset, data, sector);
    match layer.fate(Call::Write, also, &About::File(number), &tears, &takes_space) {
        Fate::Passes => answer(reply, work(layer, data)),
        Fate::Fails(errno) => reply.error(Errno::from_i32(errno)),
        fate => {
            let (layer, data) = (Arc::clone(layer), data.to_owned());
            thread::spawn(move || match fate {
                Fate::Late(by) => {
                    thread::sleep(by);
                    answer(reply, work(&layer, &data));
                }
                Fate::Torn { fault, kept } => {
                    tear(&layer, fault, spot, &data, kept);
                    layer.rules.wait_until_let_go();
                    reply.error(Errno::from_i32(EIO));
                }
                _ => match layer.rules.wait_until_let_go() {
                    true => answer(reply, work(&layer, &data)),
                    // The process that waits for this is dead by then.
                    false => reply.error(Errno::from_i32(EIO)),
                },
            });
        }
    }
}

fn answer(reply: ReplyWrite, written: Result<u32>) {
    match written {
        Ok(length) => reply.written(length),
        Err(errno) => reply.error(error(errno)),
    }
}

/// After which of its sectors a write can be torn: those whose rest is not on the disk already, as the same bytes.
fn tears(layer: &Layer, number: INodeNo, offset: u64, data: &[u8], sector: u64) -> Vec<u64> {
    let inodes = &layer.below.inodes;
    let opened = inodes
        .get(number)
        .and_then(|inode| inodes.open(&inode, OFlags::RDONLY));
    let mut there = vec![0; data.len()];
    let length = opened
        .and_then(|file| pread(file, &mut there, offset))
        .unwrap_or(0);
    there.truncate(length);
    let sectors = (data.len() as u64).div_ceil(sector);
    let differs = |kept: &u64| there.get(*kept as usize..) != data.get(*kept as usize..);
    (1..sectors)
        .map(|number| number * sector)
        .filter(differs)
        .collect()
}

/// Writes and syncs the first `kept` bytes, and writes down what came of it.
pub fn tear(
    layer: &Layer,
    fault: u64,
    (number, file, offset): (INodeNo, FileHandle, u64),
    data: &[u8],
    kept: u64,
) {
    let (first, rest) = data.split_at(data.len().min(kept as usize));
    let written = layer.below.write(file, offset, first);
    let synced = written.and_then(|_| layer.below.fsync(file, false));
    let inodes = &layer.below.inodes;
    if synced.is_err() {
        return;
    }
    layer.rules.torn(
        fault,
        Torn {
            path: inodes
                .get(number)
                .map_or_else(|_| String::new(), |inode| inodes.path(&inode)),
            offset,
            length: data.len() as u64,
            kept,
            kept_digest: digest(first),
            lost_digest: digest(rest),
        },
    );
}

/// SHA-256, in hexadecimal digits.
pub fn digest(data: &[u8]) -> String {
    hexadecimal(Sha256::new_with_prefix(data))
}

/// What a digest has come to, in hexadecimal digits.
pub fn hexadecimal(digest: Sha256) -> String {
    digest
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
