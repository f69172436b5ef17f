//! One host: its idle list, limits, waiters and loans.

use std::collections::VecDeque;
use std::time::Duration;

use slab::Slab;

use super::caps::Hunger;
use super::connection::Tracked;
use super::health::{Asked, Purpose};
use super::heartbeat::BEATS_AT_ONCE;
use super::loans::{Loan, Loans};
use super::share::Carrier;
use super::status::Counters;
use super::time::{Span, Time};
use super::waiters::{Outcome, Ticket, Waiters};
use super::{Limits, Parts, Place};

/// See the module. All counts are of connections, each in exactly one place.
///
/// The fields stand in the order of their use: what a hit and a return touch comes first, in as few
/// cache lines as will hold it. With many hosts these lines are what a hit costs.
#[repr(C)]
pub(crate) struct Host<P: Parts> {
    /// Tells this host from an earlier one that had its place in the slab.
    pub(crate) generation: u64,
    /// The least recently used first.
    pub(crate) idle: VecDeque<Box<Tracked<P::Connection>>>,
    pub(crate) in_use: usize,
    /// Moves on when the host is retired.
    pub(crate) epoch: u32,
    /// How often a connection was found dead of which the host had no doubts.
    pub(crate) doubts: u32,
    pub(crate) loans: Loans,
    pub(crate) scheduled: Option<Time>,
    /// Idle connections lent.
    pub(crate) reused: u64,
    pub(crate) peak_in_use: usize,
    pub(crate) waiters: Waiters<P>,

    /// How the shell names it; holds the key.
    pub(crate) shell: P::Host,
    pub(crate) hash: u64,
    /// The cap: it can be changed while the pool runs.
    pub(crate) max: usize,
    /// Taken out of the idle list to be pinged in the background.
    pub(crate) checking: usize,
    /// Those of them that are asked for a heartbeat, and of these those that have missed it.
    pub(crate) beating: usize,
    pub(crate) late: usize,
    pub(crate) dialing: usize,
    /// Being closed, and holding a slot until that has ended.
    pub(crate) closing: usize,
    /// Shared connections that have leases or are asked for a heartbeat. Those that are not dead are
    /// in use.
    pub(crate) carriers: Slab<Carrier<P::Connection>>,
    /// Those of them that take no new leases.
    pub(crate) leaving: usize,
    /// Leases that a new connection is expected to carry; 1 where none is shared.
    pub(crate) carries: usize,
    /// Connections still to be made for `initial_per_host` or `warm`: dial up to so many open.
    pub(crate) floor: usize,
    /// `Host` handles and warmers of the shell, which keep an empty host in the map.
    pub(crate) handles: usize,
    /// Somebody wanted a connection of it: only then it is filled up.
    pub(crate) used: bool,
    /// How often all idle connections were to be closed.
    pub(crate) clearings: u32,
    /// Those who wait for `warm` to get somewhere.
    pub(crate) warmers: Vec<(Ticket, P::Waker)>,
    pub(crate) failing: Option<Box<Failing<P::Failure>>>,
    pub(crate) hunger: Option<Hunger>,
    pub(crate) counters: Box<Counters>,
}

/// A host whose last dial failed.
#[derive(Debug)]
pub(crate) struct Failing<F> {
    pub(crate) failure: F,
    pub(crate) at: Time,
    /// Failed dials in a row.
    pub(crate) failures: u32,
    /// The end of the backoff.
    pub(crate) until: Time,
    /// Whoever waits is content to wait for the next dial.
    pub(crate) retried: bool,
}

impl<P: Parts> Host<P> {
    pub(crate) fn new(
        shell: P::Host,
        hash: u64,
        generation: u64,
        carries: usize,
        limits: &Limits,
    ) -> Self {
        Host {
            generation,
            idle: VecDeque::new(),
            in_use: 0,
            epoch: 0,
            doubts: 0,
            loans: Loans::new(),
            scheduled: None,
            reused: 0,
            peak_in_use: 0,
            waiters: Waiters::new(),
            shell,
            hash,
            max: limits.max_per_host,
            checking: 0,
            beating: 0,
            late: 0,
            dialing: 0,
            closing: 0,
            carriers: Slab::new(),
            leaving: 0,
            carries,
            floor: limits.initial_per_host,
            handles: 0,
            used: false,
            clearings: 0,
            warmers: Vec::new(),
            failing: None,
            hunger: None,
            counters: Box::default(),
        }
    }

    /// What has happened here.
    pub(crate) fn counted(&self) -> Counters {
        Counters { reused: self.reused, peak_in_use: self.peak_in_use, ..*self.counters }
    }

    /// Slots taken.
    pub(crate) fn open(&self) -> usize {
        self.live() + self.closing
    }

    /// Slots taken by what is there to stay.
    pub(crate) fn live(&self) -> usize {
        self.idle.len() + self.in_use + self.checking + self.dialing
    }

    /// Loans, of which several may be on one connection.
    pub(crate) fn leases(&self) -> usize {
        let carrying = self.carriers.iter().filter(|(_, c)| !c.is_dead()).count();
        let leases: usize = self.carriers.iter().map(|(_, c)| c.leases).sum();
        self.in_use - carrying + leases
    }

    /// Connections that are in use only to be asked for a heartbeat.
    pub(crate) fn only_asked(&self) -> usize {
        self.carriers.iter().filter(|(_, carrier)| carrier.is_only_asked()).count()
    }

    /// Leases that those on their way are taken to carry: dials, and suspects that are being asked.
    pub(crate) fn coming(&self) -> usize {
        let dialed = self.dialing.saturating_mul(self.carries);
        self.carriers.iter().fold(dialed, |sum, (_, c)| sum.saturating_add(c.room_to_come()))
    }

    /// Nothing and nobody needs it.
    pub(crate) fn is_unused(&self) -> bool {
        self.open() == 0 && self.carriers.is_empty() && self.handles == 0 && self.waiters.is_empty()
    }

    /// Dials to begin now for waiters, if this host's own limits were all there is.
    pub(crate) fn dials_for_waiters(&self, limits: &Limits, now: Time) -> usize {
        let room = self.room_to_dial(limits);
        if room == 0 {
            return 0;
        }
        let unmet = self.waiters.waiting().saturating_sub(self.coming());
        let wanted = if self.carries == 1 { unmet } else { unmet.div_ceil(self.carries) };
        wanted.min(room).min(self.probes(now, self.may_serve()))
    }

    /// Whether something that is open may serve a waiter, in time.
    pub(crate) fn may_serve(&self) -> bool {
        self.in_use - self.leaving + self.checking > 0
    }

    /// Dials to begin now for `initial_per_host`, `warm` and `min_idle_per_host`.
    pub(crate) fn dials_to_spare(&self, limits: &Limits, now: Time) -> usize {
        if !self.used {
            return 0;
        }
        let unclaimed = self.dialing.saturating_sub(self.waiters.waiting());
        // What would be closed as soon as it is idle is not worth a dial.
        let keeps = (self.in_use + self.checking).saturating_add(limits.max_idle_per_host);
        let to_floor = self.floor.min(keeps).saturating_sub(self.live());
        let idle = self.idle.len() + self.checking + self.only_asked();
        let to_idle = limits.min_idle_per_host.saturating_sub(idle + unclaimed);
        to_floor.max(to_idle).min(self.room_to_dial(limits)).min(self.probes(now, true))
    }

    /// Dials that the host's cap and its cap on dials leave room for.
    fn room_to_dial(&self, limits: &Limits) -> usize {
        let permits = limits.max_dialing_per_host.saturating_sub(self.dialing);
        self.max.saturating_sub(self.open()).min(permits)
    }

    /// Dials that the last failure allows: one at a time, and none before the backoff ends unless
    /// somebody waits whom nothing else can serve.
    fn probes(&self, now: Time, can_wait: bool) -> usize {
        match &self.failing {
            None => usize::MAX,
            Some(_) if self.dialing > 0 => 0,
            Some(failing) => usize::from(now >= failing.until || !(can_wait || failing.retried)),
        }
    }

    /// Drops the wish for more connections once it is met, or when no dial is on its way to it.
    pub(crate) fn settle_floor(&mut self) {
        if !self.used {
            return;
        }
        if self.dialing == 0 || self.live() - self.dialing >= self.floor {
            self.floor = 0;
        }
    }

    /// When upkeep has to look at it next. The end of a backoff counts only while it is to come:
    /// what is due then is done by the first look after it.
    pub(crate) fn next_look(&self, limits: &Limits, now: Time) -> Option<Time> {
        let age = self.idle.iter().map(|c| c.expires).min();
        let spare = self.idle.len() > limits.min_idle_per_host;
        let oldest = self.idle.front().filter(|_| spare);
        let idle = oldest.map(|c| c.idle_since.after(limits.idle_timeout));
        let backoff = self.failing.as_ref().map(|f| f.until).filter(|&until| until > now);
        // When one of those on their way ends, it is looked again.
        let may_beat = self.beating < BEATS_AT_ONCE;
        let idle_beats = self.idle.iter().map(|c| c.health.next_beat);
        let beats = idle_beats.chain(self.carriers.iter().filter_map(|(_, c)| c.next_beat()));
        let beat = beats.min().filter(|_| may_beat);
        let leak = Some(self.loans.unreported_since().after(limits.leak_after));
        let overdue = Some(self.waiters.next_deadline());
        [age, idle, backoff, beat, leak, overdue]
            .into_iter()
            .flatten()
            .min()
            .filter(|&look| look != Time::NEVER)
    }

    /// A ping in the background that begins now.
    pub(crate) fn asked(&self, purpose: Purpose) -> Asked {
        Asked { purpose, doubts: self.doubts, clearings: self.clearings }
    }

    /// Whether the connection must answer a ping before it is lent.
    #[inline]
    pub(crate) fn must_ping(
        &self,
        connection: &Tracked<P::Connection>,
        limits: &Limits,
        now: Time,
    ) -> bool {
        let is_due = |after: Span| {
            // Always means always: a coarse `now` may lie before the return.
            after == Span::ZERO || connection.idle_since.after(after) <= now
        };
        connection.health.doubts != self.doubts
            || (limits.ping_after != Span::FOREVER && is_due(limits.ping_after))
    }

    pub(crate) fn note_waiting(&mut self) {
        self.counters.peak_waiting = self.counters.peak_waiting.max(self.waiters.waiting());
    }

    /// Counts what came of a wait, which its owner has collected.
    pub(crate) fn note_end_of_wait(&mut self, outcome: &Outcome<P>, waited: Duration) {
        self.counters.wait_time += waited;
        match outcome {
            Outcome::Connection(_) => self.counters.served += 1,
            Outcome::Failed(_) => self.counters.failed += 1,
            Outcome::Closed => self.counters.shut_out += 1,
        }
    }

    /// Notes that a connection is lent now, which is counted as in use. Says nothing about where it
    /// was.
    #[inline]
    pub(crate) fn begin_loan(&mut self, to: &mut Tracked<P::Connection>, now: Time, place: Place) {
        to.lent = now;
        if self.in_use > self.peak_in_use {
            self.note_peak();
        }
        self.loans.begin(to.loan, Loan { connection: to.id, since: now, place, reported: false });
    }

    #[cold]
    fn note_peak(&mut self) {
        let in_use = self.in_use - self.only_asked();
        self.peak_in_use = self.peak_in_use.max(in_use);
    }

    /// All loans, the longest held first.
    pub(crate) fn loans(&self) -> Vec<Loan> {
        self.loans.longest_first(self.idle.iter().map(|c| c.loan))
    }

    /// Takes out the idle connection with the given turn.
    pub(crate) fn take_idle(&mut self, turn: u64) -> Option<Box<Tracked<P::Connection>>> {
        let position = self.idle.binary_search_by_key(&turn, |c| c.turn).ok()?;
        self.idle.remove(position)
    }

    /// Whether its oldest idle connection has been idle for too long.
    pub(crate) fn oldest_is_idle_too_long(
        &self,
        min_idle: usize,
        timeout: Span,
        now: Time,
    ) -> bool {
        self.idle.len() > min_idle
            && self.idle.front().is_some_and(|c| c.idle_since.after(timeout) <= now)
    }
}
