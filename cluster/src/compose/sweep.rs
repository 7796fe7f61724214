//! Removes what runs made on the engine: the one way by which a cluster goes down, also after a crash.
//!
//! Everything that a run makes carries these labels (see [`super::mark`]):
//!
//! | label | example | meaning |
//! |---|---|---|
//! | `duress.run` | `a1` | the run |
//! | `duress.controller` | `4711/893344/4026531836/6d1c…` | its [`Controller`](crate::Controller) |
//! | `duress.directory` | `/home/u/results/runs/db/…` | where logs are saved before containers are removed |
//! | `duress.seal` | 64 hexadecimal digits | proof that the three above were written with this machine's [`Key`] |
//! | `duress.node` | `n1` | only containers of nodes |
//!
//! and, by Compose, the name of its project. So a run can be found when nothing else is known of it, and whether its
//! controller still lives can be told from the process table.
//!
//! Labels come with images, too, and a container inherits those of its image. So nothing is removed, and no log written, on
//! the word of a label alone: the seal must fit, and the thing must have a name of the run's project, which a container that
//! was started from a copy of a node (`docker commit`) has not. What fails is left alone and named.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::engine::address::EngineAddress;
use super::engine::{Engine, Kind, Labels, Thing};
use super::mark::{Mark, RUN_LABEL, project_name};
use crate::folder::Folder;
use crate::{ClusterError, Key};

pub(super) const COMPOSE_PROJECT_LABEL: &str = "com.docker.compose.project";
const COMPOSE_SERVICE_LABEL: &str = "com.docker.compose.service";
const STACK_LABEL: &str = "com.docker.stack.namespace";
const SWARM_SERVICE_LABEL: &str = "com.docker.swarm.service.name";
const COMPOSE_REPLICA_LABEL: &str = "com.docker.compose.container-number";

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
    /// Sentences: what else there is to know, e.g. which log could not be saved.
    pub notes: Vec<String>,
    /// Why the run, or what carries its name, was left alone.
    pub spared: Option<String>,
}

/// Removes what dead runs left behind: containers, networks and volumes. Logs are saved where the run kept its files.
pub async fn heal(engine: &EngineAddress, key: &Key, scope: &Scope) -> Result<Vec<Healed>, ClusterError> {
    let engine = Engine::connect(engine).await?;
    let mut marks = BTreeSet::new();
    let mut strange: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in Kind::ALL {
        for thing in engine.list(kind, RUN_LABEL).await? {
            match Mark::of_thing(&thing, key) {
                Ok(mark) => drop(marks.insert(mark)),
                Err(why) => {
                    let said = format!(
                        "{kind} {} {why}; if it is yours, `{}`",
                        thing.name,
                        by_hand(&thing)
                    );
                    // A stranger's text.
                    let run = thing
                        .labels
                        .get(RUN_LABEL)
                        .map(|run| run.escape_debug().to_string());
                    strange.entry(run.unwrap_or_default()).or_default().push(said);
                }
            }
        }
    }
    let asked = |run: &str| !matches!(scope, Scope::Run(asked) if asked != run);
    let mut healed = Vec::new();
    for mark in marks.iter().filter(|mark| asked(mark.run())) {
        let mut one = Healed {
            run: mark.run().to_owned(),
            removed: Vec::new(),
            notes: Vec::new(),
            spared: match scope {
                Scope::Run(_) => None,
                Scope::Dead => mark.controller().why_spared(),
            },
        };
        if one.spared.is_none() {
            (one.removed, one.notes) = sweep(&engine, mark).await?;
        }
        healed.push(one);
    }
    for (run, things) in strange.into_iter().filter(|(run, _)| asked(run)) {
        healed.push(Healed {
            run,
            removed: Vec::new(),
            notes: Vec::new(),
            spared: Some(things.join("; ")),
        });
    }
    Ok(healed)
}

/// What a person types to remove it.
fn by_hand(thing: &Thing) -> String {
    match thing.kind {
        Kind::Service => format!("docker service rm {}", thing.name),
        Kind::Container => format!("docker rm --force {}", thing.name),
        Kind::Network => format!("docker network rm {}", thing.name),
        Kind::Volume => format!("docker volume rm {}", thing.name),
    }
}

/// Removes everything that has this mark, logs saved first, and makes sure that it is gone. Says what was removed, and what
/// else there is to know.
pub(super) async fn sweep(engine: &Engine, mark: &Mark) -> Result<(Vec<String>, Vec<String>), ClusterError> {
    let mut removed = BTreeSet::new();
    let mut notes = Vec::new();
    let mut last_error = None;
    for round in 0..ROUNDS_MAX {
        let mut left = 0;
        for kind in Kind::ALL {
            let things = things_of(engine, kind, mark).await?;
            left += things.len();
            if round == 0 && kind == Kind::Container {
                notes = save_logs(engine, mark, &things).await;
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
            return Ok((removed.into_iter().collect(), notes));
        }
        if last_error.is_some() {
            tokio::time::sleep(ROUND_PAUSE).await;
        }
    }
    Err(last_error.unwrap_or_else(|| ClusterError::Unsupported {
        what: format!("remove what run {} made", mark.run()),
        why: "something goes on making containers for it; look for another controller or Compose".to_owned(),
    }))
}

/// By our labels, and by Compose's: a tool that was killed in the middle leaves nothing without the one or the other.
async fn things_of(engine: &Engine, kind: Kind, mark: &Mark) -> Result<Vec<Thing>, ClusterError> {
    let mut things = engine.list(kind, &format!("{RUN_LABEL}={}", mark.run())).await?;
    things.extend(
        engine
            .list(
                kind,
                &format!("{COMPOSE_PROJECT_LABEL}={}", project_name(mark.run())),
            )
            .await?,
    );
    things.retain(|thing| mark.is_on(thing));
    things.sort_by(|a, b| a.id.cmp(&b.id));
    things.dedup_by(|a, b| a.id == b.id);
    Ok(things)
}

/// Saves what containers wrote to `nodes/<service>/log` of the run's directory, of several replicas to
/// `nodes/<service>-<number>/log`, as well as it can: a log that can't be
/// saved must not keep its container alive. Says which were not.
async fn save_logs(engine: &Engine, mark: &Mark, containers: &[Thing]) -> Vec<String> {
    let mut notes = Vec::new();
    for container in containers {
        let Some(name) = name_among(container, containers) else {
            continue;
        };
        if let Err(error) = save_log(engine, &container.id, mark, &name).await {
            notes.push(format!("the log of {} was not saved: {error}", container.name));
        }
    }
    notes
}

/// Appends what a container wrote to `nodes/<service>/log` of the run's directory. No error if that is gone.
pub(super) async fn save_log(
    engine: &Engine,
    container: &str,
    mark: &Mark,
    service: &str,
) -> Result<(), ClusterError> {
    if !mark.directory().exists() {
        return Ok(());
    }
    let folder = Folder::open(mark.directory())?.below("nodes")?.below(service)?;
    let file = folder.append("log")?;
    engine.save_log(container, file, &folder.path().join("log")).await
}

/// What a container of a project is called among all of them: by its service, with a number where that has several. `None`: it is of
/// no service.
pub(super) fn name_among(container: &Thing, containers: &[Thing]) -> Option<String> {
    let service = service_of(&container.labels)?;
    let of_it = |other: &&Thing| service_of(&other.labels) == Some(service);
    Some(match replica_of(&container.labels) {
        Some(replica) if containers.iter().filter(of_it).count() > 1 => format!("{service}-{replica}"),
        _ => service.to_owned(),
    })
}

/// Which replica of its service a container is, by Compose's label.
pub(super) fn replica_of(labels: &Labels) -> Option<u64> {
    labels.get(COMPOSE_REPLICA_LABEL)?.parse().ok()
}

/// Service of a container, by the label of Compose or of a stack.
pub(super) fn service_of(labels: &Labels) -> Option<&str> {
    let of_compose = labels.get(COMPOSE_SERVICE_LABEL).map(String::as_str);
    of_compose.or_else(|| {
        let stack = labels.get(STACK_LABEL)?;
        let service = labels.get(SWARM_SERVICE_LABEL)?.strip_prefix(stack.as_str())?;
        service.strip_prefix('_')
    })
}
