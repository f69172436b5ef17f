//! `warm`: a requested number of open connections, and the callers that wait for it.

use super::failing::Failing;
use super::{HostState, Parts, Phase, Section};

/// The progress of `warm`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Warmth<F> {
    /// This many are open, not counting dials.
    Reached,
    /// Dials are in flight, or wait for a permit.
    Dialing,
    /// A dial has failed, and no dial is in flight.
    Failed(F),
    /// There is no room for this many, and no dial is in flight.
    NoRoom,
    Closed,
}

/// The request of one call of `warm`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Identifies the call among those of the host.
    pub(crate) number: u64,
    pub(crate) connections: usize,
    /// How many dials had failed when it began.
    pub(crate) failed_before: u64,
}

impl<P: Parts> HostState<P> {
    /// Requests `n` open connections: dials start as the limits allow.
    pub(crate) fn warm(&mut self, n: usize) {
        self.floor = self.floor.max(u32::try_from(n).unwrap_or(u32::MAX));
        self.used = true;
        self.unstrand();
    }

    /// Returns the progress of `warm`. While the host backs off, an older failure counts, too.
    /// While dials are in flight or about to start, the waker is kept.
    pub(crate) fn warmth(
        &mut self,
        wish: &Wish,
        waker: P::Waker,
        section: &mut Section<'_, P>,
    ) -> Warmth<P::Failure> {
        self.leave_warmth(wish.number, section);
        let (live, dialing) = (self.gauges.live() as usize, self.gauges.dialing as usize);
        let is_permitted_later = || self.is_short_to_spare() && !section.common.is_total_full();
        let is_on_its_way = self.is_to_be_dialed() || is_permitted_later();
        if self.phase == Phase::Open && is_on_its_way && live - dialing < wish.connections {
            self.rare().warmers.push((wish.number, waker));
            return Warmth::Dialing;
        }
        section.actions.unused.wakers.push(waker);
        let is_full = self.gauges.places >= self.max || section.common.is_total_full();
        let is_cause = |failing: &&Failing<_>| {
            section.now < failing.until || self.failed_dials() > wish.failed_before
        };
        match self.failing().filter(is_cause) {
            _ if self.phase != Phase::Open => Warmth::Closed,
            _ if live >= wish.connections => Warmth::Reached,
            Some(failing) if !is_full => Warmth::Failed(failing.failure.clone()),
            _ => Warmth::NoRoom,
        }
    }

    /// Removes the waker of a caller that waited for `warm`.
    pub(crate) fn leave_warmth(&mut self, number: u64, section: &mut Section<'_, P>) {
        let Some(rare) = &mut self.rare else { return };
        if let Some(at) = rare.warmers.iter().position(|(other, _)| *other == number) {
            section.actions.unused.wakers.push(rare.warmers.swap_remove(at).1);
        }
    }

    pub(super) fn wake_warmers(&mut self, section: &mut Section<'_, P>) {
        if let Some(rare) = &mut self.rare {
            section.actions.wake.extend(rare.warmers.drain(..).map(|(_, waker)| waker));
        }
    }
}
