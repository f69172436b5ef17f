//! The dials of a host: those in flight, and which of them still count.
//!
//! A dial is *young* until it is slow, retired or cut off: only young ones count as on their way to
//! those who wait. It is *news* if it began after the last event (a failure, a slow dial, a
//! success): what others did before says nothing new when it ends.

mod flight;
pub(crate) mod pace;

use std::collections::VecDeque;
use std::time::Duration;

use self::flight::{Dial, Flight, UNSTOPPED};
use self::pace::{Pace, Waits};
use crate::policy::time::{Span, Time};

/// A dial that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(crate) struct Landed {
    pub(crate) since: Time,
    pub(crate) retired_at: Option<Time>,
    pub(crate) is_cut_off: bool,
    /// It took so long that it counted for nobody.
    pub(crate) is_slow: bool,
    /// Nothing has happened since it began.
    pub(crate) is_news: bool,
    /// It was slow, and another one has succeeded since it began.
    pub(crate) is_forgiven: bool,
}

/// Where the place of a slow dial is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// By the next dial of its host.
    Here,
    /// By another host. Failing hosts may have a share of the permits; or they have more.
    Elsewhere { is_their_share: bool },
}

/// How a dial failed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    /// The server, or the way to it, said no while this many connections were open.
    Refused(usize),
    TimedOut,
}

/// See the module. `S` stops the task of a dial.
#[derive(Debug)]
pub(crate) struct Dials<S> {
    pace: Pace,
    /// Leases that a new connection is expected to carry; 1 if connections are exclusive.
    carries: u32,
    /// How often `retire` has cut off dials since the last success.
    cut_offs: u8,
    /// How many dials were cut off to make room since the last success or `retire`.
    in_vain: u8,
    /// A dial was lost with its runtime: the waiters were woken to dial themselves, and nothing is
    /// dialed until one is polled or a caller comes.
    stranded: bool,
    /// Present while dials are in flight, or those who wait for one are still to be told.
    flight: Option<Box<InFlight<S>>>,
}

#[derive(Debug)]
struct InFlight<S> {
    dials: Flight<S>,
    /// Dials that were cut off to make room: when to tell their waiters, because the time-out would
    /// have passed, and when the dial began.
    owed: VecDeque<(Time, Time)>,
}

impl<S> InFlight<S> {
    /// Returns when those are told next whose dial was cut off.
    fn next_owed(&self) -> Time {
        self.owed.front().map_or(Time::NEVER, |(at, _)| *at)
    }
}

impl<S: Clone> Dials<S> {
    pub(crate) fn new(carries: u32) -> Self {
        Dials { pace: Pace::new(), carries, cut_offs: 0, in_vain: 0, stranded: false, flight: None }
    }

    pub(crate) fn begin(&mut self, slot: u32, since: Time, stop: S) {
        let slow = since.after(self.slow_after());
        let nothing = || Box::new(InFlight { dials: Flight::new(), owed: VecDeque::new() });
        let flight = self.flight.get_or_insert_with(nothing);
        flight.dials.begin(slot, (since, slow), stop);
    }

    /// Removes a dial that has ended.
    pub(crate) fn end(&mut self, slot: u32) -> Option<Landed> {
        let dials = self.dials_mut()?;
        let dial = dials.end(slot)?;
        let is_cut_off = dial.is_cut_off();
        let is_news = dials.is_news(&dial) && !is_cut_off;
        let is_forgiven = dials.is_forgiven(&dial);
        let Dial { since, retired_at, is_slow, .. } = dial;
        self.land();
        Some(Landed { since, retired_at, is_cut_off, is_slow, is_news, is_forgiven })
    }

    /// Frees the memory of what has ended.
    fn land(&mut self) {
        self.flight.take_if(|flight| flight.dials.is_empty() && flight.owed.is_empty());
    }

    /// A connection takes this many leases: so will the next one.
    pub(crate) fn expect_leases(&mut self, max_leases: u32) {
        self.carries = max_leases;
    }

    /// Returns how many waiters a new connection is expected to serve: at least one.
    pub(crate) fn carries(&self) -> usize {
        self.carries.max(1) as usize
    }

    pub(crate) fn is_stranded(&self) -> bool {
        self.stranded
    }

    pub(crate) fn strand(&mut self) {
        self.stranded = true;
    }

    /// A caller is here that can dial for the waiters.
    pub(crate) fn unstrand(&mut self) {
        self.stranded = false;
    }

    fn dials(&self) -> Option<&Flight<S>> {
        self.flight.as_ref().map(|flight| &flight.dials)
    }

    fn dials_mut(&mut self) -> Option<&mut Flight<S>> {
        self.flight.as_mut().map(|flight| &mut flight.dials)
    }

    fn of(&self, slot: u32) -> Option<&Dial> {
        self.dials()?.of(slot)
    }

    /// Returns when time alone does something next: one may be slow, gives up its place, or an answer
    /// is owed.
    pub(crate) fn next(&self) -> Time {
        let Some(flight) = &self.flight else { return Time::NEVER };
        let dials = &flight.dials;
        dials.next_slow().min(dials.next_unstopped()).min(flight.next_owed())
    }

    /// Returns how many are in flight, cut off or not.
    pub(crate) fn in_flight(&self) -> usize {
        self.dials().map_or(0, Flight::all)
    }

    /// Returns how many are in flight and not cut off.
    pub(crate) fn len(&self) -> u32 {
        self.dials().map_or(0, Flight::len)
    }

    /// Returns how many count as on their way to those who wait, whenever these joined.
    pub(crate) fn young(&self) -> u32 {
        self.dials().map_or(0, Flight::young)
    }

    /// Returns when this one began.
    pub(crate) fn since(&self, slot: u32) -> Time {
        self.of(slot).map_or(Time::NEVER, |dial| dial.since)
    }

    /// Returns how many are retired, and when the last of them was.
    pub(crate) fn retired(&self) -> (usize, Time) {
        let Some(dials) = self.dials().filter(|dials| dials.has_doomed()) else {
            return (0, Time::START);
        };
        let fresh = dials.live().filter(|(_, dial)| !dial.is_slow);
        let retired = fresh.filter_map(|(_, dial)| dial.retired_at);
        retired.fold((0, Time::START), |(count, at), retired| (count + 1, at.max(retired)))
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn is_cut_off(&self, slot: u32) -> bool {
        self.of(slot).is_some_and(|dial| dial.is_cut_off())
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        self.dials().into_iter().flat_map(Flight::slots)
    }
}

/// # What may begin
impl<S: Clone> Dials<S> {
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Returns how many dials may begin now, if the next one may begin then.
    pub(crate) fn allowed(&self, next: Time, now: Time) -> usize {
        let in_flight = self.dials().map_or(0, |dials| {
            // After trouble, what began before does not stand in the way of the next one.
            if self.pace.is_troubled() { dials.news() } else { dials.young() }
        });
        self.pace.allows(next, now).saturating_sub(in_flight) as usize
    }

    /// Returns after how long a dial is slow.
    pub(crate) fn slow_after(&self) -> Span {
        self.pace.slow_after(self.carries > 1)
    }

    /// Finds the dials that have become slow. If that is news, the window closes, and the next one
    /// begins after a pause.
    pub(crate) fn judge(&mut self, waits: Waits, now: Time) {
        let slow = self.slow_after();
        let Some(dials) = self.dials_mut() else { return };
        if let Some(began) = dials.find_slow(slow, now) {
            dials.happened();
            self.pace.slowed(began, slow, waits, now);
        }
    }

    /// A dial has succeeded: it forgives all that began before. If it is forgiven itself, it says
    /// nothing new.
    pub(crate) fn succeeded(&mut self, dial: &Landed, took: Span, waits: Waits, now: Time) {
        if dial.is_forgiven {
            return;
        }
        let was = self.slow_after();
        self.pace.succeeded(took, self.carries > 1, waits, now);
        (self.cut_offs, self.in_vain) = (0, 0);
        let is_sooner = self.slow_after() < was;
        if let Some(flight) = &mut self.flight {
            flight.owed.clear();
            flight.dials.forgive();
            if is_sooner {
                flight.dials.look_at_all();
            }
        }
        self.land();
    }

    /// A dial has failed, and that is news.
    pub(crate) fn failed(&mut self, dial: &Landed, how: Failure, waits: Waits, now: Time) {
        match how {
            Failure::Refused(open) => self.pace.refused(open, waits, now),
            Failure::TimedOut => {
                let slow = self.slow_after().min(now.span_since(dial.since));
                self.pace.slowed(dial.since, slow, waits, now);
            }
        }
        if let Some(dials) = self.dials_mut() {
            dials.happened();
        }
    }

    pub(crate) fn pace_mut(&mut self) -> &mut Pace {
        &mut self.pace
    }
}

/// # Time-outs
impl<S: Clone> Dials<S> {
    /// The time-out of a dial has passed, or a multiple of it: it is slow by now in any case.
    /// Returns whether this is the first time.
    pub(crate) fn overdue(&mut self, slot: u32, waits: Waits, now: Time) -> bool {
        let Some(dials) = self.dials_mut() else { return false };
        let news = dials.news();
        let was_overdue = dials.change(slot, |dial| {
            dial.is_slow = true;
            std::mem::replace(&mut dial.is_overdue, true)
        });
        if dials.news() < news {
            dials.happened();
            let began = self.since(slot);
            self.pace.slowed(began, now.span_since(began), waits, now);
        }
        was_overdue == Some(false)
    }

    /// Returns the start of a dial that was cut off, and whose time-out has passed since.
    pub(crate) fn take_owed(&mut self, now: Time) -> Option<Time> {
        let flight = self.flight.as_mut().filter(|flight| flight.next_owed() <= now)?;
        let owed = flight.owed.pop_front();
        self.land();
        owed.map(|(_, began)| began)
    }
}

/// # To make room
impl<S: Clone> Dials<S> {
    /// Returns how many slow dials are in flight, and when the oldest began.
    pub(crate) fn slow(&self) -> Option<(usize, Time)> {
        let dials = self.dials()?;
        dials.oldest_slow().map(|(_, oldest)| (dials.slow(), oldest.since))
    }

    /// Returns whether the runtime of a dial stands still: it was cut off, and has not stopped.
    pub(crate) fn one_stands_still(&self) -> bool {
        self.dials().is_some_and(Flight::has_unstopped)
    }

    /// Returns whether a slow dial is in flight.
    pub(crate) fn has_slow(&self) -> bool {
        self.dials().is_some_and(|dials| dials.slow() > 0)
    }

    /// Returns whether a slow dial makes room where that is wanted, at once or soon: none is being
    /// cut off.
    pub(crate) fn gives_way(&self) -> bool {
        self.dials().is_some_and(|dials| dials.slow() > 0 && !dials.has_stopping())
    }

    /// Returns from when on the oldest slow dial makes room: when it has taken hopelessly longer
    /// than usual, or used up its time-out. Each that was cut off in vain doubles what the next one
    /// is given, so that a server that has become slower is reached. A task that says nothing of its
    /// time-out is in a runtime that stands still.
    pub(crate) fn makes_room_at(&self, time_out: Span, wanted: Wanted) -> Time {
        let oldest = self.dials().filter(|_| self.gives_way()).and_then(Flight::oldest_slow);
        let Some((_, oldest)) = oldest else { return Time::NEVER };
        let silent = oldest.since.after(time_out).after(UNSTOPPED);
        let doublings = match wanted {
            _ if oldest.is_overdue => return Time::START,
            Wanted::Here if !self.pace.knows_usual() && time_out != Span::FOREVER => return silent,
            Wanted::Here => self.in_vain.min(16),
            Wanted::Elsewhere { is_their_share: true } => self.in_vain.min(2),
            Wanted::Elsewhere { is_their_share: false } => 0,
        };
        let limit = self.slow_after().nanos().saturating_mul(1 << doublings);
        oldest.since.after(Span::from_nanos(limit)).min(silent)
    }

    /// Cuts off the oldest slow dial to make room, if its time has come. Returns what stops its task.
    pub(crate) fn cut_off_slow(&mut self, time_out: Span, wanted: Wanted, now: Time) -> Option<S> {
        if self.makes_room_at(time_out, wanted) > now {
            return None;
        }
        let InFlight { dials, owed } = self.flight.as_deref_mut()?;
        let (slot, Dial { since, is_overdue, .. }) =
            dials.oldest_slow().map(|(slot, dial)| (slot, *dial))?;
        if !is_overdue && time_out != Span::FOREVER {
            // Soon, if the task that measures the time is late.
            let at = since.after(time_out).max(now.after(Span::from_nanos(1)));
            owed.insert(owed.partition_point(|(owed, _)| *owed <= at), (at, since));
        }
        self.in_vain = self.in_vain.saturating_add(1);
        dials.cut_off(slot, now)
    }

    /// Takes the slot of the next dial that gives up its place: it was cut off, and its task has not
    /// stopped, because its runtime is not driven.
    pub(crate) fn take_unstopped(&mut self, now: Time) -> Option<u32> {
        self.dials_mut()?.take_unstopped(now)
    }
}

/// # Cutting off
impl<S: Clone> Dials<S> {
    /// Cuts off this many dials: slow ones, then the newest. Returns what stops their tasks.
    pub(crate) fn cut_off_newest(&mut self, most: u32, now: Time) -> Vec<S> {
        self.dials_mut().map_or_else(Vec::new, |dials| dials.cut_off_newest(most as usize, now))
    }

    /// The host is retired. Cuts off those that have taken too long, because their target may be
    /// gone: the limit doubles each time, so that frequent retiring does not keep a slower host
    /// from being reached. Returns what stops their tasks.
    pub(crate) fn retire(&mut self, now: Time, usual: Duration) -> Vec<S> {
        let limit = Span::from(usual.saturating_mul(1 << self.cut_offs.min(16)));
        // What hung at the old address says nothing of the new one.
        self.in_vain = 0;
        let Some(dials) = self.dials_mut() else { return Vec::new() };
        let live: Vec<u32> = dials.live().map(|(slot, _)| slot).collect();
        let mut stops = Vec::new();
        for slot in live {
            // It may succeed before it stops: its connection is then closed as a retired one.
            let since = dials.change(slot, |dial| {
                dial.retired_at.get_or_insert(now);
                dial.since
            });
            if since.is_some_and(|since| since.after(limit) <= now) {
                stops.extend(dials.cut_off(slot, now));
            }
        }
        self.cut_offs = self.cut_offs.saturating_add(u8::from(!stops.is_empty()));
        stops
    }

    /// Returns how many dials were cut off to make room since the last success or `retire`.
    pub(crate) fn in_vain(&self) -> u32 {
        self.in_vain.into()
    }

    /// Returns what stops the tasks of all of them, which the host does not need any more.
    pub(crate) fn stops(&self) -> Vec<S> {
        self.dials().into_iter().flat_map(Flight::stops).collect()
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests;
