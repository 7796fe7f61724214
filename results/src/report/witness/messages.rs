//! What is wrong with the delivery of messages, and what happened to the first of each kind.

use duress_checker::verdict::{AnomalyProof, LifeProof, MessagesProof, MomentProof};
use maud::{Markup, html};

use crate::format::{count, cut, moment, value};

pub(super) fn proof(proof: &MessagesProof) -> Markup {
    html! {
        div.scroll tabindex="0" {
            table.stack {
                thead { tr { th { "Anomaly" } th.number { "Found" } th { "Likely cause" } } }
                tbody {
                    @for anomaly in &proof.anomalies {
                        tr {
                            td data-label="Anomaly" { code { (anomaly.name) } }
                            td.number data-label="Found" { (count(anomaly.count)) }
                            td data-label="Likely cause" { (causes(anomaly)) }
                        }
                    }
                }
            }
        }
        @for life in proof.lives.iter().filter(|life| !life.moments.is_empty()) {
            h3 { "The life of " (named(life)) ": " code { (life.anomaly) } }
            p.quiet { (life.sentence) }
            div.scroll tabindex="0" {
                table.stack.operations {
                    thead { tr {
                        th.number { "At" } th { "Process" } th { "Node" } th { "What happened" } th { "Faults in force" }
                    } }
                    tbody {
                        @for moment in &life.moments {
                            tr {
                                td.number data-label="At" { (self::moment(moment.time)) }
                                td data-label="Process" { (moment.process) }
                                td data-label="Node" { (moment.node.as_deref().unwrap_or("–")) }
                                td data-label="What happened" { (moment.what) }
                                td data-label="Faults in force" { (faults(moment)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn faults(moment: &MomentProof) -> String {
    match moment.faults.as_slice() {
        [] => "–".to_owned(),
        faults => faults.join(", "),
    }
}

fn named(life: &LifeProof) -> String {
    let message = value(&life.message);
    match &life.stream {
        Some(stream) => format!("{message} in {}", value(stream)),
        None => message,
    }
}

fn causes(anomaly: &AnomalyProof) -> String {
    let causes = anomaly.causes.iter();
    let causes: Vec<String> = causes
        .map(|(cause, times)| format!("{cause}: {}", count(*times)))
        .collect();
    causes.join(", ")
}

/// For the terminal: a line an anomaly, then a line a moment of the lives.
pub(crate) fn lived(proof: &MessagesProof) -> Vec<Vec<String>> {
    let anomalies = proof
        .anomalies
        .iter()
        .map(|anomaly| vec![anomaly.name.clone(), count(anomaly.count), causes(anomaly)]);
    let lives = proof.lives.iter().flat_map(|life| {
        life.moments.iter().map(|moment| {
            vec![
                self::moment(moment.time),
                cut(&named(life), 40),
                moment.what.clone(),
                format!("process {}", moment.process),
                moment.node.clone().unwrap_or_default(),
                moment.faults.join(", "),
            ]
        })
    });
    anomalies.chain(lives).collect()
}
