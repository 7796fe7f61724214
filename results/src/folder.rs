//! A folder that is open, and what is written below it: no symbolic link is followed, no file is ever half there.
//!
//! A run's directory may come from anywhere, and whoever made it could have planted links at the names that Duress writes.
//! So folders are entered from the one above, which is open, and files are written under a name that nobody can guess,
//! `.report.html.` and 32 hexadecimal digits, that must be free, and then renamed. A rename replaces a link, and does not
//! follow it. What a killed writer left is removed by the next one that writes the same file; a writer that lives holds a
//! lock on what it writes.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, flock, fsync, mkdirat, openat, renameat, symlinkat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::rundir_error::RunDirError;

/// Of two that write the same file at once, one may take what the other has just made for a dead writer's.
const TRIES_MAX: u32 = 10;

/// Hexadecimal digits at the end of a temporary name.
const NONCE_DIGITS: usize = 32;

/// What folders are opened for. Only the one that the user named may be reached by a link.
const NAMED: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const BELOW: OFlags = NAMED.union(OFlags::NOFOLLOW);

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    file: OwnedFd,
    path: PathBuf,
}

impl Folder {
    /// Opens a folder that the user named, by links or not.
    pub fn open(path: &Path) -> Result<Folder, RunDirError> {
        Ok(Folder {
            file: openat(CWD, path, NAMED, Mode::empty()).map_err(failed("opening", path))?,
            path: path.to_owned(),
        })
    }

    /// A folder in it; makes it where there is none. `name` is one name, not a path.
    pub fn below(&self, name: &str) -> Result<Folder, RunDirError> {
        let path = self.path.join(name);
        match mkdirat(&self.file, name, Mode::from_bits_truncate(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("creating", &path)(errno)),
        }
        let file = openat(&self.file, name, BELOW, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => RunDirError::Link(path.clone()),
            errno => failed("opening", &path)(errno),
        })?;
        Ok(Folder { file, path })
    }

    /// Writes a file in it so that at any time, a crash of the machine included, the old one or the new one is there, whole.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<(), RunDirError> {
        self.sweep(name);
        let mut tried = 0;
        loop {
            let written = self.write_once(name, content);
            tried += 1;
            match written {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tried < TRIES_MAX => {}
                written => return written.map_err(failed("writing", &self.path.join(name))),
            }
        }
    }

    fn write_once(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let temporary = temporary(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file: File = openat(&self.file, &temporary, flags, Mode::from_bits_truncate(0o666))?.into();
        let written = flock(&file, FlockOperation::NonBlockingLockExclusive)
            // Whoever has it takes it for a dead writer's, and is about to remove it.
            .map_err(|_| io::ErrorKind::NotFound.into())
            .and_then(|()| file.write_all(content))
            .and_then(|()| file.sync_all())
            .and_then(|()| Ok(renameat(&self.file, &temporary, &self.file, name)?));
        if let Err(error) = written {
            // What is left of a failed write helps nobody, and the first error is the one to tell.
            let _ = unlinkat(&self.file, &temporary, AtFlags::empty());
            return Err(error);
        }
        // The rename itself is durable once the directory is.
        Ok(fsync(&self.file)?)
    }

    /// Makes a link in it, in place of what has its name, in one step.
    pub fn link(&self, name: &str, target: &Path) -> Result<(), RunDirError> {
        let temporary = temporary(name);
        symlinkat(target, &self.file, &temporary)
            .and_then(|()| renameat(&self.file, &temporary, &self.file, name))
            .map_err(|errno| {
                let _ = unlinkat(&self.file, &temporary, AtFlags::empty());
                failed("linking", &self.path.join(name))(errno)
            })
    }

    /// Removes what writers of this file left that were killed. What can't be removed is in nobody's way.
    fn sweep(&self, name: &str) {
        let entries = Dir::read_from(&self.file).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| is_temporary(entry.file_name(), name)) {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            if let Ok(file) = openat(&self.file, entry.file_name(), flags, Mode::empty())
                && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
            {
                let _ = unlinkat(&self.file, entry.file_name(), AtFlags::empty());
            }
        }
    }
}

/// A name in the same folder that nobody can guess.
fn temporary(name: &str) -> String {
    let mut bytes = [0_u8; NONCE_DIGITS / 2];
    // Fewer than 256 bytes are given whole, and by every kernel since 3.17. If not, the name must still be free.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(".{name}.{digits}")
}

/// Whether a file is one that a writer of `name` may have left. Names once ended with two numbers.
fn is_temporary(file: &CStr, name: &str) -> bool {
    let suffix = file
        .to_str()
        .ok()
        .and_then(|file| file.strip_prefix('.')?.strip_prefix(name)?.strip_prefix('.'));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    suffix.is_some_and(|suffix| {
        let numbers = suffix.split_once('.');
        let nonce = suffix.len() == NONCE_DIGITS && suffix.bytes().all(|byte| byte.is_ascii_hexdigit());
        nonce || numbers.is_some_and(|(process, number)| digits(process) && digits(number))
    })
}

fn failed<'a, E: Into<io::Error>>(doing: &'static str, path: &'a Path) -> impl Fn(E) -> RunDirError + 'a {
    move |error| RunDirError::Io {
        doing,
        path: path.to_owned(),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_write_leaves_one_file_and_what_killed_writers_left_goes() {
        let here = tempfile::tempdir().unwrap();
        let folder = Folder::open(here.path()).unwrap();
        for left in [
            ".report.html.4711.0".to_owned(),
            format!(".report.html.{}", "0f".repeat(16)),
        ] {
            fs::write(here.path().join(left), "half").unwrap();
        }
        let others = [".report.html.swp", ".report.html.4711.x", ".verdict.json.4711.0"];
        for other in others {
            fs::write(here.path().join(other), "").unwrap();
        }
        folder.write("report.html", b"old").unwrap();
        folder.write("report.html", b"new").unwrap();
        assert_eq!(fs::read(here.path().join("report.html")).unwrap(), b"new");
        let mut names: Vec<_> = fs::read_dir(here.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                ".report.html.4711.x",
                ".report.html.swp",
                ".verdict.json.4711.0",
                "report.html"
            ]
        );
    }

    #[test]
    fn what_a_living_writer_writes_stays() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join(".report.html.4711.0");
        let living = File::create(&path).unwrap();
        flock(&living, FlockOperation::NonBlockingLockExclusive).unwrap();
        let folder = Folder::open(here.path()).unwrap();
        folder.write("report.html", b"").unwrap();
        assert!(path.exists());
        drop(living);
        folder.write("report.html", b"").unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn those_who_write_at_once_all_succeed() {
        let here = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = Folder::open(here.path()).unwrap();
                    for _ in 0..20 {
                        folder.write("report.html", b"whole").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read(here.path().join("report.html")).unwrap(), b"whole");
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_are_replaced_or_refused_and_never_followed() {
        let here = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let target = outside.path().join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, here.path().join("report.html")).unwrap();
        symlink(outside.path(), here.path().join("plots")).unwrap();
        fs::write(here.path().join("nodes"), "").unwrap();
        let folder = Folder::open(here.path()).unwrap();
        folder.write("report.html", b"new").unwrap();
        assert!(!here.path().join("report.html").is_symlink());
        for name in ["plots", "nodes"] {
            let refused = folder.below(name).unwrap_err();
            assert!(matches!(refused, RunDirError::Link(_)), "{refused}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    }
}
