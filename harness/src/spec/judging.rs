//! How a run is judged: what is claimed, how much evidence that takes, what the checkers may spend.

use duress_checker::property::{self, About, Property, UnknownProperty};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::duration::SpecDuration;

/// A property of the checker's table, as a spec names it.
#[derive(Clone, Copy)]
pub struct Claim(&'static dyn Property);

impl Claim {
    /// The property of this name.
    pub fn named(name: &str) -> Result<Claim, UnknownProperty> {
        property::named(name).map(Claim)
    }

    /// What is said about the property.
    pub fn about(self) -> &'static About {
        self.0.about()
    }

    /// The property itself.
    pub fn property(self) -> &'static dyn Property {
        self.0
    }
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.about().name)
    }
}

impl PartialEq for Claim {
    fn eq(&self, other: &Self) -> bool {
        self.about().name == other.about().name
    }
}

impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.about().name)
    }
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Claim::named(&name).map_err(de::Error::custom)
    }
}

/// What is claimed where a spec names nothing.
pub(super) fn default_properties() -> Vec<Claim> {
    let claim = |name: &&str| {
        let found = property::PROPERTIES
            .iter()
            .find(|property| property.about().name == *name);
        found.copied().map(Claim)
    };
    ["linearizable", "recovers"].iter().filter_map(claim).collect()
}

/// How much evidence a run needs; one that falls short is inconclusive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EvidenceSpec {
    /// Operations that ended `ok`.
    pub ok: u64,
    /// Operations of each kind that ended `ok`.
    pub ok_of_each: u64,
    /// Whether each fault has to be proven to have bitten and to have been healed.
    pub faults_verified: bool,
}

impl Default for EvidenceSpec {
    fn default() -> Self {
        EvidenceSpec {
            ok: 1000,
            ok_of_each: 50,
            faults_verified: true,
        }
    }
}

/// What the checkers may spend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckSpec {
    /// Wall time.
    pub time: SpecDuration,
    /// Memory, in MiB.
    pub memory_mib: usize,
}

impl Default for CheckSpec {
    fn default() -> Self {
        CheckSpec {
            time: SpecDuration::seconds(60),
            memory_mib: 2048,
        }
    }
}

#[cfg(test)]
mod tests {
    use duress_checker::property::PROPERTIES;

    use super::*;

    #[test]
    fn the_page_on_specs_says_what_can_be_claimed() {
        let page = include_str!("../../../docs/specs.md");
        for about in PROPERTIES.iter().map(|property| property.about()) {
            let row = format!("| `{}` | {}: {} |\n", about.name, about.kind.name(), about.claim);
            assert!(page.contains(&row), "docs/specs.md lacks the row\n{row}");
        }
    }

    #[test]
    fn a_spec_that_claims_nothing_claims_what_every_system_should_keep() {
        let names: Vec<&str> = default_properties()
            .iter()
            .map(|claim| claim.about().name)
            .collect();
        assert_eq!(names, ["linearizable", "recovers"]);
    }
}
