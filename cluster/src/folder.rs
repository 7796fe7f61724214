//! A folder that is open, and what is made below it: no name leads out of it, no symbolic link is followed.
//!
//! Whoever can write to a run's directory could plant a link in it, and Duress often writes there as root. So every
//! step down is taken from the folder above, which is open, and refuses links.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::ClusterError;
use crate::key::nonce;

/// Bytes of a name, as most file systems have it.
const NAME_BYTES_MAX: usize = 255;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    file: File,
    path: PathBuf,
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Folder {
    /// Opens a folder. The path to it may hold links, its last part not.
    pub fn open(path: &Path) -> Result<Folder, ClusterError> {
        let file = openat(CWD, path, FOLDER, Mode::empty()).map_err(failed("open the folder", path))?;
        Ok(Folder {
            file: file.into(),
            path: path.to_owned(),
        })
    }

    /// A folder in it; makes it where there is none.
    pub fn below(&self, name: &str) -> Result<Folder, ClusterError> {
        let path = self.path.join(check_name(name)?);
        match mkdirat(
            &self.file,
            name,
            Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH,
        ) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("make the folder", &path)(errno)),
        }
        let file = openat(&self.file, name, FOLDER, Mode::empty()).map_err(|errno| match errno {
            Errno::LOOP | Errno::NOTDIR => ClusterError::Invalid {
                what: format!("write below {}", path.display()),
                why: "it is a symbolic link or no folder, and is not followed; remove it".to_owned(),
            },
            errno => failed("open the folder", &path)(errno),
        })?;
        Ok(Folder {
            file: file.into(),
            path,
        })
    }

    /// A plain file in it, to append to.
    pub fn append(&self, name: &str) -> Result<File, ClusterError> {
        let path = self.path.join(check_name(name)?);
        // Without NONBLOCK, a pipe in its place would be waited for.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file: File = openat(&self.file, name, flags | OFlags::NONBLOCK, mode)
            .map_err(failed("open", &path))?
            .into();
        if !file.metadata().map_err(failed("look at", &path))?.is_file() {
            return Err(failed("open", &path)(io::Error::other(
                "it is not a regular file",
            )));
        }
        Ok(file)
    }

    /// Writes a file in it, in place of what has its name: there is never half a file, and a link is replaced, not followed.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), ClusterError> {
        let path = self.path.join(check_name(name)?);
        let temporary = format!(".{name}.{}", nonce());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let written = openat(&self.file, &temporary, flags, mode)
            .map_err(io::Error::from)
            .and_then(|file| File::from(file).write_all(content))
            .and_then(|()| Ok(renameat(&self.file, &temporary, &self.file, name)?));
        if written.is_err() {
            // What is left of a failed write helps nobody, and the first error is the one to tell.
            let _ = unlinkat(&self.file, &temporary, AtFlags::empty());
        }
        written.map_err(failed("write", &path))
    }

    /// A regular file below it, to read; each part of the way is a folder, and no link.
    pub fn read(&self, below: &str) -> Result<File, ClusterError> {
        let path = self.path.join(below);
        let (folders, name) = below.rsplit_once('/').unwrap_or(("", below));
        let open = || -> io::Result<File> {
            let mut here = self.file.try_clone()?;
            for folder in folders.split('/').filter(|part| !part.is_empty()) {
                here = openat(&here, folder, FOLDER, Mode::empty())?.into();
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let file: File = openat(&here, name, flags, Mode::empty())?.into();
            match file.metadata()?.is_file() {
                true => Ok(file),
                false => Err(io::Error::other("it is not a regular file")),
            }
        };
        open().map_err(failed("read", &path))
    }

    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Refuses what is no name of one file in a folder, or one that is hidden.
pub(crate) fn check_name(name: &str) -> Result<&str, ClusterError> {
    let plain = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && !name.contains(['/', '\0'])
        && !name.chars().any(char::is_control);
    if plain {
        return Ok(name);
    }
    Err(ClusterError::Invalid {
        what: format!("the name {name:?}"),
        why: "Duress keeps a folder of that name in the run's directory: it can't be empty, begin with a dot, hold a slash \
              or control characters, or be longer than 255 bytes; rename it"
            .to_owned(),
    })
}

fn failed<'a, E: Into<io::Error>>(what: &'static str, path: &'a Path) -> impl Fn(E) -> ClusterError + 'a {
    move |source| ClusterError::Io {
        what: format!("{what} {}", path.display()),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "/etc",
            "../x",
            ".hidden",
            "a\nb",
            &"x".repeat(256),
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["n1", "db-one", "a..b", "é"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn links_below_are_not_followed() {
        let here = tempfile::tempdir().unwrap();
        let run = here.path().join("run");
        let outside = here.path().join("outside");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        symlink(&outside, run.join("nodes")).unwrap();
        let said = Folder::open(&run)
            .unwrap()
            .below("nodes")
            .unwrap_err()
            .to_string();
        assert!(said.contains("symbolic link"), "{said}");

        std::fs::remove_file(run.join("nodes")).unwrap();
        let node = Folder::open(&run)
            .unwrap()
            .below("nodes")
            .unwrap()
            .below("n1")
            .unwrap();
        symlink(outside.join("log"), run.join("nodes/n1/log")).unwrap();
        assert!(node.append("log").is_err());
        std::fs::remove_file(run.join("nodes/n1/log")).unwrap();
        node.append("log").unwrap().write_all(b"a").unwrap();
        node.append("log").unwrap().write_all(b"b").unwrap();
        assert_eq!(std::fs::read(run.join("nodes/n1/log")).unwrap(), b"ab");
        symlink(outside.join("override"), run.join("override")).unwrap();
        Folder::open(&run).unwrap().replace("override", b"c").unwrap();
        assert_eq!(std::fs::read(run.join("override")).unwrap(), b"c");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
        // What is named may be a link on the way, but not itself.
        symlink(&run, here.path().join("link")).unwrap();
        assert!(Folder::open(&here.path().join("link")).is_err());
    }

    #[test]
    fn files_are_read_below_and_links_are_not_followed() {
        use std::io::Read as _;
        let here = tempfile::tempdir().unwrap();
        let data = here.path().join("data");
        std::fs::create_dir_all(data.join("a")).unwrap();
        std::fs::write(data.join("a/raft.log"), "x").unwrap();
        std::fs::write(here.path().join("secret"), "y").unwrap();
        symlink(here.path().join("secret"), data.join("link")).unwrap();
        symlink(here.path(), data.join("out")).unwrap();
        let folder = Folder::open(&data).unwrap();
        let mut text = String::new();
        folder
            .read("a/raft.log")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "x");
        for bad in ["link", "out/secret", "a", "missing"] {
            assert!(folder.read(bad).is_err(), "{bad}");
        }
    }
}
