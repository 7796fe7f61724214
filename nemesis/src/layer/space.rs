//! The blocks of files: taken, sought, copied, and whether a write would take some.

use fuser::FileHandle;
use rustix::fs::{self, FallocateFlags, SeekFrom};
use rustix::io::{Errno, Result};

use super::below::Below;

impl Below {
    pub fn fallocate(&self, file: FileHandle, offset: u64, length: u64, mode: i32) -> Result<()> {
        let open = self.inodes.file(file)?;
        fs::fallocate(
            &open.fd,
            FallocateFlags::from_bits_retain(mode.cast_unsigned()),
            offset,
            length,
        )
    }

    /// `whence` as in lseek(2): only what the kernel can't know by itself.
    pub fn seek(&self, file: FileHandle, offset: i64, whence: i32) -> Result<u64> {
        let open = self.inodes.file(file)?;
        let offset = u64::try_from(offset).map_err(|_| Errno::NXIO)?;
        let to = match whence {
            3 => SeekFrom::Data(offset),
            4 => SeekFrom::Hole(offset),
            _ => return Err(Errno::INVAL),
        };
        fs::seek(&open.fd, to)
    }

    pub fn copy(&self, from: (FileHandle, u64), to: (FileHandle, u64), length: u64) -> Result<u32> {
        let (source, target) = (self.inodes.file(from.0)?, self.inodes.file(to.0)?);
        let (mut from, mut to) = (from.1, to.1);
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(1 << 30);
        let copied = fs::copy_file_range(&source.fd, Some(&mut from), &target.fd, Some(&mut to), length)?;
        Ok(copied as u32)
    }

    /// Whether writing there would need space that the file does not have.
    pub fn grows(&self, file: FileHandle, offset: u64, length: u64) -> bool {
        let Ok(open) = self.inodes.file(file) else {
            return false;
        };
        let Ok(stat) = fs::fstat(&open.fd) else {
            return false;
        };
        let end = offset.saturating_add(length);
        if end > stat.st_size.cast_unsigned() {
            return true;
        }
        // A hole takes space, too.
        let whole = stat.st_blocks.saturating_mul(512) >= stat.st_size;
        !whole && !fs::seek(&open.fd, SeekFrom::Hole(offset)).is_ok_and(|hole| hole >= end)
    }
}
