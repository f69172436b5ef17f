//! A hit on a host with one connection, next to 99 others.

use std::time::Duration;

use wharf::metrics::Metrics;
use wharf::{Builder, HealthCheck, Heartbeat, Observer, Pool};

use crate::connector::Numbers;
use crate::hit::Hit;

struct Nobody;

impl Observer for Nobody {}

/// Sets up a hit with the settings of this name.
pub(crate) async fn host(name: &str) -> Hit {
    let builder = Pool::builder().max_per_host(4);
    let builder = match name {
        "total" => builder.max_total(1000),
        "noted" => builder.deadlock_warnings(true),
        "watched" => watched(builder).observer(Nobody),
        "metered" => watched(builder).observer(Metrics::new("paths")),
        _ => builder,
    };
    let pool = builder.build(Numbers::new()).expect("valid settings");
    for key in 0..100 {
        drop(pool.acquire(&key).await);
    }
    Hit::of(pool.host(&7))
}

fn watched(builder: Builder) -> Builder {
    let long = Duration::from_secs(30);
    let builder = builder.deadlock_warnings(true).leak_after(long).slow_acquire(long);
    builder.health_check(HealthCheck::IdleFor(long)).heartbeat(Heartbeat::default())
}
