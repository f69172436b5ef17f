//! The budget's record of one host.

use crate::policy::time::{Span, Time};

/// What a host reports to the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Note {
    /// The host's id, which is never reused.
    pub(crate) id: u64,
    /// Permits that the host's entries hold.
    pub(crate) permits: u32,
    pub(crate) dialing: u32,
    /// Closes in progress that hold a permit.
    pub(crate) closing: u32,
    /// Shared connections that drain to make room.
    pub(crate) making_room: u32,
    /// Heartbeats that are late.
    pub(crate) late: u32,
    /// A slow dial makes room as soon as another host wants it.
    pub(crate) gives_way: bool,
    pub(crate) live: u32,
    /// Dials that the host would start for waiters, and without a waiter.
    pub(crate) wants: u32,
    pub(crate) spare: u32,
    /// How many dials have failed in a row, and how long the last one took.
    pub(crate) failures: u32,
    pub(crate) wasted: Option<Span>,
    /// When its last dial succeeded, as long as it has a connection.
    pub(crate) serves: Option<Time>,
    /// The same, even if it has none.
    pub(crate) gained: Option<Time>,
    /// A lower bound of the time since which its connections are idle; absent if none is listed.
    pub(crate) listed: Option<Time>,
    /// As counted in the hints.
    pub(crate) idle: u32,
}

impl Note {
    pub(crate) fn new(id: u64) -> Self {
        Note { id, ..Note::default() }
    }
}

/// A host that wants a permit or was promised one.
#[derive(Clone, Debug)]
pub(super) struct Record<H> {
    pub(super) host: H,
    /// What it has reported.
    pub(super) note: Note,
    /// Permits on their way to it.
    pub(super) promised: u32,
    /// The time from which it may take from a host that has one more.
    pub(super) ready: Time,
    pub(super) turn: u64,
}

/// The rank of a host among those that are short.
pub(super) type Rank = (u32, Time, u64, u64);

impl<H> Record<H> {
    pub(super) fn new(id: u64, host: H) -> Self {
        Record { host, note: Note::new(id), promised: 0, ready: Time::START, turn: 0 }
    }

    /// Returns how many dials it wants for waiters beyond those that it was promised.
    pub(super) fn short_of(&self) -> u32 {
        self.note.wants.saturating_sub(self.promised)
    }

    pub(super) fn spare_of(&self) -> u32 {
        self.note.spare.saturating_sub(self.promised.saturating_sub(self.note.wants))
    }

    pub(super) fn is_short(&self) -> bool {
        self.short_of() + self.spare_of() > 0
    }

    pub(super) fn is_failing(&self) -> bool {
        self.note.failures > 0
    }

    pub(super) fn starves(&self) -> bool {
        self.short_of() > 0 && self.note.live + self.promised == 0
    }

    pub(super) fn rank(&self, id: u64) -> Rank {
        (self.note.live + self.promised, self.ready, self.turn, id)
    }
}
