//! Bad input, and what a value is allowed to be.

use std::time::Duration;

use wharf::{Backoff, BuildError, Builder, Config, HealthCheck, Heartbeat, Pool};

use crate::support::*;

fn refused(set: impl FnOnce(Builder) -> Builder) -> String {
    set(Pool::builder()).build(TestConnector::new()).unwrap_err().to_string()
}

#[test]
fn a_setting_that_cannot_be_meant_is_refused_by_name_and_value() {
    let zero = Duration::ZERO;
    let none = "must be at least 1; `None` means no limit";
    let long = "must be longer than zero; `None` means no limit";
    assert_eq!(refused(|b| b.max_per_host(0)), format!("max_per_host is 0: it {none}"));
    assert_eq!(refused(|b| b.max_total(0)), format!("max_total is 0: it {none}"));
    assert_eq!(refused(|b| b.max_dialing(0)), format!("max_dialing is 0: it {none}"));
    assert_eq!(refused(|b| b.max_uses(0)), format!("max_uses is 0: it {none}"));
    let per_host = refused(|b| b.max_dialing_per_host(0));
    assert_eq!(per_host, format!("max_dialing_per_host is 0: it {none}"));
    assert_eq!(refused(|b| b.connect_timeout(zero)), format!("connect_timeout is 0s: it {long}"));
    assert_eq!(refused(|b| b.close_timeout(zero)), format!("close_timeout is 0s: it {long}"));
    assert_eq!(refused(|b| b.idle_timeout(zero)), format!("idle_timeout is 0s: it {long}"));
    assert_eq!(refused(|b| b.max_lifetime(zero)), format!("max_lifetime is 0s: it {long}"));
    assert_eq!(
        refused(|b| b.initial_per_host(11)),
        "initial_per_host is 11: it must not be above max_per_host, which is 10"
    );
    assert_eq!(
        refused(|b| b.min_idle_per_host(3).max_idle_per_host(2)),
        "min_idle_per_host is 3: it must not be above max_idle_per_host, which is 2"
    );
    let beat = |heartbeat| refused(|b| b.heartbeat(heartbeat));
    let heartbeat = wharf::Heartbeat::default();
    let every = wharf::Heartbeat::every(zero);
    assert_eq!(beat(every), "heartbeat.every is 0s: it must be longer than zero");
    let timeout = heartbeat.timeout(zero);
    assert_eq!(beat(timeout), "heartbeat.timeout is 0s: it must be longer than zero");
    let missed = heartbeat.max_missed(0);
    assert_eq!(beat(missed), "heartbeat.max_missed is 0: it must be at least 1");
    let retry = |backoff| refused(|b| b.retry(backoff));
    let backoff = wharf::Backoff::default();
    assert_eq!(retry(backoff.initial(zero)), "retry.initial is 0ns: it must be longer than zero");
    assert_eq!(
        retry(backoff.max(ms(1))),
        "retry.max is 1ms: it must not be shorter than retry.initial"
    );
    assert_eq!(retry(backoff.factor(0.5)), "retry.factor is 0.5: it must be from 1 to 1000");
    assert_eq!(retry(backoff.jitter(2.0)), "retry.jitter is 2: it must be from 0 to 1");
    for jitter in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let text = refused(|b| b.lifetime_jitter(jitter));
        assert_eq!(text, format!("lifetime_jitter is {jitter}: it must be from 0 to 1"));
    }
}

#[test]
fn an_error_of_the_builder_has_its_parts_as_fields() {
    let built = Pool::builder().max_per_host(0).build(TestConnector::new());
    let BuildError { field, value, .. } = built.unwrap_err();
    assert_eq!((field, value.as_str()), ("max_per_host", "0"));
}

#[test]
fn the_largest_values_do_not_overflow() {
    let (pool, connector) = pool(|b| {
        b.max_per_host(usize::MAX)
            .max_total(usize::MAX)
            .max_uses(u64::MAX)
            .idle_timeout(Duration::MAX)
            .max_lifetime(Duration::MAX)
            .lifetime_jitter(1.0)
            .acquire_timeout(Duration::MAX)
            .connect_timeout(Duration::MAX)
            .close_timeout(Duration::MAX)
            .ping_timeout(Duration::MAX)
            .health_check(wharf::HealthCheck::Always)
            .heartbeat(wharf::Heartbeat::every(Duration::MAX).timeout(Duration::MAX))
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        drop(pool.acquire(&1).await.unwrap());
        let mut loans = vec![pool.acquire(&1).await.unwrap()];
        loans.push(pool.acquire(&1).await.unwrap());
        drop(loans);
        assert_balanced(&pool, &connector);
    });
}

/// Every setting that is a time, by its name.
type Time = (&'static str, fn(&mut Config, Duration));

const TIMES: &[Time] = &[
    ("acquire_timeout", |config, time| config.acquire_timeout = Some(time)),
    ("connect_timeout", |config, time| config.connect_timeout = Some(time)),
    ("ping_timeout", |config, time| config.ping_timeout = Some(time)),
    ("close_timeout", |config, time| config.close_timeout = Some(time)),
    ("idle_timeout", |config, time| config.idle_timeout = Some(time)),
    ("max_lifetime", |config, time| config.max_lifetime = Some(time)),
    ("health_check", |config, time| config.health_check = HealthCheck::IdleFor(time)),
    ("heartbeat.every", |config, time| config.heartbeat = Some(Heartbeat::every(time))),
    ("heartbeat.timeout", |config, time| {
        config.heartbeat = Some(Heartbeat::default().timeout(time));
    }),
    ("retry.initial", |config, time| {
        config.retry = Some(Backoff::default().initial(time).max(Duration::MAX));
    }),
    ("retry.max", |config, time| config.retry = Some(Backoff::default().max(time))),
    ("slow_acquire", |config, time| config.slow_acquire = Some(time)),
    ("leak_after", |config, time| config.leak_after = Some(time)),
];

/// Of all of them, and those between which arithmetic may go wrong.
const EDGES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_nanos(u64::MAX - 1),
    Duration::from_nanos(u64::MAX),
    Duration::MAX,
];

/// Waits, dials that fail, pings, hours, a retire, an end: all that a time is for.
async fn live_through(config: Config) {
    let (pool, connector) = pool(|b| b.config(config.clone()));
    connector.once(Stage::Connect, Step::Error);
    let _ = pool.acquire_within(&1, secs(5)).await;
    // Longer than the longest backoff of those that are no edge.
    tokio::time::sleep(secs(20)).await;
    let limits = [Duration::ZERO, secs(5), Duration::MAX];
    for limit in limits {
        drop(tokio::time::timeout(secs(5), pool.acquire_within(&1, limit)).await);
        drop(tokio::time::timeout(secs(5), pool.acquire(&2)).await);
    }
    let loans = [pool.try_acquire(&1), pool.try_acquire(&2)];
    tokio::time::sleep(secs(3600)).await;
    drop(loans);
    pool.retire(&1);
    drop(tokio::time::timeout(secs(5), pool.acquire(&2)).await);
    tokio::time::sleep(secs(3600)).await;
    assert!(pool.close_within(secs(3600)).await.complete, "{config:?}");
    assert_balanced(&pool, &connector);
}

#[tokio::test(start_paused = true)]
async fn any_time_of_a_setting_works_or_is_rejected_with_its_name_and_value() {
    for (name, set) in TIMES {
        for time in EDGES {
            let mut config = Config::default();
            set(&mut config, time);
            match Pool::builder().config(config.clone()).build(TestConnector::new()) {
                Ok(_) => live_through(config).await,
                Err(error) => {
                    assert_eq!(error.field, *name);
                    assert!(
                        [format!("{time:?}"), "0s".to_owned()].contains(&error.value),
                        "{error}"
                    );
                    assert!(time < ms(1), "{error}");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn any_backoff_neither_panics_nor_overflows_and_later_callers_are_served() {
    let all = |initial: Duration, max: Duration, factor: f64, jitter: f64| {
        Backoff::default().initial(initial).max(max).factor(factor).jitter(jitter)
    };
    for backoff in [
        all(ms(100), Duration::MAX, 2.0, 0.5),
        all(ms(100), Duration::MAX, 1000.0, 0.0),
        all(Duration::MAX, Duration::MAX, 1000.0, 1.0),
        all(Duration::from_nanos(1), Duration::from_nanos(1), 1.0, 1.0),
    ] {
        let (pool, connector) = pool(|b| b.retry(backoff));
        connector.always_for(&1, Stage::Connect, Step::Error);
        for _ in 0..5 {
            assert!(pool.acquire_within(&1, ms(500)).await.is_err());
        }
        connector.behave();
        pool.add(&1, connector.make(1)).unwrap();
        drop(pool.acquire(&1).await.unwrap());
        drop(pool.acquire(&2).await.unwrap());
        assert!(pool.close_within(secs(1)).await.complete, "{backoff:?}");
        assert_balanced(&pool, &connector);
    }
}
