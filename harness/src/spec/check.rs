//! What is refused because its values make no sense, though its form is right: numbers out of all proportion, names that
//! can't be names, things named twice, and what doesn't go together.
//!
//! Everything here is known from the spec alone. What takes a look at the machine, as a compose file does, comes when a run
//! begins, and still before anything is written.

mod clusters;

use std::collections::BTreeSet;
use std::fmt::Display;

use duress_nemesis::Spot;
use duress_workloads::Bound;
use duress_workloads::clients::ClientKind;

use super::{ClusterSpec, Complaint, KeyPath, LoadSpec, Spec};
use crate::client;
use crate::duration::SpecDuration;

/// A number of which not even a bad value can come from a spec has no line here.
mod bounds {
    use super::{Bound, SpecDuration};

    const HOUR: u64 = 60 * 60;
    const DAY: u64 = 24 * HOUR;

    const fn time(key: &'static str, least_ms: u64, most_s: u64, why: &'static str) -> Bound<SpecDuration> {
        let (least, most) = (
            SpecDuration::milliseconds(least_ms),
            SpecDuration::seconds(most_s),
        );
        Bound {
            key,
            least,
            most,
            why,
        }
    }

    const fn count(key: &'static str, least: u64, most: u64, why: &'static str) -> Bound<u64> {
        Bound {
            key,
            least,
            most,
            why,
        }
    }

    const fn real(key: &'static str, least: f64, most: f64, why: &'static str) -> Bound<f64> {
        Bound {
            key,
            least,
            most,
            why,
        }
    }

    pub const LOCAL_NODES: Bound<u64> = count(
        "cluster.local.nodes",
        1,
        200,
        "the addresses of a local cluster end there",
    );
    pub const LOCAL_READY: Bound<SpecDuration> = time(
        "cluster.local.ready",
        1,
        HOUR,
        "an hour; programs start in seconds",
    );
    pub const SSH_READY: Bound<SpecDuration> =
        time("cluster.ssh.ready", 1, HOUR, "an hour; programs start in seconds");
    pub const COMPOSE_READY: Bound<SpecDuration> = time(
        "cluster.compose.ready",
        1,
        HOUR,
        "an hour; virtual machines start in minutes",
    );
    const LATENCY_WHY: &str = "by as long a silence a partition is proven";
    pub const LOCAL_LATENCY: Bound<SpecDuration> = time("cluster.local.latency", 1, 100, LATENCY_WHY);
    pub const COMPOSE_LATENCY: Bound<SpecDuration> = time("cluster.compose.latency", 1, 100, LATENCY_WHY);
    const PROCESSES_WHY: &str =
        "each has a connection to every node, and a machine has 28,000 ports for them";
    pub const CLOSED_PROCESSES: Bound<u64> = count("load.closed.processes", 1, 10_000, PROCESSES_WHY);
    pub const OPEN_PROCESSES: Bound<u64> = count("load.open.processes", 1, 10_000, PROCESSES_WHY);
    pub const RATE: Bound<f64> = real(
        "load.open.rate",
        0.001,
        1e6,
        "one in a quarter of an hour, to more than one machine can ask",
    );
    pub const TIMEOUT: Bound<SpecDuration> = time(
        "client.timeout",
        1,
        HOUR,
        "a run waits for operations that have begun",
    );
    pub const ATTEMPTS: Bound<u64> = count("client.attempts", 1, 1000, "each is kept in the history");
    pub const BACKOFF: Bound<SpecDuration> = time(
        "client.backoff",
        0,
        HOUR,
        "a run waits for operations that have begun",
    );
    pub const BACKOFF_MAX: Bound<SpecDuration> = time(
        "client.backoff-max",
        0,
        HOUR,
        "a run waits for operations that have begun",
    );
    pub const RETRY_BUDGET: Bound<f64> = real(
        "client.retry-budget",
        0.0,
        1000.0,
        "no operation has more attempts",
    );
    pub const HEDGE: Bound<SpecDuration> = time(
        "client.hedge",
        1,
        HOUR,
        "a run waits for operations that have begun",
    );
    pub const WARM_UP: Bound<SpecDuration> = time("time.warm-up", 0, DAY, "a day");
    pub const FAULTS: Bound<SpecDuration> = time(
        "time.faults",
        1,
        30 * DAY,
        "a month; what happened is judged as a whole",
    );
    pub const RECOVERY: Bound<SpecDuration> = time(
        "time.recovery",
        1000,
        DAY,
        "less is over before every node has been asked anew",
    );
    const EVIDENCE_WHY: &str = "more than any run can record";
    pub const EVIDENCE_OK: Bound<u64> = count("evidence.ok", 0, 1_000_000_000_000, EVIDENCE_WHY);
    pub const EVIDENCE_EACH: Bound<u64> = count("evidence.ok-of-each", 0, 1_000_000_000_000, EVIDENCE_WHY);
    pub const CHECK_TIME: Bound<SpecDuration> = time("check.time", 1, 7 * DAY, "a week");
    pub const MEMORY: Bound<u64> = count("check.memory-mib", 1, 1 << 20, "a tebibyte");
}

/// Most characters of a name that becomes a folder, beside a time and a seed.
const NAME_MAX: usize = 100;
/// Most characters of text that is only shown.
const TEXT_MAX: usize = 10_000;
/// Most services that are nodes: as many as a local cluster has.
const SERVICES_MAX: usize = 200;
/// Most entries of a list of arguments, variables or defects.
const LIST_MAX: usize = 100;
/// Most characters of one of them; a tag of an image has no more than 128 either.
const WORD_MAX: usize = 4096;

impl Spec {
    /// Which value makes no sense by itself, and what would.
    pub(super) fn check_values(&self) -> Result<(), Complaint> {
        self.check_names()?;
        match &self.cluster {
            ClusterSpec::Local(local) => clusters::local(local)?,
            ClusterSpec::Compose(compose) => clusters::compose(compose)?,
            ClusterSpec::Ssh(ssh) => clusters::ssh(ssh)?,
        }
        self.check_workload()?;
        self.check_numbers()
    }

    /// Whether what is claimed and broken goes with what is asked. Without the client of the system, what that can show is
    /// taken for granted.
    pub(super) fn check_claims(&self, client: Option<&ClientKind>) -> Result<(), Complaint> {
        if let Some(complaint) = client::problem(self, client) {
            return Err(complaint);
        }
        self.faults
            .validate(&self.cluster.node_names())
            .map_err(|error| about_faults(&error))
    }

    fn check_names(&self) -> Result<(), Complaint> {
        let name_ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let fits = (1..=NAME_MAX).contains(&self.name.len()) && !self.name.starts_with('.');
        if !fits || !self.name.chars().all(name_ok) {
            let what =
                format!("use up to {NAME_MAX} letters, digits, \"-\", \"_\" and \".\", and no \".\" first");
            return Err(Complaint::at(["name"], what));
        }
        length(KeyPath::of(["description"]), &self.description, TEXT_MAX)?;
        if self.properties.is_empty() {
            return Err(Complaint::at(
                ["properties"],
                "name at least one, e.g. [\"linearizable\"]",
            ));
        }
        let names: Vec<String> = self
            .properties
            .iter()
            .map(|claim| claim.about().name.to_owned())
            .collect();
        distinct(&KeyPath::of(["properties"]), &names)
    }

    fn check_workload(&self) -> Result<(), Complaint> {
        let made = self.workload.generator().map(drop);
        made.map_err(|error| Complaint::at(["workload", self.workload.name(), error.key], error.what))
    }

    fn check_numbers(&self) -> Result<(), Complaint> {
        match &self.load {
            LoadSpec::Closed(closed) => within(bounds::CLOSED_PROCESSES, closed.processes as u64)?,
            LoadSpec::Open(open) => {
                within(bounds::RATE, open.rate)?;
                within(bounds::OPEN_PROCESSES, open.processes as u64)?;
            }
        }
        let client = &self.client;
        within(bounds::TIMEOUT, client.timeout)?;
        within(bounds::ATTEMPTS, u64::from(client.attempts))?;
        within(bounds::BACKOFF, client.backoff)?;
        within(bounds::BACKOFF_MAX, client.backoff_max)?;
        within(bounds::RETRY_BUDGET, client.retry_budget)?;
        client
            .hedge
            .map_or(Ok(()), |hedge| within(bounds::HEDGE, hedge))?;
        within(bounds::WARM_UP, self.time.warm_up)?;
        within(bounds::FAULTS, self.time.faults)?;
        within(bounds::RECOVERY, self.time.recovery)?;
        within(bounds::EVIDENCE_OK, self.evidence.ok)?;
        within(bounds::EVIDENCE_EACH, self.evidence.ok_of_each)?;
        within(bounds::CHECK_TIME, self.check.time)?;
        within(bounds::MEMORY, self.check.memory_mib as u64)
    }
}

/// What is wrong with a length of the part under faults, if anything is.
pub fn faults_time(time: SpecDuration) -> Result<(), String> {
    bounds::FAULTS.check(time).map_err(|error| error.what)
}

/// What is wrong with the time for checkers, if anything is.
pub fn check_time(time: SpecDuration) -> Result<(), String> {
    bounds::CHECK_TIME.check(time).map_err(|error| error.what)
}

/// What is wrong with the memory for checkers, in MiB, if anything is.
pub fn check_memory(mib: u64) -> Result<(), String> {
    bounds::MEMORY.check(mib).map_err(|error| error.what)
}

/// What is wrong with the name of a variable, if anything is.
pub fn check_variable(name: &str) -> Result<(), String> {
    let name_ok = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(name_ok) {
        true => Err(format!(
            "{name:?} is not a valid variable name: letters, digits and \"_\", no digit first"
        )),
        false => Ok(()),
    }
}

/// What is wrong with the faults, at its place.
pub fn about_faults(error: &duress_nemesis::SpecError) -> Complaint {
    let key = match error.spot {
        Spot::Here | Spot::Whole => KeyPath::of(["faults"]),
        Spot::Key(key) => KeyPath::of(["faults", key]),
        Spot::Entry { list, index, key } => KeyPath::of(["faults", list]).entry(index).key(key),
    };
    key.complain(error.what.clone())
}

fn within<T: PartialOrd + Display>(bound: Bound<T>, value: T) -> Result<(), Complaint> {
    let refused = |error: duress_workloads::SpecError| Complaint::at(error.key.split('.'), error.what);
    bound.check(value).map_err(refused)
}

/// Nothing may be in a list twice.
fn distinct(key: &KeyPath, list: &[String]) -> Result<(), Complaint> {
    let mut seen = BTreeSet::new();
    match list.iter().position(|entry| !seen.insert(entry)) {
        Some(index) => Err(key.clone().entry(index).complain("it is named twice")),
        None => Ok(()),
    }
}

/// Words that go to a command line.
fn words(key: &KeyPath, list: &[String]) -> Result<(), Complaint> {
    if list.len() > LIST_MAX {
        let what = format!("{} of them; use at most {LIST_MAX}", list.len());
        return Err(key.clone().complain(what));
    }
    let mut entries = list.iter().enumerate();
    entries.try_for_each(|(index, entry)| word(key.clone().entry(index), entry))
}

/// The kernel ends arguments and variables at a NUL.
fn word(key: KeyPath, text: &str) -> Result<(), Complaint> {
    if text.contains('\0') {
        return Err(key.complain("it contains a NUL character, which no argument or variable can"));
    }
    length(key, text, WORD_MAX)
}

fn length(key: KeyPath, text: &str, most: usize) -> Result<(), Complaint> {
    match text.chars().count() {
        count if count > most => Err(key.complain(format!("{count} characters; use at most {most}"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::bounds::*;

    /// What the numbers of a spec may be, as rows of a Markdown table.
    fn rows() -> Vec<String> {
        vec![
            LOCAL_NODES.row(),
            LOCAL_READY.row(),
            SSH_READY.row(),
            COMPOSE_READY.row(),
            CLOSED_PROCESSES.row(),
            RATE.row(),
            OPEN_PROCESSES.row(),
            TIMEOUT.row(),
            ATTEMPTS.row(),
            BACKOFF.row(),
            BACKOFF_MAX.row(),
            RETRY_BUDGET.row(),
            HEDGE.row(),
            WARM_UP.row(),
            FAULTS.row(),
            RECOVERY.row(),
            EVIDENCE_OK.row(),
            EVIDENCE_EACH.row(),
            CHECK_TIME.row(),
            MEMORY.row(),
        ]
    }

    #[test]
    fn the_page_on_specs_says_what_numbers_may_be() {
        let page = include_str!("../../../docs/specs.md");
        let workloads = duress_workloads::bounds();
        for row in rows().iter().chain(workloads.iter().flat_map(|(_, rows)| rows)) {
            assert!(page.contains(row), "docs/specs.md lacks the row\n{row}");
        }
        for (name, _) in workloads {
            assert!(page.contains(&format!("workload `{name}`")), "{name}");
        }
    }
}
