//! Serves the queue of one network namespace: a thread that reads what comes, and lets go what is due, as its [`State`] says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;

use super::copies::Copies;
use super::order::Count;
use super::record::{Taken, Wanted};
use super::state::{Say, State};
use crate::agent::firewall::within;
use crate::agent::nfqueue::Queue;
use crate::agent::prompt::Prompt;

/// Packets that are read before it is seen again which are due.
const AT_ONCE: usize = 64;

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue that is served. When it is dropped, everything that it holds goes on at once.
pub struct Server {
    number: u16,
    state: Arc<Mutex<State>>,
    wake: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Opens a queue in the network namespace, and serves it.
    pub fn start(netns: &File) -> io::Result<Server> {
        let queue = within(netns, Queue::open)?;
        let copies = Copies::open(netns).map_err(|error| {
            io::Error::new(error.kind(), format!("open a socket to copy packets by: {error}"))
        })?;
        let number = queue.number();
        let state = Arc::default();
        let (wake, woken) = UnixStream::pair()?;
        for end in [&wake, &woken] {
            end.set_nonblocking(true)?;
        }
        let theirs = Arc::clone(&state);
        // The queue is the thread's own: however that ends, the queue is closed, and packets pass.
        let thread = thread::Builder::new().name("packets".to_owned()).spawn(move || {
            let _prompt = Prompt::begin();
            if let Err(error) = serve(&queue, &copies, &theirs, &woken) {
                lock(&theirs).failed = Some(error.to_string());
            }
        })?;
        Ok(Server {
            number,
            state,
            wake,
            thread: Some(thread),
        })
    }

    /// The number of its queue.
    pub fn queue(&self) -> u16 {
        self.number
    }

    /// Why it serves no more, if it does not.
    pub fn failed(&self) -> Option<String> {
        lock(&self.state).failed.clone()
    }

    /// From now on the fault has a say in what comes from there.
    pub fn add(&self, source: IpAddr, say: Say) {
        lock(&self.state).add(source, say);
    }

    /// From now on this is written down of what the fault does.
    pub fn record(&self, fault: u64, wanted: Wanted) {
        lock(&self.state).record(fault, wanted);
    }

    /// What was written down of the fault; from now on nothing is.
    pub fn take_record(&self, fault: u64) -> Option<Taken> {
        lock(&self.state).take_record(fault)
    }

    /// What the fault did, by source. Sources that it has no say in are missing.
    pub fn counts(&self, fault: u64) -> BTreeMap<IpAddr, Count> {
        lock(&self.state).counts(fault)
    }

    /// The fault has no say any more. What it alone held goes on at once.
    pub fn remove(&self, fault: u64) {
        lock(&self.state).remove(fault);
        self.wake();
    }

    /// A byte that is not read yet will do as well.
    fn wake(&self) {
        let _ = (&self.wake).write(&[0]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        lock(&self.state).stopped = true;
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(queue: &Queue, copies: &Copies, state: &Mutex<State>, mut woken: &UnixStream) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let timeout = lock(state)
            .first_due()
            .map(|due| TimeSpec::from_duration(due.saturating_duration_since(Instant::now())));
        let mut polled = [
            PollFd::new(queue.as_fd(), PollFlags::POLLIN),
            PollFd::new(woken.as_fd(), PollFlags::POLLIN),
        ];
        match ppoll(&mut polled, timeout, None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        while woken.read(&mut [0; 64]).is_ok_and(|length| length > 0) {}
        let mut state = lock(state);
        for _ in 0..AT_ONCE {
            let packets = queue.receive(&mut buffer)?;
            if packets.is_empty() {
                break;
            }
            for packet in packets {
                state.decide(queue, copies, packet)?;
            }
        }
        state.release(queue, copies)?;
        if state.stopped {
            return Ok(());
        }
    }
}
