//! The agent's half: makes clocks wrong, keeps them so in processes that start later, and says what they show.

use std::collections::BTreeMap;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use duress_cluster::Place;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::report::{Injected, NodeClocks, Seen, State};
use super::watch::{Known, Watch, make_wrong, processes_of};
use crate::agent::part::{self, AgentPart, read, write};
use crate::agent::processes::same;
use crate::agent::procfs;
use crate::agent::protocol::{Mark, Process};
use crate::agent::vdso::fit::unfit;
use crate::agent::vdso::measure::{Reading, measure};
use crate::agent::vdso::patch::{self, Applied, Tag, before_zero};
use crate::agent::vdso::skew::{Skew, anchors, now_ns};

/// A process that began, or began another program, is found and made wrong in this time; what is not by then was missed.
const FOUND_WITHIN: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// A drift of one in a million has made some nanoseconds by then.
const DRIFT_LEAST_NS: i64 = 10_000_000;
/// Readings of a strobe, spread over its periods.
const STROBE_READINGS: i64 = 40;
/// Processes of a node in which clocks are read; the bytes of all are compared.
const MEASURED_MAX: usize = 64;

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// To all processes there.
    pub places: Vec<Place>,
    /// Without anchors.
    pub skew: Skew,
}

/// What the controller's half wants to know. It tells all of it: what the agent remembers proves nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Question {
    /// Number of the fault.
    pub fault: u64,
    /// Where to look.
    pub places: Vec<Place>,
    /// What should be in force.
    pub skew: Skew,
    /// Whether to read clocks, too, and not only compare bytes.
    pub measure: bool,
    /// Whether it should be in force: processes that have just begun get some time for it.
    pub in_force: bool,
}

/// A fault that is in force.
struct InForce {
    skew: Skew,
    places: Vec<Place>,
    watch: Option<Watch>,
    known: Known,
}

/// Changes clocks.
pub struct Skewer {
    mark: Mark,
    in_force: BTreeMap<u64, InForce>,
}

impl Skewer {
    pub fn new(mark: Mark) -> Skewer {
        let in_force = BTreeMap::new();
        Skewer { mark, in_force }
    }

    fn tag(&self, fault: u64) -> Tag {
        let mark = self.mark.clone();
        Tag { mark, fault }
    }
}

impl AgentPart for Skewer {
    /// Fails where the node has a process that would not be fooled.
    fn can(&mut self, place: &Place) -> io::Result<()> {
        crate::agent::vdso::check_machine()?;
        for process in processes_of(place)? {
            // What can't be looked into because it has just ended was none that matters.
            let unfit = match (unfit(&process), procfs::current(&process)) {
                (Ok(unfit), _) => unfit,
                (Err(_), None) => None,
                (Err(error), Some(_)) => return Err(error),
            };
            if let Some(why) = unfit {
                return Err(io::Error::other(why));
            }
            let nobody = self.tag(u64::MAX);
            match patch::look(&process, &nobody, None)? {
                None | Some(patch::State::Pristine) => {}
                Some(patch::State::Patched { .. }) => {
                    return Err(io::Error::other("another fault has changed its clocks"));
                }
                Some(patch::State::Strange(why)) => {
                    return Err(io::Error::other(format!("process {}: {why}", process.pid)));
                }
            }
        }
        Ok(())
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<part::Injected> {
        let Order { places, mut skew } = read(order)?;
        skew.anchors_ns = anchors()?;
        if let Some(clock) = before_zero(&skew) {
            return Err(io::Error::other(format!(
                "the clock {clock:?} has not run for as long as it is to go back"
            )));
        }
        let tag = self.tag(fault);
        let known = Known::default();
        let mut nodes = Vec::new();
        for place in &places {
            let made = make_all_wrong(place, &tag, &skew, &known)?;
            if made.is_empty() {
                return Err(io::Error::other(format!("{}: no process runs there", place.name)));
            }
            nodes.push((place.name.clone(), made));
        }
        let watch = Some(Watch::start(tag, skew.clone(), places.clone(), known.clone())?);
        let held = json!({"skew": skew, "processes": nodes});
        let in_force = InForce {
            skew: skew.clone(),
            places,
            watch,
            known,
        };
        self.in_force.insert(fault, in_force);
        Ok(part::Injected {
            answer: write(&Injected { skew, nodes })?,
            held,
        })
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        let question: Question = read(question)?;
        let tag = self.tag(question.fault);
        // A node that was started again is nowhere until it was followed. Only looks in between may come before that.
        let followed = |place: &Place| {
            let in_force = self.in_force.get(&question.fault);
            in_force.is_none_or(|in_force| in_force.places.iter().any(|known| known.pid == place.pid))
        };
        let glance = question.in_force && !question.measure;
        let clocks = |place: &Place| match glance && !followed(place) {
            true => Ok(NodeClocks {
                node: place.name.clone(),
                processes: Vec::new(),
            }),
            false => clocks_of(place, &tag, &question),
        };
        write(
            &question
                .places
                .iter()
                .map(clocks)
                .collect::<io::Result<Vec<_>>>()?,
        )
    }

    fn follow(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        let mut followed = Vec::new();
        let mark = self.mark.clone();
        for (fault, in_force) in &mut self.in_force {
            let Some(old) = in_force.places.iter_mut().find(|old| old.name == place.name) else {
                continue;
            };
            *old = place.clone();
            let tag = Tag {
                mark: mark.clone(),
                fault: *fault,
            };
            make_all_wrong(place, &tag, &in_force.skew, &in_force.known)?;
            if let Some(watch) = &in_force.watch {
                watch.watch_at(in_force.places.clone());
            }
            followed.push(*fault);
        }
        Ok(followed)
    }

    fn cease(&mut self, fault: u64) {
        if let Some(in_force) = self.in_force.get_mut(&fault) {
            // Ends when it is dropped.
            in_force.watch = None;
        }
    }

    fn forget(&mut self, fault: u64, node: &str) {
        if let Some(in_force) = self.in_force.get_mut(&fault) {
            in_force.places.retain(|place| place.name != node);
        }
        self.in_force.retain(|_, in_force| !in_force.places.is_empty());
    }
}

/// Makes the clocks of all processes of a node wrong, those included that start meanwhile. Returns them.
fn make_all_wrong(place: &Place, tag: &Tag, skew: &Skew, known: &Known) -> io::Result<Vec<Process>> {
    let mut made: Vec<Process> = Vec::new();
    loop {
        let before = made.len();
        for process in processes_of(place)? {
            if made.iter().any(|other| same(other, &process)) {
                continue;
            }
            match make_wrong(&process, tag, skew, known)? {
                Applied::Now | Applied::Before => made.push(process),
                Applied::Gone => {}
                // What came in from outside is none of the node's program.
                Applied::Unfit(_) if process.entered => {}
                Applied::Unfit(why) => {
                    return Err(io::Error::other(format!("process {}: {why}", process.pid)));
                }
            }
        }
        if made.len() == before {
            return Ok(made);
        }
    }
}

/// Looks at a node until all of its processes are as they should be, or time is up.
fn clocks_of(place: &Place, tag: &Tag, question: &Question) -> io::Result<NodeClocks> {
    let deadline = Instant::now() + FOUND_WITHIN;
    // Those that have not been right since the first look: they can't have begun since.
    let mut lacking: Option<Vec<Process>> = None;
    let mut seen;
    loop {
        seen = look_at(place, tag, question)?;
        let now = seen.iter().filter(|seen| is_lacking(&seen.state));
        let now: Vec<Process> = now.map(|seen| seen.process).collect();
        let still = match lacking {
            None => now,
            Some(before) => (before.into_iter())
                .filter(|process| now.iter().any(|other| same(other, process)))
                .collect(),
        };
        if !question.in_force || still.is_empty() || Instant::now() > deadline {
            if question.in_force {
                // The others have just begun, and will be found.
                seen.retain(|seen| {
                    !is_lacking(&seen.state) || still.iter().any(|other| same(other, &seen.process))
                });
            }
            break;
        }
        lacking = Some(still);
        thread::sleep(LOOK_AGAIN);
    }
    if question.measure {
        measure_all(&mut seen, &question.skew, question.in_force)?;
    }
    Ok(NodeClocks {
        node: place.name.clone(),
        processes: seen,
    })
}

/// Whether it is not as it should be, or not yet: a process that is just being patched, or begins another program, may show anything.
fn is_lacking(state: &State) -> bool {
    !matches!(state, State::Wrong | State::Another)
}

fn look_at(place: &Place, tag: &Tag, question: &Question) -> io::Result<Vec<Seen>> {
    let mut all = Vec::new();
    for process in processes_of(place)? {
        let Some(state) = patch::look(&process, tag, Some(&question.skew))? else {
            continue;
        };
        let state = match state {
            patch::State::Pristine => match unfit(&process) {
                Ok(Some(why)) if question.in_force => State::Unfit(why),
                _ => State::True,
            },
            patch::State::Patched {
                ours: true,
                whole: true,
            } => State::Wrong,
            patch::State::Patched {
                ours: true,
                whole: false,
            } => State::Half,
            patch::State::Patched { ours: false, .. } => State::Another,
            patch::State::Strange(why) => State::Unfit(why),
        };
        all.push(Seen {
            process,
            state,
            readings: Vec::new(),
            unmeasured: None,
        });
    }
    Ok(all)
}

/// Reads the clocks in question in each process. One that ends meanwhile is no longer among them.
fn measure_all(all: &mut Vec<Seen>, skew: &Skew, in_force: bool) -> io::Result<()> {
    if in_force && skew.rate != 0 {
        let clock = skew.clocks[0].id();
        let elapsed = now_ns(clock)?.saturating_sub(skew.anchors_ns[clock]);
        let rest = DRIFT_LEAST_NS.saturating_sub(elapsed).clamp(0, DRIFT_LEAST_NS);
        thread::sleep(Duration::from_nanos(rest.unsigned_abs()));
    }
    let mut gone = Vec::new();
    for (index, seen) in all.iter_mut().take(MEASURED_MAX).enumerate() {
        let again = if in_force && skew.period_ns != 0 && index == 0 {
            STROBE_READINGS
        } else {
            1
        };
        for round in 0..again {
            if round > 0 {
                // Thirteen hundredths of a period further each time: never in step with it.
                thread::sleep(Duration::from_nanos(skew.period_ns.unsigned_abs() * 13 / 100));
            }
            match measure(&seen.process, &skew.clocks) {
                Ok(Some(readings)) => seen.readings.extend(readings),
                Ok(None) => gone.push(seen.process),
                Err(error) => seen.unmeasured = Some(error.to_string()),
            }
            if has_both(&seen.readings, skew) {
                break;
            }
        }
    }
    all.retain(|seen| !gone.iter().any(|other| same(other, &seen.process)));
    Ok(())
}

/// Whether readings were taken with the offset and without.
fn has_both(readings: &[Reading], skew: &Skew) -> bool {
    let off = |reading: &Reading| Some(reading.shown_ns - reading.truth_ns? == skew.offset_ns);
    let mut all = readings.iter().filter_map(off);
    let Some(first) = all.next() else { return false };
    all.any(|other| other != first)
}
