//! A thread that looks again and again, soon after processes were made: for faults that have to be in force in those, too.

use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two glances whether any process was made on this machine.
const GLANCE: Duration = Duration::from_millis(20);
/// After one was made, there is a look with each glance: it may still begin another program.
const ALERT: Duration = Duration::from_millis(200);
/// There is a look at least this often: an old process can begin another program, too.
const AT_LEAST: Duration = Duration::from_millis(200);

/// The thread. It ends when this is dropped, and is waited for: after that nobody looks any more.
pub struct Watch {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Calls `look` until it is dropped.
    pub fn start(name: &str, look: impl FnMut() + Send + 'static) -> io::Result<Watch> {
        let over = Arc::default();
        let theirs = Arc::clone(&over);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || watch(&theirs, look))?;
        Ok(Watch {
            over,
            thread: Some(thread),
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn watch(over: &(Mutex<bool>, Condvar), mut look: impl FnMut()) {
    let mut newest = None;
    let mut made = Instant::now();
    let mut looked = Instant::now();
    loop {
        let is_over = over.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = over.1.wait_timeout_while(is_over, GLANCE, |over| !*over);
        if *waited.unwrap_or_else(PoisonError::into_inner).0 {
            return;
        }
        let now = newest_process();
        if now != newest || now.is_none() {
            (newest, made) = (now, Instant::now());
        }
        if made.elapsed() <= ALERT || looked.elapsed() >= AT_LEAST {
            looked = Instant::now();
            look();
        }
    }
}

/// The number of the process that was made last, in this PID namespace and those in it: the last field of `/proc/loadavg`.
fn newest_process() -> Option<u32> {
    let loads = fs::read_to_string("/proc/loadavg").ok()?;
    loads.split_ascii_whitespace().last()?.parse().ok()
}
