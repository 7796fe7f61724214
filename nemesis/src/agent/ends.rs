//! How an agent ends, or fails.

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    /// It could not be started.
    #[error("start the agent {program:?}")]
    Start {
        /// What was run.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It is dead, deaf or mute: nothing that the nemesis says can be trusted any more.
    #[error("the agent is gone ({how}); run `duress heal` on the run's directory to remove what it left")]
    Gone {
        /// How it went.
        how: String,
    },
    /// It lives and does not answer: nothing that the nemesis says can be trusted any more.
    #[error(
        "the agent does not answer ({how}); run `duress heal` on the run's directory to remove what it left"
    )]
    Silent {
        /// For how long, and what is known of its process.
        how: String,
    },
    /// The one on a host is dead or can't be heard. It heals all by itself then.
    #[error(
        "the agent on {host} is lost ({how}); it heals what it broke when it hears nothing for 15 s, and `duress heal --on {host}` says whether it did"
    )]
    Lost {
        /// Which host.
        host: String,
        /// What is known of it.
        how: String,
    },
    /// It tried, and says why it failed.
    #[error("{0}")]
    Refused(String),
    /// It answered what this controller does not understand.
    #[error("the agent's answer makes no sense: {0}")]
    Answer(#[from] serde_json::Error),
}

impl AgentError {
    /// The same of the agent on this host. Without a name there is but one.
    pub(crate) fn on(self, host: &str) -> AgentError {
        if host.is_empty() {
            return self;
        }
        match self {
            AgentError::Gone { how } => AgentError::Lost {
                host: host.to_owned(),
                how,
            },
            AgentError::Silent { how } => AgentError::Lost {
                host: host.to_owned(),
                how: format!("it does not answer: {how}"),
            },
            AgentError::Refused(why) => AgentError::Refused(format!("on {host}: {why}")),
            other => other,
        }
    }
}

/// How an agent ended.
#[derive(Clone, Debug)]
pub struct AgentEnd {
    /// In words, e.g. `exit status: 0`.
    pub how: String,
    /// It healed everything before.
    pub healed: bool,
    /// The connection to it broke, and nobody knows how it ended.
    pub broke: bool,
}

impl AgentEnd {
    /// One that was seen.
    pub fn seen(how: impl Into<String>, healed: bool) -> AgentEnd {
        AgentEnd {
            how: how.into(),
            healed,
            broke: false,
        }
    }
}
