//! Removes what runs made on the engine: the one way by which a cluster goes down, also after a crash.
//!
//! Everything that a run makes carries these labels:
//!
//! | label | example | meaning |
//! |---|---|---|
//! | `duress.run` | `a1` | the run |
//! | `duress.controller` | `4711/893344/4026531836` | its controller: process number, start time, PID namespace |
//! | `duress.directory` | `/home/u/results/runs/db/…` | where logs are saved before containers are removed |
//! | `duress.node` | `n1` | only containers of nodes |
//!
//! and, by Compose, the name of its project. So a run can be found when nothing else is known of it, and whether its
//! controller still lives can be told from the process table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::engine::{Engine, Kind, Labels, Thing};
use crate::ClusterError;
use crate::procfs::living;

/// The run that something belongs to.
pub const RUN_LABEL: &str = "duress.run";
/// The controller of the run.
pub const CONTROLLER_LABEL: &str = "duress.controller";
/// Where logs go.
pub const DIRECTORY_LABEL: &str = "duress.directory";
/// The node that a container is.
pub const NODE_LABEL: &str = "duress.node";

const COMPOSE_PROJECT_LABEL: &str = "com.docker.compose.project";
const COMPOSE_SERVICE_LABEL: &str = "com.docker.compose.service";

/// Removal is tried again this often: a network is in use until its last container is gone.
const ROUNDS_MAX: usize = 10;
const ROUND_PAUSE: Duration = Duration::from_millis(300);

/// Which runs [`heal`] cleans up after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every run whose controller is dead.
    Dead,
    /// This run, whether its controller lives or not.
    Run(String),
}

/// What [`heal`] did about one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healed {
    /// The run.
    pub run: String,
    /// What was removed, e.g. `container duress-a1_n1_1`. Empty where the run was left alone.
    pub removed: Vec<String>,
    /// Why the run was left alone.
    pub spared: Option<String>,
}

/// Removes what dead runs left behind: containers, networks and volumes. Logs are saved where the run kept its files.
pub async fn heal(socket: &Path, scope: &Scope) -> Result<Vec<Healed>, ClusterError> {
    let engine = Engine::connect(socket).await?;
    let mut runs: BTreeMap<String, Controller> = BTreeMap::new();
    for kind in [Kind::Container, Kind::Network, Kind::Volume] {
        for thing in engine.list(kind, RUN_LABEL).await? {
            let run = thing.labels.get(RUN_LABEL).cloned().unwrap_or_default();
            runs.insert(run, controller(&thing.labels));
        }
    }
    let mut healed = Vec::new();
    for (run, controller) in runs {
        let spared = match scope {
            Scope::Run(asked) if *asked != run => continue,
            Scope::Run(_) => None,
            Scope::Dead => controller.why_spared(),
        };
        let removed = if spared.is_none() {
            sweep(&engine, &run).await?
        } else {
            Vec::new()
        };
        healed.push(Healed { run, removed, spared });
    }
    Ok(healed)
}

/// Removes everything of one run, logs saved first, and makes sure that it is gone.
pub(super) async fn sweep(engine: &Engine, run: &str) -> Result<Vec<String>, ClusterError> {
    let mut removed = BTreeSet::new();
    let mut last_error = None;
    for round in 0..ROUNDS_MAX {
        let mut left = 0;
        for kind in [Kind::Container, Kind::Network, Kind::Volume] {
            let things = things_of(engine, kind, run).await?;
            left += things.len();
            if round == 0 && kind == Kind::Container {
                save_logs(engine, &things).await;
            }
            let removals = things
                .iter()
                .map(|thing| async move { (thing, engine.remove(thing).await) });
            for (thing, result) in futures_util::future::join_all(removals).await {
                match result {
                    Ok(()) => drop(removed.insert(format!("{kind} {}", thing.name))),
                    Err(error) => last_error = Some(error),
                }
            }
        }
        if left == 0 {
            return Ok(removed.into_iter().collect());
        }
        if last_error.is_some() {
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }
    Err(last_error.unwrap_or_else(|| ClusterError::Unsupported {
        what: format!("remove what run {run} made"),
        why: "something goes on making containers for it; look for another controller or Compose".to_owned(),
    }))
}

/// By our label, and by Compose's: a tool that was killed in the middle leaves nothing without the one or the other.
async fn things_of(engine: &Engine, kind: Kind, run: &str) -> Result<Vec<Thing>, ClusterError> {
    let mut things = engine.list(kind, &format!("{RUN_LABEL}={run}")).await?;
    things.extend(
        engine
            .list(kind, &format!("{COMPOSE_PROJECT_LABEL}={}", project_name(run)))
            .await?,
    );
    things.sort_by(|a, b| a.id.cmp(&b.id));
    things.dedup_by(|a, b| a.id == b.id);
    Ok(things)
}

/// What this controller labels everything with that it makes for a run.
pub(super) fn labels(run: &str, directory: &Path) -> [(String, String); 3] {
    [
        (RUN_LABEL, run.to_owned()),
        (CONTROLLER_LABEL, this_controller()),
        (DIRECTORY_LABEL, directory.to_string_lossy().into_owned()),
    ]
    .map(|(label, value)| (label.to_owned(), value))
}

/// The project's name on the engine.
pub(super) fn project_name(run: &str) -> String {
    format!("duress-{run}")
}

/// Saves what containers wrote to `nodes/<service>/log` of the run's directory, as well as it can: a log that can't be
/// saved must not keep its container alive.
async fn save_logs(engine: &Engine, containers: &[Thing]) {
    for container in containers {
        if let Some(file) = log_file(&container.labels)
            && let Some(folder) = file.parent()
            && tokio::fs::create_dir_all(folder).await.is_ok()
        {
            let _ = engine.save_log(&container.id, &file).await;
        }
    }
}

/// Where a container's log is saved, if the run's directory is still there.
pub(super) fn log_file(labels: &Labels) -> Option<PathBuf> {
    let directory = PathBuf::from(labels.get(DIRECTORY_LABEL)?);
    let service = labels.get(COMPOSE_SERVICE_LABEL)?;
    directory
        .is_dir()
        .then(|| directory.join("nodes").join(service).join("log"))
}

/// Service of a container, by Compose's label.
pub(super) fn service_of(labels: &Labels) -> Option<&str> {
    labels.get(COMPOSE_SERVICE_LABEL).map(String::as_str)
}

/// A controller, as its label tells.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Controller {
    Known {
        pid: u32,
        started: u64,
        namespace: String,
    },
    Unknown,
}

impl Controller {
    /// Why what it made should be left alone, if it should.
    fn why_spared(&self) -> Option<String> {
        let Controller::Known {
            pid,
            started,
            namespace,
        } = self
        else {
            return None;
        };
        if *namespace != pid_namespace() {
            return Some(
                "its controller runs in another PID namespace, where it can't be looked for".to_owned(),
            );
        }
        let same = living(*pid).filter(|stat| stat.started == *started);
        same.map(|_| format!("its controller is alive, process {pid}"))
    }
}

fn controller(labels: &Labels) -> Controller {
    let parse = || {
        let mut parts = labels.get(CONTROLLER_LABEL)?.split('/');
        let pid = parts.next()?.parse().ok()?;
        let started = parts.next()?.parse().ok()?;
        Some(Controller::Known {
            pid,
            started,
            namespace: parts.next()?.to_owned(),
        })
    };
    parse().unwrap_or(Controller::Unknown)
}

/// The label of this process.
fn this_controller() -> String {
    let pid = std::process::id();
    format!(
        "{pid}/{}/{}",
        living(pid).map_or(0, |stat| stat.started),
        pid_namespace()
    )
}

/// The inode of our PID namespace.
fn pid_namespace() -> String {
    let link = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    link.to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(value: &str) -> Labels {
        Labels::from([(CONTROLLER_LABEL.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_living_controller_is_spared() {
        let ours = controller(&labelled(&this_controller()));
        assert!(ours.why_spared().expect("we live").contains("is alive"));
    }

    #[test]
    fn a_dead_controller_is_not_spared_even_if_its_number_lives_on() {
        let me = std::process::id();
        let namespace = pid_namespace();
        assert!(!namespace.is_empty());
        assert_eq!(
            controller(&labelled(&format!("{me}/1/{namespace}"))).why_spared(),
            None
        );
        assert_eq!(controller(&labelled("garbage")).why_spared(), None);
    }

    #[test]
    fn a_controller_elsewhere_is_spared() {
        assert!(controller(&labelled("1/1/12345")).why_spared().is_some());
    }

    #[test]
    fn logs_go_to_the_runs_directory_if_it_is_there() {
        let labels = |directory: &str| {
            Labels::from([
                (DIRECTORY_LABEL.to_owned(), directory.to_owned()),
                (COMPOSE_SERVICE_LABEL.to_owned(), "n1".to_owned()),
            ])
        };
        assert_eq!(log_file(&labels("/proc")), Some("/proc/nodes/n1/log".into()));
        assert_eq!(log_file(&labels("/no/such/directory")), None);
    }
}
