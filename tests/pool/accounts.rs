//! Three accounts of one story agree: what the pool's status says, what its observer was told, and
//! what its connector counted.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tokio::time::sleep;
use wharf::{
    Acquired, CloseReason, Closed, DialDone, DialFailed, HealthCheck, Heartbeat, HeartbeatMissed,
    Observer, PingFailed, PooledConnection, Returned, TimedOut,
};

use crate::support::*;

/// Counts the events of a pool.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<HashMap<&'static str, u64>>>);

impl Tally {
    fn count(&self, event: &'static str) {
        *self.0.lock().unwrap().entry(event).or_default() += 1;
    }

    fn of(&self, event: &'static str) -> u64 {
        self.0.lock().unwrap().get(event).copied().unwrap_or_default()
    }

    /// Every counter and every gauge, while nothing is under way and nothing is lent.
    #[track_caller]
    pub(crate) fn assert_agrees(&self, pool: &TestPool, connector: &TestConnector) {
        let (status, counts) = (pool.status(), connector.counts());
        assert_balanced(pool, connector);
        assert_eq!(status.leases, 0);
        assert_eq!(status.hosts as u64, self.of("host") - self.of("host forgotten"), "hosts");

        let [dials, made] = [counts.dials as u64, counts.made as u64 - self.of("added")];
        assert_eq!([status.dials, self.of("dial")], [dials; 2], "dials");
        assert_eq!([status.failed_dials, self.of("dial failed")], [dials - made; 2], "failed");
        assert_eq!(self.of("dial done"), made, "made");

        let left = counts.dropped as u64;
        assert_eq!([status.closed + status.detached, status.closes.total()], [left; 2], "left");
        for reason in CloseReason::ALL {
            assert_eq!(status.closes.of(reason), self.of(reason.label()), "{reason:?}");
        }

        // One whose caller has gone has no end, and closes its connection.
        let cut_off = status.closes.of(CloseReason::PingFailed) - status.failed_pings;
        let beats = status.heartbeats + status.missed_heartbeats;
        assert_eq!(status.pings + cut_off + beats, counts.pings as u64, "pings");
        assert_eq!(status.failed_pings, self.of("ping failed"), "failed pings");
        assert_eq!(status.missed_heartbeats, self.of("heartbeat missed"), "missed heartbeats");

        assert_eq!(status.acquired, self.of("acquired"), "acquired");
        let ended = self.of("returned") + self.of(CloseReason::Detached.label());
        assert_eq!(status.acquired, ended, "loans ended");
        assert_eq!(status.timed_out, self.of("timed out"), "timed out");
        let served = status.acquired - status.reused;
        let ends = served + status.timed_out + status.cancelled + status.failed + status.shut_out;
        assert_eq!(status.waited, ends, "waits ended");
    }
}

impl Observer for Tally {
    fn host_appeared(&self, _: &dyn Debug) {
        self.count("host");
    }
    fn host_forgotten(&self, _: &dyn Debug) {
        self.count("host forgotten");
    }
    fn dial_began(&self, _: &dyn Debug) {
        self.count("dial");
    }
    fn dial_done(&self, _: &DialDone<'_>) {
        self.count("dial done");
    }
    fn dial_failed(&self, _: &DialFailed<'_>) {
        self.count("dial failed");
    }
    fn acquired(&self, _: &Acquired<'_>) {
        self.count("acquired");
    }
    fn timed_out(&self, _: &TimedOut<'_>) {
        self.count("timed out");
    }
    fn returned(&self, _: &Returned<'_>) {
        self.count("returned");
    }
    fn ping_failed(&self, _: &PingFailed<'_>) {
        self.count("ping failed");
    }
    fn heartbeat_missed(&self, _: &HeartbeatMissed<'_>) {
        self.count("heartbeat missed");
    }
    fn closed(&self, event: &Closed<'_>) {
        self.count(event.reason.label());
    }
}

#[tokio::test(start_paused = true)]
async fn the_accounts_agree_after_a_time_out_in_a_ping() {
    let tally = Tally::default();
    let (pool, connector) = pool(|b| b.health_check(HealthCheck::Always).observer(tally.clone()));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    assert!(pool.acquire_timeout(&1, secs(1)).await.is_err());
    quiet().await;
    assert_eq!((pool.status().failed_pings, pool.status().timed_out), (1, 1));
    tally.assert_agrees(&pool, &connector);
}

/// What the faults' matrix does not do: time-outs, heartbeats, ends of loans but for a return.
#[tokio::test(start_paused = true)]
async fn the_accounts_agree_after_all_that_can_become_of_a_connection() {
    let tally = Tally::default();
    let (pool, connector) = pool(|b| {
        let heartbeat = Heartbeat::every(secs(5)).max_missed(2);
        b.max_per_host(2).idle_timeout(secs(60)).heartbeat(heartbeat).observer(tally.clone())
    });
    pool.add(&1, connector.make(1)).unwrap();
    tally.count("added");
    let loans = [pool.acquire(&1).await.unwrap(), pool.acquire(&1).await.unwrap()];
    assert!(pool.acquire_timeout(&1, secs(1)).await.is_err());
    let mut gone = waiting(&pool, 1);
    assert!(poll(&mut gone).is_pending());
    drop(gone);
    let [first, second] = loans;
    PooledConnection::discard(first);
    drop(PooledConnection::detach(second));
    quiet().await;
    tally.assert_agrees(&pool, &connector);

    let dead = pool.acquire(&2).await.unwrap();
    dead.kill();
    drop(dead);
    quiet().await;
    tally.assert_agrees(&pool, &connector);

    drop(pool.acquire(&3).await.unwrap());
    connector.once(Stage::Ping, Step::Ok);
    connector.once(Stage::Ping, Step::Error);
    sleep(secs(13)).await;
    connector.always(Stage::Ping, Step::Error);
    sleep(secs(60)).await;
    assert!(tally.of("heartbeat missed") >= 2, "{}", tally.of("heartbeat missed"));
    tally.assert_agrees(&pool, &connector);

    connector.once(Stage::Connect, Step::Error);
    assert!(pool.acquire(&4).await.is_err());
    sleep(secs(60)).await;
    drop([pool.acquire(&4).await.unwrap(), pool.acquire(&4).await.unwrap()]);
    assert_eq!(pool.status().idle, 2);
    pool.close().await;
    tally.assert_agrees(&pool, &connector);
    assert_eq!((pool.status().idle, pool.status().hosts), (0, 0));
}
