//! The settings of a program's pool.

use proptest::prelude::*;
use wharf::{Backoff, Builder, HealthCheck, Heartbeat, Order, Reuse};

use crate::support::{ms, secs};

pub(crate) const HOSTS: u32 = 4;
pub(crate) const CONNECT_TIMEOUT: u64 = 2000;
pub(crate) const IDLE_TIMEOUT: u64 = 15_000;
pub(crate) const MAX_LIFETIME: u64 = 60_000;

/// Nothing is left to the pool's own chance: there is no jitter.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is a setting.
pub(crate) struct Settings {
    pub(crate) max_per_host: usize,
    pub(crate) max_total: Option<usize>,
    pub(crate) max_dialing: Option<usize>,
    pub(crate) max_dialing_per_host: Option<usize>,
    pub(crate) max_waiters_per_host: Option<usize>,
    pub(crate) max_idle: Option<usize>,
    pub(crate) max_idle_per_host: Option<usize>,
    pub(crate) initial: usize,
    pub(crate) min_idle: usize,
    pub(crate) max_uses: Option<u64>,
    /// In milliseconds, as all times here.
    pub(crate) acquire_timeout: Option<u64>,
    /// A connection idle for so long is pinged before it is lent.
    pub(crate) ping_after: Option<u64>,
    pub(crate) heartbeat: bool,
    pub(crate) retry: bool,
    pub(crate) least_recent: bool,
    pub(crate) deadlock_warnings: bool,
    /// A woken caller looks before time passes; otherwise when the program says so.
    pub(crate) eager: bool,
}

impl Settings {
    pub(crate) fn apply<Kind>(&self, builder: Builder<Kind>) -> Builder<Kind> {
        let backoff = Backoff::default().initial(ms(100)).max(secs(5)).jitter(0.0);
        let heartbeat = Heartbeat::every(secs(4)).timeout(secs(1)).max_missed(2);
        let health = match self.ping_after {
            None => HealthCheck::Never,
            Some(0) => HealthCheck::Always,
            Some(time) => HealthCheck::IdleFor(ms(time)),
        };
        builder
            .max_per_host(self.max_per_host)
            .max_total(self.max_total)
            .max_dialing(self.max_dialing)
            .max_dialing_per_host(self.max_dialing_per_host)
            .max_waiters_per_host(self.max_waiters_per_host)
            .max_idle(self.max_idle)
            .max_idle_per_host(self.max_idle_per_host)
            .initial_per_host(self.initial)
            .min_idle_per_host(self.min_idle)
            .max_uses(self.max_uses)
            .acquire_timeout(self.acquire_timeout.map(ms))
            .connect_timeout(ms(CONNECT_TIMEOUT))
            .ping_timeout(ms(500))
            .close_timeout(secs(1))
            .idle_timeout(ms(IDLE_TIMEOUT))
            .max_lifetime(ms(MAX_LIFETIME))
            .lifetime_jitter(0.0)
            .health_check(health)
            .heartbeat(self.heartbeat.then_some(heartbeat))
            .retry(self.retry.then_some(backoff))
            .deadlock_warnings(self.deadlock_warnings)
            // The engine's own programs have the others.
            .order(Order::Fifo)
            .reuse(if self.least_recent { Reuse::LeastRecent } else { Reuse::MostRecent })
    }
}

fn cap(values: std::ops::Range<usize>) -> impl Strategy<Value = Option<usize>> {
    prop_oneof![Just(None), values.prop_map(Some)]
}

/// Any settings: with caps across hosts, or with none.
pub(crate) fn settings(together: bool) -> impl Strategy<Value = Settings> {
    let hosts = (1..5_usize, 0..2_usize, 0..2_usize, cap(2..4), cap(1..6), cap(1..3));
    let across = (2..8_usize, cap(2..5), cap(1..3));
    let uses = prop_oneof![2 => Just(None), 1 => (1..4_u64).prop_map(Some)];
    let patience = prop_oneof![1 => Just(None), 2 => (1..4000_u64).prop_map(Some)];
    let pings = prop_oneof![2 => Just(None), 1 => Just(Some(0)), 2 => Just(Some(50))];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (hosts, across, (uses, patience, pings, flags)).prop_map(move |(hosts, across, rest)| {
        let (max, initial, min_idle, max_idle_per_host, max_waiters_per_host, dialing) = hosts;
        let (max_total, max_idle, max_dialing) = across;
        let (max_uses, acquire_timeout, ping_after, flags) = rest;
        let (heartbeat, retry, least_recent, deadlock_warnings, eager) = flags;
        Settings {
            max_per_host: max,
            max_total: together.then_some(max_total),
            max_dialing: max_dialing.filter(|_| together),
            max_dialing_per_host: dialing,
            max_waiters_per_host,
            max_idle: max_idle.filter(|_| together),
            max_idle_per_host,
            initial: initial.min(max),
            min_idle: min_idle.min(max),
            max_uses,
            acquire_timeout,
            ping_after,
            heartbeat,
            retry,
            least_recent,
            deadlock_warnings,
            eager,
        }
    })
}
