//! A host's side of the budget: its reports and its permits.

use super::budget::{Budget, Grant, Note, Scanned};
use super::entry::State;
use super::{Common, HostState, Parts, Section};
use crate::policy::close_reason::CloseReason;
use crate::policy::limits::Limits;
use crate::policy::time::{Span, Time};

use std::time::Duration;

impl<P: Parts> HostState<P> {
    /// Returns the number by which the budget knows this host.
    fn id(&self) -> u64 {
        self.note.as_ref().map_or(0, |note| note.id)
    }

    /// Returns what the budget should know about this host.
    pub(super) fn noted(&self, section: &Section<'_, P>) -> Note {
        let (now, limits) = (section.now, &section.common.limits);
        let gauges = &self.gauges;
        let old = self.note.as_deref().copied().unwrap_or_default();
        let makes_room = State::Draining(CloseReason::MadeRoom);
        let makes_room =
            self.entries.iter().filter(|(_, entry)| entry.state == makes_room && !entry.is_dead());
        let clipped = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let wants = clipped(self.dials_for_waiters(now, limits));
        let is_full = self.is_idle_full(section);
        let spare = if is_full { 0 } else { clipped(self.dials_to_spare(now, limits)) };
        let oldest = self.oldest_idle().map(|(at, _)| at);
        Note {
            id: old.id,
            permits: gauges.permits,
            dialing: gauges.dialing,
            closing: gauges.closing,
            making_room: if gauges.draining > 0 { clipped(makes_room.count()) } else { 0 },
            late: clipped(self.pings().iter().filter(|ping| ping.late).count()),
            live: gauges.live(),
            wants,
            spare,
            failures: self.failing().map_or(0, |failing| failing.failures),
            wasted: self.failing().map(|failing| failing.took),
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
    pub(super) fn oldest_idle(&self) -> Option<(Time, u32)> {
        let idle = self
            .ready
            .iter()
            .filter(|slot| self.entries[**slot].state == State::Idle && !self.is_pinged(**slot));
        idle.map(|slot| (self.entries[*slot].idle_since, *slot)).next()
    }

    /// Reports changes to the budget, and takes the permits that this host gets.
    pub(super) fn account(&mut self, section: &mut Section<'_, P>) {
        let Some(old) = self.note.as_deref() else { return };
        if self.noted(section) == *old {
            let floor = self.floor;
            self.settle_floor(|| section.common.is_total_full());
            if self.floor == floor {
                return;
            }
        }
        self.take_turn(section, |_, _, _| ());
    }

    /// Runs `f` under the budget's lock, and then what every such section ends with.
    fn take_turn<R>(
        &mut self,
        section: &mut Section<'_, P>,
        f: impl FnOnce(&mut Self, &mut Budget<P::Host>, &mut Section<'_, P>) -> R,
    ) -> Option<R> {
        let ledger = section.common.ledger.as_ref()?;
        let id = self.id();
        let budget = &mut *ledger.budget.lock();
        let was_in_vain = budget.drains_in_vain(0).is_some();
        let result = f(self, budget, section);
        self.tell(budget, section);
        while self.gauges.draining > 0
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
        let floor = self.floor;
        self.settle_floor(|| budget.is_full());
        if self.floor != floor {
            // It wants fewer spare connections.
            self.tell(budget, section);
        }
        if !was_in_vain && section.actions.stop_draining.is_none() {
            section.actions.stop_draining = budget.drains_in_vain(0);
        }
        section.actions.make_room |= budget.needs_scan(ledger.hints.idle(), section.now);
        section.actions.room_at = budget.room_at(section.now);
        section.actions.recheck |= budget.hurries_late();
        budget.publish(&ledger.hints);
        Some(result)
    }

    fn tell(&mut self, budget: &mut Budget<P::Host>, section: &Section<'_, P>) {
        self.count_idle(section.common);
        let new = self.noted(section);
        let Some(old) = self.note.as_deref_mut() else { return };
        budget.tell((old.id, section.host), old, &new, section.now);
        *old = new;
    }

    /// Done before the host reports: its demand for spare connections depends on the idle
    /// connections of all hosts.
    fn count_idle(&mut self, common: &Common<P>) {
        let idle = self.idle_to_note(common);
        if let (Some(note), Some(ledger)) = (&mut self.note, &common.ledger) {
            ledger.hints.count_idle(note.idle, idle);
            note.idle = idle;
        }
    }

    fn idle_to_note(&self, common: &Common<P>) -> u32 {
        let is_counted = common.limits.max_idle != usize::MAX;
        if is_counted { u32::try_from(self.idle_here(common)).unwrap_or(u32::MAX) } else { 0 }
    }

    /// Starts a dial with a permit that the budget has already counted.
    fn dial_by_permit(&mut self, budget: &mut Budget<P::Host>, section: &mut Section<'_, P>) {
        self.begin_dial(section);
        if let Some(note) = &mut self.note {
            budget.hold(note);
        }
    }

    /// A permit has arrived: it is used if a dial is still wanted.
    pub(crate) fn granted(&mut self, section: &mut Section<'_, P>) {
        self.take_turn(section, |host, budget, section| {
            let noted = host.noted(section);
            let is_used = noted.wants + noted.spare > 0;
            if is_used {
                host.dial_by_permit(budget, section);
            }
            budget.delivered((host.id(), section.host), is_used, section.now);
        });
    }

    /// Reserves a place for a connection that was made elsewhere, if the caps across hosts allow
    /// it. Returns its entry.
    pub(super) fn reserve(&mut self, section: &mut Section<'_, P>) -> Option<u32> {
        let entry = super::entry::Entry::dialing(section.now, self.generation, self.next_turn);
        if section.common.ledger.is_none() {
            return Some(self.insert(entry));
        }
        let reserve = |host: &mut Self, budget: &mut Budget<P::Host>, _: &mut Section<'_, P>| {
            (!budget.is_full()).then(|| host.insert(entry))
        };
        self.take_turn(section, reserve).flatten()
    }

    /// Gives up a returning connection for a host that has fewer. Returns whether it does.
    pub(super) fn gives_up(&mut self, slot: u32, section: &mut Section<'_, P>) -> bool {
        if !self.is_asked_for(section.now, section.common) {
            return false;
        }
        let gives_up = self.take_turn(section, |host, budget, section| {
            let gained = host.note.as_ref().and_then(|note| note.gained);
            let gives_up = budget.takes_from(host.id(), host.gauges.live(), gained, section.now);
            if gives_up {
                host.drain(slot, CloseReason::MadeRoom, section);
            }
            gives_up
        });
        gives_up == Some(true)
    }

    /// Returns whether the hints require asking the budget about a connection that returns.
    #[inline]
    pub(super) fn is_asked_for(&self, now: Time, common: &Common<P>) -> bool {
        let Some(ledger) = &common.ledger else { return false };
        let gained = self.note.as_ref().and_then(|note| note.gained);
        ledger.hints.may_take(self.gauges.live(), gained, now)
    }

    /// Returns whether the budget has listed the host among those with idle connections, so that
    /// one more need not be reported.
    #[inline]
    pub(super) fn is_listed_before(&self, now: Time) -> bool {
        let is_listed = |note: &Note| note.listed.is_some_and(|listed| listed <= now);
        self.note.as_ref().is_none_or(|note| note.spare == 0 && is_listed(note))
    }

    /// Returns whether the budget has to be told when the oldest waiter is served.
    #[inline]
    pub(super) fn changes_note_by_serving(&self, now: Time, common: &Common<P>) -> bool {
        let Some(note) = &self.note else { return false };
        note.spare > 0
            || self.dials_for(self.waiting() - 1, now, &common.limits) != note.wants as usize
    }

    /// A dial has succeeded: the host's tenure begins.
    pub(super) fn note_dial_time(&mut self, took: Duration, section: &mut Section<'_, P>) {
        if let Some(note) = &mut self.note {
            note.gained = Some(section.now);
        }
        if let Some(ledger) = &section.common.ledger {
            ledger.budget.lock().dialed(Span::from(took));
        }
    }

    /// Takes back a connection that drains to make room. Returns false if there is none, or no
    /// place for it.
    fn stop_making_room(&mut self, section: &mut Section<'_, P>) -> bool {
        let makes_room = State::Draining(CloseReason::MadeRoom);
        let drains = self
            .slots(|entry| entry.state == makes_room && !entry.is_dead() && entry.value.is_some());
        drains.first().is_some_and(|slot| self.revive_unseen(*slot, section))
    }

    /// Connections drain although the room is not needed, perhaps here: these take leases again.
    /// Passes the request on to the next host.
    pub(crate) fn stop_draining(&mut self, section: &mut Section<'_, P>) {
        // The common end of the section does this.
        self.take_turn(section, |host, budget, section| {
            section.actions.stop_draining = budget.drains_in_vain(host.id() + 1);
        });
    }

    /// A scan visits the host.
    pub(crate) fn visit(&mut self, section: &mut Section<'_, P>) {
        self.take_turn(section, |host, budget, section| {
            let listed = host.note.as_mut().and_then(|note| note.listed.take());
            budget.unlist(host.id(), listed);
            let oldest = host.oldest_idle();
            let idle = section.common.ledger.as_ref().map_or(0, |ledger| ledger.hints.idle());
            let reason = match budget.end_scan(oldest.map(|(at, _)| at), idle, section.now) {
                Scanned::Kept => return,
                Scanned::TooMany => CloseReason::OverIdleLimit,
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
        self.take_turn(section, |host, budget, section| {
            let Some(note) = host.note.as_deref_mut() else { return };
            let unlisted = Note { listed: None, ..*note };
            budget.tell((note.id, section.host), note, &unlisted, section.now);
            *note = unlisted;
        });
    }

    /// Returns whether the idle connections of all hosts have reached the cap.
    pub(super) fn is_idle_full(&self, section: &Section<'_, P>) -> bool {
        let Limits { max_idle, .. } = section.common.limits;
        max_idle != usize::MAX
            && section.common.ledger.as_ref().is_some_and(|ledger| {
                ledger.hints.idle() + self.gauges.dialing as usize >= max_idle
            })
    }
}
