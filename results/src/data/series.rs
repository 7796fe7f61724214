//! Operations by time: how many were asked for, attempted how often, and ended how, and how long they took, in at most [`BINS_MAX`] bins.
//!
//! Quantiles come from HDR histograms (Tene): those of the whole run are off by at most 0.1 %, those of a bin, which are
//! only drawn, by 1 %. When a run outgrows its bins, neighbours are merged and every bin becomes twice as wide; so memory
//! is bounded however long the run.

use std::collections::BTreeMap;

use duress_checker::evidence::Outcomes;
use duress_checker::history::EventType;
use hdrhistogram::Histogram;

/// A quarter of a second shows a fault of one second with its edges.
const WIDTH_START: u64 = 250_000_000;

/// About as many as a plot has room for.
const BINS_MAX: usize = 300;

/// Of the operations that did not end `ok` one is drawn for each bin and each of so many steps in a doubling of latency.
const DOTS_PER_DOUBLING: f64 = 2.0;

/// Operations by time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// How long a bin lasts, in nanoseconds.
    pub width: u64,
    /// The bins, without gaps, from the beginning of the run.
    pub bins: Vec<Bin>,
    /// Where operations were that ended `fail` or `info`, thinned out to what the eye can tell apart.
    pub dots: Vec<Dot>,
    /// Latency of all operations that ended `ok`.
    pub total: Option<Quantiles>,
}

/// What happened in one stretch of time.
#[derive(Clone, Debug, Default)]
pub struct Bin {
    /// Operations that were asked for in it, or should have been.
    pub offered: u64,
    /// Attempts that were begun in it.
    pub attempted: u64,
    /// Operations that completed in it.
    pub completed: Outcomes,
    /// Latency of the operations invoked in it that ended `ok`; `None`: there were none.
    pub latency: Option<Quantiles>,
}

/// Quantiles of latency, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantiles {
    /// Half of the operations took at most this long.
    pub p50: u64,
    /// 95 % took at most this long.
    pub p95: u64,
    /// 99 % took at most this long.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// One or more operations that took about as long at about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dot {
    /// When they were invoked, in nanoseconds since the run began.
    pub time: u64,
    /// How long they took, in nanoseconds.
    pub latency: u64,
    /// `true`: they ended `info`. `false`: `fail`.
    pub info: bool,
}

/// Takes operations one by one.
#[derive(Debug)]
pub(super) struct SeriesBuilder {
    width: u64,
    bins: Vec<BinBuilder>,
    total: Latencies<3>,
}

#[derive(Clone, Debug, Default)]
struct BinBuilder {
    offered: u64,
    attempted: u64,
    completed: Outcomes,
    latency: Latencies<2>,
    /// The first operation for each step of latency and outcome.
    dots: BTreeMap<(u32, bool), Dot>,
}

impl Default for SeriesBuilder {
    fn default() -> Self {
        SeriesBuilder {
            width: WIDTH_START,
            bins: Vec::new(),
            total: Latencies::default(),
        }
    }
}

impl SeriesBuilder {
    /// An operation that was asked for at this time, or should have been.
    pub(super) fn offered(&mut self, time: u64) {
        self.bin(time).offered += 1;
    }

    /// An attempt that was begun at this time.
    pub(super) fn attempted(&mut self, time: u64) {
        self.bin(time).attempted += 1;
    }

    pub(super) fn operation(&mut self, invoked: u64, completed: u64, outcome: EventType) {
        let latency = completed.saturating_sub(invoked);
        let counted = &mut self.bin(completed).completed;
        match outcome {
            EventType::Ok => counted.ok += 1,
            EventType::Fail => counted.fail += 1,
            EventType::Info | EventType::Invoke => counted.info += 1,
        }
        if outcome == EventType::Ok {
            self.total.add(latency);
        }
        let bin = self.bin(invoked);
        match outcome {
            EventType::Ok => bin.latency.add(latency),
            _ => {
                let info = outcome != EventType::Fail;
                let step = (latency.max(1) as f64).log2() * DOTS_PER_DOUBLING;
                let dot = Dot {
                    time: invoked,
                    latency,
                    info,
                };
                bin.dots.entry((step as u32, info)).or_insert(dot);
            }
        }
    }

    pub(super) fn finish(self) -> Series {
        let mut dots = Vec::new();
        let width = self.width;
        let bins = (self.bins.into_iter())
            .map(|bin| {
                dots.extend(bin.dots.into_values());
                Bin {
                    offered: bin.offered,
                    attempted: bin.attempted,
                    completed: bin.completed,
                    latency: bin.latency.quantiles(),
                }
            })
            .collect();
        Series {
            width,
            bins,
            dots,
            total: self.total.quantiles(),
        }
    }

    fn bin(&mut self, time: u64) -> &mut BinBuilder {
        while time / self.width >= BINS_MAX as u64 {
            self.halve();
        }
        let position = (time / self.width) as usize;
        if self.bins.len() <= position {
            self.bins.resize_with(position + 1, BinBuilder::default);
        }
        &mut self.bins[position]
    }

    fn halve(&mut self) {
        self.width = self.width.saturating_mul(2);
        let bins = std::mem::take(&mut self.bins);
        for pair in bins.chunks(2) {
            let mut first = pair[0].clone();
            if let Some(second) = pair.get(1) {
                first.offered += second.offered;
                first.attempted += second.attempted;
                first.completed.ok += second.completed.ok;
                first.completed.fail += second.completed.fail;
                first.completed.info += second.completed.info;
                first.latency.merge(&second.latency);
                for (&step, &dot) in &second.dots {
                    first.dots.entry(step).or_insert(dot);
                }
            }
            self.bins.push(first);
        }
    }
}

/// Latencies in nanoseconds, each to the first `DIGITS` decimal digits; the longest as it is.
#[derive(Clone, Debug)]
struct Latencies<const DIGITS: u8> {
    histogram: Histogram<u32>,
    max: u64,
}

/// Two weeks: a history may say anything, and a histogram has room for what is added to it.
const LATENCY_MAX: u64 = 1 << 50;

impl<const DIGITS: u8> Default for Latencies<DIGITS> {
    fn default() -> Self {
        Latencies {
            histogram: Histogram::new(DIGITS).expect("from 0 to 5 digits can be kept"),
            max: 0,
        }
    }
}

impl<const DIGITS: u8> Latencies<DIGITS> {
    fn add(&mut self, nanos: u64) {
        let bounded = nanos.min(LATENCY_MAX);
        self.histogram.record(bounded).expect("it grows with its values");
        self.max = self.max.max(nanos);
    }

    fn merge(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("it grows with its values");
        self.max = self.max.max(other.max);
    }

    fn quantiles(&self) -> Option<Quantiles> {
        let quantile = |share| self.histogram.value_at_quantile(share).min(self.max);
        (!self.histogram.is_empty()).then(|| Quantiles {
            p50: quantile(0.50),
            p95: quantile(0.95),
            p99: quantile(0.99),
            max: self.max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_list_within_a_thousandth() {
        let mut histogram = Latencies::<3>::default();
        (1..=1000u64).for_each(|value| histogram.add(value * 1000));
        let quantiles = histogram.quantiles().unwrap();
        for (seen, exact) in [
            (quantiles.p50, 500_000),
            (quantiles.p95, 950_000),
            (quantiles.p99, 990_000),
            (quantiles.max, 1_000_000),
        ] {
            assert!(
                seen >= exact && seen as f64 <= exact as f64 * 1.001,
                "{seen} for {exact}"
            );
        }
    }

    #[test]
    fn a_latency_that_nobody_has_seen_is_no_trouble() {
        let mut latencies = Latencies::<2>::default();
        latencies.add(0);
        latencies.add(u64::MAX);
        let quantiles = latencies.quantiles().unwrap();
        assert_eq!((quantiles.p50, quantiles.max), (0, u64::MAX));
    }

    #[test]
    fn a_long_run_has_wider_bins_and_loses_nothing() {
        let mut builder = SeriesBuilder::default();
        for second in 0..7200u64 {
            let kind = [EventType::Ok, EventType::Fail, EventType::Info][second as usize % 3];
            builder.offered(second * 1_000_000_000);
            builder.attempted(second * 1_000_000_000);
            builder.attempted(second * 1_000_000_000 + 1_000_000);
            builder.operation(second * 1_000_000_000, second * 1_000_000_000 + 2_000_000, kind);
        }
        let series = builder.finish();
        assert!(series.bins.len() <= BINS_MAX, "{}", series.bins.len());
        let all: u64 = (series.bins.iter().map(|bin| bin.completed))
            .map(|outcomes| outcomes.ok + outcomes.fail + outcomes.info)
            .sum();
        assert_eq!(all, 7200);
        let sum = |count: fn(&Bin) -> u64| series.bins.iter().map(count).sum::<u64>();
        assert_eq!((sum(|bin| bin.offered), sum(|bin| bin.attempted)), (7200, 14400));
        assert!(series.dots.len() <= 2 * BINS_MAX);
    }
}
