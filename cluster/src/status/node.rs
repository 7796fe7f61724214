//! What a node says of itself, and which node leads, judged from what all of them say.
//!
//! ```json
//! {"role":"leader","term":3,"leader":"n1","commit":120,"applied":120,"ready":true}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Node;

/// What a member of a replicated system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It orders the writes, or believes that it does.
    Leader,
    /// It follows a leader and votes.
    Follower,
    /// It wants to lead.
    Candidate,
    /// It follows without a vote.
    Learner,
}

impl Role {
    /// Every role, in the order of the documentation.
    pub const ALL: [Role; 4] = [Role::Leader, Role::Follower, Role::Candidate, Role::Learner];

    /// As statuses, probes and `system.toml` have it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Learner => "learner",
        }
    }
}

/// What a node says of itself. What its system's status does not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// What it is.
    pub role: Option<Role>,
    /// In which term.
    pub term: Option<u64>,
    /// Whom it believes to lead. `None` also where it knows no leader.
    pub leader: Option<String>,
    /// Up to which index of the log it knows entries to be committed.
    pub commit: Option<u64>,
    /// Up to which index it has applied them.
    pub applied: Option<u64>,
    /// Whether it can be used.
    pub ready: bool,
    /// By defect that is switched on, how often it has made a difference since the node started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub diverged: BTreeMap<String, u64>,
}

/// The role of every node, judged from all statuses together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roles {
    /// The node that claims to lead in the highest term that any node leads in.
    pub leader: Option<String>,
    /// Nodes that claim to lead in a lower term: old leaders that haven't heard of their successor.
    pub stale_leaders: Vec<String>,
    /// Every other node that answered.
    pub followers: Vec<String>,
    /// Nodes that didn't answer.
    pub silent: Vec<String>,
    /// Whether any node says what it is: where none does, there is no leader to wait for.
    pub told: bool,
}

impl Roles {
    /// Two leaders of one term are a violation of the system's own promise; then the first by name counts as leader,
    /// and the other as stale.
    pub fn of(nodes: &[Node], statuses: &BTreeMap<String, NodeStatus>) -> Roles {
        let leads = |status: &NodeStatus| status.role == Some(Role::Leader);
        let claims = statuses.iter().filter(|(_, status)| leads(status));
        let leader = claims
            .min_by_key(|(_, status)| std::cmp::Reverse(status.term))
            .map(|(name, _)| name.clone());
        let mut roles = Roles {
            leader,
            told: statuses.values().any(|status| status.role.is_some()),
            ..Roles::default()
        };
        for node in nodes {
            let name = node.name.clone();
            match statuses.get(&name) {
                _ if roles.leader.as_ref() == Some(&name) => {}
                None => roles.silent.push(name),
                Some(status) if leads(status) => roles.stale_leaders.push(name),
                Some(_) => roles.followers.push(name),
            }
        }
        roles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"n1:L3 n2:F3"`: a leader and a follower in term 3. `n3:-` doesn't answer.
    fn roles(text: &str) -> Roles {
        let (mut nodes, mut statuses) = (Vec::new(), BTreeMap::new());
        for word in text.split(' ') {
            let (name, status) = word.split_once(':').unwrap();
            nodes.push(Node::new(name, [10, 77, 0, 11].into(), None));
            let role = match &status[..1] {
                "L" => Role::Leader,
                "F" => Role::Follower,
                "C" => Role::Candidate,
                _ => continue,
            };
            let term = status[1..].parse().unwrap();
            let status = NodeStatus {
                role: Some(role),
                term: Some(term),
                ready: true,
                ..NodeStatus::default()
            };
            statuses.insert(name.into(), status);
        }
        Roles::of(&nodes, &statuses)
    }

    #[test]
    fn the_leader_of_the_highest_term_leads() {
        let roles = roles("n1:L3 n2:L4 n3:F4 n4:- n5:C9");
        assert_eq!(roles.leader.as_deref(), Some("n2"));
        assert_eq!(roles.stale_leaders, ["n1"]);
        assert_eq!(roles.followers, ["n3", "n5"]);
        assert_eq!(roles.silent, ["n4"]);
    }

    #[test]
    fn nobody_leads_where_nobody_says_so() {
        assert_eq!(roles("n1:F3 n2:C4").leader, None);
    }

    #[test]
    fn of_two_leaders_in_one_term_the_first_counts() {
        let roles = roles("n1:L3 n2:L3");
        assert_eq!(
            (roles.leader.as_deref(), roles.stale_leaders),
            (Some("n1"), vec!["n2".to_owned()])
        );
    }
}
