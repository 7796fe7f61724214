//! What each call does to the directory below, where nothing is done to it.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::PoisonError;

use fuser::{FileAttr, FileHandle, INodeNo, OpenFlags, RenameFlags, Request, TimeOrNow};
use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, RenameFlags as Renames, SeekFrom, Timestamps, Uid,
};
use rustix::io::{self, Errno, Result};

use super::attributes::{attributes, timespec};
use super::inodes::{Inode, Inodes, PROBE};

/// Bytes of names that are read at a time: the kernel asks for a page of them.
const NAMES_BYTES: usize = 4096;

/// Bits that are taken from a file that another user writes.
const PRIVILEGES: u32 = 0o6000;

/// Who asks.
#[derive(Clone, Copy)]
pub struct Caller {
    uid: u32,
    gid: u32,
}

impl Caller {
    /// Who made this request.
    pub fn of(request: &Request) -> Caller {
        Caller {
            uid: request.uid(),
            gid: request.gid(),
        }
    }
}

/// What is to be changed of a file: all that is given.
#[derive(Clone, Copy)]
pub struct Change {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<TimeOrNow>,
    pub mtime: Option<TimeOrNow>,
}

/// A name in a directory.
pub struct Name {
    /// Of its inode.
    pub number: u64,
    /// Where the name after it begins.
    pub next: u64,
    pub kind: FileType,
    pub name: OsString,
}

/// The directory below.
pub struct Below {
    pub inodes: Inodes,
}

impl Below {
    pub fn lookup(&self, parent: INodeNo, name: &OsStr) -> Result<FileAttr> {
        let (number, stat) = self.inodes.find(parent, name)?;
        Ok(attributes(number, &stat))
    }

    pub fn getattr(&self, number: INodeNo) -> Result<FileAttr> {
        let stat = fs::fstat(&*self.inodes.get(number)?)?;
        Ok(attributes(number.0, &stat))
    }

    /// Owner first, which takes bits of the mode away; times last, which all else changes.
    pub fn change(
        &self,
        caller: Caller,
        number: INodeNo,
        change: Change,
        file: Option<FileHandle>,
    ) -> Result<FileAttr> {
        if change.uid.is_some() || change.gid.is_some() {
            self.chown(number, change.uid, change.gid)?;
        }
        if let Some(mode) = change.mode {
            self.chmod(number, mode)?;
        }
        if let Some(size) = change.size {
            self.truncate(caller, number, size, file)?;
        }
        if change.atime.is_some() || change.mtime.is_some() {
            self.utimens(number, change.atime, change.mtime)?;
        }
        self.getattr(number)
    }

    fn chown(&self, number: INodeNo, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        let inode = self.inodes.get(number)?;
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        fs::chownat(&*inode, "", uid, gid, AtFlags::EMPTY_PATH)
    }

    fn chmod(&self, number: INodeNo, mode: u32) -> Result<()> {
        let inode = self.inodes.get(number)?;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        fs::chmodat(
            self.inodes.handles(),
            Inodes::link(&inode),
            mode,
            AtFlags::empty(),
        )
    }

    fn truncate(&self, caller: Caller, number: INodeNo, size: u64, file: Option<FileHandle>) -> Result<()> {
        match file.and_then(|file| self.inodes.file(file).ok()) {
            Some(open) => fs::ftruncate(&open.fd, size)?,
            None => {
                let inode = self.inodes.get(number)?;
                fs::ftruncate(self.inodes.open(&inode, OFlags::WRONLY)?, size)?;
            }
        }
        if caller.uid != 0 {
            self.drop_privileges(number)?;
        }
        Ok(())
    }

    /// As the kernel does for a file that somebody writes who may not give such bits.
    pub fn drop_privileges(&self, number: INodeNo) -> Result<()> {
        let mode = fs::fstat(&*self.inodes.get(number)?)?.st_mode;
        // A group bit without the right to execute means something else.
        let group = if mode & 0o010 == 0 { 0 } else { 0o2000 };
        match mode & PRIVILEGES & (0o4000 | group) {
            0 => Ok(()),
            bits => self.chmod(number, mode & !bits),
        }
    }

    fn utimens(&self, number: INodeNo, atime: Option<TimeOrNow>, mtime: Option<TimeOrNow>) -> Result<()> {
        let times = Timestamps {
            last_access: timespec(atime),
            last_modification: timespec(mtime),
        };
        fs::utimensat(&*self.inodes.get(number)?, "", &times, AtFlags::EMPTY_PATH)
    }

    pub fn readlink(&self, number: INodeNo) -> Result<Vec<u8>> {
        Ok(fs::readlinkat(&*self.inodes.get(number)?, "", Vec::new())?.into_bytes())
    }

    /// What is made belongs to who asked for it; its group is the directory's where that says so.
    fn give(&self, caller: Caller, parent: &Inode, made: impl AsFd, mode: u32) -> Result<()> {
        if caller.uid == 0 && caller.gid == 0 {
            return Ok(());
        }
        let inherits = fs::fstat(parent)?.st_mode & 0o2000 != 0;
        let gid = (!inherits).then(|| Gid::from_raw(caller.gid));
        fs::chownat(
            &made,
            "",
            Some(Uid::from_raw(caller.uid)),
            gid,
            AtFlags::EMPTY_PATH,
        )?;
        // A change of owner takes these away.
        if mode & PRIVILEGES != 0 && FileType::from_raw_mode(mode) != FileType::Directory {
            let (link, mode) = (
                std::os::fd::AsRawFd::as_raw_fd(&made.as_fd()),
                Mode::from_raw_mode(mode & 0o7777),
            );
            fs::chmodat(self.inodes.handles(), link.to_string(), mode, AtFlags::empty())?;
        }
        Ok(())
    }

    /// Gives what was just made to who asked for it, and knows it.
    fn made(&self, caller: Caller, number: INodeNo, name: &OsStr, mode: u32) -> Result<FileAttr> {
        let parent = self.inodes.get(number)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = fs::openat(&*parent, name, flags, Mode::empty())?;
        self.give(caller, &parent, &made, mode)?;
        self.lookup(number, name)
    }

    pub fn mknod(
        &self,
        caller: Caller,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        device: u32,
    ) -> Result<FileAttr> {
        let inode = self.inodes.get(parent)?;
        let kind = FileType::from_raw_mode(mode);
        fs::mknodat(
            &*inode,
            name,
            kind,
            Mode::from_raw_mode(mode & 0o7777),
            u64::from(device),
        )?;
        self.made(caller, parent, name, mode)
    }

    pub fn mkdir(&self, caller: Caller, parent: INodeNo, name: &OsStr, mode: u32) -> Result<FileAttr> {
        let inode = self.inodes.get(parent)?;
        fs::mkdirat(&*inode, name, Mode::from_raw_mode(mode & 0o7777))?;
        self.made(caller, parent, name, FileType::Directory.as_raw_mode() | mode)
    }

    pub fn symlink(&self, caller: Caller, parent: INodeNo, name: &OsStr, to: &Path) -> Result<FileAttr> {
        fs::symlinkat(to, &*self.inodes.get(parent)?, name)?;
        self.made(caller, parent, name, 0)
    }

    pub fn link(&self, number: INodeNo, parent: INodeNo, name: &OsStr) -> Result<FileAttr> {
        let (inode, folder) = (self.inodes.get(number)?, self.inodes.get(parent)?);
        let (handles, link) = (self.inodes.handles(), Inodes::link(&inode));
        fs::linkat(handles, link, &*folder, name, AtFlags::SYMLINK_FOLLOW)?;
        self.lookup(parent, name)
    }

    pub fn unlink(&self, parent: INodeNo, name: &OsStr, directory: bool) -> Result<()> {
        let flags = if directory {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        fs::unlinkat(&*self.inodes.get(parent)?, name, flags)
    }

    pub fn rename(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr), flags: RenameFlags) -> Result<()> {
        let (folder, other) = (self.inodes.get(from.0)?, self.inodes.get(to.0)?);
        fs::renameat_with(
            &*folder,
            from.1,
            &*other,
            to.1,
            Renames::from_bits_retain(flags.bits()),
        )
    }

    pub fn open(&self, number: INodeNo, flags: OpenFlags) -> Result<FileHandle> {
        let inode = self.inodes.get(number)?;
        let flags = OFlags::from_bits_retain(flags.0.cast_unsigned());
        let fd = self.inodes.open(&inode, kept(flags))?;
        Ok(self.inodes.keep(fd, is_synchronous(flags)))
    }

    pub fn create(
        &self,
        caller: Caller,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        flags: i32,
    ) -> Result<(FileAttr, FileHandle)> {
        let folder = self.inodes.get(parent)?;
        let flags = OFlags::from_bits_retain(flags.cast_unsigned());
        let how = kept(flags) | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode_bits = Mode::from_raw_mode(mode & 0o7777);
        let fd = match fs::openat(&*folder, name, how | OFlags::CREATE | OFlags::EXCL, mode_bits) {
            Ok(fd) => {
                self.give(caller, &folder, &fd, mode)?;
                fd
            }
            Err(Errno::EXIST) if !flags.contains(OFlags::EXCL) => {
                fs::openat(&*folder, name, how | (flags & OFlags::TRUNC), Mode::empty())?
            }
            Err(error) => return Err(error),
        };
        let found = self.lookup(parent, name)?;
        Ok((found, self.inodes.keep(fd, is_synchronous(flags))))
    }

    pub fn read(&self, file: FileHandle, offset: u64, size: u32) -> Result<Vec<u8>> {
        let open = self.inodes.file(file)?;
        let mut data = vec![0; size as usize];
        let mut length = 0;
        // The kernel takes a short answer for the end of the file.
        while length < data.len() {
            match io::pread(&open.fd, &mut data[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(Errno::INTR) => {}
                Err(_) if length > 0 => break,
                Err(error) => return Err(error),
            }
        }
        data.truncate(length);
        Ok(data)
    }

    pub fn write(&self, file: FileHandle, offset: u64, data: &[u8]) -> Result<u32> {
        let open = self.inodes.file(file)?;
        let mut length = 0;
        while length < data.len() {
            match io::pwrite(&open.fd, &data[length..], offset + length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(Errno::INTR) => {}
                Err(_) if length > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(length as u32)
    }

    pub fn fsync(&self, file: FileHandle, data_only: bool) -> Result<()> {
        let open = self.inodes.file(file)?;
        if data_only {
            fs::fdatasync(&open.fd)
        } else {
            fs::fsync(&open.fd)
        }
    }

    /// Some of the names from `offset` on; none: there are no more.
    pub fn list(&self, file: FileHandle, offset: u64) -> Result<Vec<Name>> {
        let open = self.inodes.file(file)?;
        let _turn = open.turn.lock().unwrap_or_else(PoisonError::into_inner);
        fs::seek(&open.fd, SeekFrom::Start(offset))?;
        let mut buffer = Vec::with_capacity(NAMES_BYTES);
        let mut below = fs::RawDir::new(&open.fd, buffer.spare_capacity_mut());
        let mut names = Vec::new();
        while let Some(entry) = below.next() {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if !name.as_bytes().starts_with(PROBE.as_bytes()) {
                names.push(Name {
                    number: entry.ino(),
                    next: entry.next_entry_cookie(),
                    kind: entry.file_type(),
                    name: name.to_owned(),
                });
            }
            // One full buffer is enough; if nothing but probes was in it, there may be more.
            if below.is_buffer_empty() && !names.is_empty() {
                break;
            }
        }
        Ok(names)
    }

    pub fn statfs(&self, number: INodeNo) -> Result<fs::StatFs> {
        fs::fstatfs(&*self.inodes.get(number)?)
    }
}

/// The flags that make a difference below. Where an append goes is the kernel's affair, and what the page cache keeps is the
/// kernel's, too: direct writes come here from buffers that no disk would take.
fn kept(flags: OFlags) -> OFlags {
    flags
        & (OFlags::RDONLY
            | OFlags::WRONLY
            | OFlags::RDWR
            | OFlags::SYNC
            | OFlags::DSYNC
            | OFlags::NOATIME
            | OFlags::NONBLOCK)
}

fn is_synchronous(flags: OFlags) -> bool {
    flags.intersects(OFlags::SYNC | OFlags::DSYNC)
}
