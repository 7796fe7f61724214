//! The agent's half: holds nodes, and processes that they start later, and says what can be seen of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use duress_cluster::Place;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::resource::Resource;
use crate::agent::cgroup::hold::Tag;
use crate::agent::part::{self, AgentPart, read, write};
use crate::agent::protocol::Mark;
use crate::agent::watch::Watch;

/// How nodes were before, by name: what the journal has.
pub type Planned<R> = BTreeMap<String, <R as Resource>::Before>;

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "R: Resource", deserialize = "R: Resource"))]
pub struct Order<R: Resource> {
    /// With which parameters.
    pub what: R,
    /// At which nodes, and how they were before.
    pub nodes: Vec<(Place, R::Before)>,
}

/// What the controller's half wants to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
#[serde(bound(serialize = "R: Resource", deserialize = "R: Resource"))]
pub enum Question<R: Resource> {
    /// How nodes are before the fault. Answer: [`Planned`].
    Before {
        /// The fault.
        fault: u64,
        /// With which parameters.
        what: R,
        /// Which nodes.
        places: Vec<Place>,
    },
    /// What can be seen of it. Answer: for each node that is where the fault is, [`Resource::Seen`] or null.
    Now {
        /// The fault.
        fault: u64,
        /// With which parameters.
        what: R,
        /// At which nodes, and how they were before.
        nodes: Vec<(Place, R::Before)>,
    },
    /// What is left of it. Answer: a list of sentences.
    Left {
        /// With which parameters.
        what: R,
        /// At which nodes, as far as they are anywhere, and how they were before.
        nodes: Vec<(Option<Place>, R::Before)>,
    },
}

/// What can be seen at nodes, by name.
pub type SeenAt<R> = BTreeMap<String, Option<<R as Resource>::Seen>>;

/// A node that is held.
struct Held<R: Resource> {
    place: Place,
    before: R::Before,
    /// `None`: it is being healed.
    guard: Option<R::Guard>,
}

struct InForce<R: Resource> {
    what: R,
    nodes: Arc<Mutex<Vec<Held<R>>>>,
    watch: Option<Watch>,
}

impl<R: Resource> InForce<R> {
    fn nodes(&self) -> MutexGuard<'_, Vec<Held<R>>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds nodes.
pub struct Holder<R: Resource> {
    mark: Mark,
    in_force: BTreeMap<u64, InForce<R>>,
}

impl<R: Resource> Holder<R> {
    pub fn new(mark: Mark) -> Self {
        let in_force = BTreeMap::new();
        Holder { mark, in_force }
    }

    fn tag(&self, fault: u64) -> Tag {
        let mark = self.mark.clone();
        Tag { mark, fault }
    }

    /// A second one would take what the first one did for how the node was before.
    fn check_free(&self, node: &str) -> io::Result<()> {
        let holds = |in_force: &InForce<R>| in_force.nodes().iter().any(|held| held.place.name == node);
        match self.in_force.iter().find(|(_, in_force)| holds(in_force)) {
            Some((other, _)) => Err(io::Error::other(format!(
                "fault {other}, which is {} too, is in force at {node}",
                R::NAME
            ))),
            None => Ok(()),
        }
    }
}

impl<R: Resource> AgentPart for Holder<R> {
    fn can(&mut self, place: &Place) -> io::Result<()> {
        self.check_free(&place.name)
    }

    fn inject(&mut self, fault: u64, order: Value, _kept: &[Value]) -> io::Result<part::Injected> {
        let Order::<R> { what, nodes } = read(order)?;
        let tag = self.tag(fault);
        let mut seen = SeenAt::<R>::new();
        let mut all = Vec::new();
        for (place, before) in nodes {
            self.check_free(&place.name)?;
            let mut guard = what.begin(&place, &before, &tag)?;
            seen.insert(place.name.clone(), what.see(&place, &before, Some(&mut guard))?);
            all.push(Held {
                place,
                before,
                guard: Some(guard),
            });
        }
        let nodes = Arc::new(Mutex::new(all));
        let (watched, keeper) = (Arc::clone(&nodes), what.clone());
        let watch = Watch::start(R::NAME, move || {
            let mut nodes = watched.lock().unwrap_or_else(PoisonError::into_inner);
            for held in nodes.iter_mut() {
                if let Some(guard) = &mut held.guard {
                    keeper.keep(&held.place, &held.before, guard);
                }
            }
        })?;
        let watch = Some(watch);
        self.in_force.insert(fault, InForce { what, nodes, watch });
        Ok(part::Injected {
            answer: write(&seen)?,
            // Known before.
            held: Value::Null,
        })
    }

    fn ask(&mut self, question: Value) -> io::Result<Value> {
        match read::<Question<R>>(question)? {
            Question::Before { fault, what, places } => {
                let tag = self.tag(fault);
                let mut planned = Planned::<R>::new();
                for place in &places {
                    self.check_free(&place.name)?;
                    planned.insert(place.name.clone(), what.plan(place, &tag)?);
                }
                write(&planned)
            }
            Question::Now { fault, what, nodes } => {
                let mut held = self.in_force.get(&fault).map(InForce::nodes);
                let mut seen = SeenAt::<R>::new();
                for (place, before) in &nodes {
                    let held = held
                        .as_mut()
                        .map(|all| all.iter_mut().find(|held| held.place.name == place.name));
                    let guard = match held.flatten() {
                        // It was started again, and is nowhere until it was followed.
                        Some(held) if held.place.pid != place.pid => continue,
                        Some(held) => held.guard.as_mut(),
                        None => None,
                    };
                    seen.insert(place.name.clone(), what.see(place, before, guard)?);
                }
                write(&seen)
            }
            Question::Left { what, nodes } => {
                let left = |(place, before): &(Option<Place>, R::Before)| what.left(place.as_ref(), before);
                let left = nodes.iter().map(left).collect::<io::Result<Vec<_>>>()?;
                write(&left.into_iter().flatten().collect::<Vec<String>>())
            }
        }
    }

    fn follow(&mut self, place: &Place) -> io::Result<Vec<u64>> {
        let mark = self.mark.clone();
        let mut followed = Vec::new();
        for (fault, in_force) in &self.in_force {
            let mut nodes = in_force.nodes();
            let Some(held) = nodes.iter_mut().find(|held| held.place.name == place.name) else {
                continue;
            };
            let tag = Tag {
                mark: mark.clone(),
                fault: *fault,
            };
            held.place = place.clone();
            held.guard = None;
            held.guard = Some(in_force.what.begin(place, &held.before, &tag)?);
            followed.push(*fault);
        }
        Ok(followed)
    }

    fn cease(&mut self, fault: u64) {
        if let Some(in_force) = self.in_force.get_mut(&fault) {
            // Ends when it is dropped.
            in_force.watch = None;
            in_force.nodes().iter_mut().for_each(|held| held.guard = None);
        }
    }

    fn forget(&mut self, fault: u64, node: &str) {
        if let Some(in_force) = self.in_force.get_mut(&fault) {
            in_force.nodes().retain(|held| held.place.name != node);
        }
        self.in_force.retain(|_, in_force| !in_force.nodes().is_empty());
    }
}
