//! What idle connections cost: memory, and the time of those that expire.

use std::fs;
use std::time::Duration;

use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};
use wharf::{CloseReason, Pool};

use crate::contestants::{HyperUtil, Kind, Made, Numbered, Pingora, ShardedMap};
use crate::form::Form;
use crate::measure::{Rounds, progress};
use crate::table::{Better, Part, Row};

const HOSTS: u64 = 10_000;
const OF_EACH: u64 = 10;

/// How the memory is measured.
#[derive(Clone, Copy, Debug)]
pub enum Meter {
    /// Bytes that are allocated, as this says.
    Allocated(fn() -> usize),
    /// What the process has in memory, as Linux says, with what the allocator adds. Only of the
    /// first that is measured in a process.
    Resident,
}

impl Meter {
    fn read(self) -> usize {
        match self {
            Meter::Allocated(bytes) => bytes(),
            Meter::Resident => resident(),
        }
    }
}

/// Measures both. Where no allocator counts, only this crate's memory.
pub fn run(form: Form, meter: Meter) -> Vec<Part> {
    vec![memory(meter), expiry(form)]
}

fn memory(meter: Meter) -> Part {
    let (total, how) = (
        HOSTS * OF_EACH,
        match meter {
            Meter::Allocated(_) => "allocated",
            Meter::Resident => "resident",
        },
    );
    let title = format!("memory: {total} idle connections on {HOSTS} hosts");
    let includes = format!("{how} bytes for each, beside the connection, which is a number of 8");
    let mut part = Part::new(title, includes, vec!["bytes"]);
    let each = |bytes: usize| bytes as f64 / total as f64 - size_of::<u64>() as f64;
    let runtime = runtime();
    // What the runtime's tasks leave behind is not the pool's.
    let wharf = bytes_of(meter, || runtime.block_on(unconstrained(fill())));
    if matches!(meter, Meter::Allocated(_)) {
        let map = bytes_of(meter, || ShardedMap::with_several(HOSTS, OF_EACH));
        part.rows.push(Row::new("floor: a bare sharded map", Kind::Floor, vec![each(map)]));
    }
    part.rows.push(Row::new("wharf", Kind::Wharf, vec![each(wharf)]));
    if matches!(meter, Meter::Allocated(_)) {
        let hyper_util = bytes_of(meter, || HyperUtil::with_several(HOSTS, OF_EACH));
        part.rows.push(Row::new("hyper-util legacy", Kind::Peer, vec![each(hyper_util)]));
        let pingora = bytes_of(meter, || Pingora::with_several(HOSTS, OF_EACH));
        part.rows.push(Row::new("pingora-pool", Kind::Peer, vec![each(pingora)]));
        let rows = 0..part.rows.len();
        let rounds = rows.map(|nth| vec![part.rows[nth].figures[0]]).collect();
        part.compare(&Rounds::of(rounds), Better::Less);
    }
    part
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// What is there more once it is made.
fn bytes_of<T>(meter: Meter, make: impl FnOnce() -> T) -> usize {
    let before = meter.read();
    let made = make();
    let after = meter.read();
    drop(made);
    after.saturating_sub(before)
}

async fn fill() -> Pool<Numbered> {
    let pool = Pool::builder().idle_timeout(Duration::from_secs(3600));
    let pool = pool.build(Numbered(Made::default())).expect("it can be meant");
    for host in 0..HOSTS {
        add(&pool, host, OF_EACH).await;
    }
    let idle = pool.status().idle as u64;
    assert_eq!(idle, HOSTS * OF_EACH, "idle connections");
    pool
}

/// So many connections more that are idle.
async fn add(pool: &Pool<Numbered>, host: u64, connections: u64) {
    let mut loans = Vec::new();
    for _ in 0..connections {
        loans.push(pool.acquire(&host).await.expect("a connection"));
    }
}

/// In bytes.
fn resident() -> usize {
    let about = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = about.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    kilobytes.unwrap_or(0usize) * 1024
}

/// Some of many expire.
fn expiry(form: Form) -> Part {
    let mut part = Part::new(
        format!("expiry: some of {} idle connections expire", HOSTS * OF_EACH),
        "processor time of one thread for each that expires, with its close; of all that was done",
        vec!["ns", "expired"],
    );
    let sizes = form.either(vec![1000, 10_000], vec![100, 1000, 10_000, 50_000]);
    for (nth, &expiring) in sizes.iter().enumerate() {
        let took = runtime().block_on(expire(expiring));
        let figure = took.as_secs_f64() * 1e9 / expiring as f64;
        let name = format!("wharf, {expiring} expire");
        part.rows.push(Row::new(name, Kind::Wharf, vec![figure, expiring as f64]));
        progress("expiry", nth + 1, sizes.len());
    }
    part
}

/// The processor's time while so many expire.
async fn expire(expiring: u64) -> Duration {
    let idle_timeout = Duration::from_secs(3);
    let pool = Pool::builder().idle_timeout(idle_timeout);
    let pool = pool.build(Numbered(Made::default())).expect("it can be meant");
    for host in 0..expiring / OF_EACH {
        add(&pool, host, OF_EACH).await;
    }
    let old = Instant::now();
    sleep_until(old + idle_timeout / 3).await;
    let young = Instant::now();
    for host in expiring / OF_EACH..HOSTS {
        add(&pool, host, OF_EACH).await;
    }
    // Before any can have expired, when what filled the pool has come to its end; and between the last of
    // these and the first of those.
    sleep_until(old + idle_timeout * 5 / 6).await;
    // Looking at every host is not part of it.
    assert_eq!(pool.status().closed, 0, "the machine is too slow to measure this");
    let before = processor_time();
    sleep_until(old + idle_timeout + (young - old) * 3 / 4).await;
    let took = processor_time().saturating_sub(before);
    assert_eq!(pool.status().closes.of(CloseReason::Idle), expiring, "expired");
    took
}

/// What this thread has had of the processor.
fn processor_time() -> Duration {
    let about = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = about.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok());
    Duration::from_nanos(first.unwrap_or(0))
}
