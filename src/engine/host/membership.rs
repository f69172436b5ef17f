//! What the pool's owner says of a host: whether it is in use, and its cap.

/// Whether the pool still wants connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The last handle was dropped: waiters are served, and no connection is kept.
    Orphaned,
    Closed,
}

/// Whether the host is in the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Not yet: the next caller to join enters it.
    New,
    Listed,
    /// Not any more: the next caller makes another one.
    Forgotten,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Membership {
    /// The host's cap.
    max: u32,
    /// `Host` handles and callers of `warm`.
    handles: u32,
    phase: Phase,
    listing: Listing,
    /// A handle has set the cap for this host.
    has_own_max: bool,
}

impl Membership {
    pub(super) fn new(max: usize) -> Self {
        let (phase, listing) = (Phase::Open, Listing::New);
        Membership { max: clipped(max), handles: 0, phase, listing, has_own_max: false }
    }

    #[inline]
    pub(crate) fn max(&self) -> u32 {
        self.max
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn listing(&self) -> Listing {
        self.listing
    }

    pub(super) fn is_listed(&self) -> bool {
        self.listing == Listing::Listed
    }

    /// Returns whether a handle, or its own cap, keeps the host in the directory.
    pub(super) fn is_wanted(&self) -> bool {
        let is_held = self.handles > 0 && self.phase != Phase::Closed;
        is_held || (self.has_own_max && self.is_open())
    }

    pub(super) fn has_handles(&self) -> bool {
        self.handles > 0
    }

    /// Changes the cap that the settings give, unless a handle has set another.
    pub(super) fn set_usual_max(&mut self, max: usize) {
        if !self.has_own_max {
            self.max = clipped(max);
        }
    }

    pub(super) fn set_max(&mut self, max: usize) {
        (self.max, self.has_own_max) = (clipped(max), true);
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        (self.listing, self.phase) = (Listing::Listed, phase);
    }

    pub(super) fn leave(&mut self) {
        self.listing = Listing::Forgotten;
    }

    pub(super) fn end(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Counts a handle, which keeps the host in the directory. Returns whether it is there.
    pub(super) fn hold(&mut self) -> bool {
        self.handles += u32::from(self.is_listed());
        self.is_listed()
    }

    /// Counts a handle of a closed pool.
    pub(super) fn hold_closed(&mut self) {
        self.handles += 1;
        self.phase = Phase::Closed;
    }

    pub(super) fn let_go(&mut self) {
        self.handles -= 1;
    }
}

fn clipped(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    fn listed() -> Membership {
        let mut membership = Membership::new(5);
        membership.enter(Phase::Open);
        membership
    }

    #[test]
    fn only_a_handle_to_a_listed_host_counts() {
        let mut membership = Membership::new(5);
        assert!(!membership.hold() && !membership.has_handles(), "it is not listed yet");
        membership.enter(Phase::Open);
        assert!(membership.hold() && membership.hold());
        membership.let_go();
        assert!(membership.has_handles() && membership.is_wanted());
        membership.let_go();
        assert!(!membership.has_handles() && !membership.is_wanted());
        membership.leave();
        assert!(!membership.hold() && membership.listing() == Listing::Forgotten);
    }

    #[test]
    fn a_cap_of_its_own_keeps_a_host_while_the_pool_is_open() {
        let mut membership = listed();
        membership.set_usual_max(3);
        assert_eq!((membership.max(), membership.is_wanted()), (3, false));
        membership.set_max(7);
        membership.set_usual_max(4);
        assert_eq!((membership.max(), membership.is_wanted()), (7, true));
        membership.end(Phase::Orphaned);
        assert!(!membership.is_wanted());
    }

    #[test]
    fn a_host_has_the_phase_in_which_it_was_entered() {
        let mut membership = Membership::new(5);
        membership.enter(Phase::Closed);
        assert_eq!((membership.phase(), membership.is_open()), (Phase::Closed, false));
        assert!(listed().is_open() && listed().is_listed());
    }

    #[test]
    fn a_handle_of_a_closed_pool_keeps_no_host_in_the_directory() {
        let mut membership = listed();
        assert!(membership.hold() && membership.is_wanted());
        membership.end(Phase::Closed);
        assert!(membership.has_handles() && !membership.is_wanted());
        membership.leave();
        membership.let_go();
        membership.hold_closed();
        assert!(membership.has_handles() && !membership.is_listed() && !membership.is_wanted());
        assert_eq!(membership.phase(), Phase::Closed);
    }

    #[test]
    fn a_cap_beyond_all_numbers_is_the_largest_one() {
        assert_eq!(Membership::new(usize::MAX).max(), u32::MAX);
    }
}
