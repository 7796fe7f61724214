//! Latency quantiles, rate, retries and share of errors over time.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::bands;
use super::frame::{BOTTOM, Frame, LEFT, RIGHT, WIDTH, open};
use super::{Plot, legend};
use crate::data::{Bin, Quantiles, RunData};
use crate::format::count;

// `plot.css` turns these into what suits the dark.
const INK: RGBColor = RGBColor(0x5c, 0x62, 0x6b);
const GRID: RGBColor = RGBColor(0xe6, 0xe6, 0xe2);
const P50: RGBColor = RGBColor(0x1b, 0x55, 0x99);
const P95: RGBColor = RGBColor(0x4a, 0x8c, 0xd0);
const P99: RGBColor = RGBColor(0x96, 0xbe, 0xe8);
const MAX: RGBColor = RGBColor(0xa9, 0xad, 0xb3);
const OK: RGBColor = RGBColor(0x3b, 0x7f, 0xc4);
const INFO: RGBColor = RGBColor(0xe6, 0x8a, 0x00);
const FAIL: RGBColor = RGBColor(0xd4, 0x2a, 0x7c);

type Drawing = Result<(), DrawingAreaErrorKind<std::io::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// What is drawn on each bin of a plot: `None` leaves a gap.
struct Line {
    colour: RGBColor,
    width: u32,
    points: Vec<(f64, Option<f64>)>,
}

/// Latency, rate, retries if there were any, and errors; none of them when no operation completed.
pub fn load(run: &RunData) -> Vec<Plot> {
    if run.load.bins.is_empty() {
        return Vec::new();
    }
    let every = f64_seconds(run.load.width);
    let mut plots = vec![
        Plot {
            name: "latency".to_owned(),
            title: "Latency, by time of invocation".to_owned(),
            legend: legend(&[
                ("p50", "p50"),
                ("p95", "p95"),
                ("p99", "p99"),
                ("max", "max"),
                ("dot fail", "fail"),
                ("dot info", "info"),
            ]),
            svg: plot(run, 280, latency),
        },
        Plot {
            name: "rate".to_owned(),
            title: format!("Operations a second, every {every} s"),
            legend: legend(&[("ok", "ok"), ("fail", "fail"), ("info", "info")]),
            svg: plot(run, 190, rate),
        },
        Plot {
            name: "errors".to_owned(),
            title: "Share that did not end ok".to_owned(),
            legend: legend(&[("fail", "fail or info"), ("info", "info")]),
            svg: plot(run, 150, errors),
        },
    ];
    if is_retried(run) {
        let retries = Plot {
            name: "retries".to_owned(),
            title: format!(
                "Operations offered, attempts made, and operations completed a second, every {every} s"
            ),
            legend: legend(&[("p99", "offered"), ("info", "attempted"), ("p50", "completed")]),
            svg: plot(run, 190, retries),
        };
        plots.insert(2, retries);
    }
    plots
}

/// Whether there were more attempts than operations.
fn is_retried(run: &RunData) -> bool {
    let sum = |count: fn(&Bin) -> u64| run.load.bins.iter().map(count).sum::<u64>();
    sum(|bin| bin.attempted) > sum(|bin| bin.offered)
}

/// Puts a drawing of plotters below the strip of faults and in front of their bands.
fn plot(run: &RunData, height: u32, draw: impl Fn(&RunData, &Area<'_>) -> Drawing) -> String {
    let bands = bands::draw(run, Frame::new(run.end), height - BOTTOM);
    let mut drawing = String::new();
    {
        let area = SVGBackend::with_string(&mut drawing, (WIDTH, height)).into_drawing_area();
        draw(run, &area)
            .and_then(|()| area.present())
            .expect("drawing to a string does no I/O, and its ranges are checked before");
    }
    let inner = drawing
        .split_once('>')
        .and_then(|(_, rest)| rest.rsplit_once("</svg>"))
        .map_or("", |(inner, _)| inner);
    format!(
        r#"{}{}<g transform="translate(0 {})">{inner}</g></svg>"#,
        open(bands.height + height),
        bands.svg,
        bands.height
    )
}

fn latency(run: &RunData, area: &Area<'_>) -> Drawing {
    let latencies = || run.load.bins.iter().filter_map(|bin| bin.latency);
    let dots = || run.load.dots.iter().map(|dot| dot.latency);
    let low = latencies()
        .map(|latency| latency.p50)
        .chain(dots())
        .min()
        .unwrap_or(1_000_000);
    let high = latencies()
        .map(|latency| latency.max)
        .chain(dots())
        .max()
        .unwrap_or(1_000_000);
    // Whole powers of ten, in milliseconds, so that grid lines have round names.
    let floor = 10f64.powf((millis(low.max(1_000))).log10().floor());
    let ceiling = 10f64
        .powf((millis(high.max(low) + 1)).log10().ceil())
        .max(floor * 10.0);

    let mut chart = ChartBuilder::on(area)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(LEFT)
        .margin_right(RIGHT)
        .build_cartesian_2d(0.0..f64_seconds(run.end.max(1)), (floor..ceiling).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .x_label_formatter(&|seconds| seconds_label(*seconds))
        .y_label_formatter(&|milliseconds| latency_label(*milliseconds))
        .draw()?;
    let quantile = |colour, width, pick: fn(Quantiles) -> u64| Line {
        colour,
        width,
        points: (run.load.bins.iter())
            .enumerate()
            .map(|(position, bin)| {
                (
                    middle(run, position),
                    bin.latency.map(|latency| millis(pick(latency))),
                )
            })
            .collect(),
    };
    let lines = [
        quantile(MAX, 1, |latency| latency.max),
        quantile(P99, 1, |latency| latency.p99),
        quantile(P95, 2, |latency| latency.p95),
        quantile(P50, 2, |latency| latency.p50),
    ];
    for line in lines {
        for (stretch, style) in stretches(&line) {
            match stretch[..] {
                [point] => chart.draw_series([Circle::new(point, 2, style.filled())])?,
                _ => chart.draw_series([PathElement::new(stretch, style)])?,
            };
        }
    }
    let dots = (run.load.dots.iter()).map(|dot| {
        let colour = if dot.info { INFO } else { FAIL };
        Circle::new(
            (f64_seconds(dot.time), millis(dot.latency).clamp(floor, ceiling)),
            2,
            colour.mix(0.55).filled(),
        )
    });
    chart.draw_series(dots)?;
    Ok(())
}

fn rate(run: &RunData, area: &Area<'_>) -> Drawing {
    let lines = [
        a_second(run, OK, |bin| bin.completed.ok),
        a_second(run, INFO, |bin| bin.completed.info),
        a_second(run, FAIL, |bin| bin.completed.fail),
    ];
    rates(run, area, &lines)
}

/// Attempts far above what is offered are a storm of retries; what is completed falls behind meanwhile.
fn retries(run: &RunData, area: &Area<'_>) -> Drawing {
    let lines = [
        a_second(run, P99, |bin| bin.offered),
        a_second(run, INFO, |bin| bin.attempted),
        a_second(run, P50, |bin| {
            bin.completed.ok + bin.completed.fail + bin.completed.info
        }),
    ];
    rates(run, area, &lines)
}

/// How many of something there were a second.
fn a_second(run: &RunData, colour: RGBColor, pick: fn(&Bin) -> u64) -> Line {
    let every = f64_seconds(run.load.width);
    Line {
        colour,
        width: 2,
        points: (run.load.bins.iter())
            .enumerate()
            .map(|(position, bin)| (middle(run, position), Some(pick(bin) as f64 / every)))
            .collect(),
    }
}

fn rates(run: &RunData, area: &Area<'_>, lines: &[Line]) -> Drawing {
    linear(run, area, highest(lines) * 1.08, lines, &|rate| {
        count(rate.round() as u64)
    })
}

fn errors(run: &RunData, area: &Area<'_>) -> Drawing {
    let share = |colour, width, pick: fn(&Bin) -> u64| Line {
        colour,
        width,
        points: (run.load.bins.iter())
            .enumerate()
            .map(|(position, bin)| {
                let all = bin.completed.ok + bin.completed.fail + bin.completed.info;
                let share = (all > 0).then(|| 100.0 * pick(bin) as f64 / all as f64);
                (middle(run, position), share)
            })
            .collect(),
    };
    let lines = [
        share(FAIL, 2, |bin| bin.completed.fail + bin.completed.info),
        share(INFO, 2, |bin| bin.completed.info),
    ];
    linear(run, area, 100.0, &lines, &|percent| format!("{percent:.0} %"))
}

/// Lines above a time axis, from 0 to `top`.
fn linear(
    run: &RunData,
    area: &Area<'_>,
    top: f64,
    lines: &[Line],
    label: &dyn Fn(&f64) -> String,
) -> Drawing {
    let mut chart = ChartBuilder::on(area)
        .margin_top(6)
        .x_label_area_size(BOTTOM)
        .y_label_area_size(LEFT)
        .margin_right(RIGHT)
        .build_cartesian_2d(0.0..f64_seconds(run.end.max(1)), 0.0..top.max(1.0))?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(GRID)
        .y_labels(5)
        .label_style(("sans-serif", 14).into_font().color(&INK))
        .x_label_formatter(&|seconds| seconds_label(*seconds))
        .y_label_formatter(label)
        .draw()?;
    for line in lines {
        for (stretch, style) in stretches(line) {
            chart.draw_series([PathElement::new(stretch, style)])?;
        }
    }
    Ok(())
}

/// The parts of a line between its gaps.
fn stretches(line: &Line) -> impl Iterator<Item = (Vec<(f64, f64)>, ShapeStyle)> {
    let style = line.colour.stroke_width(line.width);
    (line.points)
        .split(|(_, value)| value.is_none())
        .filter(|stretch| !stretch.is_empty())
        .map(move |stretch| {
            let points = stretch.iter().filter_map(|&(time, value)| Some((time, value?)));
            (points.collect(), style)
        })
}

fn highest(lines: &[Line]) -> f64 {
    (lines.iter().flat_map(|line| &line.points))
        .filter_map(|&(_, value)| value)
        .fold(0.0, f64::max)
}

fn middle(run: &RunData, position: usize) -> f64 {
    let from = run.load.width as f64 * position as f64;
    let to = (from + run.load.width as f64).min(run.end as f64).max(from);
    (from + to) / 2e9
}

fn f64_seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

pub(super) fn seconds_label(seconds: f64) -> String {
    let rounded = (seconds * 1000.0).round() / 1000.0;
    format!("{rounded} s")
}

fn latency_label(milliseconds: f64) -> String {
    match milliseconds {
        ms if ms < 0.9995 => format!("{:.0} µs", ms * 1e3),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{:.0} s", ms / 1e3),
    }
}
