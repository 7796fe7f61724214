//! A trial: a system is brought up, each operation that its client has is asked by hand, and it is taken down. Nothing is
//! broken and nothing is judged: what was asked and answered is shown to whoever writes the client.

mod script;

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use duress_cluster::{Cluster, Key, System};
use duress_http::{Exchange, overhear};
use duress_results::rundir::RunDir;
use duress_workloads::clients::{ClientKind, Options, ReadMode, exec};
use duress_workloads::{Answer, Asker, Endpoints, Op, Service, Token};
use serde_json::{Value, json};

pub use self::script::Expected;
use self::script::script;
use super::deploy::{self, Deployed, Environment};
use super::failure::Failure;
use crate::address_book::{AddressBook, first_v4};
use crate::interrupt::{Interrupt, Interrupted};
use crate::spec::ClusterSpec;
use crate::{key, programs, status};

/// What is tried.
#[derive(Debug)]
pub struct Trial {
    /// Where and on how many nodes.
    pub cluster: ClusterSpec,
    /// What is deployed.
    pub system: System,
    /// How it is asked.
    pub client: ClientKind,
    /// How it reads.
    pub read: ReadMode,
}

/// What happens in a trial.
#[derive(Debug)]
pub enum News<'a> {
    /// It goes on to this.
    Phase(Phase),
    /// An operation is asked.
    Asks {
        /// Which.
        op: &'a Op,
    },
    /// An attempt at it has ended.
    Attempt {
        /// The node that was asked.
        node: &'a str,
        /// What was sent and received by HTTP.
        exchanges: &'a [Exchange],
        /// What a program was asked, and answered.
        lines: &'a [exec::Exchange],
        /// What that was taken for.
        answer: &'a Answer,
    },
    /// A node was asked what it says of itself, or what it holds.
    Looked {
        /// `status` or `contents`.
        at: &'static str,
        /// The node that was asked.
        node: &'a str,
        /// What was sent and received by HTTP.
        exchanges: &'a [Exchange],
        /// What a program was asked, and answered.
        lines: &'a [exec::Exchange],
        /// What that was taken for, or why it can't be.
        taken: &'a Result<Value, String>,
    },
    /// The operation has ended.
    Ends {
        /// Whether as it must with one client and no faults.
        expected: bool,
        /// What it must end as; nothing is known of what depends on operations that the client lacks.
        expects: &'a Expected,
    },
}

/// A part of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The cluster is brought up.
    Deploy,
    /// Its nodes are waited for.
    Wait,
    /// The cluster is taken down.
    Down,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tried {
    /// Operations that were asked.
    pub asked: usize,
    /// Those of them that ended as they must.
    pub expected: usize,
    /// Somebody wanted it to end.
    pub interrupted: bool,
}

/// Attempts at one operation, as long as it is refused: a cluster may still be electing.
const ATTEMPTS_MAX: usize = 20;
/// The same once an operation was refused to the end: it is not the election.
const ATTEMPTS_AFTER: usize = 2;
/// Before an operation is asked again that was refused.
const PAUSE: Duration = Duration::from_millis(250);
/// What an attempt may take.
const ATTEMPT_TIME: Duration = Duration::from_secs(5);
/// For how long locks are lent in a trial.
const LEASE: Duration = Duration::from_secs(5);
/// The longest body of an answer, in bytes.
const BODY_MAX: usize = 1 << 20;
/// Between two looks at whether all nodes say that they are ready.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Does it. What the nodes leave is kept below `<root>/runs`. An error means that the trial could not be done; whatever is
/// deployed is taken down again. Must be called before this process has any other threads, as [`super::one::run`].
pub fn run(trial: &Trial, root: &Path, show: &mut dyn FnMut(News<'_>)) -> Result<Tried, Box<dyn Error>> {
    let key = key::of_this_user().unwrap_or_else(|_| Key::of_this_process());
    // Where it can't be raised the old limit stands, and nobody needs many here.
    let _ = duress_cluster::raise_open_files();
    let environment = Environment::prepare(&trial.cluster)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let interrupt = Interrupt::listen(Interrupted::Run)?;
    let started = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let dir = RunDir::create(root, &trial.system.name, &started, 0)?;
    for node in trial.cluster.node_names() {
        dir.create_node(&node)?;
    }
    // A run without a history, by which `duress heal` knows it should this process be killed.
    std::fs::File::create_new(dir.history())?;
    interrupt.run_is_in(dir.path());
    let tried = runtime.block_on(trial.on(environment, &dir, &key, &interrupt, show));
    runtime.shutdown_background();
    Ok(tried?)
}

impl Trial {
    async fn on(
        &self,
        environment: Environment,
        dir: &RunDir,
        key: &Key,
        interrupt: &Interrupt,
        show: &mut dyn FnMut(News<'_>),
    ) -> Result<Tried, Failure> {
        show(News::Phase(Phase::Deploy));
        let deploys = deploy::deploy(
            &self.cluster,
            &self.system,
            &self.client,
            environment,
            dir,
            key,
            None,
        );
        let Some(deployed) = interrupt.unless(deploys).await else {
            deploy::swept(&self.cluster, dir, key).await?;
            return Ok(Tried {
                interrupted: true,
                ..Tried::default()
            });
        };
        let (deployed, _) = deployed?;
        let mut tried = Tried::default();
        let asked = interrupt.unless(self.ask_all(&deployed, &mut tried, show)).await;
        tried.interrupted = asked.is_none();
        show(News::Phase(Phase::Down));
        let down = deployed.cluster.down().await.map_err(Failure::from);
        asked.unwrap_or(Ok(())).and(down)?;
        Ok(tried)
    }

    async fn ask_all(
        &self,
        deployed: &Deployed,
        tried: &mut Tried,
        show: &mut dyn FnMut(News<'_>),
    ) -> Result<(), Failure> {
        let cluster = &deployed.cluster;
        show(News::Phase(Phase::Wait));
        self.ready(cluster, show).await?;
        let endpoints = AddressBook::new(cluster.clone(), self.system.port);
        let programs = programs::of(cluster, &self.client).await?;
        let service = (self.client.make)(Options {
            programs,
            from: first_v4(&cluster.client_addresses()),
            read: self.read,
            lease: Some(LEASE),
            long_writes: false,
            body_max: BODY_MAX,
        });
        let service = service
            .map_err(|error| Failure::Other(format!("make the client {}: {error}", self.client.name)))?;
        let mut hand = Hand {
            service: &*service,
            endpoints: &endpoints,
            node: 0,
            seq: 0,
            attempts_max: ATTEMPTS_MAX,
        };
        for (op, expects) in script(&self.client) {
            show(News::Asks { op: &op });
            let answer = hand.ask(&op, show).await;
            if let Answer::Local { error } = answer {
                return Err(Failure::Other(error));
            }
            let expected = expects.is_met(&op, &answer);
            tried.asked += 1;
            tried.expected += usize::from(expected);
            show(News::Ends {
                expected,
                expects: &expects,
            });
        }
        if self.client.reads_members {
            for index in 0..endpoints.count() {
                let endpoint = endpoints.endpoint(index);
                let read = async {
                    let content = tokio::time::timeout(ATTEMPT_TIME, service.content(&endpoint)).await;
                    let content = content.map_err(|_| format!("no answer within {ATTEMPT_TIME:?}"))?;
                    Ok(json!(content.map_err(|error| error.to_string())?))
                };
                if look("contents", &endpoint.node, read, show).await.is_err() {
                    tried.asked += 1;
                }
            }
        }
        Ok(())
    }

    /// Waits until every node says that it is ready, where nodes say so, and shows what they say then.
    async fn ready(&self, cluster: &Arc<dyn Cluster>, show: &mut dyn FnMut(News<'_>)) -> Result<(), Failure> {
        let local = cluster.observer_addresses().and_then(|list| first_v4(&list));
        let Some(probe) = status::probe(cluster, &self.system, &self.client, local).await? else {
            return Ok(());
        };
        let all = async {
            loop {
                let said = probe.probe_all(cluster.nodes()).await;
                if cluster
                    .nodes()
                    .iter()
                    .all(|node| said.get(&node.name).is_some_and(|status| status.ready))
                {
                    return;
                }
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        let limit = self.cluster.ready_limit();
        let waited = tokio::time::timeout(limit, all).await;
        for node in cluster.nodes() {
            let probe = async {
                let said = probe.probe(node).await.map_err(|error| error.to_string())?;
                Ok(json!(said))
            };
            let _ = look("status", &node.name, probe, show).await;
        }
        waited.map_err(|_| Failure::NeverReady {
            limit,
            missing: "not every node says by [status] that it is ready".to_owned(),
        })
    }
}

/// Does the look and shows what was sent and received for it.
async fn look(
    at: &'static str,
    node: &str,
    work: impl Future<Output = Result<Value, String>>,
    show: &mut dyn FnMut(News<'_>),
) -> Result<Value, String> {
    let ((taken, exchanges), lines) = exec::overhear(overhear(work)).await;
    show(News::Looked {
        at,
        node,
        exchanges: &exchanges,
        lines: &lines,
        taken: &taken,
    });
    taken
}

/// Who asks, one operation at a time.
struct Hand<'a> {
    service: &'a dyn Service,
    endpoints: &'a AddressBook,
    /// To be asked next.
    node: usize,
    seq: u64,
    attempts_max: usize,
}

impl Hand<'_> {
    /// Until it is more than refused: by whom the answer names, or else by the next one.
    async fn ask(&mut self, op: &Op, show: &mut dyn FnMut(News<'_>)) -> Answer {
        self.seq += 1;
        let token = Token {
            client: "p0".to_owned(),
            seq: self.seq,
        };
        let asker = Asker {
            process: 0,
            token: Some(&token),
        };
        let mut attempts = 1;
        loop {
            let endpoint = self.endpoints.endpoint(self.node);
            let attempt = self.service.attempt(&endpoint, op, asker);
            let attempt = tokio::time::timeout(ATTEMPT_TIME, attempt);
            let ((answer, exchanges), lines) = exec::overhear(overhear(attempt)).await;
            let answer = answer.unwrap_or_else(|_| Answer::Unknown {
                error: format!("no answer within {ATTEMPT_TIME:?}"),
            });
            show(News::Attempt {
                node: &endpoint.node,
                exchanges: &exchanges,
                lines: &lines,
                answer: &answer,
            });
            let Answer::Refused { leader, .. } = &answer else {
                return answer;
            };
            if attempts >= self.attempts_max {
                self.attempts_max = ATTEMPTS_AFTER;
                return answer;
            }
            attempts += 1;
            let count = self.endpoints.count();
            let named =
                |leader: &String| (0..count).find(|node| self.endpoints.endpoint(*node).is_called(leader));
            self.node = leader.as_ref().and_then(named).unwrap_or((self.node + 1) % count);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
