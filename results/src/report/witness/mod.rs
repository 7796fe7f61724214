//! What broke: for each violated property its sentence, when and where it happened, and its proof, drawn by its kind.

mod contents;
mod messages;
mod operations;
mod statuses;
mod tenures;

pub(crate) use contents::held;
pub(crate) use messages::lived;
pub(crate) use statuses::said;

use duress_checker::verdict::{Proof, Verdict, Witness};
use maud::{Markup, html};

use crate::data::RunData;

pub(super) fn section(run: &RunData) -> Markup {
    let broken: Vec<(&str, &Witness)> = (run.verdict.properties.iter())
        .filter_map(|property| match &property.verdict {
            Verdict::Violated { witness } => Some((property.property.as_str(), witness)),
            _ => None,
        })
        .collect();
    html! {
        @if !broken.is_empty() {
            section id="witness" {
                h2 { "What broke" }
                @for (property, witness) in broken {
                    (one(property, witness, run))
                }
            }
        }
    }
}

fn one(property: &str, witness: &Witness, run: &RunData) -> Markup {
    html! {
        article.witness {
            p.property { (property) }
            p.sentence { (witness.summary) }
            @if !witness.circumstances.is_empty() {
                p.circumstances { (witness.circumstances) }
            }
            @match &witness.proof {
                Proof::Operations => (operations::proof(witness, run)),
                Proof::Contents(proof) => {
                    (contents::proof(proof))
                    (operations::origin("The writes that it came from", witness, run))
                }
                Proof::Statuses(proof) => (statuses::proof(proof, run)),
                Proof::Messages(proof) => {
                    (messages::proof(proof))
                    (operations::origin("The operations that show the first of them", witness, run))
                }
                Proof::Tenures(proof) => {
                    (tenures::proof(proof, run))
                    (operations::origin("The operations that acquired it", witness, run))
                }
            }
        }
    }
}
