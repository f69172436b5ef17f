//! Bad input, and what a value is allowed to be.

use std::time::Duration;

use wharf::{BuildError, Builder, Pool};

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
