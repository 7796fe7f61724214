//! A compose file as it is written, before any tool or engine is asked: what is missing or misspelt there is the spec's
//! mistake, and known without them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use yaml_serde::Value;

use super::resolved::Resolved;

/// Compose files are some hundreds of lines.
const BYTES_MAX: u64 = 4 << 20;

/// What is wrong with a compose file, or with what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileProblem {
    /// It can't be used.
    #[error("{why}")]
    File {
        /// Why not.
        why: String,
    },
    /// One of its services can't be a node.
    #[error("{why}")]
    Node {
        /// Which of the nodes that were asked for, counted from 0.
        index: usize,
        /// Why not.
        why: String,
    },
}

/// Looks whether the file is there, is YAML, and has a service for each node.
pub fn look(file: &Path, nodes: &[String]) -> Result<(), FileProblem> {
    let unusable = |why: String| FileProblem::File { why };
    let text = read(file).map_err(|error| unusable(format!("read {}: {error}", file.display())))?;
    let document: Value = yaml_serde::from_str(&text)
        .map_err(|error| unusable(format!("{} is not a compose file: {error}", file.display())))?;
    if document.get("include").is_some() {
        // Services may come from other files, which only the tool finds.
        return Ok(());
    }
    // The oldest form of the file has services at its top.
    let services = document.get("services").unwrap_or(&document);
    let Some(services) = services.as_mapping() else {
        return Err(unusable(format!("{} has no services", file.display())));
    };
    for (index, node) in nodes.iter().enumerate() {
        if !services.contains_key(node.as_str()) {
            let known: Vec<&str> = services.keys().filter_map(Value::as_str).collect();
            let why = format!(
                "there is no service {node:?} in {}; there are {}",
                file.display(),
                known.join(", ")
            );
            return Err(FileProblem::Node { index, why });
        }
        // What the tool alone understands, as tags of its own, is left to it.
        if let Ok(written) = Resolved::parse(&text)
            && let Err(error) = written.check_node(node)
        {
            let why = error.to_string();
            return Err(FileProblem::Node { index, why });
        }
    }
    Ok(())
}

/// The profiles that some service of the file is behind. The error says why the file can't be read.
pub(super) fn profiles(file: &Path) -> Result<BTreeSet<String>, String> {
    let text = read(file).map_err(|error| error.to_string())?;
    let document: Value = yaml_serde::from_str(&text).map_err(|error| error.to_string())?;
    let services = document.get("services").and_then(Value::as_mapping);
    let profiles = (services.into_iter().flat_map(|services| services.values()))
        .filter_map(|service| service.get("profiles")?.as_sequence())
        .flatten();
    Ok(profiles.filter_map(Value::as_str).map(str::to_owned).collect())
}

fn read(file: &Path) -> std::io::Result<String> {
    let mut options = File::options();
    // Opening a pipe that nobody writes to would wait for ever.
    options
        .read(true)
        .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits());
    let file = options.open(file)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    if file.take(BYTES_MAX + 1).read_to_string(&mut text)? as u64 > BYTES_MAX {
        return Err(std::io::Error::other(format!(
            "it is larger than {BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Result<(), String> {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("compose.yaml");
        std::fs::write(&file, text).expect("a file");
        look(&file, &["n1".to_owned(), "n2".to_owned()]).map_err(|error| error.to_string())
    }

    #[test]
    fn what_the_file_itself_shows_is_seen() {
        let good = "services: {n1: {image: a}, n2: {image: \"a:${VERSION}\"}, proxy: {build: .}}";
        assert_eq!(problem(good), Ok(()));
        assert_eq!(problem("include: [other.yaml]"), Ok(()));
        let says = |text: &str, part: &str| {
            let error = problem(text).expect_err(text);
            assert!(error.contains(part), "{error}");
        };
        says("services: {n1: {image: a}}", "no service \"n2\"");
        says("services: [", "is not a compose file");
        says("just text", "has no services");
        says(
            "services: {n1: {network_mode: host}, n2: {}}",
            "network_mode: host",
        );
        let missing = look(Path::new("/nowhere/compose.yaml"), &[]).expect_err("missing");
        assert!(
            missing.to_string().contains("read /nowhere/compose.yaml"),
            "{missing}"
        );
    }
}
