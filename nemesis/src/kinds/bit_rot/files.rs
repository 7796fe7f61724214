//! Bits of files: which to turn over, turning them over, and reading them back.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Timespec, Timestamps, futimens};
use serde::{Deserialize, Serialize};

use crate::agent::beside::beside;
use crate::dice::Dice;
use crate::layer::fits;

/// A bit that was turned over.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flip {
    /// The file, below the data directory.
    pub path: String,
    /// Which byte of it.
    pub offset: u64,
    /// Which bit of that, from 0, the lowest.
    pub bit: u8,
    /// The byte as it was.
    pub was: u8,
    /// What tells the file from another of the same name: see [`identity`].
    #[serde(default)]
    pub file: String,
}

/// What became of bits that were turned over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// So many are turned over still.
    pub still: usize,
    /// So many are not, since the system has put another file in the place of theirs, removed it, or cut it off before them.
    pub replaced: usize,
}

impl Flip {
    /// The byte as it should be now.
    fn now(&self) -> u8 {
        self.was ^ (1 << self.bit)
    }
}

/// Files with something in them that a pattern fits, with their lengths, in order.
fn files(root: &Path, pattern: Option<&str>) -> io::Result<Vec<(String, u64)>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // What is gone meanwhile is not at rest.
            let Ok(about) = path.symlink_metadata() else {
                continue;
            };
            let Ok(below) = path.strip_prefix(root) else {
                continue;
            };
            let Some(name) = below.to_str() else { continue };
            if about.is_dir() {
                folders.push(path.clone());
            } else if about.is_file() && about.len() > 0 && pattern.is_none_or(|pattern| fits(pattern, name))
            {
                found.push((name.to_owned(), about.len()));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Turns bits over, each byte of all files that fit being as likely as any other; keeps the files as they were in `kept`.
pub fn rot(root: &Path, pattern: Option<&str>, bits: u32, seed: u64, kept: &Path) -> io::Result<Vec<Flip>> {
    let files = files(root, pattern)?;
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    if total == 0 {
        return Err(io::Error::other("no file has anything that could rot"));
    }
    let mut dice = Dice::new(seed);
    let mut drawn = Vec::new();
    for _ in 0..bits {
        let mut offset = dice.below(total);
        let bit = dice.below(8) as u8;
        let file = files.iter().find(|(_, length)| {
            let here = offset < *length;
            if !here {
                offset -= length;
            }
            here
        });
        if let Some((path, _)) = file {
            drawn.push((path.clone(), offset, bit));
        }
    }
    // Twice the same bit would be none.
    drawn.sort();
    drawn.dedup_by_key(|(path, offset, _)| (path.clone(), *offset));
    let mut flips = Vec::new();
    for (path, offset, bit) in drawn {
        keep(root, &path, kept)?;
        flips.push(flip(root, path, offset, bit)?);
    }
    Ok(flips)
}

/// Copies a file as it is, unless there is a copy.
fn keep(root: &Path, path: &str, kept: &Path) -> io::Result<()> {
    let copy = kept.join(path);
    if copy.exists() {
        return Ok(());
    }
    fs::create_dir_all(copy.parent().unwrap_or(kept))?;
    fs::copy(root.join(path), copy).map(drop)
}

fn open(root: &Path, path: &str) -> io::Result<File> {
    File::options().read(true).write(true).open(root.join(path))
}

fn flip(root: &Path, path: String, offset: u64, bit: u8) -> io::Result<Flip> {
    let file = open(root, &path)?;
    let about = file.metadata()?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    let flip = Flip {
        path,
        offset,
        bit,
        was: byte[0],
        file: identity(&about),
    };
    file.write_all_at(&[flip.now()], offset)?;
    file.sync_all()?;
    // What rots is not written.
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(about.atime(), about.atime_nsec()),
        last_modification: time(about.mtime(), about.mtime_nsec()),
    };
    futimens(&file, &times)?;
    Ok(flip)
}

/// A file by its inode and its birth: numbers of inodes are used again.
fn identity(about: &fs::Metadata) -> String {
    let born = about.created().ok();
    let born = born.and_then(|born| born.duration_since(std::time::UNIX_EPOCH).ok());
    format!("{}-{}", about.ino(), born.unwrap_or_default().as_nanos())
}

/// What is left of them now.
pub fn left(root: &Path, flips: &[Flip]) -> Left {
    let mut left = Left::default();
    for flip in flips {
        let file = File::open(root.join(&flip.path)).ok();
        let about = file.as_ref().and_then(|file| file.metadata().ok());
        let is_the_same = about.is_some_and(|about| identity(&about) == flip.file);
        let mut byte = [0];
        let read = file.is_some_and(|file| file.read_exact_at(&mut byte, flip.offset).is_ok());
        if !is_the_same || !read {
            left.replaced += 1;
        } else if byte[0] & (1 << flip.bit) == flip.now() & (1 << flip.bit) {
            left.still += 1;
        }
    }
    left
}

/// Where files as they were are kept.
pub fn kept(data: &Path, fault: u64) -> PathBuf {
    beside(data, &format!("before-bit-rot-{fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rots_is_what_is_said_and_what_was_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        fs::create_dir_all(root.join("d")).unwrap();
        let before = vec![0x5a; 4000];
        for name in ["d/a.db", "b.db", "c.log", "empty.db"] {
            fs::write(
                root.join(name),
                if name == "empty.db" { &[] } else { &before[..] },
            )
            .unwrap();
        }
        let kept = kept(&root, 3);
        let flips = rot(&root, Some("*.db"), 50, 7, &kept).unwrap();
        assert!(flips.len() > 45, "{}", flips.len());
        let all = |still, replaced| Left { still, replaced };
        assert_eq!(left(&root, &flips), all(flips.len(), 0));
        let mut changed = 0;
        for name in ["d/a.db", "b.db", "c.log"] {
            let now = fs::read(root.join(name)).unwrap();
            changed += now
                .iter()
                .zip(&before)
                .map(|(now, was)| (now ^ was).count_ones())
                .sum::<u32>();
            assert_eq!(now == before, name == "c.log");
        }
        assert_eq!(changed as usize, flips.len());
        assert_eq!(fs::read(kept.join("d/a.db")).unwrap(), before);
        assert_eq!(rot(&root, Some("*.db"), 50, 7, &kept).unwrap().len(), flips.len());
        assert_eq!(left(&root, &flips), all(0, 0), "turned back");
        fs::write(root.join("new"), &before).unwrap();
        fs::rename(root.join("new"), root.join("b.db")).unwrap();
        fs::write(root.join("d/a.db"), "").unwrap();
        assert_eq!(
            left(&root, &flips),
            all(0, flips.len()),
            "written anew, and cut off"
        );
        assert!(rot(&root, Some("*.none"), 1, 7, &kept).is_err());
    }
}
