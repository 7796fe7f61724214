//! Clusters of programs in sandboxes on this machine.

use std::path::PathBuf;
use std::sync::Arc;

use duress_cluster::local::{self, Isolation, LocalCluster};
use duress_cluster::{Cluster, System, bring_up};
use duress_results::rundir::RunDir;
use tokio::time::Instant;

use super::failure::Failure;
use crate::spec::LocalSpec;

/// The data directories of sandboxes, which are made if they are not there.
pub fn data_folders(spec: &LocalSpec, dir: &RunDir) -> Result<Vec<(String, PathBuf)>, Failure> {
    let folder = |node: String| {
        let path = dir.nodes().join(&node).join("data");
        let made = std::fs::create_dir_all(&path).and_then(|()| path.canonicalize());
        match made {
            Ok(path) => Ok((node, path)),
            Err(error) => Err(Failure::Other(format!("make {}: {error}", path.display()))),
        }
    };
    spec.node_names().into_iter().map(folder).collect()
}

/// Starts the programs, and waits until they are ready.
pub async fn deploy(
    spec: &LocalSpec,
    system: &System,
    isolation: Isolation,
    dir: &RunDir,
) -> Result<Arc<dyn Cluster>, Failure> {
    let start = Instant::now();
    let names = spec.node_names();
    let nodes = local::plan_nodes(names.iter().map(String::as_str), 0)?;
    let duress =
        std::env::current_exe().map_err(|error| Failure::Other(format!("find duress itself: {error}")))?;
    let programs = system.programs(&nodes, &dir.nodes(), &duress, &spec.node_args())?;
    let cluster = LocalCluster::deploy(isolation, local::LocalSpec::new(programs, dir.nodes())).await?;
    if let Err(error) = bring_up(&cluster, &system.readiness, start + spec.ready.0).await {
        // The first error says why; one from taking down what never stood adds nothing.
        let _ = cluster.down().await;
        return Err(error.into());
    }
    Ok(Arc::new(cluster))
}
