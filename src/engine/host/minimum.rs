//! Connections that are made in advance: for `initial_per_host`, `min_idle_per_host` and `warm`.

use super::HostState;
use super::failing::Failing;
use crate::engine::work::dials::pace::For;
use crate::engine::{Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// The progress of `warm`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress<F> {
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
pub(crate) struct WarmRequest {
    /// Identifies the call among those of the host.
    pub(crate) number: u64,
    pub(crate) connections: usize,
    pub(crate) since: Time,
}

/// How often maintenance looks at a host that has no permit to dial for `initial_per_host` or
/// `warm`.
const PERMIT_LOOK: Span = Span::from_nanos(1_000_000_000);

/// The callers that wait for `warm`, by number.
type Callers<P> = Vec<(u64, <P as Parts>::Waker)>;

/// What was requested in advance.
pub(crate) struct Minimum<P: Parts> {
    /// `initial_per_host` or `warm` has requested that this many are open: dial until they are.
    requested: u32,
    /// A caller has wanted a connection: only then connections are made in advance.
    used: bool,
    /// Most hosts have none of this.
    asked: Option<Box<Asked<P>>>,
}

/// Connections that are missing, and who waits for them.
struct Asked<P: Parts> {
    /// When maintenance looks whether permits may still come.
    look_at: Time,
    callers: Callers<P>,
}

impl<P: Parts> Asked<P> {
    fn is_empty(&self) -> bool {
        self.look_at == Time::NEVER && self.callers.is_empty()
    }
}

impl<P: Parts> Minimum<P> {
    pub(super) fn new(initial: usize) -> Self {
        let requested = u32::try_from(initial).unwrap_or(u32::MAX);
        Minimum { requested, used: false, asked: None }
    }

    #[inline]
    pub(super) fn requested(&self) -> u32 {
        self.requested
    }

    #[inline]
    pub(super) fn has_callers(&self) -> bool {
        self.asked.as_ref().is_some_and(|asked| !asked.callers.is_empty())
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(super) fn callers(&self) -> usize {
        self.asked.as_ref().map_or(0, |asked| asked.callers.len())
    }

    /// Whether a caller has wanted a connection.
    pub(super) fn is_used(&self) -> bool {
        self.used
    }

    pub(super) fn use_it(&mut self) {
        self.used = true;
    }

    /// A caller that still holds the host must not fill it: its connections could not be found.
    pub(super) fn forget(&mut self) {
        self.used = false;
    }

    pub(super) fn request(&mut self, n: usize) {
        self.requested = self.requested.max(u32::try_from(n).unwrap_or(u32::MAX));
        self.used = true;
    }

    /// Ends the request: it is met, or cannot be.
    pub(super) fn end_request(&mut self) {
        self.requested = 0;
    }

    /// Returns when maintenance looks whether permits may still come.
    pub(super) fn look_at(&self) -> Time {
        self.asked.as_ref().map_or(Time::NEVER, |asked| asked.look_at)
    }

    fn asked(&mut self) -> &mut Asked<P> {
        let nothing = || Box::new(Asked { look_at: Time::NEVER, callers: Vec::new() });
        self.asked.get_or_insert_with(nothing)
    }

    /// Frees the memory of what is over.
    fn forget_asked(&mut self) {
        self.asked.take_if(|asked| asked.is_empty());
    }

    /// Notes that it has to look, or need not. A look that is noted does not move: sections that
    /// come before maintenance would put it off without end.
    pub(super) fn note_look(&mut self, looks: bool, now: Time) {
        if looks {
            let asked = self.asked();
            asked.look_at = asked.look_at.min(now.after(PERMIT_LOOK));
        } else if let Some(asked) = &mut self.asked {
            asked.look_at = Time::NEVER;
            self.forget_asked();
        }
    }

    fn wait(&mut self, number: u64, waker: P::Waker) {
        self.asked().callers.push((number, waker));
    }

    fn leave(&mut self, number: u64) -> Option<P::Waker> {
        let callers = &mut self.asked.as_mut()?.callers;
        let at = callers.iter().position(|(other, _)| *other == number)?;
        let (_, waker) = callers.swap_remove(at);
        self.forget_asked();
        Some(waker)
    }

    fn take_callers(&mut self) -> impl Iterator<Item = P::Waker> {
        let callers = self.asked.as_mut().map(|asked| std::mem::take(&mut asked.callers));
        self.forget_asked();
        callers.into_iter().flatten().map(|(_, waker)| waker)
    }
}

impl<P: Parts> HostState<P> {
    /// Requests `n` open connections: dials start as the limits allow.
    pub(crate) fn warm(&mut self, n: usize) {
        self.minimum.request(n);
        self.dials.unstrand();
    }

    /// Returns the progress of `warm`. While the host backs off, an older failure counts, too.
    /// While dials are in flight or about to start, the waker is kept.
    pub(crate) fn progress(
        &mut self,
        request: &WarmRequest,
        waker: P::Waker,
        section: &mut Section<'_, P>,
    ) -> Progress<P::Failure> {
        self.leave_warm(request.number, section);
        let (gauges, made) = (self.connections.gauges(), self.made());
        let is_permitted_later = || self.is_short_to_spare() && !section.common.is_total_full();
        let is_on_its_way =
            self.is_to_be_dialed(section.now, &section.common.limits) || is_permitted_later();
        let is_open = self.membership.is_open();
        if is_open && is_on_its_way && made < request.connections {
            self.minimum.wait(request.number, waker);
            return Progress::Dialing;
        }
        section.actions.unused.wakers.push(waker);
        // Dials that are not on their way any more make room.
        let taken = gauges.places - gauges.dialing;
        let is_full = taken >= self.membership.max() || section.common.is_total_full();
        let is_cause = |failing: &&Failing<_>| {
            section.now < self.next_spare(section.now) || failing.at() >= request.since
        };
        match self.failing().filter(is_cause) {
            _ if !is_open => Progress::Closed,
            _ if made >= request.connections => Progress::Reached,
            Some(failing) if !is_full => Progress::Failed(failing.failure().clone()),
            _ => Progress::NoRoom,
        }
    }

    /// Removes the waker of a caller that waited for `warm`.
    pub(crate) fn leave_warm(&mut self, number: u64, section: &mut Section<'_, P>) {
        section.actions.unused.wakers.extend(self.minimum.leave(number));
    }

    pub(super) fn wake_warm(&mut self, section: &mut Section<'_, P>) {
        if self.minimum.has_callers() {
            section.actions.wake.extend(self.minimum.take_callers());
        }
    }

    /// Returns how many dials to start now for connections that are made in advance.
    pub(super) fn dials_to_spare(&self, section: &Section<'_, P>) -> usize {
        let limits = &section.common.limits;
        match self.lacks_spare(limits).min(self.room_to_dial(limits)) {
            0 => 0,
            wanted => wanted.min(self.dials.allowed(self.next_spare(section.now), section.now)),
        }
    }

    /// Returns how many connections that are to be made in advance are neither there nor on their
    /// way.
    pub(super) fn lacks_spare(&self, limits: &Limits) -> usize {
        if !self.may_dial_to_spare(limits) {
            return 0;
        }
        let gauges = self.connections.gauges();
        let (dialing, ready) = (self.dials.young() as usize, self.connections.ready());
        // The others will have room, too, when those who wait have been served.
        let unclaimed = dialing.saturating_sub(self.waiting() / self.dials.carries());
        // A connection that would be closed as soon as it is idle is not worth a dial.
        let keeps = (gauges.in_use as usize).saturating_add(limits.max_idle_per_host);
        let requested = (self.minimum.requested() as usize).min(keeps);
        let to_request = requested.saturating_sub(self.made() + dialing);
        let to_idle = limits.min_idle_per_host.saturating_sub(ready + unclaimed);
        to_request.max(to_idle)
    }

    /// Returns how many connections there are.
    fn made(&self) -> usize {
        let gauges = self.connections.gauges();
        (gauges.live() - gauges.dialing) as usize
    }

    /// Returns when the next dial may begin for which nobody waits.
    pub(super) fn next_spare(&self, now: Time) -> Time {
        self.dials.pace().next(For::Spare, self.open(), now)
    }

    fn may_dial_to_spare(&self, limits: &Limits) -> bool {
        // After a failure, a host without handles, waiters and connections is not dialed until a
        // caller comes.
        let is_needed = || {
            self.failing().is_none()
                || self.connections.gauges().places > 0
                || self.waiting() > 0
                || self.membership.has_handles()
        };
        (self.minimum.requested() > 0 || limits.min_idle_per_host > 0)
            && self.minimum.is_used()
            && self.membership.is_open()
            && !self.dials.is_stranded()
            && is_needed()
    }

    /// Ends the request for more connections once it is met, or when no dial for it is in flight or
    /// will start. `is_full` tells whether the caps on connections leave no room in any host.
    pub(super) fn settle_request(
        &mut self,
        is_full: impl FnOnce() -> bool,
        section: &Section<'_, P>,
    ) {
        if !self.minimum.is_used() || self.minimum.requested() == 0 {
            return;
        }
        let is_met = self.made() >= self.minimum.requested() as usize;
        let is_on_its_way = self.is_to_be_dialed(section.now, &section.common.limits)
            || (self.is_short_to_spare() && !is_full());
        if is_met || !is_on_its_way {
            self.minimum.end_request();
        }
    }

    /// A dial has failed, or hangs: if no other one is on its way, those for connections made in
    /// advance end here.
    pub(super) fn end_vain_request(&mut self, section: &mut Section<'_, P>) {
        if self.dials.young() == 0 {
            self.minimum.end_request();
        }
        self.wake_warm(section);
    }

    /// Returns whether dials for connections made in advance are in flight, or start when a close
    /// has ended.
    pub(super) fn is_to_be_dialed(&self, now: Time, limits: &Limits) -> bool {
        let gauges = self.connections.gauges();
        let young = self.dials.young() as usize;
        let is_wanted = self.minimum.requested() as usize > self.made() + young;
        // A pause after a slow dial passes, and slow ones make room. What waits for a permit after
        // that may wait in vain.
        let pauses = || {
            let passes = self.room_to_dial(limits) > 0 && now < self.next_spare(now);
            (self.dials.pace().is_slow() || self.dials.has_slow())
                && (passes || gauges.dialing > 0)
                && self.lacks_spare(limits) > 0
        };
        young > 0 || (is_wanted && (gauges.closing > 0 || pauses()))
    }

    /// Returns whether permits are missing for connections made in advance.
    pub(super) fn is_short_to_spare(&self) -> bool {
        self.share.spare() > 0
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;
    use crate::engine::programs::world::Plain;

    #[test]
    fn the_largest_request_counts_until_it_ends() {
        let mut minimum: Minimum<Plain> = Minimum::new(3);
        assert_eq!((minimum.requested(), minimum.is_used()), (3, false));
        minimum.request(2);
        assert_eq!((minimum.requested(), minimum.is_used()), (3, true));
        minimum.request(usize::MAX);
        assert_eq!(minimum.requested(), u32::MAX);
        minimum.end_request();
        assert_eq!((minimum.requested(), minimum.is_used()), (0, true));
    }

    #[test]
    fn a_host_is_filled_once_it_is_used_and_until_it_is_forgotten() {
        let mut minimum: Minimum<Plain> = Minimum::new(1);
        assert!(!minimum.is_used());
        minimum.use_it();
        assert!(minimum.is_used());
        minimum.forget();
        assert!(!minimum.is_used() && minimum.requested() == 1);
    }

    #[test]
    fn each_caller_of_warm_leaves_or_is_woken_once() {
        let mut minimum: Minimum<Plain> = Minimum::new(0);
        for (number, tag) in [(7, 70), (8, 80), (9, 90)] {
            minimum.wait(number, tag);
        }
        assert_eq!((minimum.leave(8), minimum.leave(8), minimum.callers()), (Some(80), None, 2));
        assert_eq!(minimum.take_callers().collect::<Vec<_>>(), [70, 90]);
        assert!(!minimum.has_callers() && minimum.leave(7).is_none());
        minimum.wait(7, 71);
        assert_eq!(minimum.leave(7), Some(71));
        assert!(!minimum.has_callers(), "nobody is left");
    }
}
