//! What idle connections and waiters cost in memory.

use std::time::Duration;

use tokio::task::unconstrained;
use wharf::Pool;

use crate::contestants::{self, HyperUtil, Keyed, Kind, Made, Numbered, Pingora, ShardedMap};
use crate::drive::one_thread;
use crate::form::Form;
use crate::measure::progress;
use crate::table::{Better, Bound, Part, Row};

const CONNECTIONS: u64 = 100_000;
const WHARF: &str = "wharf";
/// Connections of a host, and the aims.
const SHAPES: [(u64, f64); 2] = [(10, 190.0), (1, 420.0)];

/// Measures it, by a meter that tells how many bytes are allocated.
pub fn run(_: Form, meter: fn() -> usize) -> Vec<Part> {
    let idle = SHAPES.into_iter().map(|(of_each, aim)| idle(of_each, aim, meter));
    idle.chain([waiting(meter)]).collect()
}

fn idle(of_each: u64, aim: f64, meter: fn() -> usize) -> Part {
    let hosts = CONNECTIONS / of_each;
    let mut part = Part::new(
        format!("Memory: 100,000 idle connections, {of_each} a host"),
        "Bytes allocated for each, hosts included, without the connection itself, which is a number of 8 bytes",
        vec!["bytes"],
    );
    let runtime = one_thread();
    let bytes = [
        bytes_of(meter, || ShardedMap::<Keyed>::new(hosts, of_each)),
        // What the runtime's tasks leave behind is not the pool's.
        bytes_of(meter, || runtime.block_on(unconstrained(fill(hosts, of_each)))),
        bytes_of(meter, || HyperUtil::new(hosts, of_each)),
        bytes_of(meter, || Pingora::new(hosts, of_each)),
    ];
    let names = [
        ("floor: a bare sharded map", Kind::Floor),
        (WHARF, Kind::Wharf),
        ("hyper-util legacy", Kind::Peer),
        ("pingora-pool", Kind::Peer),
    ];
    for ((name, kind), bytes) in names.into_iter().zip(bytes) {
        let each = bytes as f64 / CONNECTIONS as f64 - size_of::<u64>() as f64;
        part.rows.push(Row::new(name, kind, vec![each]));
    }
    part.compare(Better::Less);
    let is = part.rows[1].figures[0];
    part.aim_at(format!("bytes per idle connection, {of_each} a host"), is, Bound::AtMost(aim));
    part
}

/// What is there more once it is made.
fn bytes_of<T>(meter: fn() -> usize, make: impl FnOnce() -> T) -> usize {
    let before = meter();
    let made = make();
    let after = meter();
    drop(made);
    after.saturating_sub(before)
}

async fn fill(hosts: u64, of_each: u64) -> Pool<Numbered> {
    let pool = Pool::builder().idle_timeout(Duration::from_secs(3600));
    let pool = pool.build(Numbered(Made::default())).expect("valid settings");
    for host in 0..hosts {
        let mut loans = Vec::new();
        for _ in 0..of_each {
            loans.push(pool.acquire(&host).await.expect("a connection"));
        }
    }
    assert_eq!(pool.status().idle as u64, hosts * of_each, "idle connections");
    pool
}

fn waiting(meter: fn() -> usize) -> Part {
    let mut part = Part::new(
        "Memory: a million waiters on one host",
        "Bytes allocated for each, with the future and its box; their times are in \"A queue\"",
        vec!["bytes"],
    );
    let entrants = contestants::for_waiting();
    for (nth, entrant) in entrants.iter().enumerate() {
        let queued = entrant.queue(1_000_000, meter);
        part.add_fault(queued.fault);
        part.rows.push(Row::new(entrant.name(), entrant.kind(), vec![queued.bytes]));
        progress(&part.title, nth + 1, entrants.len());
    }
    part.compare(Better::Less);
    part
}
