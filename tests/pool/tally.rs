//! What an observer was told, to be compared with what a pool's status and its connector say.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use wharf::{
    Acquired, CloseReason, Closed, DialDone, DialFailed, HeartbeatMissed, Observer, PingFailed,
    PoolStatus, Returned, TimedOut,
};

use crate::support::*;

/// Counts the events of a pool.
#[derive(Clone, Default)]
pub(crate) struct Tally(Arc<Mutex<HashMap<&'static str, u64>>>);

impl Tally {
    pub(crate) fn count(&self, event: &'static str) {
        *self.0.lock().unwrap().entry(event).or_default() += 1;
    }

    pub(crate) fn of(&self, event: &'static str) -> u64 {
        self.0.lock().unwrap().get(event).copied().unwrap_or_default()
    }

    /// Every counter and every gauge, while nothing is under way and nothing is lent.
    #[track_caller]
    pub(crate) fn assert_agrees(&self, pool: &TestPool, connector: &TestConnector) {
        self.assert_all_but_pings_agree(pool, connector);
        let (status, counts) = (pool.status(), connector.counts());
        let closes = |reason| status.closes.of(reason);
        // One whose caller has gone has no end, and closes its connection.
        let failed = closes(CloseReason::PingFailed) + closes(CloseReason::ResetFailed);
        let cut_off = failed - status.failed_pings;
        let beats = status.heartbeats + status.missed_heartbeats;
        let pings = counts.pings + counts.resets;
        assert_eq!(status.pings + cut_off + beats, pings as u64, "pings and resets");
    }

    /// The same where a ping may have been given up before it began.
    #[track_caller]
    pub(crate) fn assert_all_but_pings_agree(&self, pool: &TestPool, connector: &TestConnector) {
        assert_balanced(pool, connector);
        self.assert_counters_agree(&pool.status(), connector);
    }

    /// The counters alone.
    #[track_caller]
    pub(crate) fn assert_counters_agree(&self, status: &PoolStatus, connector: &TestConnector) {
        let counts = connector.counts();
        assert_eq!(status.leases, 0);
        assert_eq!(status.hosts as u64, self.of("host") - self.of("host forgotten"), "hosts");

        let elsewhere = self.of("added") + self.of("not added");
        let [dials, made] = [counts.dials as u64, counts.made as u64 - elsewhere];
        assert_eq!([status.dials, self.of("dial")], [dials; 2], "dials");
        assert_eq!([status.failed_dials, self.of("dial failed")], [dials - made; 2], "failed");
        assert_eq!(self.of("dial done"), made, "made");

        let left = counts.dropped as u64 - self.of("not added");
        assert_eq!([status.closed + status.detached, status.closes.total()], [left; 2], "left");
        for &reason in CloseReason::ALL {
            assert_eq!(status.closes.of(reason), self.of(reason.label()), "{reason:?}");
        }

        assert_eq!(status.failed_pings, self.of("ping failed"), "failed pings");
        assert_eq!(status.missed_heartbeats, self.of("heartbeat missed"), "missed heartbeats");

        assert_eq!(status.acquired, self.of("acquired"), "acquired");
        let ended = self.of("returned") + self.of(CloseReason::Detached.label());
        assert_eq!(status.acquired, ended, "loans ended");
        let timed_out = status.timed_out + self.of("would not wait");
        assert_eq!(timed_out, self.of("timed out"), "timed out");
        let served = status.acquired - status.at_once;
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
