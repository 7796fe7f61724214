//! What becomes of a call, by the rules that are armed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fast_glob::glob_match;

use super::call::{Call, Counts, Effect, Rule, Torn, When};
use crate::dice::Dice;
use crate::kinds::packets::{Effects, Fate as Lateness, Fates};

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// As if there were no layer.
    Passes,
    /// The same, after this time.
    Late(Duration),
    /// It fails with this error.
    Fails(i32),
    /// It is a write of which this fault keeps only so many bytes, and then nothing more happens.
    Torn {
        /// Number of the fault.
        fault: u64,
        /// Bytes that are written.
        kept: u64,
    },
    /// It is never done: it came after a write that was torn. Nobody is answered before that fault is over.
    Held,
}

/// A call, as rules see it.
pub struct Seen<'a> {
    /// Which.
    pub call: Call,
    /// Also a synchronous write: it is both.
    pub also: Option<Call>,
    /// On a probe of the agent.
    pub probe: bool,
    /// Where it could be torn, between sectors of so many bytes, so that it would be seen; asked for where a rule is about that.
    pub tears: &'a dyn Fn(u64) -> Vec<u64>,
    /// The path below the data directory, asked for where a rule has a pattern.
    pub path: &'a dyn Fn() -> String,
    /// Whether it would take space on the disk, asked for where a rule is about that.
    pub takes_space: &'a dyn Fn() -> bool,
}

struct Armed {
    rule: Rule,
    counts: Counts,
    lateness: Option<Fates>,
    dice: Dice,
    /// Probes draw for themselves: they must not change what becomes of the system's calls.
    probe_lateness: Option<Fates>,
    probe_dice: Dice,
    probes_seen: u64,
}

/// The rules that are armed.
#[derive(Default)]
pub struct Rules {
    /// How many there are: nothing is locked where there is none.
    count: AtomicUsize,
    armed: Mutex<Vec<Armed>>,
    changed: Condvar,
    /// Whether those that were held go on, when they are let go.
    go_on: AtomicBool,
}

fn lateness(effect: &Effect, seed: u64) -> Option<Fates> {
    let Effect::Slow {
        delay_us,
        jitter_us,
        distribution,
    } = *effect
    else {
        return None;
    };
    let effects = Effects {
        delay_us,
        jitter_us,
        distribution,
        ..Effects::default()
    };
    Some(Fates::new(effects, seed))
}

impl Rules {
    fn lock(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it holds.
    pub fn arm(&self, rule: Rule) {
        let mut armed = self.lock();
        armed.retain(|other| other.rule.fault != rule.fault);
        armed.push(Armed {
            counts: Counts::default(),
            lateness: lateness(&rule.effect, rule.seed),
            dice: Dice::new(rule.seed),
            probe_lateness: lateness(&rule.effect, !rule.seed),
            probe_dice: Dice::new(!rule.seed),
            probes_seen: 0,
            rule,
        });
        self.count.store(armed.len(), Ordering::Release);
    }

    /// From now on it does not hold; what it has met.
    pub fn disarm(&self, fault: u64) -> Option<Counts> {
        let mut armed = self.lock();
        let at = armed.iter().position(|other| other.rule.fault == fault)?;
        let gone = armed.remove(at);
        if gone.holds() {
            self.go_on.store(false, Ordering::Release);
        }
        let counts = gone.counts;
        self.count.store(armed.len(), Ordering::Release);
        self.changed.notify_all();
        Some(counts)
    }

    /// No rule holds any more. Nobody has ended who was held, so their calls go on.
    pub fn disarm_all(&self) {
        self.go_on.store(true, Ordering::Release);
        self.lock().clear();
        self.count.store(0, Ordering::Release);
        self.changed.notify_all();
    }

    /// What the rule of a fault has met.
    pub fn counts(&self, fault: u64) -> Option<Counts> {
        let armed = self.lock();
        let found = armed.iter().find(|other| other.rule.fault == fault);
        found.map(|armed| armed.counts.clone())
    }

    /// Whether the disk is to look full.
    pub fn full(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self
                .lock()
                .iter()
                .any(|armed| armed.rule.effect == Effect::Full && armed.rule.path.is_none())
    }

    /// Writes down what was torn. From then on everything is held.
    pub fn torn(&self, fault: u64, torn: Torn) {
        for armed in self.lock().iter_mut().filter(|armed| armed.rule.fault == fault) {
            armed.counts.torn = Some(torn.clone());
        }
    }

    /// Returns when nothing is held any more: true if the call is to be made, false if whoever made it has been ended.
    pub fn wait_until_let_go(&self) -> bool {
        let mut armed = self.lock();
        while armed.iter().any(Armed::holds) {
            armed = self.changed.wait(armed).unwrap_or_else(PoisonError::into_inner);
        }
        self.go_on.load(Ordering::Acquire)
    }

    /// What becomes of this call.
    pub fn decide(&self, seen: &Seen<'_>) -> Fate {
        if self.count.load(Ordering::Acquire) == 0 {
            return Fate::Passes;
        }
        let mut armed = self.lock();
        if armed.iter().any(Armed::holds) {
            return Fate::Held;
        }
        let mut late = Duration::ZERO;
        for rule in armed.iter_mut() {
            if !rule.matches(seen) {
                continue;
            }
            match rule.fate(seen) {
                Fate::Passes => {}
                Fate::Late(more) => late += more,
                other => return other,
            }
        }
        match late.is_zero() {
            true => Fate::Passes,
            false => Fate::Late(late),
        }
    }
}

impl Armed {
    /// Between a torn write and the end of the fault.
    fn holds(&self) -> bool {
        matches!(self.rule.effect, Effect::Tear { .. }) && self.counts.hit > 0
    }

    fn matches(&self, seen: &Seen<'_>) -> bool {
        let calls = &self.rule.calls;
        if !calls.contains(&seen.call) && !seen.also.is_some_and(|also| calls.contains(&also)) {
            return false;
        }
        match &self.rule.path {
            // What a probe meets is what any file would that fits.
            Some(pattern) => seen.probe || fits(pattern, &(seen.path)()),
            None => true,
        }
    }

    fn fate(&mut self, seen: &Seen<'_>) -> Fate {
        let Armed {
            rule,
            counts,
            lateness,
            dice,
            probe_lateness,
            probe_dice,
            probes_seen,
        } = self;
        let (number, dice, lateness) = match seen.probe {
            true => {
                *probes_seen += 1;
                (*probes_seen, probe_dice, probe_lateness)
            }
            false => {
                counts.seen += 1;
                (counts.seen, dice, lateness)
            }
        };
        let fate = match (&rule.effect, lateness) {
            (Effect::Slow { .. }, Some(lateness)) => match lateness.next(Duration::ZERO, 0) {
                Lateness::Delivered(passage) => Fate::Late(passage.delay),
                Lateness::Lost | Lateness::Overflowed => Fate::Passes,
            },
            (Effect::Slow { .. }, None) => Fate::Passes,
            // A probe stands for the nth call: it must not be one.
            (
                Effect::Fail {
                    errno,
                    when: When::Nth(_),
                },
                _,
            ) if seen.probe => Fate::Fails(*errno),
            (Effect::Fail { errno, when }, _) => match hits(*when, number, dice) {
                true => Fate::Fails(*errno),
                false => Fate::Passes,
            },
            (Effect::Full, _) => match (seen.takes_space)() {
                true => Fate::Fails(rustix::io::Errno::NOSPC.raw_os_error()),
                false => Fate::Passes,
            },
            (Effect::Tear { .. }, _) if seen.probe => Fate::Passes,
            (Effect::Tear { sector }, _) => {
                let tears = (seen.tears)(*sector);
                match tears.get(dice.below(tears.len() as u64) as usize) {
                    Some(kept) => Fate::Torn {
                        fault: rule.fault,
                        kept: *kept,
                    },
                    None => Fate::Passes,
                }
            }
        };
        match (fate, seen.probe) {
            (Fate::Passes, _) => {}
            (_, true) => counts.probed += 1,
            (fate, false) => {
                counts.hit += 1;
                if let Fate::Late(by) = fate {
                    counts.added_us += by.as_micros() as u64;
                }
                counts.path = (seen.path)();
            }
        }
        fate
    }
}

fn hits(when: When, number: u64, dice: &mut Dice) -> bool {
    match when {
        When::Always => true,
        When::Nth(nth) => number == nth,
        When::Share(share) => ((dice.number() >> 11) as f64 / (1u64 << 53) as f64) < share,
    }
}

/// Whether a pattern fits a path below the data directory: its last part, if the pattern has no slash.
pub fn fits(pattern: &str, path: &str) -> bool {
    let path = match pattern.contains('/') {
        true => path,
        false => path.rsplit('/').next().unwrap_or(path),
    };
    glob_match(pattern.strip_prefix("./").unwrap_or(pattern), path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(effect: Effect, path: Option<&str>) -> Rule {
        Rule {
            fault: 1,
            calls: [Call::Write].into(),
            path: path.map(str::to_owned),
            effect,
            seed: 7,
        }
    }

    fn decide(rules: &Rules, call: Call, path: &str, probe: bool, length: u64) -> Fate {
        rules.decide(&Seen {
            call,
            also: None,
            probe,
            tears: &|sector| {
                (1..length.div_ceil(sector))
                    .map(|number| number * sector)
                    .collect()
            },
            path: &|| path.to_owned(),
            takes_space: &|| length > 10,
        })
    }

    #[test]
    fn patterns_without_a_slash_are_about_names() {
        for (pattern, path, fit) in [
            ("*.wal", "member/wal/0.wal", true),
            ("*.wal", "member/wal/0.snap", false),
            ("member/**/*.wal", "member/wal/0.wal", true),
            ("member/*.wal", "member/wal/0.wal", false),
            ("**", "a", true),
        ] {
            assert_eq!(fits(pattern, path), fit, "{pattern} {path}");
        }
    }

    #[test]
    fn only_the_nth_call_fails_whatever_probes_do() {
        let rules = Rules::default();
        let when = When::Nth(3);
        rules.arm(rule(Effect::Fail { errno: 5, when }, Some("log")));
        let fates: Vec<bool> = (0..5)
            .map(|_| {
                decide(&rules, Call::Write, "x", true, 1);
                decide(&rules, Call::Write, "other", false, 1);
                decide(&rules, Call::Read, "log", false, 1);
                decide(&rules, Call::Write, "log", false, 1) == Fate::Fails(5)
            })
            .collect();
        assert_eq!(fates, [false, false, true, false, false]);
        let counts = rules.disarm(1).expect("a rule");
        assert_eq!((counts.seen, counts.hit, counts.probed), (5, 1, 5));
        assert_eq!(decide(&rules, Call::Write, "log", false, 1), Fate::Passes);
    }

    #[test]
    fn shares_are_what_they_say_and_the_same_for_a_seed() {
        let run = || {
            let rules = Rules::default();
            let when = When::Share(0.25);
            rules.arm(rule(Effect::Fail { errno: 5, when }, None));
            (0..4000)
                .filter(|_| decide(&rules, Call::Write, "x", false, 1) != Fate::Passes)
                .count()
        };
        assert!((900..1100).contains(&run()), "{}", run());
        assert_eq!(run(), run());
    }

    #[test]
    fn a_full_disk_takes_what_needs_no_space() {
        let rules = Rules::default();
        rules.arm(rule(Effect::Full, None));
        assert_eq!(decide(&rules, Call::Write, "x", false, 10), Fate::Passes);
        assert_eq!(decide(&rules, Call::Write, "x", false, 11), Fate::Fails(28));
        assert!(rules.full());
    }

    #[test]
    fn after_a_torn_write_all_are_held_until_the_fault_is_over() {
        let rules = Rules::default();
        rules.arm(rule(Effect::Tear { sector: 512 }, None));
        assert_eq!(decide(&rules, Call::Write, "x", false, 512), Fate::Passes);
        let torn = decide(&rules, Call::Write, "x", false, 4096);
        let Fate::Torn { fault: 1, kept } = torn else {
            panic!("{torn:?}")
        };
        assert!(kept % 512 == 0 && kept > 0 && kept < 4096, "{kept}");
        assert_eq!(decide(&rules, Call::Write, "x", false, 1), Fate::Held);
        assert_eq!(decide(&rules, Call::Fsync, "x", false, 0), Fate::Held);
        rules.disarm(1);
        assert!(!rules.wait_until_let_go(), "who was held is dead");
        assert_eq!(decide(&rules, Call::Write, "x", false, 4096), Fate::Passes);
    }
}
