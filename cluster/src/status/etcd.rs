//! What a member of etcd says of itself.
//!
//! ```json
//! {"header":{"member_id":"9804125642168846726"},"leader":"9536007736426086141","raftIndex":"19","raftTerm":"2","raftAppliedIndex":"19"}
//! ```
//!
//! Two things to know when reading it: `raftTerm` is the term of the last entry that was *applied*, so a new leader shows
//! its predecessor's for a moment; and after a restart term and applied index begin low and catch up as the log is
//! replayed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{NodeStatus, Role};

/// Node names by member number: etcd names leaders by number, and each member tells its own.
pub(super) type MemberNames = Mutex<BTreeMap<u64, String>>;

/// Reads an answer of the node of this name.
pub(super) fn status(answer: &Value, node: &str, names: &MemberNames) -> Result<NodeStatus, String> {
    let member = number(answer.pointer("/header/member_id"));
    if member == 0 {
        return Err("the answer has no member_id".into());
    }
    let leader = number(answer.get("leader"));
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(member, node.to_owned());
    let learner = answer.get("isLearner").and_then(Value::as_bool) == Some(true);
    let role = match leader {
        _ if learner => Role::Learner,
        // It does not say whether it campaigns or waits; it has no leader.
        0 => Role::Candidate,
        leader if leader == member => Role::Leader,
        _ => Role::Follower,
    };
    Ok(NodeStatus {
        role,
        term: number(answer.get("raftTerm")),
        // A leader that has never answered is known by its number only.
        leader: (leader != 0).then(|| {
            names
                .get(&leader)
                .cloned()
                .unwrap_or_else(|| format!("member {leader}"))
        }),
        commit: number(answer.get("raftIndex")),
        applied: number(answer.get("raftAppliedIndex")),
        ready: leader != 0,
    })
}

/// 64-bit numbers are strings, and zero is left out.
fn number(field: Option<&Value>) -> u64 {
    field
        .and_then(Value::as_str)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn leaders_are_named_once_they_have_answered() {
        let names = MemberNames::default();
        let answer = |member: &str, leader: &str| {
            json!({"header": {"member_id": member}, "leader": leader, "raftIndex": "19", "raftTerm": "2",
                "raftAppliedIndex": "18"})
        };
        let follower = status(&answer("11", "12"), "n1", &names).unwrap();
        assert_eq!(
            (follower.role, follower.leader.as_deref()),
            (Role::Follower, Some("member 12"))
        );
        assert_eq!((follower.term, follower.commit, follower.applied), (2, 19, 18));
        let leader = status(&answer("12", "12"), "n2", &names).unwrap();
        assert_eq!(
            (leader.role, leader.leader.as_deref()),
            (Role::Leader, Some("n2"))
        );
        let follower = status(&answer("11", "12"), "n1", &names).unwrap();
        assert_eq!(follower.leader.as_deref(), Some("n2"));
    }

    #[test]
    fn a_member_without_leader_is_not_ready() {
        let alone = json!({"header": {"member_id": "11"}, "raftTerm": "2"});
        let status = status(&alone, "n1", &MemberNames::default()).unwrap();
        assert_eq!(
            (status.role, status.leader, status.ready),
            (Role::Candidate, None, false)
        );
        assert!(super::status(&json!({}), "n1", &MemberNames::default()).is_err());
    }
}
