//! Peers of shared connections that raise or lower their limits while callers wait.
//!
//! A connection is asked how many leases it takes when one of its leases ends. If all leases are
//! long, that may be too late for the waiters: the peers of full connections are also asked when a
//! caller joins the queue, and once a second. The runtime layer asks, because that calls user code.

use super::entry::{Entry, State};
use super::{Common, HostState, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::time::{Span, Time};

/// How often the peers are asked while there are waiters.
const ASKED_EVERY: Span = Span::from_nanos(1_000_000_000);

/// A connection that is full, as last reported by its peer.
pub(crate) struct FullPeer<P: Parts> {
    slot: u32,
    id: u64,
    /// A share with which to ask.
    pub(crate) connection: P::Connection,
    pub(crate) max_leases: u32,
}

fn is_full<P: Parts>(entry: &Entry<P>) -> bool {
    entry.state == State::InUse && entry.room() == 0
}

impl<P: Parts> HostState<P> {
    /// Returns the shared connections that are full.
    pub(crate) fn full_peers(&self, common: &Common<P>) -> Vec<FullPeer<P>> {
        let Some(share) = common.share else { return Vec::new() };
        let full = self.entries.iter().filter(|(_, entry)| is_full(entry));
        let peers = full.filter_map(|(slot, entry)| {
            let connection = share(entry.value.as_ref()?);
            Some(FullPeer { slot, id: entry.id, connection, max_leases: entry.max_leases })
        });
        peers.collect()
    }

    /// A full connection was asked and takes this many leases now; none means that it is not open.
    /// It may have changed since.
    pub(crate) fn heard(
        &mut self,
        peer: &FullPeer<P>,
        max_leases: usize,
        section: &mut Section<'_, P>,
    ) {
        let slot = peer.slot;
        let is_it = |entry: &Entry<P>| entry.id == peer.id && entry.state == State::InUse;
        if !self.entries.get(slot).is_some_and(is_it) {
            return;
        }
        if max_leases == 0 {
            return self.kill(slot, CloseReason::NotOpen, section);
        }
        self.note_max_leases(slot, max_leases);
        if self.entries[slot].has_room() {
            self.enter_ready(slot);
        }
    }

    /// Returns whether the peers have to be asked now. If no connection is full, they are still
    /// asked again in a second: one may be full at the end of this section.
    pub(super) fn is_to_ask(&mut self, section: &Section<'_, P>) -> bool {
        let is_due = self.next_ask(section.common).is_some_and(|at| at <= section.now);
        if let Some(waiters) = &mut self.waiters
            && waiters.asked_at.after(ASKED_EVERY) <= section.now
        {
            waiters.asked_at = section.now;
        }
        is_due
    }

    /// Returns when the peers have to be asked next.
    pub(super) fn next_ask(&self, common: &Common<P>) -> Option<Time> {
        let waiters = self.waiters.as_ref().filter(|waiters| waiters.len() > 0)?;
        let may = common.is_shared() && self.entries.iter().any(|(_, entry)| is_full(entry));
        may.then(|| waiters.asked_at.after(ASKED_EVERY))
    }
}
