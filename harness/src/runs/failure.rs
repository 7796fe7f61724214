//! Why a run could not go on.

use std::time::Duration;

use duress_cluster::ClusterError;
use duress_nemesis::NemesisError;

/// Why a run could not go on: nothing that the system under test is to blame for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The cluster could not be brought up or reached.
    #[error("cluster: {0}")]
    Cluster(#[from] ClusterError),
    /// The nemesis died, or could not heal what it broke.
    #[error("nemesis: {0}")]
    Nemesis(#[from] NemesisError),
    /// Before any fault the nodes did not come to answer and, where there are leaders, to agree on one.
    #[error("within {limit:?} and before any fault the cluster was not ready for clients: {missing}")]
    NeverReady {
        /// How long was waited.
        limit: Duration,
        /// What was missing.
        missing: String,
    },
    /// Anything else, in words.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// It and its causes, in one line.
    pub fn in_full(&self) -> String {
        let mut what = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            // Errors that quote their source would say everything twice.
            if !what.contains(&source.to_string()) {
                what.push_str(&format!(": {source}"));
            }
            cause = source.source();
        }
        what
    }
}
