//! The clients: a file or folder each, and a line of [`TABLE`]. `client = "…"` of a `system.toml` names one.

pub mod etcd;
mod kind;
pub mod specimen;

pub use kind::{ClientKind, Options, ReadMode};

/// Every client.
pub static TABLE: [ClientKind; 2] = [specimen::KIND, etcd::KIND];

/// The client of this name. The error names those that there are.
pub fn named(name: &str) -> Result<&'static ClientKind, String> {
    TABLE.iter().find(|client| client.name == name).ok_or_else(|| {
        let known: Vec<&str> = TABLE.iter().map(|client| client.name).collect();
        format!("no client {name:?}; there are {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_carries_what_it_says() {
        let carried = |name| named(name).map(ClientKind::workloads);
        assert_eq!(carried("specimen"), Ok(vec!["register"]));
        assert_eq!(carried("etcd"), Ok(vec!["register", "set", "append", "lock"]));
        let error = carried("oracle").unwrap_err();
        assert_eq!(error, "no client \"oracle\"; there are specimen, etcd");
    }

    #[test]
    fn a_way_to_read_is_shown_as_specs_have_it() {
        for read in [ReadMode::Linearizable, ReadMode::Lease, ReadMode::Local] {
            assert_eq!(serde_json::json!(read), read.as_str());
        }
    }
}
