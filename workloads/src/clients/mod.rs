//! The clients: a file or folder each, and a line of [`TABLE`]. `client = "…"` of a `system.toml` names one.

pub mod behaviour;
pub mod etcd;
pub mod exec;
pub mod http;
mod kind;
mod programs;
mod receipts;
#[cfg(test)]
mod scripted;
pub mod specimen;

use std::sync::OnceLock;

pub use kind::{ClientKind, Definition, Make, Mistake, Options, Problem, ReadMode, Tokens, Turn};

/// What a definition makes of a client.
type Of = fn(&Definition<'_>) -> Result<ClientKind, Problem>;

/// Every client by its name. Those in Rust need nothing of the definition.
static TABLE: [(&str, Of); 4] = [
    ("specimen", |_| Ok(specimen::kind())),
    ("etcd", |_| Ok(etcd::kind())),
    ("http", http::kind),
    (exec::NAME, exec::kind),
];

/// Those that a program [brought along](add).
static ADDED: OnceLock<Vec<ClientKind>> = OnceLock::new();

/// Lets a `system.toml` name these, as if they were in the table. Once, before anything is read: later ones are left out,
/// and that is `false`.
pub fn add(clients: Vec<ClientKind>) -> bool {
    ADDED.set(clients).is_ok()
}

/// The client of this name, for the system that is defined there. An unknown name is refused with those that there are.
pub fn of(name: &str, definition: &Definition<'_>) -> Result<ClientKind, Problem> {
    let added = ADDED.get().map(Vec::as_slice).unwrap_or_default();
    if let Some(kind) = added.iter().find(|kind| kind.name == name) {
        return Ok(kind.clone());
    }
    match TABLE.iter().find(|(known, _)| *known == name) {
        Some((_, of)) => of(definition),
        None => {
            let known = TABLE.iter().map(|(known, _)| *known);
            let known = known.chain(added.iter().map(|kind| kind.name));
            let known = known.collect::<Vec<_>>().join(", ");
            let what = format!("no client {name:?}; there are {known}");
            Err(Mistake::at(["client"], what).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn each_client_carries_what_it_says() {
        let nothing = Definition {
            text: "",
            folder: Path::new("."),
        };
        let carried = |name| of(name, &nothing).map(|kind| kind.workloads());
        assert_eq!(
            carried("specimen"),
            Ok(vec!["register", "lock", "queue", "stream"])
        );
        assert_eq!(
            carried("etcd"),
            Ok(vec!["register", "set", "append", "lock", "counter"])
        );
        let error = carried("oracle").unwrap_err().to_string();
        assert_eq!(
            error,
            "no client \"oracle\"; there are specimen, etcd, http, exec"
        );
    }

    #[test]
    fn a_way_to_read_is_shown_as_specs_have_it() {
        for read in [ReadMode::Linearizable, ReadMode::Lease, ReadMode::Local] {
            assert_eq!(serde_json::json!(read), read.as_str());
        }
    }
}
