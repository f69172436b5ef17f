//! A host's side of the budget: its reports and its permits.

use super::HostState;
use super::failing::Failing;
use crate::engine::budget::{Budget, Grant, Note, Scanned};
use crate::engine::connections::entry::State;
use crate::engine::work::dials::Wanted;
use crate::engine::{Common, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

use std::time::Duration;

impl<P: Parts> HostState<P> {
    /// Returns what the budget should know about this host.
    pub(super) fn noted(&self, section: &Section<'_, P>) -> Note {
        let (now, limits) = (section.now, &section.common.limits);
        let gauges = self.connections.gauges();
        let old = self.share.note().copied().unwrap_or_default();
        let clipped = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let wants = clipped(self.dials_for_waiters(now, limits));
        let is_full = self.is_idle_full(section);
        let spare = if is_full { 0 } else { clipped(self.dials_to_spare(section)) };
        let oldest = self.oldest_idle().map(|(at, _)| at);
        Note {
            id: old.id,
            permits: gauges.permits,
            dialing: gauges.dialing,
            closing: gauges.closing,
            making_room: clipped(self.making_room().count()),
            late: clipped(self.pings().late()),
            gives_way: self.dials.gives_way(),
            live: gauges.live(),
            wants,
            spare,
            failures: self.troubles(),
            wasted: self.failing().map(Failing::took),
            serves: old.gained.filter(|_| gauges.live() > gauges.dialing),
            gained: old.gained,
            // The bound is kept as long as it is valid: lends and returns are not reported.
            listed: match (old.listed, oldest) {
                (Some(bound), Some(oldest)) => Some(bound.min(oldest)),
                (bound, oldest) => bound.or(oldest),
            },
            idle: self.idle_to_note(section.common),
        }
    }

    /// Returns the oldest idle connection: since when it is idle, and its slot.
    pub(in crate::engine) fn oldest_idle(&self) -> Option<(Time, u32)> {
        let oldest = self.connections.idle().find(|slot| !self.connections[*slot].pinged)?;
        Some((self.connections[oldest].idle_since, oldest))
    }

    /// Iterates over the connections that drain to make room for other hosts.
    fn making_room(&self) -> impl Iterator<Item = u32> {
        let makes_room = State::Draining(CloseReason::MadeRoom);
        let any = self.connections.gauges().draining > 0;
        let entries = any.then(|| self.connections.iter()).into_iter().flatten();
        let these = entries.filter(move |(_, entry)| entry.state == makes_room && !entry.is_dead());
        these.map(|(slot, _)| slot)
    }

    /// Reports changes to the budget, and takes the permits that this host gets.
    pub(super) fn account(&mut self, section: &mut Section<'_, P>) {
        let Some(old) = self.share.note() else { return };
        if self.noted(section) == *old {
            let requested = self.minimum.requested();
            self.settle_request(|| section.common.is_total_full(), section);
            if self.minimum.requested() == requested {
                return;
            }
        }
        self.with_budget(section, |_, _, _| ());
    }

    /// The caps across hosts, or what of them concerns this host, may have changed.
    pub(super) fn report_anew(&mut self, section: &mut Section<'_, P>) {
        self.with_budget(section, |_, _, _| ());
    }

    /// Runs `f` under the budget's lock, and then what every such section ends with.
    fn with_budget<R>(
        &mut self,
        section: &mut Section<'_, P>,
        f: impl FnOnce(&mut Self, &mut Budget<P::Host>, &mut Section<'_, P>) -> R,
    ) -> Option<R> {
        let ledger = section.common.ledger()?;
        let id = self.share.id();
        let budget = &mut *ledger.budget.lock();
        let was_in_vain = budget.drains_in_vain(0).is_some();
        let result = f(self, budget, section);
        self.tell(budget, section);
        while self.connections.gauges().draining > 0
            && !budget.needs_drained(id)
            && self.stop_making_room(section)
        {
            self.use_what_is_there(section);
            self.tell(budget, section);
        }
        while let Some(grant) = budget.next_grant((id, section.host), section.now) {
            match grant {
                Grant::Mine => {
                    self.dial_by_permit(budget, section);
                    self.tell(budget, section);
                }
                Grant::Other(host) => section.actions.granted.push(host),
            }
        }
        let requested = self.minimum.requested();
        self.settle_request(|| budget.is_full(), section);
        if self.minimum.requested() != requested {
            // It wants fewer spare connections.
            self.tell(budget, section);
        }
        if !was_in_vain && section.actions.stop_draining.is_none() {
            section.actions.stop_draining = budget.drains_in_vain(0);
        }
        section.actions.make_room |= budget.needs_scan(ledger.hints.idle(), section.now);
        section.actions.room_at = budget.room_at(section.now);
        section.actions.recheck |= budget.hurries_late();
        section.actions.give_way = budget.gives_way();
        budget.publish(&ledger.hints);
        Some(result)
    }

    fn tell(&mut self, budget: &mut Budget<P::Host>, section: &Section<'_, P>) {
        self.count_idle(section.common);
        let new = self.noted(section);
        self.share.report(new, budget, section.host, section.now);
    }

    /// Done before the host reports: its demand for spare connections depends on the idle
    /// connections of all hosts.
    fn count_idle(&mut self, common: &Common<P>) {
        let idle = self.idle_to_note(common);
        if let Some(ledger) = common.ledger() {
            ledger.hints.count_idle(self.share.count_idle(idle), idle);
        }
    }

    fn idle_to_note(&self, common: &Common<P>) -> u32 {
        let is_counted = common.limits.max_idle != usize::MAX;
        if is_counted { u32::try_from(self.connections.free()).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Starts a dial with a permit that the budget has already counted.
    fn dial_by_permit(&mut self, budget: &mut Budget<P::Host>, section: &mut Section<'_, P>) {
        self.begin_dial(section);
        self.share.hold(budget);
    }

    /// A permit has arrived: it is used if a dial is still wanted.
    pub(crate) fn granted(&mut self, section: &mut Section<'_, P>) {
        self.with_budget(section, |host, budget, section| {
            let noted = host.noted(section);
            let is_used = noted.wants + noted.spare > 0;
            if is_used {
                host.dial_by_permit(budget, section);
            }
            budget.delivered((host.share.id(), section.host), is_used, section.now);
        });
    }

    /// Reserves a place for a connection that was made elsewhere, if the caps across hosts allow
    /// it. Returns its entry.
    pub(super) fn reserve(&mut self, section: &mut Section<'_, P>) -> Option<u32> {
        let now = section.now;
        if section.common.ledger().is_none() {
            return Some(self.connections.insert(now));
        }
        let reserve = |host: &mut Self, budget: &mut Budget<P::Host>, _: &mut Section<'_, P>| {
            (!budget.is_full()).then(|| host.connections.insert(now))
        };
        self.with_budget(section, reserve).flatten()
    }

    /// Gives up a returning connection for a host that has fewer. Returns whether it does.
    pub(super) fn gives_up(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        if !self.is_asked_for(section.now, section.common) {
            return false;
        }
        let gives_up = self.with_budget(section, |host, budget, section| {
            let (live, gained) = (host.connections.gauges().live(), host.share.gained());
            let reason = if budget.is_over_full() {
                CloseReason::OverCap
            } else if budget.takes_from(host.share.id(), live, gained, section.now) {
                CloseReason::MadeRoom
            } else {
                return false;
            };
            host.drain(slot, reason, section);
            true
        });
        gives_up == Some(true)
    }

    /// Returns whether the hints require asking the budget about a connection that returns.
    #[inline]
    pub(super) fn is_asked_for(&self, now: Time, common: &Common<P>) -> bool {
        let Some(ledger) = common.ledger() else { return false };
        ledger.hints.may_take(self.connections.gauges().live(), self.share.gained(), now)
    }

    /// Returns whether the budget has listed the host among those with idle connections, so that
    /// one more need not be reported.
    #[inline]
    pub(super) fn is_listed_before(&self, now: Time) -> bool {
        self.share.note().is_none_or(|note| note.listed.is_some_and(|listed| listed <= now))
    }

    /// Returns whether the budget has to be told when the oldest waiter is served.
    #[inline]
    pub(super) fn changes_note_by_serving(&self, now: Time, common: &Common<P>) -> bool {
        self.share.note().is_some_and(|note| {
            self.dials_for(self.waiting() - 1, now, &common.limits) != note.wants as usize
        })
    }

    /// A dial has succeeded. Unless it was cut off, the host's tenure begins.
    pub(super) fn note_dial_time(
        &mut self,
        took: Duration,
        is_cut_off: bool,
        section: &mut Section<'_, P>,
    ) {
        if !is_cut_off {
            self.share.gain(section.now);
        }
        if let Some(ledger) = section.common.ledger() {
            ledger.budget.lock().dialed(Span::from(took));
        }
    }

    /// Returns whether another host wants a permit, and none is free.
    pub(super) fn is_wanted_elsewhere(&self, common: &Common<P>) -> Option<Wanted> {
        let budget = common.ledger()?.budget.lock();
        let is_their_share = !budget.failing_hold_too_much();
        budget.lacks_room_beside(self.share.id()).then_some(Wanted::Elsewhere { is_their_share })
    }

    /// Takes back a connection that drains to make room. Returns false if there is none, or no
    /// place for it.
    fn stop_making_room(&mut self, section: &mut Section<'_, P>) -> bool {
        let first = self.making_room().find(|slot| self.connections[*slot].is_here());
        first.is_some_and(|slot| self.revive_unseen(slot, section))
    }

    /// Connections drain although the room is not needed, perhaps here: these take leases again.
    /// Passes the request on to the next host.
    pub(crate) fn stop_draining(&mut self, section: &mut Section<'_, P>) {
        // The common end of the section does this.
        self.with_budget(section, |host, budget, section| {
            section.actions.stop_draining = budget.drains_in_vain(host.share.id() + 1);
        });
    }

    /// A scan visits the host.
    pub(crate) fn visit(&mut self, section: &mut Section<'_, P>) {
        self.with_budget(section, |host, budget, section| {
            let listed = host.share.unlist();
            budget.unlist(host.share.id(), listed);
            let oldest = host.oldest_idle();
            let idle = section.common.ledger().map_or(0, |ledger| ledger.hints.idle());
            let reason = match budget.end_scan(oldest.map(|(at, _)| at), idle, section.now) {
                Scanned::Kept => return,
                Scanned::TooMany => CloseReason::OverIdleLimit,
                Scanned::OverCap => CloseReason::OverCap,
                Scanned::MakesRoom => CloseReason::MadeRoom,
            };
            if let Some((_, slot)) = oldest {
                host.drain(slot, reason, section);
            }
        });
    }

    /// The host has left the directory, without connections and waiters: the budget forgets it,
    /// too.
    pub(super) fn unlist(&mut self, section: &mut Section<'_, P>) {
        self.with_budget(section, |host, budget, section| {
            let Some(note) = host.share.note() else { return };
            let unlisted = Note { listed: None, ..*note };
            host.share.report(unlisted, budget, section.host, section.now);
        });
    }

    /// Returns whether the idle connections of all hosts have reached the cap.
    pub(super) fn is_idle_full(&self, section: &Section<'_, P>) -> bool {
        let Limits { max_idle, .. } = section.common.limits;
        max_idle != usize::MAX
            && section.common.ledger().is_some_and(|ledger| {
                ledger.hints.idle() + self.connections.gauges().dialing as usize >= max_idle
            })
    }
}
