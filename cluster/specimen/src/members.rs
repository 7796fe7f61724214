//! Changing the members of the cluster, by joint consensus.
//!
//! ```json
//! {"voters":["n1","n2","n6"],"learners":["n3"],"addresses":{"n6":"10.77.0.16:8080"}}
//! ```
//!
//! The request names the whole configuration. New nodes are added as learners first, so that the log reaches them
//! before their vote counts; then the voters change through a joint configuration; then what is left over goes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::error::{ClientWriteError, RaftError};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::refusal::{Executed, Refusal};
use crate::service::Service;
use crate::types::{Member, NodeId};

/// A new node may have to be sent a snapshot first.
const CHANGE_LIMIT: Duration = Duration::from_secs(10);
/// A node that does not say who it is within this time cannot be added.
const IDENTIFY_LIMIT: Duration = Duration::from_secs(1);

/// The configuration that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    voters: BTreeSet<String>,
    #[serde(default)]
    learners: BTreeSet<String>,
    #[serde(default)]
    addresses: BTreeMap<String, String>,
}

/// Makes the configuration what `wanted` says; answers when it is committed.
pub async fn change(node: &Service, wanted: Wanted) -> Result<Value, Refusal> {
    node.must_lead()?;
    if wanted.voters.is_empty() {
        return Err(Refusal::BadRequest("a cluster needs at least one voter".into()));
    }
    if let Some(both) = wanted.voters.intersection(&wanted.learners).next() {
        return Err(Refusal::BadRequest(format!(
            "{both} cannot be voter and learner at once"
        )));
    }
    let known: BTreeMap<String, NodeId> = {
        let metrics = node.metrics();
        let metrics = metrics.borrow();
        metrics
            .membership_config
            .nodes()
            .map(|(id, member)| (member.name.clone(), *id))
            .collect()
    };
    let mut ids = known.clone();
    let mut new = BTreeMap::new();
    for name in wanted
        .voters
        .union(&wanted.learners)
        .filter(|name| !known.contains_key(*name))
    {
        let address = wanted
            .addresses
            .get(name)
            .or_else(|| node.peers.get(name))
            .ok_or_else(|| {
                Refusal::BadRequest(format!(
                    "the address of {name} is not known; give it in \"addresses\""
                ))
            })?;
        let id = identify(node, name, address).await?;
        if let Some((other, _)) = ids.iter().find(|(_, taken)| **taken == id) {
            return Err(Refusal::BadRequest(format!(
                "{name} and {other} both have the id {id}"
            )));
        }
        ids.insert(name.clone(), id);
        new.insert(
            id,
            Member {
                name: name.clone(),
                address: address.clone(),
            },
        );
    }
    let of = |names: &BTreeSet<String>| -> BTreeSet<NodeId> { names.iter().map(|name| ids[name]).collect() };
    let steps = steps(node, new, of(&wanted.voters), of(&wanted.learners));
    match timeout(CHANGE_LIMIT, steps).await {
        Ok(Ok(())) => Ok(json!({ "voters": wanted.voters, "learners": wanted.learners })),
        Ok(Err(refusal)) => Err(refusal),
        Err(_) => Err(Refusal::NoQuorum(Executed::Unknown)),
    }
}

async fn steps(
    node: &Service,
    new: BTreeMap<NodeId, Member>,
    voters: BTreeSet<NodeId>,
    learners: BTreeSet<NodeId>,
) -> Result<(), Refusal> {
    for (id, member) in new {
        node.raft.add_learner(id, member, true).await.map_err(refusal)?;
    }
    // Read again: adding learners changed it.
    let before = node.metrics().borrow().membership_config.membership().clone();
    let leaving: BTreeSet<NodeId> = before.voter_ids().filter(|id| !voters.contains(id)).collect();
    let extra: BTreeSet<NodeId> = before
        .learner_ids()
        .filter(|id| !voters.contains(id) && !learners.contains(id))
        .collect();
    if !extra.is_empty() {
        node.raft
            .change_membership(ChangeMembers::RemoveNodes(extra), false)
            .await
            .map_err(refusal)?;
    }
    // One step if it can be one: a leader that leaves cannot take another afterwards.
    let keep_some = leaving.iter().any(|id| learners.contains(id));
    if before.get_joint_config() != &vec![voters.clone()] {
        node.raft
            .change_membership(voters, keep_some)
            .await
            .map_err(refusal)?;
    }
    let gone: BTreeSet<NodeId> = leaving.into_iter().filter(|id| !learners.contains(id)).collect();
    if keep_some && !gone.is_empty() {
        node.raft
            .change_membership(ChangeMembers::RemoveNodes(gone), false)
            .await
            .map_err(refusal)?;
    }
    Ok(())
}

/// Asks the node at `address` for its number, which only it knows.
async fn identify(node: &Service, name: &str, address: &str) -> Result<NodeId, Refusal> {
    let unknown =
        |detail: String| Refusal::BadRequest(format!("ask {name} at {address} who it is: {detail}"));
    let ask = node
        .network
        .http()
        .get(format!("http://{address}/status"))
        .timeout(IDENTIFY_LIMIT)
        .send();
    let answer = ask.await.map_err(|error| unknown(error.to_string()))?;
    let status: Value = answer.json().await.map_err(|error| unknown(error.to_string()))?;
    match (status["name"].as_str(), status["id"].as_u64()) {
        (Some(its_name), Some(id)) if its_name == name => Ok(id),
        _ => Err(unknown(format!("it says it is {}", status["name"]))),
    }
}

fn refusal(error: RaftError<NodeId, ClientWriteError<NodeId, Member>>) -> Refusal {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Refusal::NoQuorum(Executed::Unknown),
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            Refusal::BadRequest(error.to_string())
        }
        RaftError::Fatal(fatal) => Refusal::Internal(fatal.to_string()),
    }
}
