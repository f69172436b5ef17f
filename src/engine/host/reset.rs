//! Resets: a task of the pool undoes what a borrower has left, before the connection is lent again.
//!
//! A reset is treated like a ping: it counts as on its way, is limited, can be cut off, proves the
//! connection alive, and a failure makes its peers suspect. There is one difference: a ping that is
//! not needed may be skipped, a reset may not. A connection whose reset has to wait for others
//! [awaits it](crate::engine::connections::entry::State::AwaitsReset), and is not lent.

use super::HostState;
use super::membership::Phase;
use crate::engine::{Parts, Purpose, Section};
use crate::policy::close_reason::CloseReason;

impl<P: Parts> HostState<P> {
    /// An exclusive connection that needs a reset has returned. If it will not be lent again, it is
    /// closed without one.
    pub(super) fn reset_or_close(&mut self, slot: u32, section: &mut Section<'_, P>) {
        if let Some(reason) = self.reason_not_to_ask(slot, section) {
            self.drain(slot, reason, section);
        } else if !self.gives_up(slot, section) {
            self.connections.change(slot, |entry| entry.await_reset());
            let last_use = self.connections[slot].last_use;
            self.rare().pings.await_reset(last_use, slot);
        }
    }

    /// Returns why a connection that has returned is closed instead of being reset or pinged, if it is.
    pub(super) fn reason_not_to_ask(
        &self,
        slot: u32,
        section: &Section<'_, P>,
    ) -> Option<CloseReason> {
        // The count includes those being reset.
        let idle = self.connections.gauges().idle as usize;
        let over_limit = idle >= section.common.limits.max_idle_per_host;
        match self.reason_to_close(slot, section) {
            Some(reason) => Some(reason),
            None if self.waiting() > 0 => None,
            None if self.membership.phase() == Phase::Orphaned => Some(CloseReason::PoolClosed),
            None => over_limit.then_some(CloseReason::OverIdleLimit),
        }
    }

    /// Starts the resets that no waiter needs, a few at a time. Those for waiters have started.
    pub(super) fn begin_spare_resets(&mut self, section: &mut Section<'_, P>) {
        let limits = &section.common.limits;
        while self.may_ping_more(limits) && self.begin_reset(false, section) {}
    }

    /// Starts the oldest waiting reset. Returns whether there was one.
    pub(super) fn begin_reset(&mut self, needed: bool, section: &mut Section<'_, P>) -> bool {
        let next = self.rare.as_mut().and_then(|rare| rare.pings.next_reset());
        if let Some(slot) = next {
            self.begin_ping(slot, Purpose::Reset, needed, section);
        }
        next.is_some()
    }

    /// Closes the connections whose reset has not started.
    pub(super) fn close_unreset(&mut self, reason: CloseReason, section: &mut Section<'_, P>) {
        while let Some(slot) = self.rare.as_mut().and_then(|rare| rare.pings.next_reset()) {
            self.drain(slot, reason, section);
        }
    }
}
