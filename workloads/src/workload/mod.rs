//! The workloads: a file each, with its [`WorkloadParameters`] and its generator, and a line of the table below.
//!
//! From the table come `[workload.<name>]` of a spec with all its errors, `duress workloads`, and which clients can carry
//! which workload. What is added needs a `mod` and a line here, and nothing elsewhere.

pub mod append;
pub mod lock;
pub mod register;
pub mod set;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::SpecError;
use crate::generator::{CatalogueEntry, Workload, WorkloadParameters};
use crate::op::Operation;

/// Makes [`WorkloadSpec`] and [`bounds`] of the table: the name in a spec, in CamelCase, and the type of the parameters.
macro_rules! workloads {
    ($($name:ident($parameters:ty);)*) => {
        /// The workload of a spec, with its parameters: `[workload.<name>]`.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum WorkloadSpec {
            $(
                #[doc = concat!("See [`", stringify!($parameters), "`].")]
                $name($parameters),
            )*
        }

        impl WorkloadSpec {
            /// What is said about it, its model and its properties among that.
            pub fn about(&self) -> &'static CatalogueEntry {
                match self {
                    $(WorkloadSpec::$name(_) => &<$parameters as WorkloadParameters>::ABOUT,)*
                }
            }

            /// A generator of its operations, from the beginning. The error names the key that makes no sense.
            pub fn generator(&self) -> Result<Box<dyn Workload>, SpecError> {
                match self {
                    $(WorkloadSpec::$name(parameters) => parameters.generator(),)*
                }
            }

            /// What it asks of a client with these parameters.
            pub fn operations(&self) -> Vec<Operation> {
                match self {
                    $(WorkloadSpec::$name(parameters) => parameters.operations(),)*
                }
            }

            /// For how long its locks are lent. `None`: it has no locks.
            pub fn lease(&self) -> Option<Duration> {
                match self {
                    $(WorkloadSpec::$name(parameters) => parameters.lease(),)*
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
            vec![$(<$parameters as WorkloadParameters>::ABOUT),*]
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
}

/// What the holder of a lock does between acquiring and releasing it: nothing that the system sees.
pub const HOLD: &str = "hold";

/// The same with what nobody is asked for: whoever acquires a lock holds it.
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
            error.to_string().contains("`register`, `set`, `append`, `lock`"),
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
