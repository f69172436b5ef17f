//! What a hit by key costs when there are many hosts.

use std::time::{Duration, Instant};

use tokio::task::unconstrained;
use wharf::Pool;

use crate::contestants::{HyperUtil, Keyed, Kind, Made, Numbered, Pingora, ShardedMap, Unkeyed};
use crate::drive::one_thread;
use crate::form::Form;
use crate::machine;
use crate::measure::{Rounds, ns_each};
use crate::table::{Better, Bound, Part, Row};

const MAP: &str = "bare sharded map, keyed hash";
const MAP_UNKEYED: &str = "bare sharded map, unkeyed hash";
const WHARF: &str = "wharf, key";
const NAMES: [(&str, Kind); 5] = [
    (MAP, Kind::Floor),
    (MAP_UNKEYED, Kind::Floor),
    (WHARF, Kind::Wharf),
    ("hyper-util legacy (no cap)", Kind::Peer),
    ("pingora-pool (no cap)", Kind::Peer),
];
/// Numbers of hosts, and the aims for a map with a keyed hash. The last one is for a machine whose caches hold most of
/// what so many hosts take.
const SIZES: [(u64, f64); 3] = [(1, 3.2), (1000, 3.5), (100_000, 2.2)];
/// The last aim where they do not: the last cache has fewer KiB than this.
const SMALL_CACHE: u64 = 32 * 1024;
const AIM_OF_SMALL_CACHE: f64 = 4.2;
/// Hosts that come and go.
const NEW: u32 = 10_000;

/// Takes a number of loans from a store, each with the next key.
type Visit<'a> = Box<dyn FnMut(u32, &mut dyn FnMut() -> u64) + 'a>;

/// Measures it: a part for each number of hosts.
pub fn run(form: Form) -> Vec<Part> {
    let has_small_caches = machine::last_cache().is_some_and(|kib| kib < SMALL_CACHE);
    let part = |(hosts, aim)| {
        let mut part = hits(hosts, form);
        let aim = if hosts > 1000 && has_small_caches { AIM_OF_SMALL_CACHE } else { aim };
        let what = format!("a hit by key, {hosts} hosts / a map with a keyed hash");
        part.aim(what, (WHARF, MAP), Bound::AtMost(aim));
        part
    };
    SIZES.into_iter().map(part).chain([new_hosts(form)]).collect()
}

/// What a host costs that comes, and goes with its pool.
fn new_hosts(form: Form) -> Part {
    let runtime = one_thread();
    let mut closes = f64::INFINITY;
    let rounds = Rounds::alternate("keys: new hosts", 2, form.either(40, 200), |nth| {
        if nth == 0 {
            let began = Instant::now();
            let map = ShardedMap::<Keyed>::new(NEW.into(), 1);
            let took = ns_each(began.elapsed(), NEW) / 1e3;
            drop(map);
            return took;
        }
        let (opened, closed) = runtime.block_on(unconstrained(open_and_close()));
        closes = closes.min(ns_each(closed, NEW) / 1e3);
        ns_each(opened, NEW) / 1e3
    });
    let mut part = Part::new(
        "New hosts: 10,000 come, and their pool closes",
        "The first acquire of each host, with its dial, which makes a number, and the return; closing the pool with an \
         idle connection for each host, until every one is closed",
        vec!["first acquire, us", "closing, us a host"],
    );
    part.rows.push(Row::new(MAP, Kind::Floor, vec![rounds.minimum(0), f64::NAN]));
    part.rows.push(Row::new(WHARF, Kind::Wharf, vec![rounds.minimum(1), closes]));
    part.compare(Better::Less);
    part.aim_at("a new host's first acquire, us", rounds.minimum(1), Bound::AtMost(1.5));
    part.aim_at("closing a pool, us a host", closes, Bound::AtMost(2.0));
    part
}

async fn open_and_close() -> (Duration, Duration) {
    let made = Made::default();
    let began = Instant::now();
    let pool = pool_of(NEW.into(), &made).await;
    let opened = began.elapsed();
    assert_eq!(pool.status().idle, made.count(), "idle, made");
    let began = Instant::now();
    pool.close().await;
    let closed = began.elapsed();
    assert_eq!(pool.status().idle, 0, "idle");
    (opened, closed)
}

fn hits(hosts: u64, form: Form) -> Part {
    let runtime = one_thread();
    let made = Made::default();
    let pool = runtime.block_on(unconstrained(pool_of(hosts, &made)));
    let hyper_util = runtime.block_on(async { HyperUtil::new(hosts, 1) });
    let keyed = ShardedMap::<Keyed>::new(hosts, 1);
    let unkeyed = ShardedMap::<Unkeyed>::new(hosts, 1);
    let pingora = Pingora::new(hosts, 1);
    let mut stores: [Visit<'_>; NAMES.len()] = [
        Box::new(|loans, key| (0..loans).for_each(|_| drop(keyed.take(key())))),
        Box::new(|loans, key| (0..loans).for_each(|_| drop(unkeyed.take(key())))),
        Box::new(|loans, key| runtime.block_on(unconstrained(visit(&pool, loans, key)))),
        Box::new(|loans, key| {
            runtime.block_on(unconstrained(async {
                for _ in 0..loans {
                    drop(hyper_util.take(key()).await);
                }
            }));
        }),
        Box::new(|loans, key| (0..loans).for_each(|_| drop(pingora.take(key())))),
    ];
    let loans = 5000;
    let what = format!("keys: {hosts}");
    let rounds = Rounds::alternate(&what, stores.len(), form.either(100, 400), |nth| {
        // Everybody takes the same walk.
        let mut walk = fastrand::Rng::with_seed(7);
        let began = Instant::now();
        stores[nth](loans, &mut || walk.u64(0..hosts));
        ns_each(began.elapsed(), loans)
    });
    let mut part = Part::new(
        format!("A hit by key: {hosts} hosts in random order"),
        "As a hit, and the key's random number; one idle connection for each host",
        vec!["ns"],
    );
    for (nth, (name, kind)) in NAMES.into_iter().enumerate() {
        part.rows.push(Row::new(name, kind, vec![rounds.minimum(nth)]));
    }
    part.compare(Better::Less);
    let status = pool.status();
    let counts = (status.idle as u64, status.in_use, made.count() as u64);
    assert_eq!(counts, (hosts, 0, hosts), "idle, in use, made");
    part
}

async fn visit(pool: &Pool<Numbered>, loans: u32, key: &mut dyn FnMut() -> u64) {
    for _ in 0..loans {
        drop(pool.acquire(&key()).await.expect("a connection"));
    }
}

async fn pool_of(hosts: u64, made: &Made) -> Pool<Numbered> {
    // Nothing may expire while others have their turns.
    let builder = Pool::builder().idle_timeout(Duration::from_secs(3600));
    let pool = builder.build(Numbered(made.clone())).expect("valid settings");
    for key in 0..hosts {
        drop(pool.acquire(&key).await);
    }
    pool
}
