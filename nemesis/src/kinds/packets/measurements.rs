//! What was measured of packets, as numbers that can be drawn.

use std::collections::BTreeMap;

use duress_checker::history::Measurement;

use super::effects::Effects;
use super::order::{LinkMeasured, Measured};

/// For each node that receives, of the link that fares worst: how late half of its packets are, how many are lost, come twice, are
/// overtaken or changed, and how many bytes pass. `asked`: what is in force, or was until now.
pub fn measurements(seen: &Measured, asked: &Effects, in_force: bool) -> Vec<Measurement> {
    let mut nodes: BTreeMap<&str, Vec<&LinkMeasured>> = BTreeMap::new();
    for link in seen.links.iter().filter(|link| link.sent > 0) {
        nodes.entry(&link.to).or_default().push(link);
    }
    let mut measured = Vec::new();
    for (node, links) in nodes {
        let mut add = |what: &str, unit: &str, wanted: f64, of: &dyn Fn(&LinkMeasured) -> f64| {
            measured.push(Measurement {
                node: node.to_owned(),
                what: what.to_owned(),
                unit: unit.to_owned(),
                seen: links.iter().map(|link| of(link)).fold(0.0, f64::max),
                asked: in_force.then_some(wanted),
            });
        };
        if asked.median_us() > 0 {
            let late = asked.median_us() as f64 / 1e3;
            add("delay of half of the packets", "ms", late, &|link| {
                link.delay_us[2] as f64 / 1e3
            });
        }
        if asked.jam_us > 0 {
            let held = asked.jam_us as f64 / 1e3;
            add("longest delay of packets", "ms", held, &|link| {
                link.delay_us[4] as f64 / 1e3
            });
        }
        // What waits for its turn in vain is lost, too: not a share that was asked for.
        let missing = if asked.rate > 0 { 0.0 } else { asked.missing() };
        for (share, what, count) in [
            (
                missing,
                "packets lost",
                (|link| link.sent.saturating_sub(link.heard)) as fn(&LinkMeasured) -> u32,
            ),
            (asked.duplicate, "packets that come twice", |link| link.twice),
            (asked.reorder, "packets overtaken", |link| link.overtaken),
            (asked.changed(), "packets changed", |link| link.changed),
        ] {
            if share > 0.0 {
                add(what, "%", share * 100.0, &move |link| {
                    f64::from(count(link)) / f64::from(link.sent) * 100.0
                });
            }
        }
        // Once it is healed, too little is sent to tell how much could pass.
        if asked.rate > 0 && in_force {
            add(
                "bytes passed in a second",
                "kB",
                asked.rate as f64 / 1e3,
                &|link| link.bytes as f64 / link.span_us.max(1) as f64 * 1e3,
            );
        }
    }
    measured
}
