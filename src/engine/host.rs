//! One host: its connections, limits and waiters. See the parent module for its use.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::Purpose;
use super::budget::Note;
use super::close::Closing;
use super::deadlock::Tasks;
use super::entry::Entry;
use super::failing::Failing;
use super::gauges::{self, Gauges};
use super::longest::Held;
use super::ping::Ping;
use super::schedule::Look;
use super::slots::Slots;
use super::status::{Counters, RareCounters};
use super::waiters::Waiters;
use super::{Common, Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::Time;

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

/// See the module. The fields that a hit, a return and a hand-over use come first, in as few cache
/// lines as possible: with many hosts, these cache misses are the cost of a hit. The fields that a
/// hand-over writes are together, next to the lock: with many threads on one host, cache lines that
/// move between them are the cost of a wait, and each thread keeps a copy of the others.
#[repr(C)]
pub(crate) struct HostState<P: Parts> {
    /// The entries that have room, the least recently used first. While there are waiters, none of
    /// them is fit.
    pub(super) ready: SmallVec<[u32; 4]>,
    pub(super) waiters: Option<Waiters<P>>,
    pub(super) next_turn: u64,
    pub(super) counters: Counters,
    pub(super) entries: Slots<Entry<P>>,
    pub(super) gauges: Gauges,
    /// The host's cap.
    pub(super) max: u32,
    /// Increases when a connection is found dead that was not suspect itself.
    pub(super) generation: u32,
    pub(super) phase: Phase,
    pub(super) listing: Listing,
    /// A caller has wanted a connection: only then connections are made in advance.
    pub(super) used: bool,
    /// A handle has set the cap for this host.
    pub(super) has_own_max: bool,
    /// There were waiters since that look was noted.
    pub(super) look_waited_for: bool,
    /// Leases that a new connection is expected to carry; 1 if connections are exclusive.
    pub(super) carries: u32,
    /// A lower bound of the next event that only time causes.
    pub(super) look_at: Time,
    pub(super) rare: Option<Box<Rare<P>>>,
    /// What was reported to the budget, in pools that have one.
    pub(super) note: Option<Box<Note>>,
    /// The minimum that `initial_per_host` or `warm` has requested: dial until this many are open.
    pub(super) floor: u32,
    /// `Host` handles and callers of `warm`.
    pub(super) handles: u32,
}

/// State that a healthy host does not need.
pub(super) struct Rare<P: Parts> {
    pub(super) pings: Vec<Ping>,
    /// Connections whose reset has not started, in the order in which they returned.
    pub(super) resets: VecDeque<u32>,
    /// Closes in progress, in the order of their start. It may still include ended ones.
    pub(super) closes: VecDeque<Closing>,
    /// Suspects have to be pinged even without waiters, and with this purpose.
    pub(super) pings_suspects: Option<Purpose>,
    pub(super) failing: Option<Failing<P::Failure>>,
    /// A dial was lost with its runtime: the waiters were woken to dial themselves, and nothing is
    /// dialed until one is polled or a caller comes.
    pub(super) stranded: bool,
    /// Dials in flight that were retired or cut off.
    pub(super) doomed: u32,
    /// How often `retire` has cut off dials since the last success.
    pub(super) cut_offs: u32,
    /// The callers that wait for `warm`, by number.
    pub(super) warmers: Vec<(u64, P::Waker)>,
    /// The oldest loans, as far as a time-out has looked for them: the oldest first.
    pub(super) longest: Vec<Held>,
    /// Where deadlocks are looked for.
    pub(super) tasks: Option<Box<Tasks>>,
    pub(super) counters: RareCounters,
}

impl<P: Parts> Rare<P> {
    fn new() -> Self {
        Rare {
            pings: Vec::new(),
            resets: VecDeque::new(),
            closes: VecDeque::new(),
            pings_suspects: None,
            failing: None,
            stranded: false,
            doomed: 0,
            cut_offs: 0,
            warmers: Vec::new(),
            longest: Vec::new(),
            tasks: None,
            counters: RareCounters::default(),
        }
    }

    /// Whether a wait that begins or ends concerns nobody but who waits: nothing is pinged, nobody is on the way to dial,
    /// and tasks are not noted.
    pub(super) fn is_quiet(&self) -> bool {
        self.pings.is_empty() && !self.stranded && self.tasks.is_none()
    }
}

impl<P: Parts> HostState<P> {
    /// Makes a host that is not in the directory yet. Its connections are expected to carry this
    /// many leases.
    pub(crate) fn new(id: u64, carries: usize, common: &Common<P>) -> Self {
        let clipped = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        HostState {
            ready: SmallVec::new(),
            waiters: None,
            next_turn: 0,
            counters: Counters::default(),
            entries: Slots::new(),
            gauges: Gauges::default(),
            max: clipped(common.limits.max_per_host),
            generation: 0,
            phase: Phase::Open,
            listing: Listing::New,
            used: false,
            has_own_max: false,
            look_waited_for: false,
            carries: clipped(carries),
            look_at: Time::NEVER,
            rare: None,
            note: common.ledger.is_some().then(|| Box::new(Note::new(id))),
            floor: clipped(common.limits.initial_per_host),
            handles: 0,
        }
    }

    /// Sets the host's own cap, if it has one; also used when a host is made again.
    pub(crate) fn with_max(mut self, max: Option<usize>) -> Self {
        self.max = max.map_or(self.max, |max| u32::try_from(max).unwrap_or(u32::MAX));
        self
    }

    pub(super) fn rare(&mut self) -> &mut Rare<P> {
        self.rare.get_or_insert_with(|| Box::new(Rare::new()))
    }

    pub(super) fn pings(&self) -> &[Ping] {
        self.rare.as_ref().map_or(&[], |rare| &rare.pings)
    }

    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.as_ref().map_or(0, |waiters| waiters.len())
    }

    /// Changes an entry, and the gauges with it.
    pub(super) fn change<R>(&mut self, slot: u32, f: impl FnOnce(&mut Entry<P>) -> R) -> R {
        gauges::change(&mut self.entries[slot], &mut self.gauges, f)
    }

    pub(super) fn insert(&mut self, entry: Entry<P>) -> u32 {
        self.gauges.enter(&entry);
        self.entries.insert(entry)
    }

    /// Removes an entry from the host.
    pub(super) fn remove(&mut self, slot: u32) -> Entry<P> {
        self.leave_ready(slot);
        let entry = self.entries.remove(slot);
        self.gauges.leave(&entry);
        entry
    }

    #[inline]
    pub(super) fn leave_ready(&mut self, slot: u32) {
        if self.ready.last() == Some(&slot) {
            self.ready.pop();
        } else if self.ready.first() == Some(&slot) {
            // The usual case when idle connections expire.
            self.ready.remove(0);
        } else if let Some(at) = self.ready.iter().rposition(|other| *other == slot) {
            self.ready.remove(at);
        }
    }

    /// Inserts an entry that has room at its place in the order of use.
    pub(super) fn enter_ready(&mut self, slot: u32) {
        let turn = |slot: u32| self.entries[slot].turn;
        if self.ready.contains(&slot) {
            return;
        }
        let at =
            self.ready.iter().rposition(|other| turn(*other) <= turn(slot)).map_or(0, |at| at + 1);
        self.ready.insert(at, slot);
    }

    /// Returns the slots of entries for which this holds.
    pub(super) fn slots(&self, is_it: impl Fn(&Entry<P>) -> bool) -> SmallVec<[u32; 8]> {
        self.entries.iter().filter(|(_, entry)| is_it(entry)).map(|(slot, _)| slot).collect()
    }

    /// Returns how many entries there are: connections, dials and closes.
    pub(crate) fn entries(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn listing(&self) -> Listing {
        self.listing
    }

    /// Returns when maintenance has to look at the host.
    pub(crate) fn look(&self) -> Look {
        Look { at: self.look_at, waited_for: self.look_waited_for }
    }

    /// The host is in the directory from now on.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.listing = Listing::Listed;
        self.phase = phase;
    }

    /// Leaves the directory if the host is not needed any more. Returns whether it does.
    pub(crate) fn forget(&mut self, section: &mut Section<'_, P>) -> bool {
        if !self.is_unused(section.now) {
            return false;
        }
        self.listing = Listing::Forgotten;
        // A caller that still holds the host must not fill it: its connections could not be found.
        self.used = false;
        self.unlist(section);
        true
    }

    /// Returns whether the host is not needed any more. It is remembered for a while after a failed
    /// dial, and, with a cap of its own, as long as the pool is open.
    pub(crate) fn is_unused(&self, now: Time) -> bool {
        let is_down = || self.failing().is_some_and(|failing| now < failing.kept_until);
        self.listing == Listing::Listed
            && self.entries.len() == 0
            && self.waiting() == 0
            && self.handles == 0
            && !(self.phase == Phase::Open && (self.has_own_max || is_down()))
    }

    /// Counts a handle, which keeps the host in the directory. Returns whether it is there.
    pub(crate) fn hold(&mut self) -> bool {
        let is_listed = self.listing == Listing::Listed;
        if is_listed {
            self.handles += 1;
        }
        is_listed
    }

    pub(crate) fn let_go(&mut self) {
        self.handles -= 1;
    }

    /// Returns how many dials the host's own limits leave room for.
    pub(super) fn room_to_dial(&self, limits: &Limits) -> usize {
        let permits = limits.max_dialing_per_host.saturating_sub(self.gauges.dialing as usize);
        (self.max.saturating_sub(self.gauges.places) as usize).min(permits)
    }
}
