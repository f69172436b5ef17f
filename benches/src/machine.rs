//! What the figures were taken on.

use std::collections::BTreeSet;
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

/// The processor, its cores, the load before, and the month; the caches; the versions of everything that was measured.
pub fn describe(load: f64) -> String {
    let count = available_parallelism().map_or("?".to_owned(), |n| n.to_string());
    let system = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let busy = if load > MOST_LOAD { ", so the machine was NOT idle" } else { "" };
    let versions: Vec<String> = MEASURED.iter().filter_map(|name| version(name)).collect();
    format!(
        "{}, {count} cores; {} {}; load before: {load}{busy}; {}\n{}; {}\n{}\n",
        processor(),
        std::env::consts::OS,
        system.trim(),
        month(),
        caches(),
        cores(),
        versions.join(", ")
    )
}

/// What the system tells about its processors.
const CPUS: &str = "/sys/devices/system/cpu";

/// The caches that a core has, or shares: "L1d 32 KiB, L2 512 KiB, L3 32768 KiB".
fn caches() -> String {
    let caches: Vec<String> =
        cache_sizes().map(|(name, kib)| format!("{name} {kib} KiB")).collect();
    if caches.is_empty() { "caches not known".to_owned() } else { caches.join(", ") }
}

/// The size in KiB of the last cache before the memory. `None` where the system does not tell.
pub(crate) fn last_cache() -> Option<u64> {
    cache_sizes().map(|(_, kib)| kib).max()
}

/// Data caches of the first core, with their sizes in KiB.
fn cache_sizes() -> impl Iterator<Item = (String, u64)> {
    let read = |index: u32, file: &str| {
        let text = fs::read_to_string(format!("{CPUS}/cpu0/cache/index{index}/{file}"));
        text.map(|text| text.trim().to_owned()).ok()
    };
    (0..8).filter_map(move |index| {
        let letter = match read(index, "type")?.as_str() {
            "Data" => "d",
            "Unified" => "",
            _ => return None,
        };
        let kib = read(index, "size")?.strip_suffix('K')?.parse().ok()?;
        Some((format!("L{}{letter}", read(index, "level")?), kib))
    })
}

/// Which of the cores are two threads of a physical one.
fn cores() -> String {
    let siblings = |cpu: usize| {
        fs::read_to_string(format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list")).ok()
    };
    let all: BTreeSet<String> =
        (0..).map_while(siblings).map(|list| list.trim().to_owned()).collect();
    let shared: Vec<_> = all.iter().filter(|list| list.contains([',', '-'])).cloned().collect();
    match (all.is_empty(), shared.is_empty()) {
        (true, _) => "which cores share a physical one is not known".to_owned(),
        (false, true) => "no two cores share a physical one".to_owned(),
        (false, false) => format!("cores that share a physical one: {}", shared.join("; ")),
    }
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
