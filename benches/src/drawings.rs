//! The plots of the report.

use std::path::Path;
use std::{fs, io};

use crate::dialing::Saving;
use crate::keys::Growth;
use crate::plot::{Axis, Line, Pair, lines, pairs};
use crate::starved::Curve;

/// Waits by percentile, in parts of a million.
const PERCENTILES: [(usize, &str); 7] = [
    (100_000, "10 %"),
    (500_000, "50 %"),
    (900_000, "90 %"),
    (990_000, "99 %"),
    (999_000, "99.9 %"),
    (999_900, "99.99 %"),
    (1_000_000, "the longest"),
];

/// Draws what there is into a directory, which is made if it must be. Says what was written.
///
/// # Errors
///
/// What the system says about the directory or a file.
pub fn write(
    directory: &Path,
    waits: &[Curve],
    growth: &[Growth],
    savings: &[Saving],
) -> io::Result<Vec<String>> {
    fs::create_dir_all(directory)?;
    let all = [
        ("latency.svg", latency(waits)),
        ("hosts.svg", hosts(growth)),
        ("dialing.svg", dialing(savings)),
    ];
    let mut written = Vec::new();
    for (name, drawing) in all {
        let file = directory.join(name);
        fs::write(&file, drawing)?;
        written.push(file.display().to_string());
    }
    Ok(written)
}

fn latency(waits: &[Curve]) -> String {
    let line = |curve: &Curve| {
        let at = |(nth, (per_million, _)): (usize, &(usize, &str))| {
            (nth as f64, curve.latencies.percentile(*per_million))
        };
        let points = PERCENTILES.iter().enumerate().map(at).collect();
        Line { name: curve.name.to_owned(), is_wharf: curve.is_wharf, points }
    };
    let all: Vec<Line> = waits.iter().map(line).collect();
    let names = PERCENTILES.map(|(_, name)| name.to_owned());
    let x = Axis::steps("acquires that took no longer", &names);
    let y = Axis::log("time of an acquire, microseconds", values(&all));
    let title = "How long an acquire takes: 1,024 tasks, 16 connections";
    lines(title, "Each gives way once while it holds a connection. Lower is better.", &x, &y, &all)
}

fn hosts(growth: &[Growth]) -> String {
    let line = |growth: &Growth| Line {
        name: growth.name.to_owned(),
        is_wharf: growth.is_wharf,
        points: growth.points.clone(),
    };
    let all: Vec<Line> = growth.iter().map(line).collect();
    let hosts = growth.iter().flat_map(|growth| &growth.points).map(|point| point.0);
    let x = Axis::log("hosts, each with one idle connection", hosts);
    let y = Axis::from_zero("acquire and return, nanoseconds", values(&all));
    let title = "What a hit by key costs when there are many hosts";
    lines(title, "One task, hosts in random order. Lower is better.", &x, &y, &all)
}

fn dialing(savings: &[Saving]) -> String {
    let pair = |saving: &Saving| Pair {
        name: saving.name.clone(),
        without: saving.dialing,
        with: saving.pooled,
    };
    let all: Vec<Pair> = savings.iter().map(pair).collect();
    let rates = all.iter().flat_map(|pair| [pair.without, pair.with]);
    let x = Axis::log("requests per second", rates);
    let title = "A pool against dialing for each request";
    let subtitle = "16 tasks, loopback, with so many milliseconds added in each direction. \
                    More is better.";
    pairs(title, subtitle, ["dial each time", "wharf"], &x, &all)
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| &line.points).map(|point| point.1)
}
