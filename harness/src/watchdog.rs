//! Notices when a part of the controller stands still, and ends the run when it stays so.
//!
//! Whatever has to move (the controller itself, the clients' threads, the writer of the history) beats a [`Pulse`]. A
//! thread that waits for nothing else looks at all of them:
//!
//! ```text
//! for 10 s no beat   it says so, on standard error and in duress.log
//! it beats again     it says that, too
//! for 60 s no beat   it says how to heal, and the program ends with exit code 3
//! ```
//!
//! A laptop that slept, or a process that was stopped and goes on, does not mean a dead controller: the watchdog was away, too. So it
//! counts only time that it was awake itself.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two looks, and between two beats.
pub const BEAT: Duration = Duration::from_millis(500);
/// A look that comes later than that comes after a sleep, which does not count.
const AWAKE_MAX: Duration = Duration::from_secs(1);
/// Busy machines hold a thread up for seconds.
const STILL: Duration = Duration::from_secs(10);
/// Nothing that is alive takes that long.
const DEAD: Duration = Duration::from_secs(60);

/// What a part of the controller shows that it moves by.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Shows it.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows it for as long as the task is run that this is part of.
    pub async fn beat_for_ever(&self) -> std::convert::Infallible {
        loop {
            self.beat();
            tokio::time::sleep(BEAT).await;
        }
    }
}

/// What the watchdog saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// No beat for so long.
    Still(Duration),
    /// It beats again, after so long.
    Again(Duration),
    /// No beat for so long that there will be none.
    Dead(Duration),
}

/// One pulse, looked at.
#[derive(Debug, Default)]
struct Patient {
    beats: u64,
    still: Duration,
    said: bool,
}

impl Patient {
    /// `beats` is what the pulse shows now, `passed` how long ago the last look was.
    fn look(&mut self, beats: u64, passed: Duration) -> Option<News> {
        if beats != self.beats {
            let (still, said) = (self.still, self.said);
            *self = Patient {
                beats,
                ..Patient::default()
            };
            return said.then_some(News::Again(still));
        }
        self.still += passed.min(AWAKE_MAX);
        if self.still >= DEAD {
            return Some(News::Dead(self.still));
        }
        if self.still >= STILL && !self.said {
            self.said = true;
            return Some(News::Still(self.still));
        }
        None
    }
}

type Watched = Arc<Mutex<Vec<(&'static str, Pulse, Patient)>>>;

/// Looks until it is dropped.
#[derive(Clone, Debug)]
pub struct Watchdog {
    watched: Watched,
    _stop: Arc<Stop>,
}

#[derive(Debug)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A pulse that is looked at until this is dropped: from then on the part may stand still.
#[must_use = "what is dropped is not watched"]
pub struct Watch {
    watched: Watched,
    /// What shows that it moves.
    pub pulse: Pulse,
}

impl Watchdog {
    /// Starts to look; `on` is called in the watchdog's thread.
    pub fn start(mut on: impl FnMut(&'static str, News) + Send + 'static) -> std::io::Result<Self> {
        let watched = Watched::default();
        let stop = Arc::new(AtomicBool::new(false));
        let watchdog = Watchdog {
            watched: watched.clone(),
            _stop: Arc::new(Stop(stop.clone())),
        };
        std::thread::Builder::new()
            .name("duress-watchdog".to_owned())
            .spawn(move || {
                let mut last = Instant::now();
                while !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(BEAT);
                    let passed = last.elapsed();
                    last = Instant::now();
                    let news: Vec<_> = (lock(&watched).iter_mut())
                        .filter_map(|(name, pulse, patient)| {
                            let beats = pulse.0.load(Ordering::Relaxed);
                            Some((*name, patient.look(beats, passed)?))
                        })
                        .collect();
                    news.into_iter().for_each(|(name, news)| on(name, news));
                }
            })?;
        Ok(watchdog)
    }

    /// Looks at one more pulse, of the part of this name.
    pub fn watch(&self, name: &'static str) -> Watch {
        self.watch_pulse(name, Pulse::default())
    }

    /// Looks at one more pulse, which is there already.
    pub fn watch_pulse(&self, name: &'static str, pulse: Pulse) -> Watch {
        lock(&self.watched).push((name, pulse.clone(), Patient::default()));
        Watch {
            watched: self.watched.clone(),
            pulse,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        lock(&self.watched).retain(|(_, pulse, _)| !Arc::ptr_eq(&pulse.0, &self.pulse.0));
    }
}

fn lock(watched: &Watched) -> std::sync::MutexGuard<'_, Vec<(&'static str, Pulse, Patient)>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The news of a pulse that stands still for this many looks, each this long after the one before.
    fn stands_still(patient: &mut Patient, looks: u32, passed: Duration) -> Vec<News> {
        (0..looks).filter_map(|_| patient.look(1, passed)).collect()
    }

    #[test]
    fn standing_still_is_said_once_and_ends_after_a_minute() {
        let mut patient = Patient::default();
        assert_eq!(patient.look(1, BEAT), None);
        assert_eq!(stands_still(&mut patient, 19, BEAT), []);
        assert_eq!(stands_still(&mut patient, 1, BEAT), [News::Still(STILL)]);
        assert_eq!(stands_still(&mut patient, 99, BEAT), []);
        assert_eq!(stands_still(&mut patient, 1, BEAT), [News::Dead(DEAD)]);
    }

    #[test]
    fn a_beat_in_between_begins_anew() {
        let mut patient = Patient::default();
        assert_eq!(stands_still(&mut patient, 30, BEAT), [News::Still(STILL)]);
        let Some(News::Again(_)) = patient.look(2, BEAT) else {
            panic!("it beats again");
        };
        assert_eq!((0..19).find_map(|_| patient.look(2, BEAT)), None);
    }

    #[test]
    fn a_sleep_of_the_whole_machine_is_not_counted() {
        let mut patient = Patient::default();
        patient.look(1, BEAT);
        let night = Duration::from_secs(8 * 3600);
        assert_eq!(stands_still(&mut patient, 9, night), []);
        assert_eq!(patient.look(2, BEAT), None);
    }

    #[test]
    fn a_thread_that_stands_still_is_seen_and_one_that_ended_is_not() {
        let (said, news) = std::sync::mpsc::channel();
        let watchdog = Watchdog::start(move |name, news| {
            let _ = said.send((name, news));
        })
        .expect("a thread");
        let ended = watchdog.watch("what ended");
        drop(ended);
        let _still = watchdog.watch("what stands still");
        let (name, seen) = news.recv_timeout(3 * STILL).expect("it is said");
        assert_eq!(name, "what stands still");
        assert!(matches!(seen, News::Still(_)));
    }
}
