//! One fault as specs and schedules have it: its kind, and the parameters of that kind.

use std::sync::Arc;
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::kind::{KindRef, ParameterError, Parameters};
use crate::life::technique::Technique;

/// One fault, with its parameters.
#[derive(Clone, Debug)]
pub struct Fault {
    kind: KindRef,
    parameters: Arc<dyn Parameters>,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: KindRef, parameters: Map<String, Value>) -> Result<Fault, ParameterError> {
        let parameters = kind.read(Value::Object(parameters))?;
        Ok(Fault { kind, parameters })
    }

    /// The same for a spec. A parameter that is wrong is told by [`Fault::check`], whose callers know where it is written.
    pub(crate) fn written(kind: KindRef, parameters: Map<String, Value>) -> Result<Fault, ParameterError> {
        let error = match Fault::new(kind, parameters.clone()) {
            Ok(fault) => return Ok(fault),
            Err(error) => error,
        };
        let names = kind.about().parameters.into_iter();
        let mut names = names.map(|parameter| parameter.name);
        let Some(key) = names.find(|name| error.key.as_deref() == Some(name)) else {
            return Err(error);
        };
        let parameters = Arc::new(Misread {
            parameters,
            key,
            what: error.what,
        });
        Ok(Fault { kind, parameters })
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

    #[test]
    fn what_is_wrong_is_told_with_its_parameter() {
        for (kind, parameters, key) in [
            ("kill", r#"{"targets":"boss"}"#, Some("targets")),
            ("kill", r#"{"targets":[1]}"#, Some("targets")),
            ("partition", r#"{"shape":"circle"}"#, Some("shape")),
            (
                "partition",
                r#"{"shape":"halves","targets":"one"}"#,
                Some("targets"),
            ),
            (
                "partition",
                r#"{"shape":"one","targets":"majority"}"#,
                Some("targets"),
            ),
            ("partition", r#"{"targets":"one"}"#, None),
            ("pause", r#"{"for":"ever"}"#, Some("for")),
        ] {
            let kind = KindRef::named(kind).unwrap();
            let parameters: Map<String, Value> = serde_json::from_str(parameters).unwrap();
            let error = Fault::new(kind, parameters.clone()).unwrap_err();
            assert_eq!(error.key.as_deref(), key, "{parameters:?}: {error}");
            match key.filter(|key| *key != "for") {
                Some(key) => {
                    let told = Fault::written(kind, parameters).unwrap().check(&[]).unwrap_err();
                    assert_eq!(told, (key, error.what));
                }
                // What is missing, or not known, is no parameter that could be pointed at.
                None => assert_eq!(Fault::written(kind, parameters).unwrap_err(), error),
            }
        }
    }
}
