//! The beat of open-loop load.
//!
//! tokio's timers are a millisecond wide, which would count as latency of the system under test. A thread of its own
//! sleeps on the kernel's timers instead, tens of microseconds wide, and hands out beats as they fall due.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// The longest sleep, so that a stop is noticed soon.
const NAP_MAX: Duration = Duration::from_millis(20);

/// Beats that are due: a process takes one for each operation.
#[derive(Debug)]
pub struct Beats {
    due: Semaphore,
    taken: AtomicU64,
    /// Nanoseconds from the run's beginning to the first beat.
    first: u64,
    rate: f64,
}

impl Beats {
    /// Waits for a beat, and says when it fell due, in nanoseconds since the run began. `None`: there are no more.
    pub async fn next(&self) -> Option<u64> {
        self.due.acquire().await.ok()?.forget();
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        Some(self.first + (number as f64 / self.rate * 1e9) as u64)
    }
}

/// Hands out beats until it is dropped.
#[derive(Debug)]
pub struct Pacer {
    /// What is due.
    pub beats: Arc<Beats>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Pacer {
    /// Starts a beat of `rate` a second. `run_start` is when the run began.
    pub fn start(run_start: Instant, rate: f64) -> Self {
        let start = Instant::now();
        let first = u64::try_from((start - run_start).as_nanos()).unwrap_or(u64::MAX);
        let beats = Arc::new(Beats {
            due: Semaphore::new(0),
            taken: AtomicU64::new(0),
            first,
            rate,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (beats, stop) = (beats.clone(), stop.clone());
            move || {
                // The kernel lets ordinary threads oversleep by 50 us to save wake-ups; refusal costs no more than that.
                let _ = nix::sys::prctl::set_timerslack(1);
                let mut given = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let due = (start.elapsed().as_secs_f64() * rate) as u64 + 1;
                    let permits = usize::try_from(due - given).unwrap_or(usize::MAX);
                    // What nobody takes for hours must not overflow the semaphore.
                    beats
                        .due
                        .add_permits(permits.min(Semaphore::MAX_PERMITS - beats.due.available_permits()));
                    given = due;
                    let next = start + Duration::from_secs_f64(given as f64 / rate);
                    std::thread::sleep(next.saturating_duration_since(Instant::now()).min(NAP_MAX));
                }
                beats.due.close();
            }
        });
        Pacer {
            beats,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread can't panic, and if it did, there would be no more beats either way.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beats_come_at_their_rate_and_end_with_the_pacer() {
        let start = Instant::now();
        let pacer = Pacer::start(start, 1000.0);
        let beats = pacer.beats.clone();
        let mut last = 0;
        for number in 0..100 {
            let due = beats.next().await.expect("a beat");
            assert!(number == 0 || due > last);
            assert!(
                start.elapsed().as_nanos() as u64 >= due,
                "a beat came before it was due"
            );
            last = due;
        }
        assert!((90_000_000..120_000_000).contains(&last), "{last}");
        drop(pacer);
        while beats.next().await.is_some() {}
    }
}
