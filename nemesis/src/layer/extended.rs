//! Extended attributes of files.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use fuser::INodeNo;
use rustix::fs::{self, FileType, OFlags, XattrFlags};
use rustix::io::{Errno, Result};

use super::below::Below;

impl Below {
    /// Attributes belong to what can be opened; symbolic links, pipes and devices have none here.
    fn for_attributes(&self, number: INodeNo) -> Result<OwnedFd> {
        let inode = self.inodes.get(number)?;
        let kind = FileType::from_raw_mode(fs::fstat(&*inode)?.st_mode);
        match kind {
            FileType::RegularFile | FileType::Directory => {
                self.inodes.open(&inode, OFlags::RDONLY | OFlags::NONBLOCK)
            }
            _ => Err(Errno::NOTSUP),
        }
    }

    pub fn getxattr(&self, number: INodeNo, name: &OsStr) -> Result<Vec<u8>> {
        let fd = self.for_attributes(number)?;
        let mut value = vec![0; fs::fgetxattr_query(&fd, name)?];
        let length = fs::fgetxattr(&fd, name, &mut value)?;
        value.truncate(length);
        Ok(value)
    }

    pub fn listxattr(&self, number: INodeNo) -> Result<Vec<u8>> {
        let fd = self.for_attributes(number)?;
        let mut names = vec![0; fs::flistxattr_query(&fd)?];
        let length = fs::flistxattr(&fd, &mut names)?;
        names.truncate(length);
        Ok(names)
    }

    pub fn setxattr(&self, number: INodeNo, name: &OsStr, value: &[u8], flags: i32) -> Result<()> {
        let flags = XattrFlags::from_bits_retain(flags.cast_unsigned());
        fs::fsetxattr(self.for_attributes(number)?, name, value, flags)
    }

    pub fn removexattr(&self, number: INodeNo, name: &OsStr) -> Result<()> {
        fs::fremovexattr(self.for_attributes(number)?, name)
    }
}
