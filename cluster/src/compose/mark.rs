//! What a run writes on everything that it makes on the engine, sealed so that nobody else can.
//!
//! The seal covers run, controller and directory; which labels these are stands in [`super::sweep`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::engine::Thing;
use crate::{Controller, Key};

/// The run that something belongs to.
pub const RUN_LABEL: &str = "duress.run";
/// The controller of the run.
const CONTROLLER_LABEL: &str = "duress.controller";
/// Where logs go.
const DIRECTORY_LABEL: &str = "duress.directory";
/// Proof that the labels above were written by this machine's Duress.
const SEAL_LABEL: &str = "duress.seal";
/// The node that a container is.
pub const NODE_LABEL: &str = "duress.node";

/// The domain of the seal.
const DOMAIN: &str = "labels";

/// The project's name on the engine.
pub(super) fn project_name(run: &str) -> String {
    format!("duress-{run}")
}

/// The labels of one run, proven.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    run: String,
    controller: Controller,
    directory: PathBuf,
    seal: String,
}

impl Mark {
    /// What this process writes on all that it makes for a run.
    pub fn new(key: &Key, run: &str, directory: &Path) -> Mark {
        let controller = Controller::this();
        let seal = key.seal(
            DOMAIN,
            &[run, &controller.to_string(), &directory.to_string_lossy()],
        );
        Mark {
            run: run.to_owned(),
            controller,
            directory: directory.to_owned(),
            seal,
        }
    }

    /// That of something on the engine, or why nothing proves that Duress made it.
    pub fn of_thing(thing: &Thing, key: &Key) -> Result<Mark, String> {
        let label = |name: &str| thing.labels.get(name).map(String::as_str).unwrap_or_default();
        let (run, controller, directory) =
            (label(RUN_LABEL), label(CONTROLLER_LABEL), label(DIRECTORY_LABEL));
        let seal = label(SEAL_LABEL);
        if !key.verifies(DOMAIN, &[run, controller, directory], seal) {
            return Err(
                "carries labels of Duress without proof that this user's Duress wrote them".to_owned(),
            );
        }
        let mark = Mark {
            run: run.to_owned(),
            controller: controller.parse()?,
            directory: directory.into(),
            seal: seal.to_owned(),
        };
        if !mark.names(thing) {
            return Err(format!(
                "has the labels of run {run} and not a name of its project: it may be a copy of a node"
            ));
        }
        Ok(mark)
    }

    /// The labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        [
            (RUN_LABEL, self.run.clone()),
            (CONTROLLER_LABEL, self.controller.to_string()),
            (DIRECTORY_LABEL, self.directory.to_string_lossy().into_owned()),
            (SEAL_LABEL, self.seal.clone()),
        ]
        .map(|(label, value)| (label.to_owned(), value))
        .into()
    }

    /// Whether this run made it: it carries the mark, or, where a tool was killed half-way, no label of Duress and the name
    /// of the run's project.
    pub fn is_on(&self, thing: &Thing) -> bool {
        let seal = thing.labels.get(SEAL_LABEL);
        let marked = match seal {
            Some(seal) => *seal == self.seal && thing.labels.get(RUN_LABEL) == Some(&self.run),
            None => !thing.labels.contains_key(RUN_LABEL),
        };
        marked && self.names(thing)
    }

    /// Whether its name is one of the run's project: `duress-a1_n1_1`, `duress-a1-agent`. While Compose 1 replaces a container,
    /// the old one has something before that.
    fn names(&self, thing: &Thing) -> bool {
        let project = project_name(&self.run);
        let mut ends = thing
            .name
            .match_indices(&project)
            .map(|(at, _)| &thing.name[at + project.len()..]);
        ends.any(|rest| rest.starts_with(['_', '-']))
    }

    /// The run.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The controller that drives the run.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Where it keeps its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine::{Kind, Labels};
    use super::*;

    fn thing(name: &str, labels: &BTreeMap<String, String>) -> Thing {
        Thing {
            kind: Kind::Container,
            id: "1".to_owned(),
            name: name.to_owned(),
            labels: labels.clone().into_iter().collect(),
        }
    }

    #[test]
    fn only_what_this_key_sealed_is_a_runs() {
        let key = Key::of_this_process();
        let mark = Mark::new(&key, "a1", Path::new("/runs/1"));
        for name in [
            "duress-a1_n1_1",
            "duress-a1-n1-1",
            "duress-a1-agent",
            "0123abcd_duress-a1_n1_1",
        ] {
            let ours = thing(name, &mark.labels());
            assert_eq!(Mark::of_thing(&ours, &key), Ok(mark.clone()));
            assert!(mark.is_on(&ours));
        }
        let said = |thing: &Thing, key: &Key| Mark::of_thing(thing, key).expect_err("refused");
        let ours = thing("duress-a1_n1_1", &mark.labels());
        assert!(said(&ours, &Key::of_this_process()).contains("without proof"));
        for changed in [RUN_LABEL, CONTROLLER_LABEL, DIRECTORY_LABEL, SEAL_LABEL] {
            let mut labels = mark.labels();
            labels.insert(changed.to_owned(), "a2".to_owned());
            assert!(
                said(&thing("duress-a1_n1_1", &labels), &key).contains("without proof"),
                "{changed}"
            );
            labels.remove(changed);
            assert!(
                said(&thing("duress-a1_n1_1", &labels), &key).contains("without proof"),
                "{changed}"
            );
        }
    }

    #[test]
    fn a_copy_of_a_node_has_its_labels_and_another_name() {
        let key = Key::of_this_process();
        let mark = Mark::new(&key, "a1", Path::new("/runs/1"));
        for name in ["happy_curie", "duress-a12_n1_1", "duress-a1"] {
            let copy = thing(name, &mark.labels());
            assert!(Mark::of_thing(&copy, &key).expect_err("refused").contains("copy"));
            assert!(!mark.is_on(&copy), "{name}");
        }
    }

    #[test]
    fn what_a_tool_left_half_way_is_known_by_its_name() {
        let mark = Mark::new(&Key::of_this_process(), "a1", Path::new("/runs/1"));
        assert!(mark.is_on(&thing("duress-a1_default", &BTreeMap::new())));
        let foreign = Labels::from([(RUN_LABEL.to_owned(), "a1".to_owned())]);
        assert!(!mark.is_on(&thing("duress-a1_n1_1", &foreign.into_iter().collect())));
    }
}
