//! A directory and all that is below it: looked at, copied, and put back.
//!
//! Files, folders, symbolic and hard links, with owners, modes, times and extended attributes; what is zero becomes a hole. Sockets and
//! pipes are nobody's data, and neither are the probes of the layer.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::layer::{PROBE, hexadecimal};

/// Read at once; of this many bytes, if all are zero, a hole is made.
const CHUNK: usize = 128 << 10;

/// What is in a directory: by path below it, what it is, whose, and the SHA-256 of what is in it. Equal trees look the same to
/// a program, but for times.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree(BTreeMap<String, String>);

impl Tree {
    /// How many files, folders and links.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// SHA-256 of all of it.
    pub fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for (path, what) in &self.0 {
            digest.update(path);
            digest.update([0]);
            digest.update(what);
            digest.update([0]);
        }
        hexadecimal(digest)
    }

    /// The paths at which another tree has something else, or nothing, or where this one has nothing; in order.
    pub fn differing(&self, other: &Tree) -> Vec<String> {
        let here = self
            .0
            .iter()
            .filter(|(path, what)| other.0.get(*path) != Some(what));
        let there = other.0.keys().filter(|path| !self.0.contains_key(*path));
        let mut paths: Vec<String> = here.map(|(path, _)| path).chain(there).cloned().collect();
        paths.sort();
        paths
    }
}

/// What is in a directory now.
pub fn look(root: &Path) -> io::Result<Tree> {
    walk(root, None)
}

/// Copies a directory to one that is not there yet, and syncs that. Returns what was copied.
pub fn copy(from: &Path, to: &Path) -> io::Result<Tree> {
    fs::create_dir(to)?;
    let tree = walk(from, Some(to))?;
    same_owner_and_times(from, to)?;
    Ok(tree)
}

/// Makes a directory what this copy of it is, and syncs it. Safe to repeat where it was cut off.
pub fn put_back(copy: &Path, root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if is_probe(&entry.path()) {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    walk(copy, Some(root))?;
    same_owner_and_times(copy, root)?;
    File::open(root)?.sync_all()
}

/// How many bytes files take in a directory. Holes take none.
pub fn bytes(root: &Path) -> io::Result<u64> {
    let mut total = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let about = entry.metadata()?;
            total += about.blocks() * 512;
            if about.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(total)
}

fn is_probe(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(PROBE.as_bytes())
}

/// Looks at all that is below a directory, and copies it on the way, if asked to.
fn walk(root: &Path, to: Option<&Path>) -> io::Result<Tree> {
    let mut tree = Tree::default();
    // Of files with several names, the first.
    let mut linked: BTreeMap<(u64, u64), PathBuf> = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    let mut made: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries = fs::read_dir(root.join(&folder))?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (from, below) = (entry.path(), folder.join(entry.file_name()));
            let about = from.symlink_metadata()?;
            let kind = about.file_type();
            if is_probe(&from) || kind.is_socket() || kind.is_fifo() {
                continue;
            }
            let copy = to.map(|to| to.join(&below));
            let whose = format!("{:o} {}:{}", about.mode(), about.uid(), about.gid());
            let first = linked.get(&(about.dev(), about.ino())).filter(|_| kind.is_file());
            let named =
                |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", from.display()));
            let what = if kind.is_dir() {
                folders.push(below.clone());
                if let Some(copy) = &copy {
                    fs::create_dir(copy).map_err(named)?;
                    made.push(below.clone());
                }
                String::new()
            } else if kind.is_symlink() {
                let target = fs::read_link(&from).map_err(named)?;
                if let Some(copy) = &copy {
                    symlink(&target, copy).map_err(named)?;
                    lchown(copy, Some(about.uid()), Some(about.gid())).map_err(named)?;
                }
                target.display().to_string()
            } else if let Some(first) = first {
                if let (Some(copy), Some(to)) = (&copy, to) {
                    fs::hard_link(to.join(first), copy).map_err(named)?;
                }
                format!("as {}", first.display())
            } else {
                let digest = file(&from, copy.as_deref()).map_err(named)?;
                if let Some(copy) = &copy {
                    same_owner_and_times(&from, copy).map_err(named)?;
                }
                if about.nlink() > 1 {
                    linked.insert((about.dev(), about.ino()), below.clone());
                }
                digest
            };
            tree.0
                .insert(below.display().to_string(), format!("{whose} {what}"));
        }
    }
    // Last, as what is made in a folder changes its times.
    if let Some(to) = to {
        for below in made.iter().rev() {
            same_owner_and_times(&root.join(below), &to.join(below))?;
        }
    }
    Ok(tree)
}

/// Reads a file, and copies it on the way, if asked to. Returns the SHA-256 of its length and of what is not zero in it.
fn file(from: &Path, to: Option<&Path>) -> io::Result<String> {
    let zeros = vec![0; CHUNK];
    let mut chunk = vec![0; CHUNK];
    let mut source = File::open(from)?;
    let copy = to.map(File::create_new).transpose()?;
    let mut digest = Sha256::new();
    let mut at = 0_u64;
    loop {
        let length = read_full(&mut source, &mut chunk)?;
        let bytes = &chunk[..length];
        if bytes != &zeros[..length] {
            digest.update(at.to_le_bytes());
            digest.update(bytes);
            if let Some(copy) = &copy {
                copy.write_all_at(bytes, at)?;
            }
        }
        at += length as u64;
        if length < CHUNK {
            break;
        }
    }
    digest.update(at.to_le_bytes());
    if let Some(copy) = &copy {
        copy.set_len(at)?;
        copy.sync_all()?;
    }
    Ok(hexadecimal(digest))
}

/// As much as there is, up to the length of `chunk`: where a chunk ends must not depend on how much one call returns.
fn read_full(source: &mut File, chunk: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < chunk.len() {
        match source.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Gives a file or folder the owner, mode, extended attributes and times of another.
fn same_owner_and_times(from: &Path, to: &Path) -> io::Result<()> {
    let about = from.metadata()?;
    chown(to, Some(about.uid()), Some(about.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(about.mode() & 0o7777))?;
    same_attributes(from, to)?;
    let since = |seconds: i64, nanoseconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        SystemTime::UNIX_EPOCH
            + std::time::Duration::new(seconds, u32::try_from(nanoseconds).unwrap_or_default())
    };
    let times = fs::FileTimes::new()
        .set_accessed(since(about.atime(), about.atime_nsec()))
        .set_modified(since(about.mtime(), about.mtime_nsec()));
    File::open(to)?.set_times(times)
}

fn same_attributes(from: &Path, to: &Path) -> io::Result<()> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match llistxattr(from, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::NOSYS) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0_u8; 64 << 10];
    for name in names[..length]
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let length = lgetxattr(from, name, &mut value[..])?;
        lsetxattr(to, name, &value[..length], XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_put_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (root, kept) = (dir.path().join("data"), dir.path().join("data.kept"));
        fs::create_dir_all(root.join("d/e")).unwrap();
        fs::write(root.join("d/log"), "one").unwrap();
        fs::write(root.join("gone"), "here").unwrap();
        fs::hard_link(root.join("gone"), root.join("d/twin")).unwrap();
        symlink("../gone", root.join("d/link")).unwrap();
        let hole = File::create(root.join("hole")).unwrap();
        hole.set_len(1 << 20).unwrap();
        hole.write_all_at(b"end", (1 << 20) - 3).unwrap();
        fs::set_permissions(root.join("d/e"), fs::Permissions::from_mode(0o700)).unwrap();
        let before = fs::metadata(root.join("d/log")).unwrap();
        let was = copy(&root, &kept).unwrap();
        assert_eq!((was.count(), look(&root).unwrap() == was), (7, true));
        assert_eq!(look(&kept).unwrap(), was);
        assert!(bytes(&kept).unwrap() < 1 << 20, "holes are no bytes");

        fs::write(root.join("d/log"), "two").unwrap();
        fs::remove_file(root.join("gone")).unwrap();
        fs::create_dir_all(root.join("new/deep")).unwrap();
        fs::write(root.join("new/deep/file"), "new").unwrap();
        let now = look(&root).unwrap();
        assert_eq!(
            was.differing(&now),
            ["d/log", "d/twin", "gone", "new", "new/deep", "new/deep/file"]
        );
        assert_ne!(now.digest(), was.digest());
        // As one that was cut off is.
        for _ in 0..2 {
            put_back(&kept, &root).unwrap();
            assert_eq!(was.differing(&look(&root).unwrap()), [""; 0]);
        }
        assert_eq!(look(&root).unwrap().digest(), was.digest());
        assert_eq!(fs::read(root.join("d/twin")).unwrap(), b"here");
        let after = fs::metadata(root.join("d/log")).unwrap();
        assert_eq!(
            (after.modified().unwrap(), after.mode()),
            (before.modified().unwrap(), before.mode())
        );
    }
}
