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
    let text = text_of(file)?;
    let Some(known) = services_in(file, &text)? else {
        return Ok(());
    };
    // What the tool alone understands, as tags of its own, is left to it.
    let written = Resolved::parse(&text).ok();
    for (index, node) in nodes.iter().enumerate() {
        let why = match &written {
            None if known.contains(node) => continue,
            None => no_service(node, file, &known),
            Some(written) if written.member(node).is_none() => no_service(node, file, &written.known()),
            Some(written) => match written.check_node(node) {
                Ok(()) => continue,
                Err(error) => error.to_string(),
            },
        };
        return Err(FileProblem::Node { index, why });
    }
    Ok(())
}

/// Looks whether the file has this service, in which something shall run that is no node. The error says what it has. What is
/// wrong with the file itself is for [`look`] to say.
pub fn look_for_service(file: &Path, service: &str) -> Result<(), String> {
    let known = text_of(file).and_then(|text| services_in(file, &text));
    match known.unwrap_or_default() {
        Some(known) if !known.iter().any(|name| name == service) => Err(no_service(service, file, &known)),
        _ => Ok(()),
    }
}

fn no_service(name: &str, file: &Path, known: &[String]) -> String {
    format!(
        "there is no service {name:?} in {}; there are {}",
        file.display(),
        known.join(", ")
    )
}

fn text_of(file: &Path) -> Result<String, FileProblem> {
    read(file).map_err(|error| FileProblem::File {
        why: format!("read {}: {error}", file.display()),
    })
}

/// The services in the text of this file. `None`: some may come from other files, which only the tool finds.
fn services_in(file: &Path, text: &str) -> Result<Option<Vec<String>>, FileProblem> {
    let unusable = |why: String| FileProblem::File { why };
    let document: Value = yaml_serde::from_str(text)
        .map_err(|error| unusable(format!("{} is not a compose file: {error}", file.display())))?;
    if document.get("include").is_some() {
        return Ok(None);
    }
    // The oldest form of the file has services at its top.
    let services = document.get("services").unwrap_or(&document);
    let Some(services) = services.as_mapping() else {
        return Err(unusable(format!("{} has no services", file.display())));
    };
    let names = services.keys().filter_map(Value::as_str);
    Ok(Some(names.map(str::to_owned).collect()))
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

    #[test]
    fn a_service_beside_the_nodes_is_looked_for_by_its_name() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("compose.yaml");
        std::fs::write(&file, "services: {n1: {image: a}, drivers: {image: b}}").expect("a file");
        assert_eq!(look_for_service(&file, "drivers"), Ok(()));
        let said = look_for_service(&file, "driver").expect_err("refused");
        assert!(
            said.contains("no service \"driver\"") && said.contains("n1, drivers"),
            "{said}"
        );
        std::fs::write(&file, "include: [other.yaml]").expect("a file");
        assert_eq!(look_for_service(&file, "drivers"), Ok(()), "only the tool knows");
        let missing = look_for_service(Path::new("/nowhere/compose.yaml"), "drivers");
        assert_eq!(missing, Ok(()), "that is said where the file is named");
    }
}
