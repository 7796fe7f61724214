//! Finds the processes that start while clocks are wrong, and those that start another program, and makes theirs wrong, too.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duress_cluster::Place;

use crate::agent::procfs;
use crate::agent::protocol::Process;
use crate::agent::vdso::fit::{Program, is_borrowing, program};
use crate::agent::vdso::patch::{self, Applied, State, Tag, apply};
use crate::agent::vdso::skew::Skew;
use crate::agent::watch;

/// The programs that were made wrong. What is right again in one of them was undone, and stays so: it is for whoever verifies to
/// see.
pub type Known = Arc<Mutex<BTreeSet<(u32, u64, Program)>>>;

/// Makes the clocks of a process wrong, and remembers it.
pub fn make_wrong(process: &Process, tag: &Tag, skew: &Skew, known: &Known) -> io::Result<Applied> {
    // Asked before: one that begins another program meanwhile is remembered as what it was.
    let before = program(process);
    let applied = apply(process, tag, skew)?;
    if let (Applied::Now | Applied::Before, Ok(program)) = (&applied, before) {
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((process.pid, process.started, program));
    }
    Ok(applied)
}

/// Where to look, and what is known.
struct Watched {
    places: Arc<Mutex<Vec<Place>>>,
    known: Known,
}

impl Watched {
    fn known(&self) -> MutexGuard<'_, BTreeSet<(u32, u64, Program)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can't be done is seen by whoever verifies.
    fn look(&self, tag: &Tag, skew: &Skew) {
        let nodes = (self.places.lock().unwrap_or_else(PoisonError::into_inner)).clone();
        let processes: Vec<Process> = nodes
            .iter()
            .flat_map(|place| processes_of(place).unwrap_or_default())
            .collect();
        for process in &processes {
            self.attend_to(process, tag, skew);
        }
        self.forget_all_but(&processes);
    }

    fn attend_to(&self, process: &Process, tag: &Tag, skew: &Skew) {
        let Ok(program) = program(process) else { return };
        let key = (process.pid, process.started, program);
        match patch::look(process, tag, Some(skew)) {
            Ok(Some(State::Pristine)) if !self.known().contains(&key) => {
                let _ = make_wrong(process, tag, skew, &self.known);
            }
            // From its parent.
            Ok(Some(State::Patched {
                ours: true,
                whole: true,
            })) => drop(self.known().insert(key)),
            _ => {}
        }
    }

    /// Programs come and go.
    fn forget_all_but(&self, processes: &[Process]) {
        let living: BTreeSet<u32> = processes.iter().map(|process| process.pid).collect();
        self.known().retain(|(pid, ..)| living.contains(pid));
    }
}

/// Looks until it is dropped, and is waited for: after that nothing is made wrong any more.
pub struct Watch {
    places: Arc<Mutex<Vec<Place>>>,
    _watch: watch::Watch,
}

impl Watch {
    pub fn start(tag: Tag, skew: Skew, places: Vec<Place>, known: Known) -> io::Result<Watch> {
        let places = Arc::new(Mutex::new(places));
        let watched = Watched {
            places: Arc::clone(&places),
            known,
        };
        let watch = watch::Watch::start("clocks", move || watched.look(&tag, &skew))?;
        Ok(Watch {
            places,
            _watch: watch,
        })
    }

    /// From now on looks there.
    pub fn watch_at(&self, places: Vec<Place>) {
        *self.places.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }
}

/// The processes of a node that read clocks on their own account: not what is about to start another program in the memory of
/// its parent.
pub fn processes_of(place: &Place) -> io::Result<Vec<Process>> {
    let mut members = match procfs::members(place) {
        Err(_) if duress_cluster::procfs::living(place.pid).is_none() => Vec::new(),
        members => members?,
    };
    members.retain(|process| !is_borrowing(process));
    Ok(members)
}
