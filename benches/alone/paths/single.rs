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
        "checked" | "heard" => checked(builder),
        "watched" => watched(builder).observer(Nobody),
        "metered" => watched(builder).observer(Metrics::new("paths")),
        _ => builder,
    };
    let connector = if name == "heard" { Numbers::hearing() } else { Numbers::new() };
    let pool = builder.build(connector).expect("valid settings");
    for key in 0..100 {
        drop(pool.acquire(&key).await);
    }
    Hit::of(pool.host(&7))
}

fn watched(builder: Builder) -> Builder {
    let long = Duration::from_secs(30);
    checked(builder.deadlock_warnings(true).leak_after(long).slow_acquire(long))
}

fn checked(builder: Builder) -> Builder {
    let long = Duration::from_secs(30);
    builder.health_check(HealthCheck::IdleFor(long)).heartbeat(Heartbeat::default())
}
