//! Which faults this machine can do, by what each kind needs of it.

use std::collections::BTreeMap;

use duress_cluster::doctor::{self, Capability};
use duress_cluster::local::Isolation;
use duress_nemesis::kinds::{Kind, TABLE};

/// What is there of what kinds of faults need, by name.
pub type Probed = BTreeMap<&'static str, Capability>;

/// Tries everything that these kinds need, each thing once.
pub fn probe(isolation: Isolation, kinds: &[&'static dyn Kind]) -> Probed {
    let needs = kinds.iter().flat_map(|kind| kind.needs());
    let distinct: BTreeMap<_, _> = needs.map(|need| (need.name, *need)).collect();
    let probed = |(name, need)| (name, doctor::probe(isolation, need));
    distinct.into_iter().map(probed).collect()
}

/// What keeps this machine from a kind of fault; empty if nothing does.
pub fn lacks<'a>(kind: &dyn Kind, probed: &'a Probed) -> Vec<&'a Capability> {
    let needs = kind.needs().iter();
    needs
        .filter_map(|need| probed.get(need.name))
        .filter(|found| !found.ok)
        .collect()
}

/// What its entry is called in what [`faults`] says.
pub fn name(kind: &str) -> String {
    format!("fault {kind}")
}

/// For each kind of fault, whether this machine can do it: what `duress doctor` says.
pub fn faults(probed: &Probed) -> Vec<Capability> {
    let fault = |kind: &&'static dyn Kind| {
        let lacks = lacks(*kind, probed);
        let list = |names: Vec<&str>| names.join(", ");
        let detail = match (kind.needs(), lacks.is_empty()) {
            ([], _) => "needs nothing but a cluster".to_owned(),
            (needs, true) => format!(
                "works with {}",
                list(needs.iter().map(|need| need.name).collect())
            ),
            (_, false) => format!(
                "needs {}",
                list(lacks.iter().map(|lack| lack.name.as_str()).collect())
            ),
        };
        Capability {
            name: name(kind.name()),
            ok: lacks.is_empty(),
            detail,
            fix: lacks.first().map(|lack| lack.fix.clone()).unwrap_or_default(),
        }
    };
    TABLE.iter().map(fault).collect()
}

/// What to say of the first kind that this machine can't do, if there is one.
pub fn refuse(isolation: Isolation, kinds: &[&'static dyn Kind]) -> Result<(), String> {
    refusal(kinds, &probe(isolation, kinds)).map_or(Ok(()), Err)
}

fn refusal(kinds: &[&'static dyn Kind], probed: &Probed) -> Option<String> {
    kinds.iter().find_map(|kind| {
        let lack = *lacks(*kind, probed).first()?;
        Some(format!(
            "this machine can't do the fault {}, which the spec asks for: {}: {}; {}, or leave the fault out",
            kind.name(),
            lack.name,
            lack.detail,
            lack.fix
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking(name: &str) -> Probed {
        let needs = TABLE.iter().flat_map(|kind| kind.needs());
        let capability = |need: &&doctor::Requirement| Capability {
            name: need.name.to_owned(),
            ok: need.name != name,
            detail: "not installed".to_owned(),
            fix: need.fix.to_owned(),
        };
        needs.map(|need| (need.name, capability(need))).collect()
    }

    #[test]
    fn each_kind_is_told_what_it_lacks() {
        for (name, without) in [
            ("iptables", vec!["partition", "half-open"]),
            ("ip6tables", vec!["partition", "half-open"]),
            ("nothing", vec![]),
        ] {
            let faults = faults(&lacking(name));
            assert_eq!(faults.len(), TABLE.len());
            for fault in faults {
                let expected = !without.iter().any(|kind| fault.name == super::name(kind));
                assert_eq!(
                    (fault.ok, fault.fix.is_empty()),
                    (expected, expected),
                    "{fault:?}"
                );
                assert!(fault.ok || fault.detail.contains(name), "{fault:?}");
            }
        }
    }

    #[test]
    fn only_what_is_asked_for_is_refused() {
        let named = |name: &str| *TABLE.iter().find(|kind| kind.name() == name).expect(name);
        let probed = lacking("iptables");
        let why = refusal(&[named("kill"), named("partition")], &probed).expect("a refusal");
        assert!(
            why.contains("partition") && why.contains("install the package iptables"),
            "{why}"
        );
        assert_eq!(refusal(&[named("kill"), named("pause")], &probed), None);
        assert_eq!(refusal(&[named("partition")], &lacking("nothing")), None);
    }
}
