//! What the figures were taken on.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

/// What was measured, as `Cargo.lock` has it.
const MEASURED: [&str; 12] = [
    "wharf",
    "asyncband",
    "bb8",
    "bb8-postgres",
    "deadpool",
    "deadpool-postgres",
    "hyper-util",
    "mobc",
    "pingora-pool",
    "tokio",
    "tokio-postgres",
    "tonic",
];

/// A machine with more load than this has other work.
pub const MOST_LOAD: f64 = 0.3;

/// The load average of the last minute.
pub fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(f64::INFINITY)
}

/// The processor, its cores, the load before, the month, and the versions of everything that was measured.
pub fn describe(load: f64) -> String {
    let cores = available_parallelism().map_or("?".to_owned(), |n| n.to_string());
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let busy = if load > MOST_LOAD { ", so the machine was NOT idle" } else { "" };
    let versions: Vec<String> = MEASURED.iter().filter_map(|name| version(name)).collect();
    format!(
        "{}, {cores} cores; {} {}; load before: {load}{busy}; {}\n{}\n",
        processor(),
        std::env::consts::OS,
        system.trim(),
        month(),
        versions.join(", ")
    )
}

fn month() -> String {
    let date = Command::new("date").arg("+%B %Y").env("LC_ALL", "C").output();
    date.map_or(String::new(), |date| String::from_utf8_lossy(&date.stdout).trim().to_owned())
}

fn processor() -> String {
    let about = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = about.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split(':').nth(1)).map(|model| model.trim().to_owned());
    model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

/// The newest version of a package among those that are locked: a peer may bring an older one.
fn version(name: &str) -> Option<String> {
    let lock = include_str!("../../Cargo.lock");
    let head = format!("name = \"{name}\"\nversion = \"");
    let last = lock.rsplit_once(&head)?.1;
    Some(format!("{name} {}", last.split('"').next()?))
}
