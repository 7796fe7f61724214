//! The agent's own calls in a data directory: what becomes of them is what becomes of anybody's.
//!
//! They are made of a file that only the agent sees, under a name that the layer shows nobody. It is gone at the end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustix::fs::{self, Advice, FallocateFlags, Mode, OFlags};
use rustix::io::{Errno, Result};

use super::report::Sample;
use crate::layer::PROBE;
use crate::layer::call::Call;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Makes each of these calls so many times, and measures them. What can't be tried because a call before it failed is left out.
pub fn probe(directory: &Path, calls: &[Call], times: u32) -> io::Result<Vec<Sample>> {
    let name = |what: &str| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        directory.join(format!("{PROBE}{}-{number}{what}", std::process::id()))
    };
    let mut samples = Vec::new();
    let path = name("");
    let other = name("r");
    let _removed = Removed([path.clone(), other.clone()]);
    let file = match timed(Call::Create, calls, &mut samples, || create(&path)) {
        Ok(file) => file,
        Err(_) if calls.contains(&Call::Create) => return Ok(samples),
        Err(error) => return Err(error.into()),
    };
    for _ in 0..times {
        // A file that has something in it, for reading; what is not asked about is not faulty.
        let written = timed(Call::Write, calls, &mut samples, || {
            rustix::io::write(&file, b"duress")
        });
        let _ = timed(Call::Fsync, calls, &mut samples, || fs::fsync(&file));
        if calls.contains(&Call::Read) && written.is_ok() {
            let _ = fs::fadvise(&file, 0, None, Advice::DontNeed);
            let _ = timed(Call::Read, calls, &mut samples, || {
                rustix::io::pread(&file, &mut [0; 6][..], 0)
            });
        }
        if calls.contains(&Call::Truncate) {
            let _ = timed(Call::Truncate, calls, &mut samples, || fs::ftruncate(&file, 64));
        }
        if calls.contains(&Call::Allocate) {
            let keep = FallocateFlags::empty();
            let _ = timed(Call::Allocate, calls, &mut samples, || {
                fs::fallocate(&file, keep, 0, 8192)
            });
        }
        if calls.contains(&Call::Open) {
            let _ = timed(Call::Open, calls, &mut samples, || {
                fs::open(&path, OFlags::RDONLY, Mode::empty())
            });
        }
        if calls.contains(&Call::Mkdir) {
            let folder = name("d");
            let _ = timed(Call::Mkdir, calls, &mut samples, || {
                fs::mkdir(&folder, Mode::RWXU)
            });
            let _ = fs::rmdir(&folder);
        }
        if calls.contains(&Call::Rename)
            && timed(Call::Rename, calls, &mut samples, || fs::rename(&path, &other)).is_ok()
        {
            let _ = fs::rename(&other, &path);
        }
    }
    if calls.contains(&Call::Unlink) {
        let _ = timed(Call::Unlink, calls, &mut samples, || fs::unlink(&path));
    }
    Ok(samples)
}

/// Files that go with it.
struct Removed([PathBuf; 2]);

impl Drop for Removed {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::unlink(path);
        }
    }
}

fn create(path: &Path) -> Result<std::os::fd::OwnedFd> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    fs::open(path, flags, Mode::RUSR | Mode::WUSR)
}

fn timed<T>(
    call: Call,
    wanted: &[Call],
    samples: &mut Vec<Sample>,
    make: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let began = Instant::now();
    let done = make();
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    if wanted.contains(&call) {
        let errno = done.as_ref().err().copied().map(Errno::raw_os_error);
        samples.push(Sample { call, micros, errno });
    }
    done
}
