//! What can be asked of several registers.

use crate::history::Val;

/// One step of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Micro {
    /// Found the value in the register.
    Read(Val, Val),
    /// Set the register to the value.
    Write(Val, Val),
}

impl Micro {
    /// Whether this may be what another one was asked as.
    pub(super) fn fits(&self, answered: &Micro) -> bool {
        match (self, answered) {
            (Micro::Read(register, _), Micro::Read(answered, _)) => register == answered,
            (asked, answered) => asked == answered,
        }
    }
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Txn {
    pub(super) steps: Box<[Micro]>,
    /// The values that it found and set, for explanations.
    pub(super) found: Box<[Val]>,
    pub(super) set: Box<[Val]>,
}

impl FromIterator<Micro> for Txn {
    fn from_iter<I: IntoIterator<Item = Micro>>(steps: I) -> Self {
        let steps: Box<[Micro]> = steps.into_iter().collect();
        let values = |of: fn(&Micro) -> Option<Val>| steps.iter().filter_map(of).collect();
        Txn {
            found: values(|step| match *step {
                // Nobody has to have brought in what was there from the beginning.
                Micro::Read(_, value) if !is_initial(value) => Some(value),
                Micro::Read(..) | Micro::Write(..) => None,
            }),
            set: values(|step| match *step {
                Micro::Write(_, value) => Some(value),
                Micro::Read(..) => None,
            }),
            steps,
        }
    }
}

/// Whether a register may begin as this value.
pub(super) fn is_initial(value: Val) -> bool {
    value == Val::NIL || value == Val(0)
}
