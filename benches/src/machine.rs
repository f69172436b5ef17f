//! What the figures were taken on.

use std::fs;
use std::thread::available_parallelism;

/// What was measured, as `Cargo.lock` has it.
const MEASURED: [&str; 12] = [
    "wharf",
    "asyncband",
    "bb8",
    "deadpool",
    "fast_pool",
    "hyper-util",
    "mobc",
    "pingora-pool",
    "qorb",
    "r2d2",
    "tokio",
    "tonic",
];

/// The processor, its cores, and the versions of everything that was measured.
pub fn describe() -> String {
    let cores = available_parallelism().map_or("?".to_owned(), |n| n.to_string());
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let versions: Vec<String> = MEASURED.iter().filter_map(|name| version(name)).collect();
    format!(
        "{}, {cores} cores; {} {}; load before: {load}\n{}\n",
        processor(),
        std::env::consts::OS,
        system.trim(),
        versions.join(", ")
    )
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
