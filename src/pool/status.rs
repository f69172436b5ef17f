//! The state of a pool, as seen from outside.

use std::panic::Location;
use std::time::Duration;

use crate::engine::Lease;
use crate::engine::status::{Counted, HostView, Seen};
use crate::policy::close_reason::{CloseCounts, CloseReason};
use crate::policy::time::Time;
use crate::runtime::any_host::AnyHost;

/// Declares a status: figures of its own, and the others, each with its documentation and its value.
macro_rules! status {
    (
        $(#[$doc:meta])* $name:ident { $($(#[$own_doc:meta])* $own:ident,)* }
        |$seen:ident, $counted:ident| { $($(#[$figure_doc:meta])* $figure:ident: $type:ty = $value:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize))]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$own_doc])* pub $own: usize,)*
            $($(#[$figure_doc])* pub $figure: $type,)*
        }

        impl $name {
            pub(crate) fn new($($own: usize,)* $seen: Seen, $counted: Counted) -> Self {
                $name { $($own,)* $($figure: $value,)* }
            }
        }
    };
}

/// Declares a status with the figures that a pool and a host have in common.
macro_rules! status_with_figures {
    ($($head:tt)*) => {
        status! {
            $($head)*
            |seen, counted| {
                /// Connections that are not in use. Those being pinged count, and so does one that its
                /// peer has closed, until the pool checks it: set a
                /// [heartbeat](crate::Builder::heartbeat) together with a minimum idle.
                idle: usize = seen.idle,
                /// Connections that are lent.
                in_use: usize = seen.in_use,
                /// Loans. In a [`SharedPool`](crate::SharedPool) a connection in use may have several;
                /// in a [`Pool`](crate::Pool) this equals `in_use`.
                leases: usize = seen.leases,
                /// Dials in flight.
                dialing: usize = seen.dialing,
                /// Pings and resets in flight or about to begin, heartbeats included. Their connections are idle, or in use
                /// if they are shared.
                pinging: usize = seen.pinging,
                /// Connections that take no new leases and are closed after their last one: too old,
                /// used up, retired, above a lowered cap, or making room for another host. An exclusive
                /// one also counts as in use. A shared one has freed its place under `max_per_host`,
                /// unless it is above a lowered cap.
                draining: usize = seen.draining,
                /// Connections being closed that still hold their place under the caps.
                closing: usize = seen.closing,
                /// Callers that wait for a connection.
                waiting: usize = seen.waiting,
                /// Hosts whose callers give up before they are served, so that the newest are served first
                /// ([`Order::Adaptive`](crate::Order::Adaptive)). Of one host: 0 or 1.
                overloaded: usize = seen.overloaded,
                /// Loans, given at once or after a wait.
                acquired: u64 = counted.usual.reused + counted.usual.served,
                /// Loans given without a wait. A caller whose connection was pinged first has waited.
                reused: u64 = counted.usual.reused,
                /// Callers that had to wait for a connection to return, a dial, or a ping.
                waited: u64 = counted.waits_ended() + seen.waiting as u64,
                /// Waits that timed out. Callers that did not wait at all are not counted.
                timed_out: u64 = counted.rare.timed_out,
                /// Waits that ended because the future was dropped.
                cancelled: u64 = counted.rare.cancelled,
                /// Waits that ended with a dial's error.
                failed: u64 = counted.rare.failed,
                /// Waits that ended because the pool was closed.
                shut_out: u64 = counted.rare.shut_out,
                /// Callers that got `QueueFull` because too many were waiting.
                refused: u64 = counted.rare.refused,
                /// The total time of all waits that have ended.
                #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
                wait_time: Duration = counted.usual.wait_time.into(),
                /// Dials started.
                dials: u64 = counted.usual.dials,
                /// Dials that failed.
                failed_dials: u64 = counted.rare.failed_dials,
                /// The total time of all dials that have succeeded.
                #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
                dial_time: Duration = counted.usual.dial_time.into(),
                /// Connections that the pool closed.
                closed: u64 = counted.rare.closes.total() - counted.rare.closes.of(CloseReason::Detached),
                /// Connections that borrowers have detached.
                detached: u64 = counted.rare.closes.of(CloseReason::Detached),
                /// Connections that have left, by reason.
                closes: CloseCounts = counted.rare.closes,
                /// The most connections in use at once. For a pool, this is the sum of its hosts' own
                /// peaks, which may have occurred at different times, or the peak of a forgotten host
                /// if that is greater.
                peak_in_use: usize = counted.usual.peak_in_use as usize,
                /// The most callers waiting at once; for a pool, as above.
                peak_waiting: usize = counted.usual.peak_waiting as usize,
                /// Pings and resets that have ended, answered or not. Heartbeats are not included.
                pings: u64 = counted.rare.pings,
                /// Pings and resets that failed or took too long.
                failed_pings: u64 = counted.rare.failed_pings,
                /// Heartbeats that were answered.
                heartbeats: u64 = counted.rare.heartbeats,
                /// Heartbeats that failed or were not answered in time.
                missed_heartbeats: u64 = counted.rare.missed_heartbeats,
            }
        }
    };
}

status_with_figures! {
    /// The state of all hosts of a pool together. The hosts are visited one after the other; the
    /// figures of each host are consistent. Counts include forgotten hosts.
    ///
    /// With the feature `serde` it is written under the names of its fields, times as a number of seconds.
    PoolStatus {
        /// Hosts that the pool knows: those with a connection, a waiting caller, a handle, a cap of
        /// their own, or a backoff that has not ended.
        hosts,
    }
}

status_with_figures! {
    /// The state of one host at one moment. Counts begin when the host is first used, and begin
    /// again if it is forgotten in between.
    ///
    /// With the feature `serde` it is written as a [`PoolStatus`] is, and `max` is null if there is no cap.
    HostStatus {
        /// The host's cap; `usize::MAX` if it has none.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::cap"))]
        max,
    }
}

impl From<HostView> for HostStatus {
    fn from(view: HostView) -> Self {
        HostStatus::new(view.max, view.seen, view.counted)
    }
}

/// One connection that is lent.
///
/// With the feature `serde` it is written with `held` in seconds and `place` as text.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct LoanInfo {
    /// The host's key, in its `Debug` form.
    pub key: String,
    /// The connection's id.
    pub id: u64,
    /// How long it has been lent.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub held: Duration,
    /// The call site of the acquire.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::text"))]
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
