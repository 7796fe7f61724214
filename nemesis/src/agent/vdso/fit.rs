//! Whether a program can be fooled: by its vDSO only one that reads clocks there.
//!
//! Whoever calls the vDSO has to find the function by its name, which therefore is somewhere in the program or in a library that
//! is loaded: `ld.so` and static glibc, musl, Go's runtime all have it. A program that has it nowhere makes the system call
//! itself.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::thread;
use std::time::Duration;

use super::layout::{mapping, range};
use crate::agent::procfs::namespace;
use crate::agent::protocol::Process;

const NAME: &[u8] = b"__vdso_clock_gettime";
const CHUNK: usize = 1 << 20;

/// A program that is just being loaded has not all of its parts yet.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Why this process would not be fooled; `None` if it would, or is about to end.
pub fn unfit(process: &Process) -> io::Result<Option<String>> {
    match find_unfit(process) {
        // It has no memory any more, and still seems to live.
        Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
        found => found,
    }
}

fn find_unfit(process: &Process) -> io::Result<Option<String>> {
    let pid = process.pid;
    // Kernels before 5.6 have none.
    if let Ok(ours) = namespace(std::process::id(), "time")
        && ours != namespace(pid, "time")?
    {
        return Ok(Some(format!("{} has a time namespace of its own", name(pid))));
    }
    for _ in 0..LOOKS {
        if knows_vdso(pid)? {
            return Ok(None);
        }
        thread::sleep(LOOK_AGAIN);
    }
    Ok(Some(format!(
        "{} asks the kernel for the time itself: neither the program nor a library of it knows the vDSO",
        name(pid)
    )))
}

/// Whether it is in the middle of starting another program, in the memory of its parent (vfork): what is done to that memory is
/// done to the parent, and the program to come has another.
pub fn is_borrowing(process: &Process) -> bool {
    const VM: nix::libc::c_int = 1;
    let parent = duress_cluster::procfs::living(process.pid).map_or(0, |stat| stat.parent);
    // SAFETY: kcmp(2) takes numbers only.
    parent != 0 && unsafe { nix::libc::syscall(nix::libc::SYS_kcmp, parent, process.pid, VM, 0, 0) } == 0
}

fn name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    format!("process {pid} ({})", name.trim())
}

fn knows_vdso(pid: u32) -> io::Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    // Of a file, and readable: `7f00-7f10 r--p 0000 08:01 1234 /lib/ld.so`.
    let mut parts: Vec<(&str, &str)> = maps
        .lines()
        .filter_map(|line| Some((line, line.split_ascii_whitespace().nth(5)?)))
        .filter(|(line, path)| path.starts_with('/') && line.contains(" r"))
        .collect();
    // Where it nearly always is comes first.
    let usual = |path: &str| {
        let file = path.rsplit('/').next().unwrap_or_default();
        file.starts_with("ld") || file.starts_with("libc")
    };
    parts.sort_by_key(|(_, path)| !usual(path));
    for (line, _) in parts {
        let Some(range) = range(line) else { continue };
        if finds(&memory, range.start, range.end) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn finds(memory: &File, start: u64, end: u64) -> bool {
    let mut bytes = vec![0; CHUNK.min((end - start) as usize)];
    let mut at = start;
    while at < end {
        let length = bytes.len().min((end - at) as usize);
        // Beyond the end of its file a mapping can't be read.
        let Ok(read) = memory.read_at(&mut bytes[..length], at) else {
            return false;
        };
        if memchr::memmem::find(&bytes[..read], NAME).is_some() {
            return true;
        }
        if read <= NAME.len() {
            return false;
        }
        // The name may lie across the border.
        at += (read - NAME.len() + usize::from(at + read as u64 >= end) * NAME.len()) as u64;
    }
    false
}

/// What tells the program that a process runs from one that it began later, in the same process: where its vDSO is, and its file.
pub type Program = (u64, u64, u64);

/// Of the program that it runs now.
pub fn program(process: &Process) -> io::Result<Program> {
    let file = fs::metadata(format!("/proc/{}/exe", process.pid))?;
    let base = mapping(process.pid)?.map_or(0, |range| range.start);
    Ok((base, file.dev(), file.ino()))
}
