//! The workloads: a file each, with its [`WorkloadParameters`] and its generator, and a line of the table below.
//!
//! From the table come `[workload.<name>]` of a spec with all its errors, `duress workloads`, and which clients can carry
//! which workload. What is added needs a `mod` and a line here, and nothing elsewhere.

pub mod append;
pub mod counter;
mod growing;
pub mod lock;
pub mod own;
pub mod queue;
pub mod register;
pub mod set;
pub mod stream;

use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bounds::SpecError;
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::Operation;

/// Makes [`WorkloadSpec`] and [`bounds`] of the table: the name in a spec, in CamelCase, and the type of the parameters.
macro_rules! workloads {
    ($($name:ident($parameters:ty);)*) => {
        /// The workload of a spec, with its parameters: `[workload.<name>]`.
        #[derive(Clone, Debug, PartialEq)]
        pub enum WorkloadSpec {
            $(
                #[doc = concat!("See [`", stringify!($parameters), "`].")]
                $name($parameters),
            )*
            /// One that a program [brought along](own::add).
            Own(own::OwnWorkload),
        }

        impl Serialize for WorkloadSpec {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(Some(1))?;
                match self {
                    $(WorkloadSpec::$name(parameters) => map.serialize_entry(self.name(), parameters)?,)*
                    WorkloadSpec::Own(own) => map.serialize_entry(self.name(), &own.to_json())?,
                }
                map.end()
            }
        }

        impl WorkloadSpec {
            /// The parameters of the workload of this name.
            fn read<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Self, A::Error> {
                $(if name == <$parameters as WorkloadParameters>::ABOUT.name {
                    return map.next_value().map(WorkloadSpec::$name);
                })*
                match own::named(name) {
                    Some(kind) => kind.read(map.next_value()?).map(WorkloadSpec::Own).map_err(A::Error::custom),
                    None => Err(A::Error::custom(format!("unknown workload `{name}`"))),
                }
            }
        }

        impl WorkloadSpec {
            /// What is said about it, its model and its properties among that.
            pub fn about(&self) -> &'static CatalogueEntry {
                match self {
                    $(WorkloadSpec::$name(_) => &<$parameters as WorkloadParameters>::ABOUT,)*
                    WorkloadSpec::Own(own) => own.about(),
                }
            }

            /// A generator of its operations, from the beginning. The error names the key that makes no sense.
            pub fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
                match self {
                    $(WorkloadSpec::$name(parameters) => parameters.generator(),)*
                    WorkloadSpec::Own(own) => own.generator(),
                }
            }

            /// What it asks of a client with these parameters.
            pub fn operations(&self) -> Vec<Operation> {
                match self {
                    $(WorkloadSpec::$name(parameters) => parameters.operations(),)*
                    WorkloadSpec::Own(own) => own.operations(),
                }
            }

            /// For how long its locks, or what it dequeues, are lent. `None`: nothing is.
            pub fn lease(&self) -> Option<Duration> {
                match self {
                    $(WorkloadSpec::$name(parameters) => parameters.lease(),)*
                    WorkloadSpec::Own(own) => own.lease(),
                }
            }

            /// Each workload with its defaults.
            #[cfg(test)]
            fn all() -> Vec<WorkloadSpec> {
                vec![$(WorkloadSpec::$name(Default::default())),*]
            }
        }

        /// Every workload.
        pub fn catalogue() -> Vec<CatalogueEntry> {
            let mut all = vec![$(<$parameters as WorkloadParameters>::ABOUT),*];
            all.extend(own::all().iter().map(|kind| *kind.about()));
            all
        }

        /// What the numbers of every workload may be: its name, and the rows of a Markdown table.
        pub fn bounds() -> Vec<(&'static str, Vec<String>)> {
            vec![$((<$parameters as WorkloadParameters>::ABOUT.name, <$parameters as WorkloadParameters>::bounds())),*]
        }
    };
}

workloads! {
    Register(register::RegisterSpec);
    Set(set::SetSpec);
    Append(append::AppendSpec);
    Lock(lock::LockSpec);
    Counter(counter::CounterSpec);
    Queue(queue::QueueSpec);
    Stream(stream::StreamSpec);
}

impl<'de> Deserialize<'de> for WorkloadSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(One)
    }
}

/// The name of a workload that there is.
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known: Vec<&str> = catalogue().iter().map(|known| known.name).collect();
        if known.contains(&name.as_str()) {
            return Ok(Name(name));
        }
        let names: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
        let what = format!("unknown workload `{name}`, expected one of {}", names.join(", "));
        Err(D::Error::custom(what))
    }
}

/// Reads a table with one entry.
struct One;

impl<'de> Visitor<'de> for One {
    type Value = WorkloadSpec;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("one workload, as in [workload.register]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WorkloadSpec, A::Error> {
        let Some(Name(name)) = map.next_key()? else {
            return Err(A::Error::custom("no workload; use e.g. [workload.register]"));
        };
        let workload = WorkloadSpec::read(&name, &mut map)?;
        match map.next_key::<String>()? {
            None => Ok(workload),
            Some(second) => Err(A::Error::custom(format!(
                "two workloads, {name} and {second}: keep one"
            ))),
        }
    }
}

/// What the holder of a lock does between acquiring and releasing it, and the consumer of a message that is late with its
/// ack: nothing that the system sees.
pub const HOLD: &str = "hold";

/// The same with what nobody is asked for: whoever acquires a lock holds it. Consumers hold messages, too, and no client need say so.
pub fn with_hold(mut operations: Vec<Operation>) -> Vec<Operation> {
    if operations.iter().any(|operation| operation.f == "acquire") {
        operations.push(Operation::on_key(HOLD));
    }
    operations
}

/// Every operation that some workload asks of a system, by the name that a `system.toml` has for it: `read` is of a key,
/// `read-all` of everything.
pub fn operations() -> Vec<(String, Operation)> {
    let mut all: Vec<Operation> = Vec::new();
    for operation in catalogue().into_iter().flat_map(|workload| workload.operations) {
        if operation.f != HOLD && !all.contains(operation) {
            all.push(*operation);
        }
    }
    let named = |operation: &Operation| {
        let twice = !operation.keyed && all.contains(&Operation::on_key(operation.f));
        let suffix = if twice { "-all" } else { "" };
        (format!("{}{suffix}", operation.f), *operation)
    };
    all.iter().map(named).collect()
}

impl WorkloadSpec {
    /// As specs name it.
    pub fn name(&self) -> &'static str {
        self.about().name
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_spec_names_each_workload_as_the_catalogue_does() {
        for (workload, entry) in WorkloadSpec::all().iter().zip(catalogue()) {
            let read: WorkloadSpec = serde_json::from_value(json!({entry.name: {}})).expect(entry.name);
            assert_eq!(read, *workload);
        }
        let error = serde_json::from_value::<WorkloadSpec>(json!({"registry": {}})).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`register`, `set`, `append`, `lock`, `counter`, `queue`, `stream`"),
            "{error}"
        );
    }

    #[test]
    fn defaults_can_be_used_and_every_key_is_described() {
        for workload in WorkloadSpec::all() {
            let name = workload.name();
            assert!(workload.generator().is_ok(), "{name}");
            let written = serde_json::to_value(&workload).expect("JSON");
            let Value::Object(keys) = &written[name] else {
                panic!("{written}");
            };
            let mut described: Vec<&str> = workload.about().parameters.iter().map(|(key, _)| *key).collect();
            described.sort_unstable();
            let mut keys: Vec<&str> = keys.keys().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(described, keys, "{name}");
        }
    }
}
