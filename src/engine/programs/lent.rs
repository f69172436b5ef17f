//! What must hold for a connection that is lent, judged by what is known of it from outside.

use super::super::{Proof, Purpose};
use super::known::Connection;
use super::world::{Loan, Pinging, World};
use crate::policy::time::{Span, Time};

/// Connections that become idle at the same time under a cap on idle connections differ by a
/// nanosecond each.
const STAMPED: Span = Span::from_nanos(10_000);

impl World {
    /// Checks a connection that was lent in the last section.
    pub(super) fn check_lendable(&self, at: usize, loan: &Loan) {
        let known = &self.connections[loan.connection];
        assert_eq!(known.at, at, "it is of another host");
        assert!(!known.over && !known.gone, "it is over, and was lent: {known:?}");
        assert!(!known.needs_reset, "it was not reset: {known:?}");
        assert!(!known.doubted, "it has not answered: {known:?}");
        assert!(known.leases < known.max_leases, "it is lent to too many: {known:?}");
        assert_eq!(known.generation, self.cells[at].known.generation, "it is suspect: {known:?}");
        assert!(known.uses < self.common.limits.max_uses, "it is used up: {known:?}");
        assert!(self.clock < known.expires, "it is too old at {:?}: {known:?}", self.clock);
        self.check_untouched(loan.connection);
        // Its dial or ping is proof enough.
        if known.proved_step == self.step {
            return;
        }
        if known.leases == 0 {
            self.check_idle_time(at, loan);
            self.check_proof(known);
        } else {
            self.check_proof_in_use(known);
        }
    }

    /// Neither a ping that keeps it from borrowers nor a close is in flight.
    fn check_untouched(&self, connection: usize) {
        let stays = |ping: &Pinging| {
            self.common.is_shared() && ping.order.purpose == Purpose::Heartbeat && !ping.late
        };
        let mut pings = self.pings.iter().filter(|ping| ping.order.connection == connection);
        assert!(pings.all(stays), "it is being pinged");
        let closes = self.closes.iter().filter(|(_, order)| order.connection == connection);
        assert_eq!(closes.count(), 0, "it is being closed");
    }

    /// It was idle for less than the idle time-out, or is kept for the minimum idle, because it has
    /// answered since, and no more than that have room or its heartbeat has not ended.
    fn check_idle_time(&self, at: usize, loan: &Loan) {
        let connection = loan.connection;
        let (known, limits) = (&self.connections[connection], &self.common.limits);
        let ends = |since: Time| since.after(STAMPED).after(limits.idle_timeout);
        if self.clock < ends(known.idle_since) {
            return;
        }
        let state = &self.cells[at].state;
        let own = usize::from(state.entry(loan.ticket.slot).has_room());
        let others = state.connections().ready() - own;
        let is_pinged = self.pings.iter().any(|ping| ping.order.connection == connection);
        assert!(
            others < limits.min_idle_per_host || is_pinged,
            "it was idle for too long, and {others} others have room"
        );
        assert!(self.clock < ends(known.proved), "it was kept, and has not answered: {known:?}");
    }

    /// It was made, has answered or was heard within `ping_after`; with zero, only in this section.
    /// Where nothing is heard, a use counts as well, until three times as long after that.
    fn check_proof(&self, known: &Connection) {
        let after = self.common.limits.ping_after;
        if self.setup.proof == Proof::Nothing || after == Span::FOREVER {
            return;
        }
        assert_ne!(after, Span::ZERO, "it was not pinged: {known:?} at {}", self.step);
        let proven = known.proved.after(after);
        let counts = match self.setup.proof {
            Proof::Heard => proven,
            _ => proven.max(known.idle_since.after(after).min(postponed(known.proved, after))),
        };
        assert!(self.clock < counts.after(STAMPED), "it was not pinged: {known:?}");
    }

    /// It is shared and in use: its last proof of life is not too long ago.
    fn check_proof_in_use(&self, known: &Connection) {
        let after = self.common.limits.ping_after;
        if self.setup.proof == Proof::Nothing || after == Span::FOREVER {
            return;
        }
        let after = after.max(Span::from_nanos(1_000_000_000));
        let counts = match self.setup.proof {
            Proof::Heard => known.proved.after(after),
            _ => postponed(known.proved, after),
        };
        assert!(self.clock < counts, "it was not pinged in use: {known:?}");
    }
}

fn postponed(proved: Time, after: Span) -> Time {
    proved.after(after).after(after).after(after)
}
