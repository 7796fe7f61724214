//! One fault as specs and schedules have it: its kind, and the parameters of that kind.

use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::kind::{KindRef, Parameters};
use crate::life::technique::Technique;

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
}
