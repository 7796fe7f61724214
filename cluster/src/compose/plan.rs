//! What is decided before anything is brought up: the file as the tool understands it, all that the override says, images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::additions::{Additions, DataFolder};
use super::addresses::Addresses;
use super::config::{ComposeConfig, Reach};
use super::engine::Engine;
use super::mark::{Mark, project_name};
use super::resolved::Resolved;
use super::tool::{Project, Tool, UP_TIME_MAX};
use super::{override_file, published, spread, subnet};
use crate::ClusterError;

/// `config` reads some files.
pub(super) const CONFIG_TIME_MAX: Duration = Duration::from_secs(60);

/// The override file that a deployment would use now.
pub async fn preview(config: &ComposeConfig) -> Result<String, ClusterError> {
    config.check()?;
    let engine = Engine::connect(&config.engine).await?;
    let tool = Tool::find().await?;
    let resolved = resolve(&engine, &tool, config).await?;
    let additions = plan(&engine, config, &resolved, 0).await?;
    Ok(override_file::text(&additions, &resolved, tool.generation))
}

/// Reads the file as the tool understands it, and makes sure that its nodes can be nodes.
pub async fn resolve(engine: &Engine, tool: &Tool, config: &ComposeConfig) -> Result<Resolved, ClusterError> {
    if !config.file.is_file() {
        return Err(ClusterError::Unsupported {
            what: format!("use the compose file {}", config.file.display()),
            why: "there is no such file".to_owned(),
        });
    }
    let yaml = tool
        .run(&config.project(engine), &["config"], CONFIG_TIME_MAX)
        .await?;
    let resolved = Resolved::parse(&yaml).map_err(|error| ClusterError::Unsupported {
        what: format!("understand the compose file {}", config.file.display()),
        why: error,
    })?;
    resolved.check_names()?;
    config
        .cluster()
        .iter()
        .try_for_each(|node| resolved.check_node(node))?;
    let shared = resolved.shared_network(config.cluster(), config.network.as_deref())?;
    if config.is_spread() {
        spread::check(&resolved, config.cluster(), shared)?;
    }
    if config.reach == Reach::Ports {
        published::check(&resolved, &config.nodes, &config.ports, &config.engine)?;
    }
    let mut nodes = config.nodes.iter();
    let replica = nodes.find(|node| {
        resolved
            .member(node)
            .is_some_and(|member| member.replica.is_some())
    });
    match replica.filter(|_| config.own_data) {
        Some(node) => Err(ClusterError::Unsupported {
            what: format!("take over the data directory of {node}"),
            why: "replicas of one service have one entry in the file, so they can't have folders of their own; give each \
                  member a service of its own, or leave out own-data"
                .to_owned(),
        }),
        None => Ok(resolved),
    }
}

/// Decides all that the override file says.
pub async fn plan(
    engine: &Engine,
    config: &ComposeConfig,
    resolved: &Resolved,
    attempt: u32,
) -> Result<Additions, ClusterError> {
    let mut taken = engine.subnets().await?;
    let routes = tokio::fs::read_to_string("/proc/net/route")
        .await
        .unwrap_or_default();
    taken.extend(subnet::routed(&routes));
    let start = spread(&config.run).wrapping_add(attempt.wrapping_mul(977));
    let directory = absolute(&config.directory)?;
    let mut data = BTreeMap::new();
    if let Some(inside) = config.data.as_ref().filter(|_| config.own_data) {
        data.extend(config.nodes.iter().map(|node| {
            let folder = DataFolder {
                inside: inside.clone(),
                outside: directory.join("data").join(node),
            };
            (node.clone(), folder)
        }));
    }
    let addresses = Addresses::choose(resolved, config.cluster(), &taken, start, config.is_spread())?;
    let shared = resolved.shared_network(config.cluster(), config.network.as_deref())?;
    let seen_from = |service: &String| {
        let seen = addresses.seen_from(resolved, service, config.cluster(), shared);
        (service.clone(), seen)
    };
    let mut known: BTreeMap<_, _> = config.programs_in.iter().map(seen_from).collect();
    if config.is_spread() {
        known.extend(config.nodes.iter().map(seen_from).map(|(service, mut seen)| {
            seen.retain(|node, _| !config.nodes.contains(node));
            (service, seen)
        }));
    }
    Ok(Additions {
        project: project_name(&config.run),
        nodes: config.nodes.clone(),
        labels: Mark::new(&config.key, &config.run, &directory).labels(),
        addresses,
        data,
        known,
        images: BTreeMap::new(),
    })
}

/// Sees to it that every image is there that the file does not say how to build.
pub async fn ensure_images(
    engine: &Engine,
    tool: &Tool,
    project: &Project,
    resolved: &Resolved,
) -> Result<(), ClusterError> {
    for (service, image) in resolved.images() {
        if engine.has_image(image).await? {
            continue;
        }
        if let Err(error) = tool
            .run(project, &["pull", "--quiet", service], UP_TIME_MAX)
            .await
        {
            let said = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            return Err(no_image(
                image,
                service,
                &format!("it is not here and can't be pulled ({said})"),
            ));
        }
    }
    Ok(())
}

pub fn no_image(image: &str, service: &str, why: &str) -> ClusterError {
    ClusterError::Unsupported {
        what: format!("use image {image} for {service}"),
        why: format!("{why}; build it first: `make images` builds those that ship with Duress"),
    }
}

/// A number from a name, so that runs begin their search for subnets in different places (FNV-1a).
fn spread(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

pub fn absolute(path: &Path) -> Result<PathBuf, ClusterError> {
    std::path::absolute(path).map_err(|source| ClusterError::Io {
        what: format!("resolve {}", path.display()),
        source,
    })
}
