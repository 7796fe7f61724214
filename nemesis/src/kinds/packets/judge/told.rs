//! What was measured on links, beside what was asked, in words. Pure.

use super::super::effects::Effects;
use super::super::order::LinkMeasured;
use super::link::{lost, ms, throughput, width};

/// What was measured, beside what was asked.
pub fn told(links: &[LinkMeasured], effects: &Effects) -> String {
    let span = |values: &mut dyn Iterator<Item = f64>, unit: &str| {
        let (least, most) = values.fold((f64::INFINITY, 0f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        format!("{least:.1} to {most:.1} {unit}")
    };
    let mut said = Vec::new();
    if effects.median_us() > 0 {
        let medians = span(&mut links.iter().map(|link| ms(link.delay_us[2])), "ms");
        said.push(format!(
            "half of the packets are more than {medians} late (asked {:.1} ms)",
            ms(effects.median_us())
        ));
    }
    if effects.jam_us > 0 {
        let longest = span(&mut links.iter().map(|link| ms(link.delay_us[4])), "ms");
        said.push(format!(
            "they are held for {longest} at most and delivered in order (asked {:.1} ms)",
            ms(effects.jam_us)
        ));
    }
    if effects.quartiles_us() > 0 {
        let widths = span(&mut links.iter().map(|link| ms(width(link))), "ms");
        said.push(format!(
            "the middle half is {widths} apart (asked {:.1} ms)",
            ms(effects.quartiles_us())
        ));
    }
    let mut shares = |share: f64, what: &str, count: &dyn Fn(&LinkMeasured) -> f64| {
        if share > 0.0 {
            let of_link = |link: &LinkMeasured| count(link) / f64::from(link.sent) * 100.0;
            let seen = span(&mut links.iter().map(of_link), "%");
            said.push(format!("{seen} {what} (asked {:.1} %)", share * 100.0));
        }
    };
    // What waits for its turn in vain is lost, too: not a share that was asked for.
    let lossy = if effects.rate > 0 { 0.0 } else { effects.missing() };
    shares(lossy, "are lost", &lost);
    shares(effects.duplicate, "come twice", &|link| f64::from(link.twice));
    shares(effects.reorder, "are overtaken", &|link| {
        f64::from(link.overtaken)
    });
    shares(effects.changed(), "are changed", &|link| f64::from(link.changed));
    if effects.refused() > 0.0 {
        let refused: u64 = links.iter().map(|link| link.refused).max().unwrap_or(0);
        said.push(format!(
            "kernels refused up to {refused} at a node for their checksum"
        ));
    }
    if effects.rate > 0 {
        let kb = |link: &LinkMeasured| throughput(link) / 1000.0;
        let rates = span(&mut links.iter().map(kb), "kB");
        said.push(format!(
            "{rates} pass in a second (asked {:.1} kB)",
            effects.rate as f64 / 1000.0
        ));
    }
    said.join(", ")
}
