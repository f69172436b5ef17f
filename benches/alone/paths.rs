//! Walks one path of the pool a number of times, for a tool that counts instructions.
//!
//! Run by `.ci/instructions`, twice for each path with different numbers: the difference is what one
//! more walk takes, however much the rest of the program does.
//!
//! - `floor`: a bare mutex and vector
//! - `host`: a hit through a `Host`, and its return
//! - `noted`: the same with deadlock warnings
//! - `watched`: the same with all that can be watched
//! - `metered`: the same with metrics as the observer, which a later report hands over
//! - `key`: a hit through a key, one of 100, and its return
//! - `total`: a hit through a `Host` under `max_total`, and its return
//! - `lease`: a lease of a shared connection that has another one, and its end
//! - `lone`: a lease of a shared connection that has no other, and its end
//! - `wait`: of 64 tasks on 4 connections each waits for what another returns
//!
//! And among more hosts, each with two callers (`paths wait-10000 12800`): the number of hosts is not to matter.
//!
//! - `key-N`: a hit through a key, each of N in turn
//! - `wait-N`: on one connection to each of N hosts, each of two waits for what the other returns
//! - `share-N`: under a `max_total` of 16, a caller for each of N hosts at a time: each use has a connection of another
//!   host closed and a new one dialed. The clock decides when: the figure repeats in its first digits only

use std::convert::Infallible;
use std::env;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::{JoinSet, yield_now};
use wharf::metrics::Metrics;
use wharf::{
    Builder, Connector, HealthCheck, Heartbeat, Host, Observer, Pool, SharedConnector, SharedPool,
    async_trait,
};

struct Numbers;

#[async_trait]
impl Connector for Numbers {
    type Key = u64;
    type Connection = u64;
    type Error = Infallible;

    async fn connect(&self, key: &u64) -> Result<u64, Infallible> {
        Ok(*key)
    }
}

impl SharedConnector for Numbers {
    fn max_leases(&self, _: &u64) -> usize {
        100
    }
}

const TASKS: usize = 64;
const CONNECTIONS: usize = 4;

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [path, walks] = &arguments[..] else { panic!("a path and a number, not {arguments:?}") };
    let walks: usize = walks.parse().expect("a number of walks");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        if let Some((path, hosts)) = path.split_once('-') {
            return among(path, hosts.parse().expect("a number of hosts"), walks).await;
        }
        let builder = Pool::builder().max_per_host(CONNECTIONS);
        let builder = match path.as_str() {
            "total" => builder.max_total(1000),
            "noted" => builder.deadlock_warnings(true),
            "watched" => watched(builder).observer(Nobody),
            "metered" => watched(builder).observer(Metrics::new("paths")),
            _ => builder,
        };
        let pool = builder.build(Numbers).expect("valid settings");
        for key in 0..100 {
            drop(pool.acquire(&key).await);
        }
        match path.as_str() {
            "floor" => floor(walks),
            "host" | "total" | "noted" | "watched" | "metered" => hits(&pool.host(&7), walks).await,
            "key" => hits_by_key(&pool, walks).await,
            "lease" => leases(walks, true).await,
            "lone" => leases(walks, false).await,
            "wait" => waits(&pool.host(&7), walks).await,
            other => panic!("no such path: {other}"),
        }
    });
}

struct Nobody;

impl Observer for Nobody {}

fn watched(builder: Builder) -> Builder {
    let long = Duration::from_secs(30);
    let builder = builder.deadlock_warnings(true).leak_after(long).slow_acquire(long);
    builder.health_check(HealthCheck::IdleFor(long)).heartbeat(Heartbeat::default())
}

fn floor(walks: usize) {
    let bare = Mutex::new(vec![Box::new(7u64)]);
    for _ in 0..walks {
        let taken = bare.lock().pop().expect("it is there");
        bare.lock().push(black_box(taken));
    }
}

async fn hits(host: &Host<Numbers>, walks: usize) {
    for _ in 0..walks {
        drop(black_box(host.acquire().await));
    }
}

async fn hits_by_key(pool: &Pool<Numbers>, walks: usize) {
    for _ in 0..walks {
        drop(black_box(pool.acquire(black_box(&7)).await));
    }
}

/// Of a connection that somebody else uses meanwhile, or nobody.
async fn leases(walks: usize, is_used: bool) {
    let pool = SharedPool::new(Numbers);
    let host = pool.host(&7);
    let first = host.acquire().await;
    let _held = is_used.then_some(first);
    for _ in 0..walks {
        drop(black_box(host.acquire().await));
    }
}

async fn waits(host: &Host<Numbers>, walks: usize) {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let host = host.clone();
        tasks.spawn(async move {
            for _ in 0..walks / TASKS {
                let loan = host.acquire().await;
                yield_now().await;
                drop(black_box(loan));
            }
        });
    }
    tasks.join_all().await;
}

async fn among(path: &str, hosts: usize, walks: usize) {
    let builder = Pool::builder().max_per_host(1).acquire_timeout(None);
    let builder = if path == "share" { builder.max_total(16) } else { builder };
    let pool = builder.build(Numbers).expect("valid settings");
    if path == "key" {
        // Once around, so that all are there; and then as often as is asked.
        for key in (0..hosts as u64).cycle().take(hosts + walks) {
            drop(black_box(pool.acquire(black_box(&key)).await));
        }
        return;
    }
    if path == "share" {
        return share(&pool, hosts, walks).await;
    }
    let callers = hosts * 2;
    let left = Arc::new(AtomicUsize::new(callers + walks));
    let mut tasks = JoinSet::new();
    for key in (0..hosts as u64).cycle().take(callers) {
        let (host, left) = (pool.host(&key), left.clone());
        tasks.spawn(async move {
            while left.load(Relaxed) > 0 {
                let loan = host.acquire().await;
                left.store(left.load(Relaxed).saturating_sub(1), Relaxed);
                yield_now().await;
                drop(black_box(loan));
            }
        });
    }
    tasks.join_all().await;
}

async fn share(pool: &Pool<Numbers>, hosts: usize, walks: usize) {
    for _ in 0..walks / hosts {
        let mut tasks = JoinSet::new();
        for key in 0..hosts as u64 {
            let pool = pool.clone();
            tasks.spawn(async move { drop(black_box(pool.acquire(&key).await)) });
        }
        tasks.join_all().await;
    }
}
