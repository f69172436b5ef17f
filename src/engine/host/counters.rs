//! Counters and gauges as they are read: of a host, or of many together.

use crate::policy::close_reason::CloseCounts;
use crate::policy::time::Span;

/// Something of which a pool's figure is the sum of its hosts' figures.
trait Sum {
    fn add(&mut self, other: &Self);
}

impl Sum for u64 {
    fn add(&mut self, other: &u64) {
        *self += other;
    }
}

impl Sum for usize {
    fn add(&mut self, other: &usize) {
        *self += other;
    }
}

/// A peak.
impl Sum for u32 {
    fn add(&mut self, other: &u32) {
        *self = self.saturating_add(*other);
    }
}

impl Sum for Span {
    fn add(&mut self, other: &Span) {
        *self += *other;
    }
}

impl Sum for CloseCounts {
    fn add(&mut self, other: &CloseCounts) {
        CloseCounts::add(self, other);
    }
}

/// Declares figures that add up one by one: each field is named once.
macro_rules! figures {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct $name {
            $($(#[$field_doc])* pub(crate) $field: $type,)*
        }

        impl $name {
            pub(crate) fn add(&mut self, other: &$name) {
                $(Sum::add(&mut self.$field, &other.$field);)*
            }
        }
    };
}

figures! {
    /// Counters since the host was first used, of events of every host. Those of a hand-over come
    /// first.
    #[repr(C)]
    Counters {
        served: u64,
        wait_time: Span,
        /// Connections lent without a wait.
        reused: u64,
        peak_in_use: u32,
        peak_waiting: u32,
        dials: u64,
        dial_time: Span,
    }
}

figures! {
    /// Counters of events that a healthy host does not have.
    RareCounters {
        /// How waits ended without a connection: the time-out passed, the caller gave up, a dial
        /// failed, or the pool was closed.
        timed_out: u64,
        cancelled: u64,
        failed: u64,
        shut_out: u64,
        /// Callers that were not allowed to wait.
        refused: u64,
        failed_dials: u64,
        closes: CloseCounts,
        pings: u64,
        failed_pings: u64,
        heartbeats: u64,
        missed_heartbeats: u64,
    }
}

figures! {
    /// The states of connections.
    Seen {
        idle: usize,
        in_use: usize,
        leases: usize,
        dialing: usize,
        pinging: usize,
        draining: usize,
        closing: usize,
        waiting: usize,
        /// Hosts where waits are being lost.
        overloaded: usize,
    }
}

/// All counters of a host, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) usual: Counters,
    pub(crate) rare: RareCounters,
}

impl Counted {
    /// Returns how many waits have ended, in any way.
    pub(crate) fn waits_ended(&self) -> u64 {
        let Counted { usual, rare } = self;
        usual.served + rare.timed_out + rare.cancelled + rare.failed + rare.shut_out
    }

    pub(crate) fn add(&mut self, other: &Counted) {
        self.usual.add(&other.usual);
        self.rare.add(&other.rare);
    }

    /// Adds the counts of forgotten hosts. The same host may be among them many times, so peaks are
    /// not summed.
    pub(crate) fn add_past(&mut self, past: &Counted) {
        let (mine, theirs) = (self.usual, &past.usual);
        self.add(past);
        self.usual.peak_in_use = mine.peak_in_use.max(theirs.peak_in_use);
        self.usual.peak_waiting = mine.peak_waiting.max(theirs.peak_waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::close_reason::CloseReason;
    use std::time::Duration;

    /// A figure of each type.
    fn counted(n: u32) -> Counted {
        let mut counted = Counted::default();
        counted.usual.reused = n.into();
        counted.usual.wait_time = Span::from(Duration::from_secs(n.into()));
        (counted.usual.peak_in_use, counted.usual.peak_waiting) = (7 * n, 8 * n);
        counted.rare.heartbeats = (3 * n).into();
        (0..n).for_each(|_| counted.rare.closes.count(CloseReason::Idle));
        counted
    }

    #[test]
    fn figures_of_hosts_add_up() {
        let mut sum = counted(1);
        sum.add(&counted(3));
        assert_eq!(sum, counted(4));
    }

    #[test]
    fn peaks_of_hosts_that_are_gone_do_not_add_up() {
        let mut sum = counted(3);
        sum.add_past(&counted(1));
        let usual = Counters { peak_in_use: 21, peak_waiting: 24, ..counted(4).usual };
        assert_eq!(sum, Counted { usual, ..counted(4) });
    }
}
