//! Answers to the kernel.

use std::time::Duration;

use fuser::{Errno, FileAttr, Generation, ReplyEmpty, ReplyEntry, ReplyStatfs, ReplyXattr};
use rustix::fs::StatFs;
use rustix::io::Result;

use super::meet::error;

/// How long the kernel may believe what it was told: nobody changes anything behind its back.
pub const KEPT: Duration = Duration::from_secs(3600);
/// Numbers are not used again as long as the kernel knows them, so all inodes are the first of theirs.
pub const FIRST: Generation = Generation(0);

pub fn entry(reply: ReplyEntry, found: std::result::Result<FileAttr, Errno>) {
    match found {
        Ok(attributes) => reply.entry(&KEPT, &attributes, FIRST),
        Err(errno) => reply.error(errno),
    }
}

pub fn empty(reply: ReplyEmpty, done: std::result::Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(errno),
    }
}

pub fn sized(reply: ReplyXattr, size: u32, value: Result<Vec<u8>>) {
    match value {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(error(errno)),
    }
}

/// `full`: as if nothing were left.
pub fn space(reply: ReplyStatfs, found: Result<StatFs>, full: bool) {
    match found {
        Ok(found) => {
            let (free, available) = if full {
                (0, 0)
            } else {
                (found.f_bfree, found.f_bavail)
            };
            reply.statfs(
                found.f_blocks,
                free,
                available,
                found.f_files,
                found.f_ffree,
                found.f_bsize as u32,
                found.f_namelen as u32,
                found.f_frsize as u32,
            );
        }
        Err(errno) => reply.error(error(errno)),
    }
}
