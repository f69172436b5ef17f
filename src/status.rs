//! What can be seen of a pool from outside.

use std::panic::Location;
use std::time::Duration;

use crate::close_reason::{CloseCounts, CloseReason};
use crate::engine::Loan;
use crate::engine::status::{Counters, Gauges, HostView};
use crate::engine::time::Time;

macro_rules! status {
    ($(#[$doc:meta])* $name:ident { $($(#[$extra_doc:meta])* $extra:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$extra_doc])* pub $extra: usize,)*
            /// Connections ready to be lent, or being pinged in the background.
            pub idle: usize,
            /// Connections that are lent.
            pub in_use: usize,
            /// Loans. In a [`SharedPool`](crate::SharedPool) several may be on one connection that is in
            /// use; in a [`Pool`](crate::Pool) this is `in_use` again.
            pub leases: usize,
            /// Dials under way.
            pub dialing: usize,
            /// Connections being closed that still hold their place under the caps.
            pub closing: usize,
            /// Callers that wait.
            pub waiting: usize,
            /// Connections that were lent, at once or after a wait.
            pub acquired: u64,
            /// Times that an idle connection was lent at once.
            pub reused: u64,
            /// Times that a caller had to wait.
            pub waited: u64,
            /// Waits that ended because their time was over; those who would not wait at all are not
            /// among them.
            pub timed_out: u64,
            /// Waits that ended because the caller was gone.
            pub cancelled: u64,
            /// Waits that ended with a dial's error.
            pub failed: u64,
            /// Waits that ended because the pool was closed.
            pub shut_out: u64,
            /// Callers who were sent away because too many waited.
            pub refused: u64,
            /// What all waits that have ended took together.
            pub wait_time: Duration,
            /// Dials begun.
            pub dials: u64,
            /// Dials that failed.
            pub failed_dials: u64,
            /// What all dials that have succeeded took together.
            pub dial_time: Duration,
            /// Connections that the pool closed.
            pub closed: u64,
            /// Connections that borrowers kept.
            pub detached: u64,
            /// Connections that have left, by reason.
            pub closes: CloseCounts,
            /// The most that were in use at once. Of a pool: the sum of its hosts' own, which need not
            /// have been at the same time.
            pub peak_in_use: usize,
            /// The most that waited at once; of a pool, as above.
            pub peak_waiting: usize,
            /// Pings that have ended.
            pub pings: u64,
            /// Pings that failed, or took too long.
            pub failed_pings: u64,
            /// Heartbeats that were answered.
            pub heartbeats: u64,
            /// Heartbeats that were not answered in time, or with an error.
            pub missed_heartbeats: u64,
        }

        impl $name {
            pub(crate) fn new($($extra: usize,)* gauges: Gauges, counters: Counters) -> Self {
                $name {
                    $($extra,)*
                    idle: gauges.idle,
                    in_use: gauges.in_use,
                    leases: gauges.leases,
                    dialing: gauges.dialing,
                    closing: gauges.closing,
                    waiting: gauges.waiting,
                    acquired: counters.reused + counters.served,
                    reused: counters.reused,
                    waited: counters.waited,
                    timed_out: counters.timed_out,
                    cancelled: counters.cancelled,
                    failed: counters.failed,
                    shut_out: counters.shut_out,
                    refused: counters.refused,
                    wait_time: counters.wait_time,
                    dials: counters.dials,
                    failed_dials: counters.failed_dials,
                    dial_time: counters.dial_time,
                    closed: counters.closes.total() - counters.closes.of(CloseReason::Detached),
                    detached: counters.closes.of(CloseReason::Detached),
                    closes: counters.closes,
                    peak_in_use: counters.peak_in_use,
                    peak_waiting: counters.peak_waiting,
                    pings: counters.pings,
                    failed_pings: counters.failed_pings,
                    heartbeats: counters.heartbeats,
                    missed_heartbeats: counters.missed_heartbeats,
                }
            }
        }
    };
}

status! {
    /// A pool at one moment, all hosts together. Counts include hosts that are forgotten.
    PoolStatus {
        /// Hosts that the pool knows: those with anything open, anybody waiting, a handle, or a backoff
        /// that has not ended.
        hosts,
    }
}

status! {
    /// One host at one moment. Counts begin when the host is first used, and again when it was
    /// forgotten in between.
    HostStatus {
        /// The host's cap; `usize::MAX` when there is none.
        max,
    }
}

impl From<HostView> for HostStatus {
    fn from(view: HostView) -> Self {
        HostStatus::new(view.max, view.gauges, view.counters)
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
    /// Where in the code it was acquired.
    pub place: &'static Location<'static>,
}

impl LoanInfo {
    pub(crate) fn new(key: String, loan: Loan, now: Time) -> Self {
        let Loan { connection, since, place, .. } = loan;
        LoanInfo { key, id: connection, held: now.since(since), place }
    }
}
