//! What a hit costs when there are many hosts, and what a host costs that is seen once.

use std::time::Duration;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::task::unconstrained;
use wharf::Pool;

use crate::contestants::{HyperUtil, Kind, Made, Numbered, Pingora, ShardedMap};
use crate::form::Form;
use crate::measure::Rounds;
use crate::table::{Better, Part, Row};

const SHORT: &[u64] = &[1, 100, 10_000, 100_000];
const LONG: &[u64] = &[1, 100, 10_000, 100_000, 1_000_000];
const NAMES: [(&str, Kind); 4] = [
    ("keyed floor: a bare sharded map", Kind::Floor),
    ("wharf, key", Kind::Wharf),
    ("hyper-util legacy (no cap)", Kind::Peer),
    ("pingora-pool (no cap)", Kind::Peer),
];

/// Nanoseconds by number of hosts.
#[derive(Clone, Debug)]
pub struct Growth {
    pub(crate) name: &'static str,
    pub(crate) is_wharf: bool,
    pub(crate) points: Vec<(f64, f64)>,
}

/// A store of connections, one for each host.
enum Store {
    Map(ShardedMap),
    Wharf(Pool<Numbered>),
    HyperUtil(HyperUtil),
    Pingora(Pingora),
}

/// Measures it: a part for each number of hosts, and the churn.
pub fn run(form: Form) -> (Vec<Part>, Vec<Growth>) {
    let growth = |(name, kind)| Growth { name, is_wharf: kind == Kind::Wharf, points: Vec::new() };
    let mut curves: Vec<Growth> = NAMES.map(growth).into();
    let mut parts = Vec::new();
    for &hosts in form.either(SHORT, LONG) {
        let part = hits(hosts, form);
        for (curve, row) in curves.iter_mut().zip(&part.rows) {
            curve.points.push((hosts as f64, row.figures[0]));
        }
        parts.push(part);
    }
    parts.push(churn(form));
    (parts, curves)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

fn hits(hosts: u64, form: Form) -> Part {
    let runtime = runtime();
    let made = Made::default();
    let mut stores = [
        Store::Map(ShardedMap::with_keys(hosts)),
        Store::Wharf(runtime.block_on(unconstrained(pool_of(hosts, &made)))),
        Store::HyperUtil(runtime.block_on(async { HyperUtil::with_keys(hosts) })),
        Store::Pingora(Pingora::with_keys(hosts)),
    ];
    let title = format!("keys: hits by key, {hosts} hosts in random order");
    let loans = form.either(30_000, 200_000);
    let rounds = Rounds::alternate(&title, stores.len(), form.either(11, 21), |nth| {
        // Everybody takes the same walk.
        let mut walk = fastrand::Rng::with_seed(7);
        let began = Instant::now();
        stores[nth].visit(&runtime, loans, || walk.u64(0..hosts));
        began.elapsed().as_secs_f64() * 1e9 / f64::from(loans)
    });
    let includes = "as a hit, and the key's random number; a connection to each host";
    let mut part = Part::new(title, includes, vec!["ns"]);
    for (nth, (name, kind)) in NAMES.into_iter().enumerate() {
        part.rows.push(Row::new(name, kind, vec![rounds.median(nth)]));
    }
    part.compare(&rounds, Better::Less);
    if let Store::Wharf(pool) = &stores[1] {
        let status = pool.status();
        let hosts = usize::try_from(hosts).unwrap_or(usize::MAX);
        let counts = (status.idle, status.in_use, made.count());
        assert_eq!(counts, (hosts, 0, hosts), "idle, in use, made");
    }
    part
}

async fn pool_of(hosts: u64, made: &Made) -> Pool<Numbered> {
    // Nothing may expire while others have their turns.
    let builder = Pool::builder().idle_timeout(Duration::from_secs(3600));
    let pool = builder.build(Numbered(made.clone())).expect("it can be meant");
    for key in 0..hosts {
        drop(pool.acquire(&key).await);
    }
    pool
}

impl Store {
    fn visit(&mut self, runtime: &Runtime, loans: u32, mut key: impl FnMut() -> u64) {
        match self {
            Store::Map(map) => (0..loans).for_each(|_| drop(map.take(key()))),
            Store::Pingora(pool) => (0..loans).for_each(|_| drop(pool.take(key()))),
            Store::Wharf(pool) => runtime.block_on(unconstrained(async {
                for _ in 0..loans {
                    drop(pool.acquire(&key()).await.expect("a connection"));
                }
            })),
            Store::HyperUtil(pool) => runtime.block_on(unconstrained(async {
                for _ in 0..loans {
                    drop(pool.take(key()).await);
                }
            })),
        }
    }
}

/// A new host each time, whose connection expires soon.
fn churn(form: Form) -> Part {
    let visits = form.either(50_000, 500_000);
    let title = format!("churn: {visits} hosts, each seen once, forgotten 50 ms later");
    let mut left = 0;
    let rounds = Rounds::alternate(&title, 2, form.either(3, 5), |nth| {
        let runtime = runtime();
        let began = Instant::now();
        if nth == 0 {
            runtime.block_on(bare_churn(visits));
        } else {
            left = left.max(runtime.block_on(churn_of_pool(visits)));
        }
        began.elapsed().as_secs_f64() * 1e9 / visits as f64
    });
    let includes =
        "a task for the dial, the host's beginning and end; the last 50 ms are waited for";
    let mut part = Part::new(title, includes, vec!["ns", "hosts left"]);
    let floor = "floor: a task, and a map in and out";
    part.rows.push(Row::new(floor, Kind::Floor, vec![rounds.median(0), 0.0]));
    part.rows.push(Row::new("wharf, key", Kind::Wharf, vec![rounds.median(1), left as f64]));
    part.compare(&rounds, Better::Less);
    part
}

async fn bare_churn(visits: u64) {
    let map = ShardedMap::with_keys(0);
    for key in 0..visits {
        let connection = tokio::spawn(async move { Box::new(key) }).await.expect("no panic");
        map.put(key, connection);
        drop(map.take(key));
        map.forget(key);
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Gives the hosts that the pool still knows some time later.
async fn churn_of_pool(visits: u64) -> usize {
    let idle_timeout = Duration::from_millis(50);
    let builder = Pool::builder().idle_timeout(idle_timeout);
    let pool = builder.build(Numbered(Made::default())).expect("it can be meant");
    for key in 0..visits {
        drop(pool.acquire(&key).await.expect("a connection"));
    }
    let patience = Instant::now() + Duration::from_secs(5);
    while pool.status().hosts > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = pool.status();
    assert_eq!((status.dials, status.in_use), (visits, 0), "dials, in use");
    status.hosts
}
