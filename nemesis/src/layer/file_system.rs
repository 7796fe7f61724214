//! The file system that the kernel talks to: each call meets the rules, then goes to the directory below.
//!
//! What the kernel can do by itself it does: permissions, locks, positions, appends, the page cache. Nobody else changes the
//! directory below, so what it remembers of it stays true.

use std::ffi::OsStr;
use std::path::Path;
use std::time::SystemTime;

use fuser::{
    BsdFileFlags, CopyFileRangeFlags, Errno, FileHandle, Filesystem, FopenFlags, INodeNo, InitFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};

use super::answers::{FIRST, KEPT, empty, entry, sized, space};
use super::attributes::kind;
use super::below::{Caller, Change, Name};
use super::call::Call;
use super::meet::{About, FileSystem, Layer, error};
use super::write::write;

/// The most that comes in one write.
const WRITE_BYTES_MAX: u32 = 1 << 20;

impl Filesystem for FileSystem {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> std::io::Result<()> {
        // Without it, each write asks for an attribute first.
        let _ = config.add_capabilities(InitFlags::FUSE_HANDLE_KILLPRIV_V2);
        let _ = config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS);
        let _ = config.set_max_write(WRITE_BYTES_MAX);
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.0.below.lookup(parent, name).map_err(error));
    }

    fn forget(&self, _: &Request, number: INodeNo, times: u64) {
        self.0.below.inodes.forget(number, times);
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.0.below.getattr(number) {
            Ok(attributes) => reply.attr(&KEPT, &attributes),
            Err(errno) => reply.error(error(errno)),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        file: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let caller = Caller::of(request);
        let change = Change {
            mode,
            uid,
            gid,
            size,
            atime,
            mtime,
        };
        let work = move |layer: &Layer| layer.below.change(caller, number, change, file);
        let answer = |reply: ReplyAttr, done: std::result::Result<_, Errno>| match done {
            Ok(attributes) => reply.attr(&KEPT, &attributes),
            Err(errno) => reply.error(errno),
        };
        match size {
            Some(_) => self.act((Call::Truncate, About::File(number)), reply, work, answer),
            None => answer(reply, work(&self.0).map_err(error)),
        }
    }

    fn readlink(&self, _: &Request, number: INodeNo, reply: ReplyData) {
        match self.0.below.readlink(number) {
            Ok(link) => reply.data(&link),
            Err(errno) => reply.error(error(errno)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let (caller, name) = (Caller::of(request), name.to_owned());
        let about = (Call::Create, About::Name(parent, name.clone()));
        self.act(
            about,
            reply,
            move |layer| layer.below.mknod(caller, parent, &name, mode, device),
            entry,
        );
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let (caller, name) = (Caller::of(request), name.to_owned());
        let about = (Call::Mkdir, About::Name(parent, name.clone()));
        self.act(
            about,
            reply,
            move |layer| layer.below.mkdir(caller, parent, &name, mode),
            entry,
        );
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, to: &Path, reply: ReplyEntry) {
        let (caller, name, to) = (Caller::of(request), name.to_owned(), to.to_owned());
        let about = (Call::Create, About::Name(parent, name.clone()));
        self.act(
            about,
            reply,
            move |layer| layer.below.symlink(caller, parent, &name, &to),
            entry,
        );
    }

    fn link(&self, _: &Request, number: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let name = name.to_owned();
        let about = (Call::Create, About::Name(parent, name.clone()));
        self.act(
            about,
            reply,
            move |layer| layer.below.link(number, parent, &name),
            entry,
        );
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, false, reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.remove(parent, name, true, reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (name, new_name) = (name.to_owned(), new_name.to_owned());
        // Its new name is the one that lasts.
        let about = (Call::Rename, About::Name(to, new_name.clone()));
        self.act(
            about,
            reply,
            move |layer| layer.below.rename((parent, &name), (to, &new_name), flags),
            empty,
        );
    }

    fn open(&self, _: &Request, number: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let work = move |layer: &Layer| layer.below.open(number, flags);
        self.act(
            (Call::Open, About::File(number)),
            reply,
            work,
            |reply, opened| match opened {
                Ok(file) => reply.opened(file, FopenFlags::FOPEN_KEEP_CACHE),
                Err(errno) => reply.error(errno),
            },
        );
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let (caller, name) = (Caller::of(request), name.to_owned());
        let about = (Call::Create, About::Name(parent, name.clone()));
        let work = move |layer: &Layer| layer.below.create(caller, parent, &name, mode, flags);
        self.act(about, reply, work, |reply, created| match created {
            Ok((attributes, file)) => {
                reply.created(&KEPT, &attributes, FIRST, file, FopenFlags::FOPEN_KEEP_CACHE)
            }
            Err(errno) => reply.error(errno),
        });
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        file: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let work = move |layer: &Layer| layer.below.read(file, offset, size);
        self.act(
            (Call::Read, About::File(number)),
            reply,
            work,
            |reply, data| match data {
                Ok(data) => reply.data(&data),
                Err(errno) => reply.error(errno),
            },
        );
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        file: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let kills = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        write(&self.0, (number, file, offset), data, kills, reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // The kernel asks no more. What is dirty it has written before.
        reply.error(Errno::ENOSYS);
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        file: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.0.below.inodes.close(file);
        reply.ok();
    }

    fn fsync(&self, _: &Request, number: INodeNo, file: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let work = move |layer: &Layer| layer.below.fsync(file, data_only);
        self.act((Call::Fsync, About::File(number)), reply, work, empty);
    }

    fn opendir(&self, _: &Request, number: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let directory = rustix::fs::OFlags::DIRECTORY.bits().cast_signed();
        match self.0.below.open(number, OpenFlags(directory)) {
            Ok(file) => reply.opened(file, FopenFlags::empty()),
            Err(errno) => reply.error(error(errno)),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, file: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        match self.0.below.list(file, offset) {
            Ok(names) => {
                let full =
                    |name: &Name| reply.add(INodeNo(name.number), name.next, kind(name.kind), &name.name);
                let _ = names.iter().any(full);
                reply.ok();
            }
            Err(errno) => reply.error(error(errno)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, file: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.0.below.inodes.close(file);
        reply.ok();
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, file: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let work = move |layer: &Layer| layer.below.fsync(file, data_only);
        self.act((Call::Fsync, About::File(number)), reply, work, empty);
    }

    fn statfs(&self, _: &Request, number: INodeNo, reply: ReplyStatfs) {
        space(reply, self.0.below.statfs(number), self.0.rules.full());
    }

    fn setxattr(
        &self,
        _: &Request,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        empty(
            reply,
            self.0.below.setxattr(number, name, value, flags).map_err(error),
        );
    }

    fn getxattr(&self, _: &Request, number: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        sized(reply, size, self.0.below.getxattr(number, name));
    }

    fn listxattr(&self, _: &Request, number: INodeNo, size: u32, reply: ReplyXattr) {
        sized(reply, size, self.0.below.listxattr(number));
    }

    fn removexattr(&self, _: &Request, number: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.0.below.removexattr(number, name).map_err(error));
    }

    fn fallocate(
        &self,
        _: &Request,
        number: INodeNo,
        file: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let work = move |layer: &Layer| layer.below.fallocate(file, offset, length, mode);
        self.act((Call::Allocate, About::File(number)), reply, work, empty);
    }

    fn lseek(&self, _: &Request, _: INodeNo, file: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        match self.0.below.seek(file, offset, whence) {
            Ok(offset) => reply.offset(offset.cast_signed()),
            Err(errno) => reply.error(error(errno)),
        }
    }

    fn copy_file_range(
        &self,
        _: &Request,
        _: INodeNo,
        from: FileHandle,
        from_offset: u64,
        to_number: INodeNo,
        to: FileHandle,
        to_offset: u64,
        length: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let work = move |layer: &Layer| layer.below.copy((from, from_offset), (to, to_offset), length);
        self.act(
            (Call::Write, About::File(to_number)),
            reply,
            work,
            |reply, copied| match copied {
                Ok(length) => reply.written(length),
                Err(errno) => reply.error(errno),
            },
        );
    }
}
