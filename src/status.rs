//! What can be seen of a pool from outside.

use std::panic::Location;
use std::time::Duration;

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
            /// Times that an idle connection was lent.
            pub reused: u64,
            /// Times that a caller had to wait.
            pub waited: u64,
            /// Waits that ended because their time was over.
            pub timed_out: u64,
            /// Waits that ended because the caller was gone.
            pub cancelled: u64,
            /// Dials begun.
            pub dials: u64,
            /// Dials that failed.
            pub failed_dials: u64,
            /// Connections that the pool closed.
            pub closed: u64,
            /// Connections that borrowers kept.
            pub detached: u64,
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
                    reused: counters.reused,
                    waited: counters.waited,
                    timed_out: counters.timed_out,
                    cancelled: counters.cancelled,
                    dials: counters.dials,
                    failed_dials: counters.failed_dials,
                    closed: counters.closed,
                    detached: counters.detached,
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
        let Loan { connection, since, place } = loan;
        LoanInfo { key, id: connection, held: now.since(since), place }
    }
}
