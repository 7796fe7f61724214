//! Deciding one part: its own path without search, else its own search, else the general one; and nothing is believed
//! that [`certify`] has not looked at.

use crate::certify::{self, Path};
use crate::explain::{Broken, Judged};
use crate::history::{History, Val};
use crate::limits::Limits;
use crate::model::{Decision, Model, Operation, Part, Shortcuts};
use crate::search::{Outcome, jit, suspects};
use crate::verdict::Witness;

/// What was found about one part.
pub(super) struct Finding {
    pub answer: Answer,
    /// Whose answers were taken, once for each object that the part was divided into.
    pub decided_by: Vec<Path>,
    /// Whose answers did not stand up to being checked.
    pub refuted: Vec<Path>,
}

pub(super) enum Answer {
    Holds,
    Broken(Box<Witness>),
    Undecided(String),
}

/// Says that an answer did not stand up to being checked.
const CONTRADICTION: &str = "what the search found could not be verified: please report this history";
/// Says that nobody could check an answer.
const UNCONFIRMED: &str = "the search found operations that are impossible together, but they are too many for a second algorithm to confirm it";

/// What a path says of a part.
enum Found<Op> {
    Order(Decision),
    Core(Part<Op>),
}

impl<Op: Clone> Found<Op> {
    fn new(part: &[Operation<Op>], decision: Decision) -> Self {
        match decision {
            Decision::Core(positions) => {
                let operations = positions.iter().map(|&at| part[at as usize].clone());
                Found::Core(operations.collect())
            }
            order => Found::Order(order),
        }
    }
}

/// Decides one part, object by object where it can be divided.
pub(super) fn decide<M: Model>(
    model: &M,
    history: &History,
    key: Val,
    part: &Part<M::Op>,
    limits: Limits<'_>,
) -> Finding {
    let object = |part| Object {
        broken: Broken {
            model,
            history,
            key,
            part,
            limits,
        },
        refuted: Vec::new(),
    };
    let Some(parts) = model.shortcuts().divide(part) else {
        return object(part).decide();
    };
    let mut whole = Finding {
        answer: Answer::Holds,
        // Those that it leaves out were decided on the way.
        decided_by: vec![Path::Direct],
        refuted: Vec::new(),
    };
    for part in &parts {
        let found = object(part).decide();
        whole.decided_by.extend(found.decided_by);
        whole.refuted.extend(found.refuted);
        match (&whole.answer, found.answer) {
            (_, Answer::Holds) | (Answer::Undecided(_), Answer::Undecided(_)) => {}
            (_, broken @ Answer::Broken(_)) => {
                whole.answer = broken;
                break;
            }
            (_, undecided) => whole.answer = undecided,
        }
    }
    whole
}

/// One object while it is being decided.
struct Object<'a, M: Model> {
    broken: Broken<'a, M>,
    refuted: Vec<Path>,
}

impl<M: Model> Object<'_, M> {
    fn decide(mut self) -> Finding {
        let Broken {
            model, part, limits, ..
        } = self.broken;
        let mut suspected = false;
        if let Some(found) = model.shortcuts().decide(part) {
            match self.certified(Path::Direct, Found::new(part, found)) {
                Some(Answer::Undecided(_)) => suspected = true,
                Some(answer) => return self.found(Path::Direct, answer),
                // An answer that does not stand is none; the search decides.
                None => {}
            }
        }
        let (path, found) = match model.shortcuts().search(part, limits) {
            Some(found) => (Path::Reduced, found.map(|found| Found::new(part, found))),
            None => (Path::Search, self.search()),
        };
        let answer = match found {
            Ok(Found::Core(core)) if suspected => {
                // Both say so, each for itself, of all operations.
                match self.broken.judge(core, path) {
                    Judged::Confirmed(witness) | Judged::Unconfirmed(witness) => Answer::Broken(witness),
                    Judged::Possible => self.refuted(path),
                }
            }
            Ok(found) => self
                .certified(path, found)
                .unwrap_or_else(|| Answer::Undecided(CONTRADICTION.to_owned())),
            Err(reason) => Answer::Undecided(reason),
        };
        self.found(path, answer)
    }

    fn found(self, path: Path, answer: Answer) -> Finding {
        let decided = !matches!(answer, Answer::Undecided(_));
        Finding {
            answer,
            decided_by: decided.then_some(path).into_iter().collect(),
            refuted: self.refuted,
        }
    }

    fn refuted(&mut self, path: Path) -> Answer {
        self.refuted.push(path);
        Answer::Undecided(CONTRADICTION.to_owned())
    }

    /// An answer if it stands up to being checked, and undecided if nobody could check it.
    fn certified(&mut self, path: Path, found: Found<M::Op>) -> Option<Answer> {
        let Broken {
            model, part, history, ..
        } = self.broken;
        let answer = match found {
            Found::Core(core) => match self.broken.judge(core, path) {
                Judged::Confirmed(witness) => Some(Answer::Broken(witness)),
                Judged::Unconfirmed(_) => Some(Answer::Undecided(UNCONFIRMED.to_owned())),
                Judged::Possible => None,
            },
            Found::Order(order) => {
                certify::holds(model, part, &order, &history.values).then_some(Answer::Holds)
            }
        };
        if answer.is_none() {
            self.refuted.push(path);
        }
        answer
    }

    /// What the general search finds.
    fn search(&self) -> Result<Found<M::Op>, String> {
        let Broken {
            model, part, limits, ..
        } = self.broken;
        match jit::search(model, part, limits) {
            Outcome::Order(order) => Ok(Found::Order(Decision::Order(order))),
            Outcome::Impossible { at, since } => Ok(Found::Core(suspects(model, part, at, since))),
            Outcome::Exhausted(reason) => Err(reason),
        }
    }
}
