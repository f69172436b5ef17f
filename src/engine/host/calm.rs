//! Whether the fast paths may be taken.
//!
//! Lending, returning, handing over, and joining and leaving a queue have a fast path: it changes
//! the loan, the order of lending and the queue, and nothing else. It may be taken if a section
//! would do no more.
//!
//! A section does more for two kinds of reasons. Either the host wants something at this moment
//! and not because of the loan: that is *not calm*. Or the operation itself brings it: one connection
//! too many is idle, one too few, this loan was reported. Each fast path tests the second kind for
//! itself, and nothing of the first.
//!
//! `calm` is noted at the end of each section. That suffices, because what it depends on changes in
//! sections only: a fast path changes no phase, no cap and no place; it begins no dial, ping or
//! close; and connections that drain, or are kept beyond their idle time-out, are not lent by it.
//! (Entering and leaving the directory are no sections; a host that was not entered has no
//! connection, and one that left it neither.)
//!
//! Time is no reason either. What time does has a lower bound, at which maintenance looks
//! (`Soonest`). A fast path tests that the bound covers what it begins: the idle time of a
//! connection that returns, its next heartbeat, the time at which a loan is reported. A connection
//! that has passed its time is not fit, and takes the slow path.
//!
//! A condition that is missing here is a bug. The random programs run with the fast paths and
//! without, and compare.

use super::HostState;
use crate::engine::Parts;

impl<P: Parts> HostState<P> {
    /// Notes whether a section that changes nothing would do nothing.
    pub(super) fn note_calm(&mut self) {
        let gauges = self.connections.gauges();
        self.calm = self.membership.is_open()
            // A returned connection would be above the cap, and closed.
            && gauges.places <= self.membership.max()
            // Places may be given up, or connections taken back.
            && gauges.draining == 0
            // One more that is idle lets those go.
            && gauges.kept == 0
            // Each return shows that loans come back.
            && !self.dials.pace().is_troubled()
            // They make room for other hosts as soon as these want it.
            && !self.dials.has_slow()
            // Those who ask for connections in advance, or dial for others, are to be told.
            && self.minimum.requested() == 0
            && !self.minimum.has_callers()
            && !self.dials.is_stranded()
            && self.share.spare() == 0;
    }
}
