//! A seeded stream of calls on files below a directory, and what came of each.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, SeekFrom,
    Timespec, Timestamps, XattrFlags,
};
use rustix::io::{self, Errno};

/// What was called, and what came of it.
pub type Outcome = (&'static str, Result<String, Errno>);

/// Names are few, so that calls meet each other.
const NAMES: [&str; 7] = ["a", "b", "c.log", "d", "d/e", "d/f.log", "d/g"];

pub struct Player {
    root: PathBuf,
    rng: ChaCha12Rng,
    open: Vec<OwnedFd>,
}

impl Player {
    pub fn new(root: &Path, seed: u64) -> Player {
        Player {
            root: root.to_owned(),
            rng: ChaCha12Rng::seed_from_u64(seed),
            open: Vec::new(),
        }
    }

    fn below(&mut self, count: usize) -> usize {
        self.rng.random_range(0..count)
    }

    fn path(&mut self) -> PathBuf {
        let name = NAMES[self.below(NAMES.len())];
        self.root.join(name)
    }

    fn data(&mut self) -> Vec<u8> {
        let length = [0, 1, 100, 4096, 5000, 70_000][self.below(6)];
        let first = self.rng.random::<u8>();
        (0..length).map(|index| first.wrapping_add(index as u8)).collect()
    }

    fn offset(&mut self) -> u64 {
        [0, 1, 511, 4096, 10_000, 100_000][self.below(6)]
    }

    /// Makes the next call.
    pub fn step(&mut self) -> Outcome {
        match self.below(32) {
            0..=4 => ("open", self.open()),
            5..=9 => self.on_open(),
            number => self.on_names(number),
        }
    }

    fn open(&mut self) -> Result<String, Errno> {
        let path = self.path();
        let access = [OFlags::RDONLY, OFlags::WRONLY, OFlags::RDWR, OFlags::RDWR][self.below(4)];
        let mut flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK;
        for (flag, odds) in [
            (OFlags::CREATE, 2),
            (OFlags::EXCL, 6),
            (OFlags::TRUNC, 6),
            (OFlags::APPEND, 3),
            (OFlags::DSYNC, 8),
            (OFlags::SYNC, 12),
            (OFlags::NOFOLLOW, 6),
            (OFlags::DIRECTORY, 20),
        ] {
            if self.below(odds) == 0 {
                flags |= flag;
            }
        }
        let mode = Mode::from_raw_mode([0o600, 0o644, 0o755, 0o4755][self.below(4)]);
        let open = fs::open(&path, flags, mode)?;
        if self.open.len() >= 8 {
            let gone = self.below(8);
            self.open.remove(gone);
        }
        self.open.push(open);
        Ok(format!("{}", self.open.len()))
    }

    fn on_open(&mut self) -> Outcome {
        let (data, offset, what) = (self.data(), self.offset(), self.below(14));
        let [one, other] = [self.below(8), self.below(8)];
        let (Some(file), Some(second)) = (self.open.get(one), self.open.get(other)) else {
            return ("none", Ok(String::new()));
        };
        let said = |done: Result<(), Errno>| done.map(|()| String::new());
        match what {
            0..=1 => (
                "pwrite",
                io::pwrite(file, &data, offset).map(|count| count.to_string()),
            ),
            2 => ("write", io::write(file, &data).map(|count| count.to_string())),
            3..=4 => {
                let mut buffer = vec![0; 5000];
                let read = io::pread(file, &mut buffer, offset);
                ("pread", read.map(|count| format!("{:?}", &buffer[..count])))
            }
            5 => ("fsync", said(fs::fsync(file))),
            6 => ("fdatasync", said(fs::fdatasync(file))),
            7 => ("ftruncate", said(fs::ftruncate(file, offset))),
            8 => {
                let mode = [
                    FallocateFlags::empty(),
                    FallocateFlags::KEEP_SIZE,
                    FallocateFlags::KEEP_SIZE | FallocateFlags::PUNCH_HOLE,
                ][data.len() % 3];
                (
                    "fallocate",
                    said(fs::fallocate(file, mode, offset, 1 + data.len() as u64)),
                )
            }
            9 => {
                // Where directories end, and where blocks begin, is each file system's own affair.
                let is_folder = fs::fstat(file)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
                let to = match is_folder {
                    true => Ok(0),
                    false => fs::seek(file, SeekFrom::End(0)),
                };
                ("seek", to.map(|to| to.to_string()))
            }
            10 => {
                let (mut from, mut to) = (offset, 3);
                let copied =
                    fs::copy_file_range(file, Some(&mut from), second, Some(&mut to), data.len() + 1);
                ("copy", copied.map(|count| count.to_string()))
            }
            11 => (
                "flock",
                said(fs::flock(file, FlockOperation::NonBlockingLockShared)),
            ),
            12 => {
                let stat = fs::fstat(file);
                (
                    "fstat",
                    stat.map(|stat| format!("{:o} {} {}", stat.st_mode, size(&stat), stat.st_nlink)),
                )
            }
            _ => ("fchmod", said(fs::fchmod(file, Mode::from_raw_mode(0o640)))),
        }
    }

    fn on_names(&mut self, what: usize) -> Outcome {
        let (path, other, data) = (self.path(), self.path(), self.data());
        let said = |done: Result<(), Errno>| done.map(|()| String::new());
        match what {
            10 | 11 => ("unlink", said(fs::unlink(&path))),
            12 | 13 => ("mkdir", said(fs::mkdir(&path, Mode::from_raw_mode(0o750)))),
            14 => ("rmdir", said(fs::rmdir(&path))),
            15 | 16 => ("rename", said(fs::rename(&path, &other))),
            17 => {
                let flags = [RenameFlags::NOREPLACE, RenameFlags::EXCHANGE][data.len() % 2];
                (
                    "renameat2",
                    said(fs::renameat_with(CWD, &path, CWD, &other, flags)),
                )
            }
            18 => ("link", said(fs::link(&path, &other))),
            19 => ("symlink", said(fs::symlink(NAMES[data.len() % 4], &path))),
            20 => {
                let link = fs::readlink(&path, Vec::new());
                ("readlink", link.map(|link| link.to_string_lossy().into_owned()))
            }
            21 => {
                let mode = Mode::from_raw_mode([0o644, 0o4711, 0o2755, 0o1777][data.len() % 4]);
                ("chmod", said(fs::chmod(&path, mode)))
            }
            22 => {
                let (user, group) = (fs::Uid::from_raw(1000), fs::Gid::from_raw(data.len() as u32));
                (
                    "chown",
                    said(fs::chownat(
                        CWD,
                        &path,
                        Some(user),
                        Some(group),
                        AtFlags::SYMLINK_NOFOLLOW,
                    )),
                )
            }
            23 => {
                let time = |tv_sec| Timespec {
                    tv_sec,
                    tv_nsec: 123_456_789,
                };
                let times = Timestamps {
                    last_access: time(1_000_000),
                    last_modification: time(-5),
                };
                (
                    "utimens",
                    said(fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)),
                )
            }
            24 => {
                let flags = [XattrFlags::empty(), XattrFlags::CREATE, XattrFlags::REPLACE][data.len() % 3];
                (
                    "setxattr",
                    said(fs::setxattr(&path, "user.x", &data[..data.len().min(300)], flags)),
                )
            }
            25 => {
                let mut value = vec![0; [0, 10, 400][data.len() % 3]];
                let got = fs::getxattr(&path, "user.x", &mut value);
                ("getxattr", got.map(|count| format!("{count} {value:?}")))
            }
            26 => ("removexattr", said(fs::removexattr(&path, "user.x"))),
            27 => {
                let name = CString::new(path.as_os_str().as_bytes()).unwrap();
                let kind = [FileType::Fifo, FileType::Socket][data.len() % 2];
                (
                    "mknod",
                    said(fs::mknodat(CWD, name, kind, Mode::from_raw_mode(0o600), 0)),
                )
            }
            28 => ("truncate", {
                let open = fs::open(
                    &path,
                    OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
                    Mode::empty(),
                );
                open.and_then(|file| said(fs::ftruncate(file, data.len() as u64)))
            }),
            29 => {
                let stat = fs::stat(&path);
                (
                    "stat",
                    stat.map(|stat| format!("{:o} {} {}", stat.st_mode, size(&stat), stat.st_nlink)),
                )
            }
            30 => ("readdir", {
                let mut names: Vec<_> = (std::fs::read_dir(&path).into_iter().flatten().flatten())
                    .map(|entry| (entry.file_name(), format!("{:?}", entry.file_type().unwrap())))
                    .collect();
                names.sort();
                Ok(format!("{names:?}"))
            }),
            _ => ("access", said(fs::access(&path, fs::Access::WRITE_OK))),
        }
    }
}

/// Sizes of directories are each file system's own affair.
fn size(stat: &fs::Stat) -> i64 {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => 0,
        _ => stat.st_size,
    }
}

/// Everything below a directory: kinds, modes, owners, links, contents, attributes; times where they were set.
pub fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let found = path.symlink_metadata().unwrap();
            let mut said = format!(
                "{:o} {} {} {}",
                found.permissions().mode(),
                found.uid(),
                found.gid(),
                found.nlink()
            );
            if found.mtime() < 0 {
                said += &format!(" {}.{}", found.mtime(), found.mtime_nsec());
            }
            if found.is_dir() {
                folders.push(path.clone());
            } else if found.is_file() {
                said += &format!(" {:?}", std::fs::read(&path).unwrap());
                let mut names = vec![0; 1000];
                let count = fs::listxattr(&path, &mut names).unwrap_or(0);
                said += &format!(" {:?}", String::from_utf8_lossy(&names[..count]));
            } else if found.is_symlink() {
                said += &format!(" {:?}", std::fs::read_link(&path).unwrap());
            }
            all.insert(path.strip_prefix(root).unwrap().to_owned(), said);
        }
    }
    all
}
