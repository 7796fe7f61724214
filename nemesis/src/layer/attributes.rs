//! Attributes of files, from what the file system below says to what FUSE says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};
use rustix::fs::{FileType as Below, Stat, Timespec, UTIME_NOW, UTIME_OMIT};

/// For the inode of this number.
pub fn attributes(number: u64, stat: &Stat) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: stat.st_size.cast_unsigned(),
        blocks: stat.st_blocks.cast_unsigned(),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        crtime: UNIX_EPOCH,
        kind: kind(Below::from_raw_mode(stat.st_mode)),
        perm: (stat.st_mode & 0o7777) as u16,
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as u32,
        blksize: u32::try_from(stat.st_blksize).unwrap_or(4096),
        flags: 0,
    }
}

/// The same kind of file.
pub fn kind(below: Below) -> FileType {
    match below {
        Below::Directory => FileType::Directory,
        Below::Symlink => FileType::Symlink,
        Below::Fifo => FileType::NamedPipe,
        Below::Socket => FileType::Socket,
        Below::CharacterDevice => FileType::CharDevice,
        Below::BlockDevice => FileType::BlockDevice,
        Below::RegularFile | Below::Unknown => FileType::RegularFile,
    }
}

fn time(seconds: i64, nanoseconds: u64) -> SystemTime {
    let fraction = Duration::from_nanos(nanoseconds);
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + fraction,
        Err(_) => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()) + fraction,
    }
}

/// As the file system below takes it.
pub fn timespec(time: Option<TimeOrNow>) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        None => (0, UTIME_OMIT as _),
        Some(TimeOrNow::Now) => (0, UTIME_NOW as _),
        Some(TimeOrNow::SpecificTime(time)) => match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since.as_secs() as i64, i64::from(since.subsec_nanos())),
            // fuser 0.18 reads the fraction as if it counted backwards, too, which no file system does.
            Err(before) => {
                let before = before.duration();
                (-(before.as_secs() as i64), i64::from(before.subsec_nanos()))
            }
        },
    };
    Timespec { tv_sec, tv_nsec }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_survive() {
        assert_eq!(time(-5, 250_000_000), UNIX_EPOCH - Duration::from_millis(4750));
        // As fuser reads the same.
        let read = UNIX_EPOCH - Duration::new(5, 250_000_000);
        let there = timespec(Some(TimeOrNow::SpecificTime(read)));
        assert_eq!((there.tv_sec, there.tv_nsec), (-5, 250_000_000));
        let there = timespec(Some(TimeOrNow::SpecificTime(time(5, 7))));
        assert_eq!((there.tv_sec, there.tv_nsec), (5, 7));
    }
}
