//! Connections that expire.

use super::heartbeats::beat as maintenance_an_hour_later;
use super::*;

/// One place, with one idle connection that expires within the hour.
fn expiring() -> Stage {
    let settings = patient().max_per_host(1);
    let stage = Stage::of(settings.max_lifetime(None).idle_timeout(Duration::from_secs(60)));
    drop(stage.loan());
    stage
}

/// Maintenance finds the idle connection expired while a newcomer acquires: the newcomer has it
/// already, or gets a new one after it was closed.
#[test]
fn a_newcomer_meets_an_expiry() {
    explore(&["lent", "dialed"], || {
        let stage = expiring();
        let core = stage.pool.core().clone();
        let mut newcomer = stage.acquire(HOST);
        let expiring = thread::spawn(move || maintenance_an_hour_later(&core));
        let early = newcomer.poll().map(got);
        join(expiring);
        stage.watch.check();
        let end = if early.is_some() { "lent" } else { "dialed" };
        let got = early.unwrap_or_else(|| newcomer.connection());
        assert_eq!(got.id, usize::from(end == "dialed"));
        drop(got);
        stage.rests_with(1);
        stage.end();
        end
    });
}

/// Maintenance looks for expired connections while a connection is returned: the connection was
/// just used and stays, or it had expired before and is closed.
#[test]
fn a_return_meets_an_expiry() {
    explore(&["stays", "expires"], || {
        let stage = expiring();
        let loan = stage.hit();
        let core = stage.pool.core().clone();
        let expiring = thread::spawn(move || maintenance_an_hour_later(&core));
        drop(loan);
        join(expiring);
        let idle = stage.settle().idle;
        stage.rests_with(idle);
        stage.end();
        if idle == 1 { "stays" } else { "expires" }
    });
}

/// Maintenance finds the idle connection expired while the pool is closed: it is closed once, and closing
/// waits for that.
#[test]
fn closing_meets_an_expiry() {
    explore(&["closed"], || {
        let stage = expiring();
        let core = stage.pool.core().clone();
        let expiring = thread::spawn(move || maintenance_an_hour_later(&core));
        let mut close = Task::new(stage.pool.close());
        join(expiring);
        stage.watch.check();
        if close.poll().is_none() {
            close.output();
        }
        stage.rests_with(0);
        stage.end();
        "closed"
    });
}
