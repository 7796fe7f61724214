//! Puts a patch into the vDSO of a process, sees what is there, and takes it out.
//!
//! The data that a patch begins with, 8 bytes each: magic, mark of the run, number of the fault, mask of clocks, offset, rate,
//! period; then an anchor for each clock id. The magic is the first that is written and the last that goes, so that whatever else
//! may be there is known to be ours, wherever writing was cut off.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use super::arch::{self, DATA_BYTES, ENTRY_BYTES};
use super::layout::{Layout, bytes, layout, machine, mapping};
use super::skew::{CLOCKS, Clock, Skew};
use super::stop::{Stopped, with_stopped};
use crate::agent::protocol::{Mark, Process};

const MAGIC: u64 = u64::from_le_bytes(*b"DURESS.1");
const WORD: usize = 8;

/// For threads that signals interrupted in the middle of what is to change.
const CLEAR_WAIT_MAX: Duration = Duration::from_secs(8);
/// A handler that interrupted the reading of a clock, and does not block its own signal, has ended by then.
const HANDLER_TIME: Duration = Duration::from_millis(200);
/// Between two tries, at first.
const TRY_AGAIN: Duration = Duration::from_millis(1);
/// And at last. A thread that is to end its handler has to be given a processor meanwhile, which on a busy machine takes longer than
/// the first few pauses last.
const TRY_AGAIN_MAX: Duration = Duration::from_millis(250);
/// One that begins another program has, for a moment, nothing that could be read.
const LOOKS: u32 = 5;

/// Whose a patch is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Of the run.
    pub mark: Mark,
    /// Number of the fault.
    pub fault: u64,
}

impl Tag {
    fn words(&self) -> [u64; 2] {
        // A mark is 8 hexadecimal digits.
        let mark = u64::from_str_radix(self.mark.as_str(), 16).unwrap_or_default();
        [mark, self.fault]
    }
}

/// What is in the vDSO of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// What the kernel made.
    Pristine,
    /// A patch.
    Patched {
        /// Whether it has this tag.
        ours: bool,
        /// Whether every byte of it is there, and is that of this skew.
        whole: bool,
    },
    /// Something that is neither, or nothing.
    Strange(String),
}

/// What came of putting a patch in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is there now.
    Now,
    /// It was there already.
    Before,
    /// It can't be, for this reason.
    Unfit(String),
    /// The process is gone.
    Gone,
}

/// The vDSO of a process as it would be with this patch.
fn patched(layout: &Layout, tag: &Tag, skew: &Skew) -> Vec<u8> {
    let mut image = layout.pristine.clone();
    let [mark, fault] = tag.words();
    let mut data = vec![
        MAGIC,
        mark,
        fault,
        skew.mask(),
        skew.offset_ns as u64,
        skew.rate as u64,
        skew.period_ns as u64,
    ];
    data.extend(skew.anchors_ns.map(|anchor| anchor as u64));
    const { assert!((7 + CLOCKS) * WORD <= DATA_BYTES) };
    let payload = &mut image[layout.payload.clone()];
    for (word, at) in data.iter().zip(payload.chunks_exact_mut(WORD)) {
        at.copy_from_slice(&word.to_ne_bytes());
    }
    payload[DATA_BYTES..].copy_from_slice(arch::code());
    for (from, to) in &layout.entries {
        image[*from..from + ENTRY_BYTES].copy_from_slice(&arch::entry(*from, *to));
    }
    image
}

/// What an image is.
fn state_of(layout: &Layout, image: &[u8], tag: &Tag, skew: Option<&Skew>) -> State {
    if image == layout.pristine {
        return State::Pristine;
    }
    if image.len() != layout.pristine.len() || machine(image) != Some(arch::MACHINE) {
        return State::Strange("it has another vDSO than this program, as 32-bit programs do".to_owned());
    }
    let differs = |at: &usize| image[*at] != layout.pristine[*at];
    if let Some(at) = (0..image.len()).filter(differs).find(|at| !layout.is_ours(*at)) {
        return State::Strange(format!("somebody else changed its vDSO, at byte {at}"));
    }
    let word = |n: usize| {
        let at = layout.payload.start + n * WORD;
        let bytes = image[at..at + WORD].try_into();
        bytes.map_or(0, u64::from_ne_bytes)
    };
    if word(0) != MAGIC {
        return State::Strange("somebody else changed its vDSO".to_owned());
    }
    State::Patched {
        ours: [word(1), word(2)] == tag.words(),
        whole: skew.is_some_and(|skew| image == patched(layout, tag, skew)),
    }
}

/// What is in the vDSO of a process now. `None`: the process is gone.
pub fn look(process: &Process, tag: &Tag, skew: Option<&Skew>) -> io::Result<Option<State>> {
    let mut state = look_once(process, tag, skew);
    for _ in 1..LOOKS {
        if state.is_ok() {
            break;
        }
        thread::sleep(TRY_AGAIN);
        state = look_once(process, tag, skew);
    }
    state
}

fn look_once(process: &Process, tag: &Tag, skew: Option<&Skew>) -> io::Result<Option<State>> {
    let layout = layout()?;
    let read = || {
        let Some(range) = mapping(process.pid)? else {
            return Ok(State::Strange("it has no vDSO".to_owned()));
        };
        let image = bytes(&File::open(format!("/proc/{}/mem", process.pid))?, &range)?;
        Ok(state_of(layout, &image, tag, skew))
    };
    let state = read();
    let ends = |error: &io::Error| error.raw_os_error() == Some(nix::libc::ESRCH);
    match crate::agent::procfs::current(process) {
        Some(_) if !state.as_ref().is_err_and(ends) => state.map(Some),
        _ => Ok(None),
    }
}

/// A process that is stopped, and its vDSO.
struct Opened<'a> {
    layout: &'static Layout,
    stopped: &'a Stopped,
    base: u64,
    image: Vec<u8>,
}

impl Opened<'_> {
    fn new<'a>(stopped: &'a Stopped, process: &Process) -> io::Result<Option<Opened<'a>>> {
        let Some(range) = mapping(process.pid)? else {
            return Ok(None);
        };
        Ok(Some(Opened {
            layout: layout()?,
            stopped,
            base: range.start,
            image: bytes(&stopped.memory, &range)?,
        }))
    }

    /// The addresses at which no thread may be while jumps change: behind their first byte.
    fn entries(&self) -> Vec<Range<u64>> {
        let middle = |(from, _): &(usize, usize)| {
            let start = self.base + *from as u64;
            start + 1..start + ENTRY_BYTES as u64
        };
        self.layout.entries.iter().map(middle).collect()
    }

    fn payload(&self) -> Range<u64> {
        let payload = &self.layout.payload;
        self.base + payload.start as u64..self.base + payload.end as u64
    }

    /// Writes the words of `wanted` that differ and lie in `range`.
    fn write(&self, wanted: &[u8], range: Range<usize>) -> io::Result<()> {
        let first = range.start - range.start % WORD;
        for at in (first..range.end).step_by(WORD) {
            let word = at..at + WORD;
            if self.image[word.clone()] != wanted[word.clone()] {
                self.stopped.write(self.base + at as u64, &wanted[word])?;
            }
        }
        Ok(())
    }

    fn write_entries(&self, wanted: &[u8]) -> io::Result<()> {
        let mut entries = self.layout.entries.iter();
        entries.try_for_each(|(from, _)| self.write(wanted, *from..from + ENTRY_BYTES))
    }
}

/// Tries again and again, until no thread is in the middle of what changes. Each attempt is told whether threads may be taken for
/// what the signals that they block say: handlers that don't block their own have had their time to end by then.
fn until_clear<T>(mut attempt: impl FnMut(bool) -> io::Result<Option<T>>) -> io::Result<T> {
    let began = Instant::now();
    let mut pause = TRY_AGAIN;
    loop {
        if let Some(done) = attempt(began.elapsed() > HANDLER_TIME)? {
            return Ok(done);
        }
        if began.elapsed() > CLEAR_WAIT_MAX {
            return Err(io::Error::other(format!(
                "for {CLEAR_WAIT_MAX:?} a handler of signals has kept a thread from leaving the vDSO"
            )));
        }
        thread::sleep(pause);
        pause = (2 * pause).min(TRY_AGAIN_MAX);
    }
}

/// Puts a patch in, unless something else is there.
pub fn apply(process: &Process, tag: &Tag, skew: &Skew) -> io::Result<Applied> {
    let wanted = patched(layout()?, tag, skew);
    until_clear(|by_blocked| {
        let applied = with_stopped(process, |stopped| {
            let Some(opened) = Opened::new(stopped, process)? else {
                return Ok(Some(Applied::Unfit("it has no vDSO".to_owned())));
            };
            match state_of(opened.layout, &opened.image, tag, Some(skew)) {
                State::Pristine => {}
                State::Patched {
                    ours: true,
                    whole: true,
                } => return Ok(Some(Applied::Before)),
                State::Patched { .. } => {
                    return Ok(Some(Applied::Unfit(
                        "another fault has changed its clocks".to_owned(),
                    )));
                }
                State::Strange(why) => return Ok(Some(Applied::Unfit(why))),
            }
            if !stopped.clear_of(&opened.entries(), by_blocked)? {
                return Ok(None);
            }
            opened.write(&wanted, opened.layout.payload.clone())?;
            opened.write_entries(&wanted)?;
            Ok(Some(Applied::Now))
        })?;
        Ok(applied.unwrap_or(Some(Applied::Gone)))
    })
}

/// Takes the patch with this tag out. False if there is none.
pub fn restore(process: &Process, tag: &Tag) -> io::Result<bool> {
    let found = look(process, tag, None)?;
    if !matches!(found, Some(State::Patched { ours: true, .. })) {
        return Ok(false);
    }
    let pristine = &layout()?.pristine;
    until_clear(|by_blocked| {
        let restored = with_stopped(process, |stopped| {
            let Some(opened) = Opened::new(stopped, process)? else {
                return Ok(Some(false));
            };
            let state = state_of(opened.layout, &opened.image, tag, None);
            if !matches!(state, State::Patched { ours: true, .. }) {
                return Ok(Some(false));
            }
            // Jumps first: from then on nobody enters what is to go.
            if !stopped.clear_of(&opened.entries(), by_blocked)? {
                return Ok(None);
            }
            opened.write_entries(pristine)?;
            if !stopped.clear_of(&[opened.payload()], by_blocked)? {
                return Ok(None);
            }
            let payload = opened.layout.payload.clone();
            opened.write(pristine, payload.start + WORD..payload.end)?;
            opened.write(pristine, payload.start..payload.start + WORD)?;
            Ok(Some(true))
        })?;
        Ok(restored.unwrap_or(Some(false)))
    })
}

/// Clocks of which a process could be shown a time before their beginning.
pub fn before_zero(skew: &Skew) -> Option<Clock> {
    let mut clocks = skew.clocks.iter().copied();
    clocks.find(|clock| skew.shown_ns(*clock, skew.anchors_ns[clock.id()]) < 0)
}
