//! Where in a node's answer its status stands: the table `[status.answer]` of a `system.toml`.
//!
//! ```toml
//! [status.answer]                   # {"header":{"member_id":"98"},"leader":"95","raftTerm":"2"}
//! member = "/header/member_id"
//! leader = "/leader"
//! term = "/raftTerm"
//! zero-left-out = true
//! ```
//!
//! Each value is a JSON pointer (RFC 6901). Numbers may be written as strings.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use duress_http::cut;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::node::{NodeStatus, Role};

/// Defects whose counts are kept.
const DIVERGED_MAX: usize = 100;

/// A JSON pointer (RFC 6901), e.g. `/header/member_id`; the empty one is the whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pointer(String);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || text.starts_with('/') {
            Ok(Pointer(text))
        } else {
            Err(format!(
                "{text:?} is not a JSON pointer; start it with a slash: \"/{text}\""
            ))
        }
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> String {
        pointer.0
    }
}

impl Pointer {
    /// What stands there. Null counts as nothing.
    fn of<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        answer.pointer(&self.0).filter(|value| !value.is_null())
    }
}

/// Where in an answer each fact stands. What is not declared is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Answer {
    /// The role, in the words of `words`. Where it is absent, null or false, the role follows from `leader`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Pointer>,
    /// The words for roles; a role that is not listed is called by its own name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub words: BTreeMap<Role, Vec<String>>,
    /// Whom the node believes to lead: a node's name, or a member's own name where `member` is declared. Absent, null, empty
    /// and zero are no leader.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<Pointer>,
    /// What the node itself is called by `leader`, where that is not the name of the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<Pointer>,
    /// The term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<Pointer>,
    /// Up to which index of the log entries are known to be committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<Pointer>,
    /// Up to which index they are applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<Pointer>,
    /// True when the node can be used. Where it is not declared: when it knows a leader, if it tells leaders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Pointer>,
    /// Where a system has defects that can be switched on: how often each has made a difference, an object of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverged: Option<Pointer>,
    /// Whether a number that is absent is 0, as in JSON made from protocol buffers. Otherwise it is an answer that is not
    /// understood.
    pub zero_left_out: bool,
}

/// Which facts a status tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether roles are told: which node leads, and which follow.
    pub roles: bool,
    /// The term.
    pub term: bool,
    /// The applied index.
    pub applied: bool,
}

/// Node names by what members call themselves: each member tells its own.
pub(super) type MemberNames = Mutex<BTreeMap<String, String>>;

impl Answer {
    /// What can be known by it.
    pub fn facts(&self) -> Facts {
        Facts {
            roles: self.role.is_some() || self.leader.is_some(),
            term: self.term.is_some(),
            applied: self.applied.is_some(),
        }
    }

    /// Reads an answer of the node of this name. The error says what is not there.
    pub(super) fn read(&self, answer: &Value, node: &str, names: &MemberNames) -> Result<NodeStatus, String> {
        let member = self.member(answer)?;
        let named = self.leader.as_ref().and_then(|pointer| word(pointer.of(answer)?));
        let named = named.filter(|leader| !leader.is_empty() && leader != "0");
        let leads = named.as_deref() == Some(member.as_deref().unwrap_or(node));
        let leader = match (member, named) {
            (Some(member), named) => {
                let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
                names.insert(member, node.to_owned());
                // A leader that has never answered is known by its own name only.
                named.map(|leader| match names.get(&leader) {
                    Some(name) => name.clone(),
                    None => format!("member {leader}"),
                })
            }
            (None, named) => named,
        };
        let by_leader = || match &leader {
            _ if leads => Role::Leader,
            Some(_) => Role::Follower,
            // It does not say whether it campaigns or waits; it has no leader.
            None => Role::Candidate,
        };
        let said = self.role(answer)?;
        let role = said.or_else(|| self.leader.is_some().then(by_leader));
        let ready = match &self.ready {
            Some(pointer) => pointer.of(answer).and_then(Value::as_bool) == Some(true),
            None => self.leader.is_none() || leader.is_some(),
        };
        Ok(NodeStatus {
            role,
            term: self.number(self.term.as_ref(), answer)?,
            leader: leader.map(cut),
            commit: self.number(self.commit.as_ref(), answer)?,
            applied: self.number(self.applied.as_ref(), answer)?,
            ready,
            diverged: self.diverged(answer),
        })
    }

    /// What is no number is no count: calibration shows nothing then, and the system is as useful.
    fn diverged(&self, answer: &Value) -> BTreeMap<String, u64> {
        let counts = self.diverged.as_ref().and_then(|pointer| pointer.of(answer));
        let counts = counts.and_then(Value::as_object).into_iter().flatten();
        counts
            .filter_map(|(defect, count)| Some((cut(defect.clone()), count.as_u64()?)))
            .take(DIVERGED_MAX)
            .collect()
    }

    fn member(&self, answer: &Value) -> Result<Option<String>, String> {
        let Some(pointer) = &self.member else {
            return Ok(None);
        };
        let member = pointer.of(answer).and_then(word);
        member
            .map(Some)
            .ok_or_else(|| absent("name of a member", pointer))
    }

    /// The role, if the status names it; `None` where it has to follow from who leads.
    fn role(&self, answer: &Value) -> Result<Option<Role>, String> {
        let Some(pointer) = &self.role else {
            return Ok(None);
        };
        let said = pointer.of(answer).and_then(word);
        let is = |role: &Role, said: &String| match self.words.get(role) {
            Some(words) => words.contains(said),
            None => role.name() == said,
        };
        match said {
            Some(said) => match Role::ALL.iter().find(|role| is(role, &said)) {
                Some(role) => Ok(Some(*role)),
                None if self.leader.is_some() && said == "false" => Ok(None),
                None => Err(format!("{:?} at {} is not a role", cut(said), pointer.0)),
            },
            None if self.leader.is_some() => Ok(None),
            None => Err(absent("role", pointer)),
        }
    }

    fn number(&self, pointer: Option<&Pointer>, answer: &Value) -> Result<Option<u64>, String> {
        let Some(pointer) = pointer else {
            return Ok(None);
        };
        let number = match pointer.of(answer) {
            None if self.zero_left_out => Some(0),
            Some(Value::String(text)) => text.parse().ok(),
            Some(value) => value.as_u64(),
            None => None,
        };
        number.map(Some).ok_or_else(|| absent("number", pointer))
    }
}

fn absent(what: &str, pointer: &Pointer) -> String {
    format!("the answer has no {what} at {}", pointer.0)
}

/// A scalar as a word.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(text: &str) -> Answer {
        toml::from_str(text).unwrap()
    }

    /// As members of etcd are asked.
    fn by_number() -> Answer {
        answer(
            "member = '/header/member_id'\nrole = '/isLearner'\nwords.learner = ['true']\nleader = '/leader'\n\
             term = '/raftTerm'\ncommit = '/raftIndex'\napplied = '/raftAppliedIndex'\nzero-left-out = true",
        )
    }

    #[test]
    fn leaders_are_named_once_they_have_answered() {
        let names = MemberNames::default();
        let said = |member: &str, leader: &str| {
            json!({"header": {"member_id": member}, "leader": leader, "raftIndex": "19", "raftTerm": "2",
                "raftAppliedIndex": "18"})
        };
        let read = |member, leader, node| by_number().read(&said(member, leader), node, &names).unwrap();
        let follower = read("11", "12", "n1");
        assert_eq!(
            (follower.role, follower.leader.as_deref()),
            (Some(Role::Follower), Some("member 12"))
        );
        assert_eq!(
            (follower.term, follower.commit, follower.applied),
            (Some(2), Some(19), Some(18))
        );
        let leader = read("12", "12", "n2");
        assert_eq!(
            (leader.role, leader.leader.as_deref()),
            (Some(Role::Leader), Some("n2"))
        );
        assert_eq!(read("11", "12", "n1").leader.as_deref(), Some("n2"));
    }

    #[test]
    fn a_member_without_leader_is_not_ready_and_a_learner_is_one() {
        let read = |answer| by_number().read(&answer, "n1", &MemberNames::default());
        let alone = read(json!({"header": {"member_id": "11"}, "raftTerm": "2", "leader": "0"})).unwrap();
        assert_eq!(
            (alone.role, alone.leader, alone.ready, alone.applied),
            (Some(Role::Candidate), None, false, Some(0))
        );
        let learner = json!({"header": {"member_id": "11"}, "leader": "12", "isLearner": true});
        assert_eq!(read(learner).unwrap().role, Some(Role::Learner));
        let voter = json!({"header": {"member_id": "11"}, "leader": "12", "isLearner": false});
        assert_eq!(read(voter).unwrap().role, Some(Role::Follower));
        assert!(read(json!({})).unwrap_err().contains("/header/member_id"));
    }

    #[test]
    fn roles_have_the_words_of_the_system() {
        let answer = answer("role = '/mode'\nwords.leader = ['primary', 'master']\nterm = '/epoch'");
        let read = |said| answer.read(&said, "n1", &MemberNames::default());
        assert_eq!(
            read(json!({"mode": "master", "epoch": 7})).unwrap(),
            NodeStatus {
                role: Some(Role::Leader),
                term: Some(7),
                ready: true,
                ..NodeStatus::default()
            }
        );
        let follower = read(json!({"mode": "follower", "epoch": 7})).unwrap();
        assert_eq!(follower.role, Some(Role::Follower));
        for wrong in [
            json!({"mode": "leader", "epoch": 7}),
            json!({"epoch": 7}),
            json!({"mode": "master"}),
            json!({"mode": "master", "epoch": -1}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_defects_did_is_counted_where_it_is_a_number() {
        let answer = answer("leader = '/leader'\ndiverged = '/bugs'");
        let read = |said| {
            answer
                .read(&said, "n1", &MemberNames::default())
                .unwrap()
                .diverged
        };
        let said = json!({"leader": "n1", "bugs": {"split-cas": 3, "stale-read": 0, "odd": "x"}});
        let counts: Vec<_> = read(said).into_iter().collect();
        assert_eq!(
            counts,
            [("split-cas".to_owned(), 3), ("stale-read".to_owned(), 0)]
        );
        assert!(read(json!({"leader": "n1"})).is_empty());
        assert!(read(json!({"leader": "n1", "bugs": 7})).is_empty());
    }

    #[test]
    fn a_pointer_begins_with_a_slash() {
        let error = toml::from_str::<Answer>("term = 'raftTerm'")
            .unwrap_err()
            .to_string();
        assert!(error.contains("start it with a slash: \"/raftTerm\""), "{error}");
    }
}
