//! A semaphore: `acquire` and `release`.
//!
//! `acquire n`, `release n`; `null` is 1. It begins free. `semaphore` has one permit, `semaphore:5` has five. No more
//! are taken than there are, and what is not taken can't be released.

mod op;

pub use self::op::Permits;
use crate::history::{Val, Values};
use crate::model::{Call, Decision, Model, Operation, Shortcuts, Telling, Words};
use crate::object::shared::balance::balance;

/// Permits that a semaphore may have.
pub(super) const PERMITS_MAX: i64 = 1 << 40;

/// A semaphore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Semaphore {
    /// How many permits it has.
    pub permits: i64,
}

impl Semaphore {
    /// The semaphore of `semaphore` or `semaphore:5`, by what stands behind the colon.
    pub(super) fn of(permits: Option<&str>) -> Option<Semaphore> {
        let permits = permits.map_or(Some(1), |count| count.parse().ok())?;
        // Sums of permits must not overflow.
        let allowed = (1..=PERMITS_MAX).contains(&permits);
        allowed.then_some(Semaphore { permits })
    }
}

impl Model for Semaphore {
    type Op = Permits;
    /// Permits in use.
    type State = i64;

    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn operation(&self, call: &Call<'_>) -> Result<Option<Permits>, String> {
        let count = match call.argument.first {
            Val::NIL => Some(1),
            count => call
                .values
                .int(count)
                .filter(|count| (0..1 << 40).contains(count)),
        };
        let Some(count) = count else {
            return Err("a semaphore takes a number of permits".to_owned());
        };
        match call.f {
            "acquire" => Ok(Some(Permits(count))),
            "release" => Ok(Some(Permits(-count))),
            f => Err(format!("a semaphore takes acquire and release, not {f}")),
        }
    }

    fn initial(&self) -> i64 {
        0
    }

    fn step(&self, used: &i64, op: &Permits, next: &mut Vec<i64>) {
        let after = used + op.0;
        if (0..=self.permits).contains(&after) {
            next.push(after);
        }
    }

    fn words(&self) -> &impl Words<Permits, i64> {
        self
    }

    fn shortcuts(&self) -> &impl Shortcuts<Permits> {
        self
    }
}

impl Words<Permits, i64> for Semaphore {
    fn show(&self, used: &i64, _values: &Values) -> String {
        format!("{used} of {} permits taken", self.permits)
    }

    /// `process 2 acquired 1 while 1 of 1 permits were taken for certain`, and the like of a release.
    fn tell(&self, telling: &Telling<'_, Permits>) -> Option<String> {
        let culprit = telling.culprit;
        let others =
            || (telling.part.iter()).filter(|other| other.row != culprit.row && other.invoke < culprit.ret);
        // What counts for certain is over; what need not count is still open.
        let sum = |counts: fn(i64) -> bool| -> i64 {
            let over = others()
                .filter(|other| telling.before(other, culprit))
                .map(|other| other.op.0);
            let open = others()
                .filter(|other| !telling.before(other, culprit))
                .map(|other| other.op.0);
            over.sum::<i64>() + open.filter(|change| counts(*change)).sum::<i64>()
        };
        let (least, most) = (sum(|change| change < 0), sum(|change| change > 0));
        let (who, count) = (telling.who(culprit), culprit.op.0);
        if count > 0 && least + count > self.permits {
            return Some(format!(
                "{who} acquired {count} while {least} of {} permits were certainly taken",
                self.permits
            ));
        }
        (most + count < 0).then(|| {
            let released = -count;
            format!(
                "{who} released {released} while no more than {} can have been taken",
                most.max(0)
            )
        })
    }
}

impl Shortcuts<Permits> for Semaphore {
    fn decide(&self, part: &[Operation<Permits>]) -> Option<Decision> {
        let single = self.permits > 0 && part.iter().all(|operation| operation.op.0.abs() == 1);
        single.then(|| balance(part, self.permits, |op| op.0 > 0))
    }
}
