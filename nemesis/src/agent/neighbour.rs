//! Neighbours of a node: programs of ours that want the same processors, or write to the same disk, and do nothing else.
//!
//! Each is this program once more, told by a variable of its environment what to be, since the command line is whatever the program that
//! the agent is part of makes of it. **The end of its input is its end**: it is a pipe whose other end only the agent has, so that
//! neighbours end with the agent, however that dies. They also end after [`LIFE_MAX`].

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

/// What to be: `cpu`, or `disk` and a folder.
const VARIABLE: &str = "DURESS_NEIGHBOUR";
/// No fault lasts longer.
const LIFE_MAX: Duration = Duration::from_secs(24 * 3600);
/// What one writes before it asks for it to be on disk.
const BLOCK_BYTES: usize = 1 << 20;
/// What one takes of the disk.
const FILE_BYTES: u64 = 64 << 20;

/// What a neighbour does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noise {
    /// Uses a processor.
    Cpu,
    /// Writes to a file without a name in this folder, and syncs.
    Disk(PathBuf),
}

/// A neighbour. Dropping it ends it.
#[derive(Debug)]
pub struct Neighbour(Child);

impl Neighbour {
    pub fn start(noise: &Noise) -> io::Result<Neighbour> {
        let what = match noise {
            Noise::Cpu => "cpu".into(),
            Noise::Disk(folder) => {
                let mut what = std::ffi::OsString::from("disk ");
                what.push(folder);
                what
            }
        };
        let child = Command::new("/proc/self/exe")
            .args(std::env::args_os().skip(1))
            .env(VARIABLE, what)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Neighbour(child))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What this process is to be, if it is to be a neighbour.
pub fn role() -> Option<Noise> {
    use std::os::unix::ffi::OsStrExt;
    let what = std::env::var_os(VARIABLE)?;
    Some(match what.as_bytes().strip_prefix(b"disk ") {
        Some(folder) => Noise::Disk(Path::new(std::ffi::OsStr::from_bytes(folder)).to_owned()),
        None => Noise::Cpu,
    })
}

/// Makes noise until the input ends.
pub fn main(noise: &Noise) -> ExitCode {
    thread::spawn(|| {
        thread::sleep(LIFE_MAX);
        std::process::exit(1);
    });
    thread::spawn(|| {
        // Nobody writes anything.
        let _ = io::stdin().lock().read(&mut [0]);
        std::process::exit(0);
    });
    match noise {
        Noise::Cpu => loop {
            std::hint::spin_loop();
        },
        Noise::Disk(folder) => match write(folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let _ = writeln!(io::stderr(), "write in {}: {error}", folder.display());
                ExitCode::FAILURE
            }
        },
    }
}

fn write(folder: &Path) -> io::Result<()> {
    let file = nameless(folder)?;
    let block = vec![0x5a; BLOCK_BYTES];
    loop {
        for offset in (0..FILE_BYTES).step_by(BLOCK_BYTES) {
            file.write_all_at(&block, offset)?;
            file.sync_data()?;
        }
    }
}

/// A file that nobody sees and that is gone with whoever has it open.
pub fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let opened = match openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR) {
        // Not every file system can, ours by FUSE among them.
        Err(Errno::OPNOTSUPP) => unlinked(folder),
        opened => opened.map(File::from).map_err(io::Error::from),
    };
    opened.map_err(|error| {
        io::Error::other(format!(
            "open a file without a name in {}: {error}",
            folder.display()
        ))
    })
}

/// The same, with a name for a moment.
fn unlinked(folder: &Path) -> io::Result<File> {
    let path = folder.join(format!(".duress-neighbour-{}", std::process::id()));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_name_is_seen_by_nobody_and_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        for open in [nameless, unlinked] {
            let file = open(folder.path()).unwrap();
            file.write_all_at(b"noise", 3).unwrap();
            file.sync_data().unwrap();
            assert_eq!(file.metadata().unwrap().len(), 8);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }
}
