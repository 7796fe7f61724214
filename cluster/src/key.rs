//! The key of this machine's Duress: what proves that a label or a journal was written by it, and by nobody else.
//!
//! `duress heal` removes containers, writes logs and wakes processes, often as root, because a label or a file says so. Labels
//! come with images, files with folders of strangers. So each carries a seal, made with a key that only the user (or root) can
//! read: 32 random bytes, made once, in
//!
//! | who | file |
//! |---|---|
//! | whoever sets `DURESS_STATE` | `$DURESS_STATE/key` |
//! | root | `/var/lib/duress/key` |
//! | others | `$XDG_STATE_HOME/duress/key`, or `~/.local/state/duress/key` |
//!
//! The file has mode 0600, its folder 0700, and both belong to the user; anything else is refused. A seal is the HMAC-SHA256
//! of a domain word and of the parts that it covers, each with its length before it, so that no two lists of parts are one text.
//!
//! Within a user namespace the caller is root and isn't: the key is read before it is entered.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;

/// Bytes of a key: as many as the hash has.
const KEY_BYTES: usize = 32;

/// Name of the file.
const FILE: &str = "key";

/// Why there is no key that is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing says where the user keeps such things.
    #[error("nobody says where to keep the key: set HOME, XDG_STATE_HOME or DURESS_STATE to a folder")]
    NoFolder,
    /// The file system said no.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Somebody else may have read or written it.
    #[error("the key's {} {why}; Duress does not use it", path.display())]
    Untrusted {
        /// The file or its folder.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
}

/// What seals are made with. Never printed.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; KEY_BYTES],
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// The folder of the key, by what a variable of the environment says; see the table above.
pub fn folder(is_root: bool, variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, KeyError> {
    let path = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(folder) = path("DURESS_STATE") {
        return Ok(folder);
    }
    if is_root {
        return Ok("/var/lib/duress".into());
    }
    path("XDG_STATE_HOME")
        .map(|folder| folder.join("duress"))
        .or_else(|| path("HOME").map(|home| home.join(".local/state/duress")))
        .ok_or(KeyError::NoFolder)
}

impl Key {
    /// The key that is kept in a folder; makes both where there are none.
    pub fn kept_in(folder: &Path) -> Result<Key, KeyError> {
        let directory = private_folder(folder)?;
        let path = folder.join(FILE);
        match read(&directory, &path) {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make(&directory, &path)?;
                // Of two that made one at once, one did; both read that.
                read(&directory, &path)
            }
            result => result,
        }
    }

    /// A key that nobody else ever has: what it sealed proves nothing once this process has ended.
    pub fn of_this_process() -> Key {
        Key { bytes: random() }
    }

    /// Seals parts under a domain word, e.g. `labels`. 64 hexadecimal digits.
    pub fn seal(&self, domain: &str, parts: &[&str]) -> String {
        let sealed = self.mac(domain, parts).finalize().into_bytes();
        hex(&sealed)
    }

    /// Whether this key made the seal, over the same parts. Takes as long for a wrong seal as for a right one.
    pub fn verifies(&self, domain: &str, parts: &[&str], seal: &str) -> bool {
        unhex(seal).is_some_and(|seal| self.mac(domain, parts).verify_slice(&seal).is_ok())
    }

    fn mac(&self, domain: &str, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.bytes).expect("an HMAC takes keys of every length");
        for part in [&[domain], parts].concat() {
            mac.update(&(part.len() as u64).to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }
}

/// 32 hexadecimal digits that nobody can guess.
pub fn nonce() -> String {
    hex(&random()[..16])
}

/// From the kernel, which has enough of it long before any program runs.
fn random() -> [u8; KEY_BYTES] {
    let mut bytes = [0; KEY_BYTES];
    loop {
        match getrandom(&mut bytes, GetRandomFlags::empty()) {
            Ok(KEY_BYTES) => return bytes,
            // Up to 256 bytes are given whole; a signal can only come before the first.
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => panic!("Linux has getrandom since 3.17: {errno}"),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Small letters only: bytes have one spelling.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).filter(|_| !digit.is_uppercase()))
        .map(|digit| digit.and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 2 * KEY_BYTES)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

fn failed<'a, E: Into<io::Error>>(what: &'static str, path: &'a Path) -> impl Fn(E) -> KeyError + 'a {
    move |source| KeyError::Io {
        what,
        path: path.to_owned(),
        source: source.into(),
    }
}

/// Nobody but the user may have been at it.
fn check(file: &File, path: &Path, is_kind: impl Fn(&std::fs::Metadata) -> bool) -> Result<(), KeyError> {
    let found = file.metadata().map_err(failed("look at", path))?;
    let user = rustix::process::geteuid().as_raw();
    let why = if !is_kind(&found) {
        "is neither a plain file nor, for its folder, a folder; remove it".to_owned()
    } else if found.uid() != user {
        format!("belongs to user {} and not to {user}; remove it", found.uid())
    } else if found.mode() & 0o077 != 0 {
        format!(
            "is open to others (mode {:o}); if nobody else was at it, `chmod go= {}`",
            found.mode() & 0o7777,
            path.display()
        )
    } else {
        return Ok(());
    };
    Err(KeyError::Untrusted {
        path: path.to_owned(),
        why,
    })
}

fn private_folder(path: &Path) -> Result<OwnedFd, KeyError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed("make the folder", parent))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make the folder", path)(error));
        }
        _ => {}
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(CWD, path, flags, Mode::empty()).map_err(failed("open the folder", path))?;
    let folder = File::from(folder);
    check(&folder, path, std::fs::Metadata::is_dir)?;
    Ok(folder.into())
}

fn read(folder: &OwnedFd, path: &Path) -> Result<Key, KeyError> {
    // Without NONBLOCK, a pipe in its place would be waited for.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(folder, FILE, flags, Mode::empty()).map_err(failed("open", path))?;
    let mut file = File::from(file);
    check(&file, path, std::fs::Metadata::is_file)?;
    let mut bytes = [0; KEY_BYTES];
    file.read_exact(&mut bytes).map_err(failed("read", path))?;
    Ok(Key { bytes })
}

/// Appears whole or not at all: it is written under another name, and that of the key is given to it only if it is free.
fn make(folder: &OwnedFd, path: &Path) -> Result<(), KeyError> {
    let temporary = format!(".{FILE}.{}", nonce());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = openat(folder, &temporary, flags, mode).map_err(failed("make", path))?;
    let mut file = File::from(file);
    let made = file
        .write_all(&random())
        .and_then(|()| file.sync_all())
        .and_then(
            |()| match linkat(folder, &temporary, folder, FILE, AtFlags::empty()) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno.into()),
            },
        );
    // Its other name stays.
    let _ = unlinkat(folder, &temporary, AtFlags::empty());
    made.map_err(failed("make", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_same_key_is_found_again_and_another_folder_has_another() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("state/duress");
        let seal = Key::kept_in(&folder).unwrap().seal("labels", &["a1", "/runs/1"]);
        let again = Key::kept_in(&folder).unwrap();
        assert!(again.verifies("labels", &["a1", "/runs/1"], &seal));
        let other = Key::kept_in(&home.path().join("other")).unwrap();
        assert!(!other.verifies("labels", &["a1", "/runs/1"], &seal));
        assert_eq!(
            std::fs::metadata(folder.join("key")).unwrap().mode() & 0o777,
            0o600
        );
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(
            std::fs::read_dir(&folder).unwrap().count(),
            1,
            "no other name of it stays"
        );
    }

    #[test]
    fn a_seal_is_of_its_parts_and_of_its_domain() {
        let key = Key::of_this_process();
        let seal = key.seal("labels", &["ab", "c"]);
        assert_eq!(seal.len(), 64);
        for (domain, parts) in [
            ("labels", vec!["a", "bc"]),
            ("labels", vec!["abc"]),
            ("labels", vec!["ab", "c", ""]),
            ("journal", vec!["ab", "c"]),
        ] {
            assert!(!key.verifies(domain, &parts, &seal), "{domain} {parts:?}");
        }
        // One seal has one spelling: the next seal of a chain is made over this one's text.
        let shouted = key.seal("x", &[]).to_uppercase();
        assert!(!key.verifies("x", &[], &shouted), "{shouted}");
        for garbage in ["", "zz", &seal[1..], &format!("{seal}0"), &"é".repeat(32)] {
            assert!(!key.verifies("labels", &["ab", "c"], garbage), "{garbage}");
        }
    }

    #[test]
    fn those_who_make_it_at_once_have_one() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("duress");
        let make = || Key::kept_in(&folder).unwrap().seal("x", &[]);
        let seals: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(seals.len(), 1);
    }

    #[test]
    fn what_others_could_have_made_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("duress");
        Key::kept_in(&folder).unwrap();
        let file = folder.join("key");
        let refused = || Key::kept_in(&folder).unwrap_err().to_string();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(refused().contains("open to others (mode 640)"), "{}", refused());
        std::fs::remove_file(&file).unwrap();
        std::fs::write(home.path().join("planted"), [7; 32]).unwrap();
        symlink("../planted", &file).unwrap();
        assert!(refused().contains("open "), "{}", refused());
        std::fs::remove_file(&file).unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o770)).unwrap();
        assert!(refused().contains("open to others (mode 770)"), "{}", refused());
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::write(&folder, "").unwrap();
        assert!(refused().contains("open the folder"), "{}", refused());
    }

    #[test]
    fn the_folder_is_the_users() {
        let from = |variables: &'static [(&'static str, &'static str)]| {
            move |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| OsString::from(value))
            }
        };
        let home = from(&[("HOME", "/home/u")]);
        assert_eq!(folder(true, home).unwrap(), Path::new("/var/lib/duress"));
        assert_eq!(
            folder(false, home).unwrap(),
            Path::new("/home/u/.local/state/duress")
        );
        let state = from(&[("HOME", "/home/u"), ("XDG_STATE_HOME", "/s")]);
        assert_eq!(folder(false, state).unwrap(), Path::new("/s/duress"));
        let own = from(&[("DURESS_STATE", "/own"), ("HOME", "/home/u")]);
        assert_eq!(folder(true, own).unwrap(), Path::new("/own"));
        let relative = from(&[("HOME", "u"), ("XDG_STATE_HOME", "")]);
        assert!(matches!(folder(false, relative), Err(KeyError::NoFolder)));
    }
}
