//! A connection, from the start of its dial to the end of its close. It never changes its slot.
//!
//! Loans, leases and pings are all uses of an entry. An exclusive use takes the connection out of
//! the entry; a shared use takes a share, and the connection stays.
//!
//! An entry changes in this file only. Everybody reads its [`Facts`], to which it derefs.

use std::mem;
use std::ops::Deref;
use std::time::Duration;

use super::by_use::Links;
use super::facts::IN_USE;
pub(crate) use super::facts::{Facts, Holds, Proof, State};
use super::leases::{Lease, Leases};
use crate::engine::common::Share;
use crate::engine::loan::LoanView;
use crate::engine::{CallSite, Parts};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

/// How a use of a connection changes what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Used {
    /// It was used until now, and this is the number of that use.
    Until(Time, u64),
    /// It was used, and is not lent again.
    ForTheLastTime(Time),
    /// It was lent but not used.
    Not,
    /// It was only inspected, which did not count as a use.
    LookedAt,
}

/// A successful dial, or a connection made elsewhere.
pub(crate) struct Made<T> {
    pub(crate) id: u64,
    pub(crate) connection: T,
    pub(crate) max_leases: u32,
    pub(crate) took: Duration,
    pub(crate) at: Time,
    pub(crate) idle_since: Time,
    pub(crate) expires: Time,
    pub(crate) proof: Proof,
}

/// See the module.
#[repr(C)]
pub(crate) struct Entry<P: Parts> {
    facts: Facts,
    /// Absent while an exclusive connection is lent, pinged, or closed.
    value: Option<P::Connection>,
    leases: Leases,
    /// Its place among the idle connections.
    pub(super) links: Links,
}

impl<P: Parts> Deref for Entry<P> {
    type Target = Facts;

    #[inline(always)]
    #[allow(clippy::inline_always)] // A field.
    fn deref(&self) -> &Facts {
        &self.facts
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn clipped(uses: u64) -> u32 {
    u32::try_from(uses).unwrap_or(u32::MAX)
}

const IN_ENTRY: &str = "it is in its entry";

/// # Reading
impl<P: Parts> Entry<P> {
    #[inline]
    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Returns whether the connection is here: not lent, pinged or closed, or shared.
    pub(crate) fn is_here(&self) -> bool {
        self.value.is_some()
    }

    /// Makes a share of a shared connection.
    pub(crate) fn share(&self, share: Share<P>) -> P::Connection {
        share(self.value.as_ref().expect(IN_ENTRY))
    }

    /// Returns what the observer is told about a loan that begins now.
    #[inline]
    fn loan_view(&self, now: Time) -> LoanView {
        LoanView { id: self.id, since: now, is_first: self.uses <= 1 }
    }
}

impl<P: Parts> Entry<P> {
    /// Returns after how long without a proof of life it is pinged before a loan.
    pub(crate) fn asked_after(&self, limits: &Limits) -> Span {
        if self.leases.is_empty() { limits.ping_after } else { limits.ping_after.max(IN_USE) }
    }

    /// Returns whether it takes leases and has room for one.
    #[inline]
    pub(crate) fn has_room(&self) -> bool {
        matches!(self.state, State::Idle | State::InUse) && self.room() > 0
    }

    /// Returns how many more leases it could take.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        (self.max_leases as usize).saturating_sub(self.leases.len())
    }

    /// Returns whether it has room and is not suspect.
    #[inline]
    pub(super) fn is_trusted(&self, generation: u32) -> bool {
        self.has_room() && !self.is_suspect(generation)
    }

    /// Returns whether it may be lent as it is: neither expired nor in need of a ping.
    #[inline]
    pub(crate) fn is_fit(&self, generation: u32, now: Time, limits: &Limits) -> bool {
        !self.is_suspect(generation)
            && now < self.expires
            && if self.is_used() {
                !self.is_unproven_in_use(now, limits)
            } else {
                self.is_fresh(now, limits)
            }
    }

    /// Returns whether borrowers use it: a look is no use.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        !self.leases.is_empty() && !self.looked_at
    }

    /// Returns whether its return ends nothing but this lease.
    #[inline]
    pub(crate) fn returns_alone(&self, lease: u32, now: Time, limits: &Limits) -> bool {
        let was_reported = || self.leases.get(lease).is_some_and(|lease| lease.reported);
        self.state == State::InUse
            && self.holds == Holds::Place
            && !self.doubted
            && self.is_over(now, limits).is_none()
            && (limits.leak_after == Span::FOREVER || !was_reported())
    }

    /// Returns whether it is open and not in use. It may be pinged meanwhile.
    #[inline]
    pub(super) fn is_at_rest(&self) -> bool {
        match self.state {
            State::Idle | State::AwaitsReset => true,
            State::Pinging => self.leases.is_empty(),
            _ => false,
        }
    }
}

/// # The life of a connection
impl<P: Parts> Entry<P> {
    pub(crate) fn dialing(now: Time, generation: u32) -> Self {
        let facts = Facts {
            state: State::Dialing,
            holds: Holds::Place,
            kept: false,
            doubted: false,
            pinged: false,
            looked_at: false,
            proof: Proof::Nothing,
            generation,
            max_leases: 1,
            uses: 0,
            idle_since: now,
            expires: Time::NEVER,
            checked_at: now,
            answered_at: now,
            last_use: 0,
            id: 0,
            created: now,
            proof_micros: 0,
            missed: 0,
        };
        Entry { facts, value: None, leases: Leases::None, links: Links::default() }
    }

    /// The dial has succeeded, which is proof of life: connections that were found dead before say
    /// nothing about this one.
    pub(super) fn made(&mut self, made: Made<P::Connection>, generation: u32, last_use: u64) {
        let Made { id, connection, max_leases, took, at, idle_since, expires, proof } = made;
        self.value = Some(connection);
        self.facts = Facts {
            state: State::Idle,
            holds: self.facts.holds,
            kept: false,
            doubted: false,
            pinged: false,
            looked_at: false,
            proof,
            generation,
            max_leases,
            uses: 0,
            idle_since,
            expires,
            checked_at: at,
            answered_at: at,
            last_use,
            id,
            created: at,
            proof_micros: micros(took),
            missed: 0,
        };
    }

    /// It takes no new leases. A connection that drains already may have a more final reason now.
    pub(crate) fn drain(&mut self, reason: CloseReason) {
        let new = State::Draining(reason);
        if new.finality() > self.state.finality() {
            self.facts.state = new;
        }
    }

    /// It gets another life, which ends then.
    pub(crate) fn live_until(&mut self, expires: Time) {
        self.facts.expires = expires;
    }

    /// It was found dead, and holds no place from now on.
    pub(crate) fn die(&mut self, reason: CloseReason) {
        self.facts.state = State::Draining(reason);
        self.give_up_permit();
    }

    /// It gives up its place under the host's cap.
    pub(crate) fn give_up_place(&mut self) {
        self.facts.holds = Holds::Permit;
    }

    pub(crate) fn give_up_permit(&mut self) {
        self.facts.holds = Holds::Nothing;
    }

    /// It takes leases again after it has drained, or once it has answered.
    pub(crate) fn come_back(&mut self, must_answer: bool) {
        self.facts.holds = Holds::Place;
        self.facts.state = match (must_answer, self.leases.is_empty()) {
            (true, _) => State::Pinging,
            (false, true) => State::Idle,
            (false, false) => State::InUse,
        };
    }

    /// Its close begins.
    pub(crate) fn close(&mut self) -> Option<P::Connection> {
        self.facts.state = State::Closing;
        self.value.take()
    }
}

/// # Leases
impl<P: Parts> Entry<P> {
    /// Begins the only lease.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Part of a hit: measured.
    pub(super) fn begin_only_lease(&mut self, since: Time, call_site: CallSite) -> LoanView {
        self.facts.state = State::InUse;
        self.facts.uses += 1;
        let nth = clipped(self.uses);
        self.leases.begin_only(Lease::new(since, call_site, nth, false));
        self.loan_view(since)
    }

    /// Begins a lease. The borrower of an exclusive connection gets the connection, that of a
    /// shared one a share.
    pub(crate) fn begin_lease(
        &mut self,
        since: Time,
        call_site: CallSite,
        share: Option<Share<P>>,
    ) -> (u32, LoanView, P::Connection) {
        self.facts.state = State::InUse;
        self.facts.uses += 1;
        let joined = !self.leases.is_empty();
        let nth = clipped(self.uses);
        let lease = self.leases.begin(Lease::new(since, call_site, nth, joined));
        let connection = match share {
            None => self.value.take().expect(IN_ENTRY),
            Some(share) => self.share(share),
        };
        (lease, self.loan_view(since), connection)
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // Part of a hit: measured.
    pub(super) fn take_value(&mut self) -> Option<P::Connection> {
        self.value.take()
    }

    /// It is inspected, which is no use.
    pub(crate) fn begin_look(&mut self) {
        self.facts.looked_at = true;
        self.facts.uses -= 1;
        self.leases.iter_mut().for_each(|lease| lease.nth -= 1);
    }

    /// A lease ends, and the next one begins.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Part of a hand-over: measured.
    pub(super) fn hand_over(
        &mut self,
        lease: u32,
        (now, last_use): (Time, u64),
        call_site: CallSite,
    ) -> (u32, LoanView) {
        self.facts.uses += 1;
        self.facts.idle_since = now;
        self.facts.last_use = last_use;
        self.leases.end(lease);
        let (nth, joined) = (clipped(self.uses), !self.leases.is_empty());
        let lease = self.leases.begin(Lease::new(now, call_site, nth, joined));
        (lease, self.loan_view(now))
    }

    /// The only lease ends, and the connection is idle.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Part of a return: measured.
    pub(super) fn rest(
        &mut self,
        lease: u32,
        connection: P::Connection,
        (now, last_use): (Time, u64),
    ) {
        self.facts.state = State::Idle;
        self.leases.end(lease);
        (self.facts.idle_since, self.facts.last_use, self.facts.kept) = (now, last_use, false);
        // The entry was empty while the loan was out.
        mem::forget(self.value.replace(connection));
    }

    /// Ends a lease. Returns it.
    pub(crate) fn end_lease(&mut self, number: u32, used: Used) -> Option<Lease> {
        let lease = self.leases.end(number);
        match used {
            Used::Until(now, last_use) => {
                (self.facts.idle_since, self.facts.last_use, self.facts.kept) =
                    (now, last_use, false);
            }
            Used::ForTheLastTime(now) => {
                (self.facts.idle_since, self.facts.kept) = (now, false);
            }
            Used::Not => self.facts.uses -= 1,
            Used::LookedAt => self.facts.looked_at = false,
        }
        lease
    }

    /// The connection is in its entry again.
    pub(crate) fn put_back(&mut self, connection: P::Connection) {
        self.value = Some(connection);
    }

    /// Without leases it is idle.
    pub(crate) fn settle(&mut self) {
        if self.state == State::InUse && self.leases.is_empty() {
            self.facts.state = State::Idle;
        }
    }

    /// Its peer takes this many leases now.
    pub(crate) fn set_max_leases(&mut self, max: u32) {
        self.facts.max_leases = max;
    }

    /// Marks the leases that began long enough ago as reported. Returns them.
    pub(crate) fn report_leaks(&mut self, is_due: impl Fn(&Lease) -> bool) -> Vec<Lease> {
        let due = self.leases.iter_mut().filter(|lease| is_due(lease));
        due.map(|lease| {
            lease.reported = true;
            *lease
        })
        .collect()
    }
}

/// # Proof of life
impl<P: Parts> Entry<P> {
    /// A ping begins. During a heartbeat, a shared connection `stays` available to borrowers until
    /// it is late.
    pub(crate) fn begin_ping(&mut self, stays: bool, share: Option<Share<P>>) -> P::Connection {
        self.facts.pinged = true;
        if !stays {
            self.stop_lending();
        }
        match share {
            None => self.value.take().expect(IN_ENTRY),
            Some(share) => self.share(share),
        }
    }

    fn stop_lending(&mut self) {
        if matches!(self.state, State::Idle | State::InUse | State::AwaitsReset) {
            self.facts.state = State::Pinging;
        }
    }

    /// A ping has ended, answered or not.
    pub(crate) fn end_ping(&mut self) {
        self.facts.pinged = false;
    }

    /// It has answered a ping that began in this generation.
    pub(crate) fn prove(&mut self, now: Time, took: Duration, generation: u32) {
        self.facts.checked_at = now;
        self.facts.answered_at = now;
        self.facts.proof_micros = micros(took);
        self.facts.generation = generation;
        self.facts.doubted = false;
        self.facts.missed = 0;
    }

    /// Its peer was heard at this time, which is as good as an answer to a ping of this generation.
    pub(crate) fn hear(&mut self, at: Time, generation: u32) {
        self.facts.checked_at = at.max(self.checked_at);
        self.facts.proof_micros = 0;
        self.facts.generation = generation;
        self.facts.missed = 0;
    }

    /// Returns to its state before the ping.
    pub(crate) fn resume(&mut self) {
        if self.state == State::Pinging {
            self.facts.state = if self.leases.is_empty() { State::Idle } else { State::InUse };
        }
    }

    /// A borrower suspects it.
    pub(crate) fn doubt(&mut self) {
        self.facts.doubted = true;
    }

    /// It has missed a heartbeat. Returns how many in a row.
    pub(crate) fn miss_beat(&mut self) -> u32 {
        self.facts.missed += 1;
        self.missed
    }

    /// Its heartbeat is late: it is not lent until it answers.
    pub(crate) fn be_late(&mut self) {
        self.stop_lending();
    }

    /// It gets another chance: its next heartbeat is due an interval from now.
    pub(crate) fn count_beats_from(&mut self, now: Time) {
        self.facts.checked_at = now;
    }

    /// Its idle time-out has passed, and it is kept for the minimum idle.
    pub(crate) fn keep(&mut self) {
        self.facts.kept = true;
    }

    /// An exclusive connection has to be reset before it is lent again.
    pub(crate) fn await_reset(&mut self) {
        self.facts.state = State::AwaitsReset;
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests;
