//! What breaks when: drawn once from a seed, stored, replayed to the letter.
//!
//! ```json
//! {"format":1,"seed":7,"faults":[
//!   {"id":0,"at_ms":1804,"length_ms":3120,"fault":{"kind":"pause","targets":"leader"},"choice_seed":9120037}]}
//! ```
//!
//! Which node leads is not known when a schedule is made. So targets by role are drawn when the fault is injected, from the
//! fault's own `choice_seed`: see [`crate::targets`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bound::Limits;
use crate::dice::Dice;
use crate::duration_range::DurationRange;
use crate::kinds::Fault;
use crate::life::stage::NewFault;
use crate::spec::{FaultsSpec, MixEntry, Part};
use crate::spec_error::{SpecError, Spot};

/// Version of the format of a schedule.
pub const SCHEDULE_FORMAT: u32 = 1;

/// Faults of a run. Each is a task and half a dozen events; a week of one every minute fits.
pub const FAULTS_MAX: usize = 10_000;

/// Faults that begin within any second. Each takes a round of probes over all nodes to be proven: more would only wait
/// for each other.
pub const FAULTS_A_SECOND_MAX: usize = 10;

/// The faults of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// [`SCHEDULE_FORMAT`] of its writer.
    pub format: u32,
    /// What it was drawn from.
    pub seed: u64,
    /// How many nodes it may hurt.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// In the order of their beginnings.
    pub faults: Vec<PlannedFault>,
}

/// One fault of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// Position in the schedule; the same in the history.
    pub id: u64,
    /// When it begins, from the beginning of the time that is for faults.
    pub at_ms: u64,
    /// How long it lasts.
    pub length_ms: u64,
    /// What it is.
    pub fault: Fault,
    /// What is drawn when it is injected is drawn from this.
    pub choice_seed: u64,
    /// Whether it is left out, without a word against the run, where it can't be done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

impl PlannedFault {
    pub(crate) fn begin(&self) -> NewFault {
        let kind = self.fault.kind();
        let length = Duration::from_millis(self.length_ms);
        NewFault {
            id: self.id,
            kind: kind.name(),
            effect: kind.effect(),
            optional: self.optional,
            technique: self.fault.technique(self.id, self.choice_seed, length),
        }
    }
}

/// Keeps the draws of faults at fixed times apart from those of the mix, so that adding one changes no other.
const AT_STREAM: u64 = 0x6174_6174_6174_6174;

/// Draws a schedule. The same spec, nodes, seed and window give the same schedule, always.
///
/// Faults of the mix come one after another: first each entry once, in random order, then by weight, until the window is
/// full. No fault outlasts the window; one that doesn't fit is shortened as far as its range allows, or left out.
pub fn plan(spec: &FaultsSpec, nodes: &[String], seed: u64, window: Duration) -> Result<Schedule, SpecError> {
    spec.validate(nodes)?;
    let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
    let mut faults = fixed(spec, seed, window_ms)?;
    faults.extend(mixed(spec, seed, window_ms)?);
    faults.sort_by_key(|fault| fault.at_ms);
    let crowd = faults.windows(FAULTS_A_SECOND_MAX + 1).find(|crowd| {
        let [first, .., last] = crowd else { return false };
        last.at_ms - first.at_ms < 1000
    });
    if let Some([first, ..]) = crowd {
        let what = format!(
            "more than {FAULTS_A_SECOND_MAX} faults begin in the second after {} ms; let them be further apart",
            first.at_ms
        );
        return Err(SpecError::at(Spot::Whole, what));
    }
    for (id, fault) in (0..).zip(&mut faults) {
        fault.id = id;
    }
    Ok(Schedule {
        format: SCHEDULE_FORMAT,
        seed,
        limits: spec.limits(),
        faults,
    })
}

fn draw_ms(dice: &mut Dice, span: DurationRange) -> u64 {
    span.min_ms + dice.below(span.max_ms - span.min_ms + 1)
}

fn fixed(spec: &FaultsSpec, seed: u64, window_ms: u64) -> Result<Vec<PlannedFault>, SpecError> {
    let mut dice = Dice::new(seed ^ AT_STREAM);
    let mut faults = Vec::new();
    for (index, entry) in spec.at.iter().enumerate() {
        let span = entry.length.unwrap_or(spec.length);
        let room_ms = window_ms.saturating_sub(entry.at_ms);
        let length_ms = draw_ms(&mut dice, span).min(room_ms);
        if room_ms < span.min_ms.max(1) {
            let spot = Spot::Entry {
                list: "at",
                index,
                key: "at",
            };
            let what = format!(
                "the {} at {} ms lasts at least {} ms, but faults end {window_ms} ms after they begin: let it start \
                 earlier, or the run last longer",
                names(&entry.parts),
                entry.at_ms,
                span.min_ms
            );
            return Err(SpecError::at(spot, what));
        }
        faults.extend(planned(&entry.parts, entry.at_ms, length_ms, &mut dice));
    }
    Ok(faults)
}

/// `pause`, or `pause and packets`.
fn names(parts: &[Part]) -> String {
    let names: Vec<&str> = parts.iter().map(|part| part.fault.kind().name()).collect();
    names.join(" and ")
}

/// The faults of an entry that begins `at_ms` and lasts for `length_ms`.
fn planned(parts: &[Part], at_ms: u64, length_ms: u64, dice: &mut Dice) -> Vec<PlannedFault> {
    let mut of = |part: &Part| {
        let room_ms = length_ms.saturating_sub(part.after_ms).max(1);
        let drawn_ms = part.length.map_or(room_ms, |span| draw_ms(dice, span));
        PlannedFault {
            id: 0,
            at_ms: at_ms + part.after_ms,
            length_ms: drawn_ms.clamp(1, room_ms),
            fault: part.fault.clone(),
            choice_seed: dice.seed(),
            optional: part.optional,
        }
    };
    parts.iter().map(&mut of).collect()
}

fn mixed(spec: &FaultsSpec, seed: u64, window_ms: u64) -> Result<Vec<PlannedFault>, SpecError> {
    let mut dice = Dice::new(seed);
    let mut first: Vec<&MixEntry> = spec.mix.iter().collect();
    dice.shuffle(&mut first);
    first.reverse();
    let weights: u64 = spec.mix.iter().map(|entry| u64::from(entry.weight)).sum();
    let mut faults = Vec::new();
    let mut now_ms: u64 = 0;
    loop {
        now_ms = now_ms.saturating_add(draw_ms(&mut dice, spec.pause));
        let room_ms = window_ms.saturating_sub(now_ms);
        let fits = |entry: &MixEntry| entry.length.unwrap_or(spec.length).min_ms.max(1) <= room_ms;
        if !spec.mix.iter().any(fits) {
            break;
        }
        // An entry that doesn't fit now will not fit later.
        first.retain(|entry| fits(entry));
        let entry = match first.pop() {
            Some(entry) => entry,
            None => by_weight(&spec.mix, dice.below(weights)),
        };
        if !fits(entry) {
            break;
        }
        if faults.len() + entry.parts.len() > FAULTS_MAX {
            let what = format!(
                "more than {FAULTS_MAX} faults fit into the {} s that are for them; make the pauses or the faults longer, or \
                 time.faults shorter",
                window_ms / 1000
            );
            return Err(SpecError::at(Spot::Whole, what));
        }
        let drawn_ms = draw_ms(&mut dice, entry.length.unwrap_or(spec.length));
        // A fault of no length would let the loop stand still.
        let length_ms = drawn_ms.clamp(1, room_ms);
        faults.extend(planned(&entry.parts, now_ms, length_ms, &mut dice));
        now_ms += length_ms;
    }
    Ok(faults)
}

fn by_weight(mix: &[MixEntry], mut drawn: u64) -> &MixEntry {
    for entry in mix {
        match drawn.checked_sub(u64::from(entry.weight)) {
            Some(rest) => drawn = rest,
            None => return entry,
        }
    }
    &mix[mix.len() - 1]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nodes() -> Vec<String> {
        (1..=5).map(|number| format!("n{number}")).collect()
    }

    fn spec() -> impl Strategy<Value = FaultsSpec> {
        let span = |min: u64, max: u64| {
            (min..max, min..max)
                .prop_map(|(a, b)| DurationRange {
                    min_ms: a.min(b),
                    max_ms: a.max(b),
                })
                .boxed()
        };
        let fault = prop_oneof![
            Just("kind = \"kill\""),
            Just("kind = \"pause\"\ntargets = \"leader\""),
            Just("kind = \"partition\"\nshape = \"halves\""),
        ];
        let entry =
            (fault, proptest::option::of(span(100, 2000)), 1..4u32).prop_map(|(text, length, weight)| {
                MixEntry {
                    length,
                    weight,
                    ..toml::from_str(text).unwrap()
                }
            });
        (
            span(0, 500),
            span(100, 2000),
            proptest::collection::vec(entry, 0..6),
        )
            .prop_map(|(pause, length, mix)| FaultsSpec {
                pause,
                length,
                mix,
                ..FaultsSpec::default()
            })
    }

    proptest! {
        #[test]
        fn schedules_keep_their_promises(spec in spec(), seed: u64, window_ms in 0..30_000u64) {
            let window = Duration::from_millis(window_ms);
            let schedule = plan(&spec, &nodes(), seed, window).unwrap();
            prop_assert_eq!(&plan(&spec, &nodes(), seed, window).unwrap(), &schedule);
            let stored = serde_json::to_string(&schedule).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Schedule>(&stored).unwrap(), &schedule);
            let mut free_ms = 0;
            for (id, fault) in (0..).zip(&schedule.faults) {
                prop_assert_eq!(fault.id, id);
                prop_assert!(fault.at_ms >= free_ms + spec.pause.min_ms, "faults of the mix do not overlap");
                prop_assert!(fault.length_ms > 0);
                free_ms = fault.at_ms + fault.length_ms;
                prop_assert!(free_ms <= window_ms);
            }
            let room_ms: u64 = spec.mix.iter()
                .map(|entry| entry.length.unwrap_or(spec.length).max_ms.max(1) + spec.pause.max_ms).sum();
            if room_ms <= window_ms {
                for entry in &spec.mix {
                    prop_assert!(schedule.faults.iter().any(|fault| fault.fault == entry.parts[0].fault), "{:?}", entry);
                }
            }
        }
    }

    #[test]
    fn a_seed_that_people_wrote_down_still_gives_the_same() {
        let spec: FaultsSpec = toml::from_str(
            "[[mix]]\nkind = \"kill\"\n[[mix]]\nkind = \"pause\"\ntargets = \"leader\"\n[[at]]\nat = \"1s\"\nkind = \"restart\"",
        )
        .unwrap();
        let schedule = plan(&spec, &nodes(), 7, Duration::from_secs(10)).unwrap();
        assert_eq!(
            serde_json::to_string(&schedule).unwrap(),
            concat!(
                r#"{"format":1,"seed":7,"faults":["#,
                r#"{"id":0,"at_ms":1000,"length_ms":4867,"fault":{"kind":"restart","targets":"one"},"choice_seed":1877310522202837},"#,
                r#"{"id":1,"at_ms":2841,"length_ms":2167,"fault":{"kind":"kill","targets":"one"},"choice_seed":4805339509743351},"#,
                r#"{"id":2,"at_ms":7379,"length_ms":2621,"fault":{"kind":"pause","targets":"leader"},"choice_seed":4912501634172268}]}"#
            )
        );
    }

    #[test]
    fn faults_that_go_together_begin_and_end_within_their_entry() {
        let spec: FaultsSpec = toml::from_str(
            "[[mix]]\nlength = \"4s\"\ntogether = [{ kind = \"kill\" }, { kind = \"pause\", after = \"500ms\", length = \"1s\", \
             optional = true }]\n[[at]]\nat = \"1s\"\nlength = \"2s\"\ntogether = [{ kind = \"kill\" }, { kind = \"pause\", after = \
             \"1900ms\" }]",
        )
        .unwrap();
        assert_eq!(
            toml::from_str::<FaultsSpec>(&toml::to_string(&spec).unwrap()).unwrap(),
            spec
        );
        let schedule = plan(&spec, &nodes(), 3, Duration::from_secs(20)).unwrap();
        let of = |fault: &PlannedFault| {
            let kind = fault.fault.kind().name();
            (kind, fault.at_ms, fault.length_ms, fault.optional)
        };
        let faults: Vec<_> = schedule.faults.iter().map(of).collect();
        assert!(
            faults.contains(&("kill", 1000, 2000, false)) && faults.contains(&("pause", 2900, 100, false))
        );
        let pauses: Vec<_> = faults.iter().filter(|fault| fault.3).collect();
        assert!(!pauses.is_empty());
        for (_, at_ms, length_ms, _) in pauses {
            assert_eq!(*length_ms, 1000);
            assert!(faults.contains(&("kill", at_ms - 500, 4000, false)), "{faults:?}");
        }
        let schedule_of = |seed| plan(&spec, &nodes(), seed, Duration::from_secs(20)).unwrap();
        assert_eq!(schedule_of(3), schedule);
    }

    #[test]
    fn weights_weigh() {
        let spec: FaultsSpec = toml::from_str(
            "pause = \"0s\"\nlength = \"100ms\"\n[[mix]]\nkind = \"kill\"\nweight = 3\n[[mix]]\nkind = \"pause\"",
        )
        .unwrap();
        let faults = plan(&spec, &nodes(), 1, Duration::from_secs(400)).unwrap().faults;
        let kills = faults
            .iter()
            .filter(|fault| fault.fault.kind().name() == "kill")
            .count();
        assert_eq!(faults.len(), 4000);
        assert!((2900..3100).contains(&kills), "{kills} of 4000");
    }

    #[test]
    fn number_and_density_of_faults_are_bounded() {
        let refused = |text: &str, window_s| {
            let spec: FaultsSpec = toml::from_str(text).unwrap();
            plan(&spec, &nodes(), 1, Duration::from_secs(window_s))
                .unwrap_err()
                .to_string()
        };
        let mix = "pause = \"0s\"\nlength = \"100ms\"\n[[mix]]\nkind = \"kill\"\n";
        assert!(refused(mix, 2000).contains("more than 10000 faults"));
        let at = "[[at]]\nkind = \"pause\"\nat = \"2500ms\"\nlength = \"1s\"\n";
        assert!(refused(&at.repeat(11), 10).contains("in the second after 2500 ms"));
        assert!(refused(&format!("{mix}{at}"), 10).contains("more than 10 faults begin"));
    }

    #[test]
    fn a_fixed_fault_outside_the_window_is_refused() {
        let spec: FaultsSpec =
            toml::from_str("[[at]]\nat = \"5s\"\nkind = \"kill\"\nlength = \"6s\"").unwrap();
        let error = plan(&spec, &nodes(), 1, Duration::from_secs(10)).unwrap_err();
        assert!(error.to_string().contains("kill at 5000 ms"), "{error}");
    }
}
