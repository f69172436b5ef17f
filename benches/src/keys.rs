//! What a hit by key costs when there are many hosts.

use std::time::{Duration, Instant};

use tokio::task::unconstrained;
use wharf::Pool;

use crate::contestants::{HyperUtil, Keyed, Kind, Made, Numbered, Pingora, ShardedMap, Unkeyed};
use crate::drive::one_thread;
use crate::form::Form;
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
/// Numbers of hosts, and the aims for a map with a keyed hash.
const SIZES: [(u64, f64); 3] = [(1, 3.2), (1000, 3.5), (100_000, 4.2)];

/// Takes a number of loans from a store, each with the next key.
type Visit<'a> = Box<dyn FnMut(u32, &mut dyn FnMut() -> u64) + 'a>;

/// Measures it: a part for each number of hosts.
pub fn run(form: Form) -> Vec<Part> {
    let part = |(hosts, aim)| {
        let mut part = hits(hosts, form);
        let what = format!("a hit by key, {hosts} hosts / a map with a keyed hash");
        part.aim(what, (WHARF, MAP), Bound::AtMost(aim));
        part
    };
    SIZES.into_iter().map(part).collect()
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
