//! The kinds of faults: a folder and a line of [`TABLE`] each.
//!
//! A fault, as a spec and a schedule have it, names its kind and has the parameters of that kind:
//!
//! ```json
//! {"kind":"partition","shape":"majority-minority"}
//! {"kind":"pause","targets":"leader"}
//! {"kind":"kill","targets":["n1","n3"]}
//! ```
//!
//! From the table come the choices of a spec, `duress faults`, what `duress doctor` says of faults, what is refused where the
//! machine can't do it, and what `duress heal` does with what is left of a fault.

mod aim;
mod at_nodes;
pub mod kill;
pub mod partition;
pub mod pause;
pub mod restart;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use duress_checker::history::Effect;
use duress_cluster::doctor::Requirement;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::agent::apart::check_apart;
use crate::agent::part::AgentPart;
use crate::agent::protocol::{Identity, Mark, Process};
use crate::life::technique::Technique;
use crate::targets::Selector;

/// Every kind, in the order of `duress faults`.
pub static TABLE: [&dyn Kind; 4] = [
    &partition::Partition,
    &kill::Kill,
    &pause::Pause,
    &restart::Restart,
];

/// A kind of fault.
pub trait Kind: Sync {
    /// As in specs, schedules and histories.
    fn name(&self) -> &'static str;

    /// What it does to the nodes that it is about.
    fn effect(&self) -> Effect;

    /// What there is to know of it before using it.
    fn about(&self) -> About;

    /// Reads the parameters of one fault, an object. The error says what would be right.
    fn read(&self, parameters: Value) -> Result<Arc<dyn Parameters>, String>;

    /// What it needs of the machine where nodes live, beside what it takes to run them there.
    fn needs(&self) -> &'static [&'static Requirement] {
        &[]
    }

    /// Its half on the machine where nodes live, of the run with this mark. `None`: there is nothing that it does there.
    fn agent(&self, mark: &Mark) -> Option<Box<dyn AgentPart>>;

    /// Undoes at one node what may be in force of a fault, from plain data alone. Safe to repeat.
    fn heal(&self, left: &Left<'_>) -> io::Result<Healed>;
}

/// The parameters of one fault.
pub trait Parameters: fmt::Debug + Send + Sync {
    /// As a spec has them: what [`Kind::read`] takes.
    fn to_json(&self) -> Value;

    /// Says what is wrong with them for these nodes, if anything is: the parameter, and what would be right.
    fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)>;

    /// The parameter that names a role, `leader` or `follower`, if one does. Such a fault needs a system that tells roles.
    fn names_role(&self) -> Option<&'static str> {
        let targets = self.to_json().get("targets").cloned()?;
        let selector: Selector = serde_json::from_value(targets).ok()?;
        selector.names_role().then_some("targets")
    }

    /// What the steps of fault `id` do. What is drawn when it is injected is drawn from `seed`.
    #[doc(hidden)]
    fn technique(&self, id: u64, seed: u64, length: Duration) -> Box<dyn Technique>;
}

/// What may be in force of a fault at one node.
#[derive(Clone, Copy, Debug)]
pub struct Left<'a> {
    /// Number of the fault.
    pub fault: u64,
    /// The node, which is still the one that was written down.
    pub node: &'a Identity,
    /// Every process that the fault stopped, at all nodes. `None`: it was cut off before it could say.
    pub held: Option<&'a [Process]>,
    /// Who heals it.
    pub healer: Healer<'a>,
}

/// Who heals, and what it leaves alone.
#[derive(Clone, Copy, Debug)]
pub struct Healer<'a> {
    /// What the chains of the run are named after.
    pub mark: &'a Mark,
    /// Processes that other faults hold, and go on holding.
    pub kept: &'a [Process],
    /// Whether nodes may share namespaces with the one who heals, as programs on a host do. The agent knows what it did; a
    /// journal's word does not count for that much.
    pub own_namespaces: bool,
}

impl Left<'_> {
    /// Fails where the node shares its namespace of this kind (`net`, `pid`) with the one who heals, and may not.
    pub(crate) fn check_apart(&self, which: &str, inode: u64) -> io::Result<()> {
        if self.healer.own_namespaces {
            return Ok(());
        }
        check_apart(self.node, which, inode)
    }
}

/// What was undone at one node.
#[derive(Clone, Debug)]
pub struct Healed {
    /// For a person: one sentence without its subject, e.g. `woke 3 processes`.
    pub said: String,
    /// For the controller's half of the kind. Null: there was nothing to undo.
    pub answer: Value,
}

/// What there is to know of a kind of fault before using it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct About {
    /// What it does.
    pub description: &'static str,
    /// What can be said of it in a spec, beside `length` and `weight`.
    pub parameters: Vec<Parameter>,
    /// What has to be seen before a step counts as `installed`.
    pub verified_by: &'static str,
}

/// One parameter of a kind of fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// As in specs.
    pub name: &'static str,
    /// Values, and what holds when it is not given.
    pub values: String,
}

/// One kind, for `duress faults` and the reference page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogueEntry {
    /// As in specs and histories.
    pub kind: &'static str,
    /// The rest.
    #[serde(flatten)]
    pub about: About,
}

/// Every kind of fault.
pub fn catalogue() -> Vec<CatalogueEntry> {
    let entry = |kind: &&dyn Kind| CatalogueEntry {
        kind: kind.name(),
        about: kind.about(),
    };
    TABLE.iter().map(entry).collect()
}

/// A kind, by its name where it is written.
#[derive(Clone, Copy)]
pub struct KindRef(pub &'static dyn Kind);

impl KindRef {
    /// Finds it in the table. The error names the choices.
    pub fn named(name: &str) -> Result<KindRef, String> {
        let found = TABLE.iter().find(|kind| kind.name() == name);
        found.map(|kind| KindRef(*kind)).ok_or_else(|| {
            let choices: Vec<String> = TABLE.iter().map(|kind| format!("`{}`", kind.name())).collect();
            format!(
                "unknown kind of fault `{name}`, expected one of {}",
                choices.join(", ")
            )
        })
    }
}

impl std::ops::Deref for KindRef {
    type Target = dyn Kind;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl PartialEq for KindRef {
    fn eq(&self, other: &KindRef) -> bool {
        self.name() == other.name()
    }
}

impl Eq for KindRef {}

impl fmt::Debug for KindRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for KindRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for KindRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KindRef, D::Error> {
        KindRef::named(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// One fault, with its parameters.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: KindRef,
    parameters: Arc<dyn Parameters>,
}

impl Fault {
    /// A fault of this kind. The error says what is wrong with the parameters.
    pub fn new(kind: KindRef, parameters: Map<String, Value>) -> Result<Fault, String> {
        let parameters = kind.read(Value::Object(parameters))?;
        Ok(Fault { kind, parameters })
    }

    /// The same for a spec, whose mistakes are told by [`Fault::check`], with the parameter that they are about.
    pub(crate) fn written(kind: KindRef, parameters: Map<String, Value>) -> Result<Fault, String> {
        let what = match Fault::new(kind, parameters.clone()) {
            Ok(fault) => return Ok(fault),
            Err(what) => what,
        };
        // Without the parameter that is wrong it is right, or wrong in another way.
        let is_wrong = |name: &'static str| {
            let mut without = parameters.clone();
            without.remove(name).is_some() && Fault::new(kind, without).err().as_ref() != Some(&what)
        };
        let names = kind.about().parameters;
        match (names.iter().map(|parameter| parameter.name)).find(|name| is_wrong(name)) {
            Some(key) => Ok(Fault {
                kind,
                parameters: Arc::new(Misread {
                    parameters,
                    key,
                    what,
                }),
            }),
            None => Err(what),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> KindRef {
        self.kind
    }

    /// Its parameters, as a spec has them.
    pub fn parameters(&self) -> Map<String, Value> {
        match self.parameters.to_json() {
            Value::Object(parameters) => parameters,
            _ => Map::new(),
        }
    }

    /// Says what is wrong with it for these nodes, if anything is: the parameter, and what would be right.
    pub fn check(&self, nodes: &[String]) -> Result<(), (&'static str, String)> {
        self.parameters.check(nodes)
    }

    /// The parameter that names a role, if one does.
    pub fn names_role(&self) -> Option<&'static str> {
        self.parameters.names_role()
    }

    pub(crate) fn technique(&self, id: u64, seed: u64, length: Duration) -> Box<dyn Technique> {
        self.parameters.technique(id, seed, length)
    }
}

/// Parameters that their kind can't read.
#[derive(Debug)]
struct Misread {
    parameters: Map<String, Value>,
    key: &'static str,
    what: String,
}

impl Parameters for Misread {
    fn to_json(&self) -> Value {
        Value::Object(self.parameters.clone())
    }

    fn check(&self, _nodes: &[String]) -> Result<(), (&'static str, String)> {
        Err((self.key, self.what.clone()))
    }

    fn technique(&self, _id: u64, _seed: u64, _length: Duration) -> Box<dyn Technique> {
        unreachable!("a schedule is only made of faults that were checked")
    }
}

impl PartialEq for Fault {
    fn eq(&self, other: &Fault) -> bool {
        self.kind == other.kind && self.parameters() == other.parameters()
    }
}

impl Eq for Fault {}

#[derive(Serialize, Deserialize)]
struct Written {
    kind: KindRef,
    #[serde(flatten)]
    parameters: Map<String, Value>,
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, parameters) = (self.kind, self.parameters());
        Written { kind, parameters }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fault, D::Error> {
        let written = Written::deserialize(deserializer)?;
        Fault::new(written.kind, written.parameters).map_err(D::Error::custom)
    }
}

/// Reads the parameters of a kind into the type that it has for them.
fn typed<P: DeserializeOwned>(parameters: Value) -> Result<P, String> {
    serde_json::from_value(parameters).map_err(|error| error.to_string())
}

/// Writes the parameters of a kind.
fn json<P: Serialize>(parameters: &P) -> Value {
    match serde_json::to_value(parameters) {
        Ok(value) => value,
        Err(error) => unreachable!("parameters are plain data: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_as_it_is_written() {
        for text in [
            r#"{"kind":"partition","shape":"majority-minority"}"#,
            r#"{"kind":"partition","shape":"one","targets":"leader"}"#,
            r#"{"kind":"pause","targets":["n1","n3"]}"#,
            r#"{"kind":"restart","targets":"one"}"#,
        ] {
            let fault: Fault = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&fault).unwrap(), text);
        }
        let fault: Fault = serde_json::from_str(r#"{"kind":"kill"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&fault).unwrap(),
            r#"{"kind":"kill","targets":"one"}"#
        );
    }

    #[test]
    fn what_takes_a_leader_or_a_follower_is_told() {
        for (text, parameter) in [
            (r#"{"kind":"partition","shape":"leader"}"#, Some("shape")),
            (
                r#"{"kind":"partition","shape":"one","targets":"leader"}"#,
                Some("targets"),
            ),
            (r#"{"kind":"pause","targets":"follower"}"#, Some("targets")),
            (r#"{"kind":"pause","targets":["leader"]}"#, None),
            (r#"{"kind":"kill","targets":"majority"}"#, None),
            (r#"{"kind":"restart"}"#, None),
        ] {
            let fault: Fault = serde_json::from_str(text).unwrap();
            assert_eq!(fault.names_role(), parameter, "{text}");
        }
    }

    #[test]
    fn names_are_told_apart_and_everything_is_described() {
        let names: std::collections::BTreeSet<&str> = TABLE.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), TABLE.len());
        for entry in catalogue() {
            assert!(
                !entry.about.description.is_empty() && !entry.about.verified_by.is_empty(),
                "{entry:?}"
            );
        }
    }
}
