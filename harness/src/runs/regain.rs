//! Has the agents on hosts again whose connections broke, and notes it.

use std::sync::Arc;

use async_trait::async_trait;
use duress_checker::history::{ConnectionNote, Note};
use duress_cluster::ssh::OnHosts;
use duress_nemesis::agent::protocol::{Hello, Mark};
use duress_nemesis::{AgentClient, Regain};

use super::hosts::greet;
use crate::progress::Progress;
use crate::recorder::Recorder;

/// Who is told of connections.
pub struct Told {
    /// What happened.
    pub recorder: Arc<Recorder>,
    /// What a person sees.
    pub progress: Arc<Progress>,
}

impl Told {
    fn note(&self, said: &str, note: ConnectionNote) {
        self.progress.say(said);
        self.recorder.note(&Note::Connection(note));
    }
}

/// The hosts of a run.
pub struct HostsAgain {
    hosts: Arc<dyn OnHosts>,
    mark: Mark,
    told: Told,
}

impl HostsAgain {
    /// For the run that has this mark.
    pub fn new(hosts: Arc<dyn OnHosts>, mark: Mark, told: Told) -> HostsAgain {
        HostsAgain { hosts, mark, told }
    }
}

#[async_trait]
impl Regain for HostsAgain {
    fn broke(&self, host: &str, why: &str) {
        let note = ConnectionNote {
            host: host.to_owned(),
            stands: false,
            detail: why.to_owned(),
        };
        self.told.note(&format!("{host}: {why}"), note);
    }

    async fn regain(&self, machine: u32, before: &Hello, is_silent: bool) -> Result<AgentClient, String> {
        if is_silent {
            // Nothing says that it broke: packets are lost on the way, or the agent is stopped.
            self.hosts.machines().give_up(machine).await;
        }
        let up = self.hosts.until_up(machine).await;
        up.map_err(|error| error.to_string())?;
        let started = self.hosts.machines().start_agent_again(machine, before.pid);
        let channel = started.await.map_err(|error| error.to_string())?;
        let agent = greet(channel, &self.mark)
            .await
            .map_err(|error| error.to_string())?;
        match agent.hello().boot == before.boot {
            true => Ok(agent),
            false => Err("the machine was restarted".to_owned()),
        }
    }

    fn regained(&self, host: &str) {
        let note = ConnectionNote {
            host: host.to_owned(),
            stands: true,
            detail: String::new(),
        };
        let said = format!("the connection to {host} was made again; nothing is in force there");
        self.told.note(&said, note);
    }
}
