//! What the kernel knows by number: inodes, each held open by a handle that is good for nothing but naming it, and open files.
//!
//! A handle pins its inode, so its number means nothing else as long as the kernel remembers it. It is also how everything is
//! reached: never by a path that the system under test could have changed meanwhile.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{FileHandle, INodeNo};
use rustix::fs::{Mode, OFlags, Stat, fstat, openat, readlinkat};
use rustix::io::{Errno, Result};

/// The first number that is given to inodes whose own is taken, as on another file system below.
const SPARE: u64 = 1 << 48;

/// Names that begin like this belong to the agent: see [`Inodes::is_probe`].
pub const PROBE: &str = ".duress-probe-";

/// An inode that the kernel knows.
pub struct Inode {
    fd: OwnedFd,
    /// What it was created as says whether it is the agent's.
    probe: bool,
}

impl AsFd for Inode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Device and number below.
type Key = (u64, u64);

#[derive(Default)]
struct Table {
    /// With how often the kernel has been told of it.
    known: HashMap<u64, (Arc<Inode>, Key, u64)>,
    numbers: HashMap<Key, u64>,
    spare: u64,
    files: HashMap<u64, Arc<Open>>,
    next_file: u64,
}

/// An open file or directory.
pub struct Open {
    pub fd: OwnedFd,
    /// What is written is to be on disk when it is answered.
    pub synchronous: bool,
    /// Directories are read from one place after another.
    pub turn: Mutex<()>,
}

/// All of them.
pub struct Inodes {
    table: Mutex<Table>,
    root: Arc<Inode>,
    root_key: Key,
    /// `/proc/self/fd`: the way from a handle to an open file.
    handles: OwnedFd,
    /// What the root's path is, as handles say it.
    prefix: Vec<u8>,
}

impl Inodes {
    /// Below this directory. `handles` is `/proc/self/fd`.
    pub fn new(root: OwnedFd, handles: OwnedFd) -> Result<Inodes> {
        let stat = fstat(&root)?;
        let prefix = link_of(&handles, &root)?;
        let root = Arc::new(Inode {
            fd: root,
            probe: false,
        });
        Ok(Inodes {
            table: Mutex::default(),
            root,
            root_key: (stat.st_dev, stat.st_ino),
            handles,
            prefix,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The inode of this number.
    pub fn get(&self, number: INodeNo) -> Result<Arc<Inode>> {
        if number.0 == INodeNo::ROOT.0 {
            return Ok(Arc::clone(&self.root));
        }
        let table = self.lock();
        let found = table.known.get(&number.0);
        found.map(|(inode, ..)| Arc::clone(inode)).ok_or(Errno::STALE)
    }

    /// The inode of this name; the kernel knows it once more. Gives its number and what is known of it.
    pub fn find(&self, parent: INodeNo, name: &OsStr) -> Result<(u64, Stat)> {
        let parent = self.get(parent)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&parent, name, flags, Mode::empty())?;
        let probe = name.as_bytes().starts_with(PROBE.as_bytes());
        self.know(fd, probe)
    }

    fn know(&self, fd: OwnedFd, probe: bool) -> Result<(u64, Stat)> {
        let stat = fstat(&fd)?;
        let key = (stat.st_dev, stat.st_ino);
        if key == self.root_key {
            return Ok((INodeNo::ROOT.0, stat));
        }
        let mut table = self.lock();
        if let Some(number) = table.numbers.get(&key).copied()
            && let Some((_, _, times)) = table.known.get_mut(&number)
        {
            *times += 1;
            return Ok((number, stat));
        }
        let mut number = stat.st_ino;
        if number <= INodeNo::ROOT.0
            || number >= SPARE
            || key.0 != self.root_key.0
            || table.known.contains_key(&number)
        {
            table.spare += 1;
            number = SPARE + table.spare;
        }
        table.numbers.insert(key, number);
        let inode = Arc::new(Inode { fd, probe });
        table.known.insert(number, (inode, key, 1));
        Ok((number, stat))
    }

    /// The kernel knows it so many times less.
    pub fn forget(&self, number: INodeNo, times: u64) {
        let mut table = self.lock();
        let Some((_, key, known)) = table.known.get_mut(&number.0) else {
            return;
        };
        let key = *key;
        *known = known.saturating_sub(times);
        if *known == 0 {
            table.known.remove(&number.0);
            table.numbers.remove(&key);
        }
    }

    /// All that the kernel knows now.
    pub fn numbers(&self) -> Vec<u64> {
        self.lock().known.keys().copied().collect()
    }

    /// Whether the agent made it, to see what becomes of its own calls. Nobody is shown its name.
    pub fn is_probe(&self, number: INodeNo) -> bool {
        self.get(number).is_ok_and(|inode| inode.probe)
    }

    /// Opens the inode itself, whatever it is called now.
    pub fn open(&self, inode: &Inode, flags: OFlags) -> Result<OwnedFd> {
        let link = inode.fd.as_raw_fd().to_string();
        openat(&self.handles, link, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// The folder in which [`Inodes::link`] names the inode.
    pub fn handles(&self) -> BorrowedFd<'_> {
        self.handles.as_fd()
    }

    /// The name there of the inode, for calls that take nothing but names.
    pub fn link(inode: &Inode) -> String {
        inode.fd.as_raw_fd().to_string()
    }

    /// Its path below the root, as of now.
    pub fn path(&self, inode: &Inode) -> String {
        let link = link_of(&self.handles, &inode.fd).unwrap_or_default();
        let below = link.strip_prefix(self.prefix.as_slice()).unwrap_or(&link);
        let below = String::from_utf8_lossy(below);
        let below = below.trim_start_matches('/');
        below.strip_suffix(" (deleted)").unwrap_or(below).to_owned()
    }

    /// The path of this name below the root.
    pub fn path_in(&self, parent: INodeNo, name: &OsStr) -> String {
        let name = name.to_string_lossy();
        let Ok(parent) = self.get(parent) else {
            return name.into_owned();
        };
        match self.path(&parent).as_str() {
            "" => name.into_owned(),
            parent => format!("{parent}/{name}"),
        }
    }

    /// Remembers an open file; its number.
    pub fn keep(&self, fd: OwnedFd, synchronous: bool) -> FileHandle {
        let mut table = self.lock();
        table.next_file += 1;
        let number = table.next_file;
        let open = Open {
            fd,
            synchronous,
            turn: Mutex::default(),
        };
        table.files.insert(number, Arc::new(open));
        FileHandle(number)
    }

    /// The open file of this number.
    pub fn file(&self, number: FileHandle) -> Result<Arc<Open>> {
        self.lock().files.get(&number.0).cloned().ok_or(Errno::BADF)
    }

    /// It is closed.
    pub fn close(&self, number: FileHandle) {
        let closed = self.lock().files.remove(&number.0);
        drop(closed);
    }
}

fn link_of(handles: &OwnedFd, fd: &OwnedFd) -> Result<Vec<u8>> {
    let link = readlinkat(handles, fd.as_raw_fd().to_string(), Vec::new())?;
    Ok(link.into_bytes())
}
