//! One host: its connections, its limits and its waiters.
//!
//! [`HostState`] is made of machines with private fields, each of which changes in its own file.
//! No machine calls another: they return slots or a decision, and the host acts. What is left here
//! is the pool's policy: who gets what, and in which order.

mod adapt;
mod advice;
mod aged;
mod calm;
#[cfg(any(test, wharf_loom, fuzzing))]
mod check;
mod close;
mod control;
mod counters;
mod deadlock;
mod demand;
mod dial;
mod expiry;
pub(crate) mod failing;
mod finish;
mod give_back;
mod heartbeat;
mod ledger;
mod lend;
pub(crate) mod membership;
pub(crate) mod minimum;
pub(crate) mod overload;
pub(crate) mod peers;
mod ping;
mod reset;
mod settle;
pub(crate) mod status;
mod time;
mod wait;

pub(crate) use control::Room;
pub(crate) use dial::{Dialed, Failed};
pub(crate) use give_back::{Ended, Returned, Use};
pub(crate) use ping::Verdict;
pub(crate) use wait::Joined;

use self::counters::{Counters, RareCounters};
use self::failing::Failing;
use self::membership::{Listing, Membership, Phase};
use self::minimum::Minimum;
use self::peers::Peers;
use super::advice::Samples;
use super::budget::share::Share;
use super::common::Common;
use super::connections::Connections;
use super::connections::longest::Longest;
use super::queue::deadlocks::Tasks;
use super::queue::waiters::Waiters;
use super::schedule::Look;
use super::soonest::Soonest;
use super::work::closes::Closes;
use super::work::dials::Dials;
use super::work::pings::{self, Pings};
use super::{Parts, Section};
use crate::policy::limits::Limits;
use crate::policy::time::Time;

/// See the module. The fields that a hit, a return and a hand-over use come first, with those that
/// `status` adds up, in as few cache lines as possible: with many hosts, these cache misses are the
/// cost. The fields that a hand-over writes are together, next to the lock: with many threads on one
/// host, cache lines that move between them are the cost of a wait, and each thread keeps a copy of
/// the others.
#[repr(C)]
pub(crate) struct HostState<P: Parts> {
    /// A section would do nothing but the operation itself: see the module `calm`.
    calm: bool,
    /// Whether there were waiters when the next look was noted.
    look_waited_for: bool,
    membership: Membership,
    rare: Option<Box<Rare<P>>>,
    /// Boxed, because most hosts have no waiter most of the time.
    waiters: Option<Box<Waiters<P>>>,
    counters: Counters,
    connections: Connections<P>,
    /// A lower bound of the next event that only time causes.
    look_at: Time,
    share: Share,
    minimum: Minimum<P>,
    dials: Dials<P::Stop>,
}

/// State that a healthy host does not need.
struct Rare<P: Parts> {
    pings: Pings,
    closes: Closes,
    failing: Option<Failing<P::Failure>>,
    /// The oldest loans, as far as a time-out has looked for them.
    longest: Longest,
    /// When the first loan is to be reported.
    leaks: Soonest,
    peers: Peers,
    /// Where deadlocks are looked for.
    tasks: Option<Box<Tasks>>,
    overload: overload::Told,
    samples: Option<Box<Samples>>,
    counters: RareCounters,
}

impl<P: Parts> Rare<P> {
    fn new() -> Self {
        Rare {
            pings: Pings::new(),
            closes: Closes::default(),
            failing: None,
            longest: Longest::default(),
            leaks: Soonest::new(),
            peers: Peers::default(),
            tasks: None,
            overload: overload::Told::NOTHING,
            samples: None,
            counters: RareCounters::default(),
        }
    }
}

impl<P: Parts> HostState<P> {
    /// Makes a host that is not in the directory yet. Its connections are expected to carry this
    /// many leases.
    pub(crate) fn new(id: u64, carries: usize, common: &Common<P>) -> Self {
        let limits = &common.limits;
        HostState {
            calm: false,
            look_waited_for: false,
            membership: Membership::new(limits.max_per_host),
            waiters: None,
            counters: Counters::default(),
            connections: Connections::new(common),
            look_at: Time::NEVER,
            rare: None,
            share: Share::new(id, common.ledger().is_some()),
            minimum: Minimum::new(limits.initial_per_host),
            dials: Dials::new(u32::try_from(carries).unwrap_or(u32::MAX)),
        }
    }

    fn rare(&mut self) -> &mut Rare<P> {
        self.rare.get_or_insert_with(|| Box::new(Rare::new()))
    }

    fn pings(&self) -> &Pings {
        self.rare.as_ref().map_or(&pings::NONE, |rare| &rare.pings)
    }

    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.waiters.as_ref().map_or(0, |waiters| waiters.len())
    }

    /// Returns how many entries there are: connections, dials and closes.
    pub(crate) fn entries(&self) -> usize {
        self.connections.len()
    }

    /// Returns how many dials the host's own limits leave room for.
    fn room_to_dial(&self, limits: &Limits) -> usize {
        let gauges = self.connections.gauges();
        let permits = limits.max_dialing_per_host.saturating_sub(gauges.dialing as usize);
        (self.membership.max().saturating_sub(gauges.places) as usize).min(permits)
    }
}

/// # The directory
impl<P: Parts> HostState<P> {
    pub(crate) fn listing(&self) -> Listing {
        self.membership.listing()
    }

    /// Returns when maintenance has to look at the host.
    pub(crate) fn look(&self) -> Look {
        Look { at: self.look_at, waited_for: self.look_waited_for }
    }

    /// The host is in the directory from now on.
    pub(crate) fn enter(&mut self, phase: Phase) {
        self.membership.enter(phase);
    }

    /// Leaves the directory if the host is not needed any more. Returns whether it does.
    pub(crate) fn forget(&mut self, section: &mut Section<'_, P>) -> bool {
        if !self.is_unused(section.now) {
            return false;
        }
        self.membership.leave();
        self.minimum.forget();
        self.unlist(section);
        true
    }

    /// Returns whether the host is not needed any more. It is remembered for a while after a failed
    /// dial, and, with a cap of its own, as long as the pool is open; with a handle, until the pool
    /// is closed.
    pub(crate) fn is_unused(&self, now: Time) -> bool {
        let is_down = || self.failing().is_some_and(|failing| now < failing.kept_until());
        self.membership.is_listed()
            && self.connections.len() == 0
            && self.waiting() == 0
            && !self.membership.is_wanted()
            && !(self.membership.is_open() && is_down())
    }

    /// Counts a handle, which keeps the host in the directory. Returns whether it is there.
    pub(crate) fn hold(&mut self) -> bool {
        self.membership.hold()
    }

    /// Counts a handle of a closed pool, which keeps no host in the directory.
    pub(crate) fn hold_closed(&mut self) {
        self.membership.hold_closed();
    }

    pub(crate) fn let_go(&mut self) {
        self.membership.let_go();
    }
}
