//! The state of a pool, as seen from outside.

use std::panic::Location;
use std::time::Duration;

use crate::engine::Lease;
use crate::engine::status::{Counted, HostView, Seen};
use crate::policy::close_reason::{CloseCounts, CloseReason};
use crate::policy::time::Time;
use crate::runtime::any_host::AnyHost;

macro_rules! status {
    ($(#[$doc:meta])* $name:ident { $($(#[$extra_doc:meta])* $extra:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$extra_doc])* pub $extra: usize,)*
            /// Connections that are not in use. Those being pinged count, and so does one that its
            /// peer has closed, until the pool checks it: set a
            /// [heartbeat](crate::Builder::heartbeat) together with a minimum idle.
            pub idle: usize,
            /// Connections that are lent.
            pub in_use: usize,
            /// Loans. In a [`SharedPool`](crate::SharedPool) a connection in use may have several;
            /// in a [`Pool`](crate::Pool) this equals `in_use`.
            pub leases: usize,
            /// Dials in flight.
            pub dialing: usize,
            /// Pings and resets in flight or about to begin, heartbeats included. Their connections are idle, or in use
            /// if they are shared.
            pub pinging: usize,
            /// Connections that take no new leases and are closed after their last one: too old,
            /// used up, retired, above a lowered cap, or making room for another host. An exclusive
            /// one also counts as in use. A shared one has freed its place under `max_per_host`,
            /// unless it is above a lowered cap.
            pub draining: usize,
            /// Connections being closed that still hold their place under the caps.
            pub closing: usize,
            /// Callers that wait for a connection.
            pub waiting: usize,
            /// Loans, given at once or after a wait.
            pub acquired: u64,
            /// Loans given without a wait. A caller whose connection was pinged first has waited.
            pub reused: u64,
            /// Callers that had to wait for a connection to return, a dial, or a ping.
            pub waited: u64,
            /// Waits that timed out. Callers that did not wait at all are not counted.
            pub timed_out: u64,
            /// Waits that ended because the future was dropped.
            pub cancelled: u64,
            /// Waits that ended with a dial's error.
            pub failed: u64,
            /// Waits that ended because the pool was closed.
            pub shut_out: u64,
            /// Callers that got `QueueFull` because too many were waiting.
            pub refused: u64,
            /// The total time of all waits that have ended.
            pub wait_time: Duration,
            /// Dials started.
            pub dials: u64,
            /// Dials that failed.
            pub failed_dials: u64,
            /// The total time of all dials that have succeeded.
            pub dial_time: Duration,
            /// Connections that the pool closed.
            pub closed: u64,
            /// Connections that borrowers have detached.
            pub detached: u64,
            /// Connections that have left, by reason.
            pub closes: CloseCounts,
            /// The most connections in use at once. For a pool, this is the sum of its hosts' own
            /// peaks, which may have occurred at different times, or the peak of a forgotten host
            /// if that is greater.
            pub peak_in_use: usize,
            /// The most callers waiting at once; for a pool, as above.
            pub peak_waiting: usize,
            /// Pings and resets that have ended, answered or not. Heartbeats are not included.
            pub pings: u64,
            /// Pings and resets that failed or took too long.
            pub failed_pings: u64,
            /// Heartbeats that were answered.
            pub heartbeats: u64,
            /// Heartbeats that failed or were not answered in time.
            pub missed_heartbeats: u64,
        }

        impl $name {
            pub(crate) fn new($($extra: usize,)* seen: Seen, counted: Counted) -> Self {
                let Counted { usual, rare } = counted;
                $name {
                    $($extra,)*
                    idle: seen.idle,
                    in_use: seen.in_use,
                    leases: seen.leases,
                    dialing: seen.dialing,
                    pinging: seen.pinging,
                    draining: seen.draining,
                    closing: seen.closing,
                    waiting: seen.waiting,
                    acquired: usual.reused + usual.served,
                    reused: usual.reused,
                    waited: counted.waits_ended() + seen.waiting as u64,
                    timed_out: rare.timed_out,
                    cancelled: rare.cancelled,
                    failed: rare.failed,
                    shut_out: rare.shut_out,
                    refused: rare.refused,
                    wait_time: usual.wait_time.into(),
                    dials: usual.dials,
                    failed_dials: rare.failed_dials,
                    dial_time: usual.dial_time.into(),
                    closed: rare.closes.total() - rare.closes.of(CloseReason::Detached),
                    detached: rare.closes.of(CloseReason::Detached),
                    closes: rare.closes,
                    peak_in_use: usual.peak_in_use as usize,
                    peak_waiting: usual.peak_waiting as usize,
                    pings: rare.pings,
                    failed_pings: rare.failed_pings,
                    heartbeats: rare.heartbeats,
                    missed_heartbeats: rare.missed_heartbeats,
                }
            }
        }
    };
}

status! {
    /// The state of all hosts of a pool together. The hosts are visited one after the other; the
    /// figures of each host are consistent. Counts include forgotten hosts.
    PoolStatus {
        /// Hosts that the pool knows: those with a connection, a waiting caller, a handle, a cap of
        /// their own, or a backoff that has not ended.
        hosts,
    }
}

status! {
    /// The state of one host at one moment. Counts begin when the host is first used, and begin
    /// again if it is forgotten in between.
    HostStatus {
        /// The host's cap; `usize::MAX` if it has none.
        max,
    }
}

impl From<HostView> for HostStatus {
    fn from(view: HostView) -> Self {
        HostStatus::new(view.max, view.seen, view.counted)
    }
}

/// One connection that is lent.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoanInfo {
    /// The host's key, in its `Debug` form.
    pub key: String,
    /// The connection's id.
    pub id: u64,
    /// How long it has been lent.
    pub held: Duration,
    /// The call site of the acquire.
    pub place: &'static Location<'static>,
}

impl LoanInfo {
    pub(crate) fn new(key: String, (id, lease): (u64, Lease), now: Time) -> Self {
        LoanInfo { key, id, held: now.since(lease.since), place: lease.call_site }
    }
}

/// Returns the loans of a host. The `Debug` of its key is user code and may panic.
pub(super) fn loans(host: &dyn AnyHost) -> Vec<LoanInfo> {
    let (now, key) = (host.pool().clock.precise(), format!("{host:?}"));
    let loans = host.base().loans().into_iter();
    loans.map(|loan| LoanInfo::new(key.clone(), loan, now)).collect()
}
