//! The dials in flight: how many of each kind there are, and which of them have become slow.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::soonest::Soonest;
use crate::policy::time::{Span, Time};

/// A dial that was cut off ends at once where its runtime is driven. After this time it gives up its
/// place although its task has not stopped.
pub(super) const UNSTOPPED: Span = Span::from_nanos(1_000_000_000);

/// A dial in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Each is a fact of its own.
pub(super) struct Dial {
    pub(super) since: Time,
    /// How many events there had been.
    event: u32,
    /// The host was retired during the dial: it may serve one waiter that joined before that.
    pub(super) retired_at: Option<Time>,
    /// Its task has to stop, since then. Its place is free when it has, or when it gives it up.
    cut_off_at: Option<Time>,
    /// Its task has not stopped in time.
    is_unstopped: bool,
    pub(super) is_slow: bool,
    /// Its time-out has passed, and those who waited for all of it were told.
    pub(super) is_overdue: bool,
}

/// Orders dials: the greatest is cut off first when the cap is lowered.
type Age = (bool, Time, u32);

impl Dial {
    pub(super) fn is_cut_off(self) -> bool {
        self.cut_off_at.is_some()
    }

    fn is_doomed(self) -> bool {
        self.is_cut_off() || self.retired_at.is_some()
    }

    /// It counts for those who wait, whenever these joined.
    fn is_young(self) -> bool {
        !self.is_doomed() && !self.is_slow
    }

    /// It is slow, and can be cut off to make room.
    fn makes_room(self) -> bool {
        self.is_slow && !self.is_cut_off()
    }

    fn age(self, slot: u32) -> Age {
        (self.is_slow, self.since, slot)
    }

    /// It will be slow.
    fn is_fresh(self) -> bool {
        !self.is_cut_off() && !self.is_slow
    }

    /// Returns when it gives up its place, unless its task stops before.
    fn gives_up_at(self) -> Option<Time> {
        let at = self.cut_off_at.filter(|_| !self.is_unstopped);
        at.map(|at| at.after(UNSTOPPED))
    }
}

/// See the module. `S` stops the task of a dial.
#[derive(Debug)]
pub(super) struct Flight<S> {
    /// By slot.
    dials: BTreeMap<u32, Running<S>>,
    counts: Counts,
    /// How many events there had been at the last success.
    forgiven: u32,
    /// When the first of the others is slow.
    next_slow: Soonest,
    /// The slow ones that are not cut off, the oldest first.
    slow: BTreeSet<(Time, u32)>,
    /// Those that are cut off and hold their places, with the times when they give them up. The first
    /// one does; later ones may have stopped.
    stopping: VecDeque<(Time, u32)>,
}

/// How many dials there are of each kind.
#[derive(Debug, Default)]
struct Counts {
    /// Not cut off.
    live: u32,
    /// Retired or cut off.
    doomed: u32,
    young: u32,
    /// Those of the young ones that are news.
    news: u32,
    /// Cut off, and not stopped nor without a place.
    stopping: u32,
    /// Without a place: their runtime stands still.
    unstopped: u32,
    events: u32,
}

impl Counts {
    fn count(&mut self, dial: Dial, is_there: bool) {
        let is_news = dial.is_young() && dial.event == self.events;
        for (sum, counts) in [
            (&mut self.live, !dial.is_cut_off()),
            (&mut self.doomed, dial.is_doomed()),
            (&mut self.young, dial.is_young()),
            (&mut self.news, is_news),
            (&mut self.stopping, dial.gives_up_at().is_some()),
            (&mut self.unstopped, dial.is_unstopped),
        ] {
            *sum = if is_there { *sum + u32::from(counts) } else { *sum - u32::from(counts) };
        }
    }

    /// Changes a dial, and the counts with it.
    fn change<R>(&mut self, dial: &mut Dial, f: impl FnOnce(&mut Dial) -> R) -> R {
        self.count(*dial, false);
        let result = f(dial);
        self.count(*dial, true);
        result
    }
}

#[derive(Debug)]
struct Running<S> {
    dial: Dial,
    stop: S,
}

impl<S: Clone> Flight<S> {
    pub(super) fn new() -> Self {
        Flight {
            dials: BTreeMap::new(),
            counts: Counts::default(),
            forgiven: 0,
            next_slow: Soonest::new(),
            slow: BTreeSet::new(),
            stopping: VecDeque::new(),
        }
    }

    /// One begins. It will be slow at `slow`.
    pub(super) fn begin(&mut self, slot: u32, (since, slow): (Time, Time), stop: S) {
        let dial = Dial {
            since,
            event: self.counts.events,
            retired_at: None,
            cut_off_at: None,
            is_unstopped: false,
            is_slow: false,
            is_overdue: false,
        };
        self.counts.count(dial, true);
        self.dials.insert(slot, Running { dial, stop });
        self.next_slow.note(slow);
    }

    /// One has ended.
    pub(super) fn end(&mut self, slot: u32) -> Option<Dial> {
        let Running { dial, .. } = self.dials.remove(&slot)?;
        self.counts.count(dial, false);
        self.slow.remove(&(dial.since, slot));
        self.skip_stopped();
        Some(dial)
    }

    /// Changes a dial, and the counts with it.
    pub(super) fn change<R>(&mut self, slot: u32, f: impl FnOnce(&mut Dial) -> R) -> Option<R> {
        let Running { dial, .. } = self.dials.get_mut(&slot)?;
        let was = dial.makes_room();
        let result = self.counts.change(dial, f);
        match (was, dial.makes_room()) {
            (false, true) => _ = self.slow.insert((dial.since, slot)),
            (true, false) => _ = self.slow.remove(&(dial.since, slot)),
            _ => {}
        }
        Some(result)
    }

    /// Cuts a dial off. Returns what stops its task.
    pub(super) fn cut_off(&mut self, slot: u32, now: Time) -> Option<S> {
        let was_cut_off = self.change(slot, |dial| dial.cut_off_at.replace(now).is_some())?;
        debug_assert!(!was_cut_off, "it is cut off once");
        self.stopping.push_back((now.after(UNSTOPPED), slot));
        self.dials.get(&slot).map(|running| running.stop.clone())
    }

    /// Takes the slot of the next one that gives up its place, because its task has not stopped.
    pub(super) fn take_unstopped(&mut self, now: Time) -> Option<u32> {
        let (_, slot) = self.stopping.front().copied().filter(|(at, _)| *at <= now)?;
        self.change(slot, |dial| dial.is_unstopped = true);
        self.skip_stopped();
        Some(slot)
    }

    /// What has stopped, or has given up its place, does not come first.
    fn skip_stopped(&mut self) {
        let Flight { dials, stopping, .. } = self;
        while let Some((at, slot)) = stopping.front() {
            if dials.get(slot).is_some_and(|running| running.dial.gives_up_at() == Some(*at)) {
                return;
            }
            stopping.pop_front();
        }
    }

    /// Cuts off this many dials: slow ones, then the newest. Returns what stops their tasks.
    ///
    /// It looks at each dial twice, and looks none up: a host that dials 10,000 is locked meanwhile.
    pub(super) fn cut_off_newest(&mut self, most: usize, now: Time) -> Vec<S> {
        let Some(first) = self.first_of_newest(most) else { return Vec::new() };
        let (is_slow, since, slot) = first;
        if is_slow {
            self.slow.split_off(&(since, slot));
        } else {
            self.slow.clear();
        }
        let Flight { dials, counts, stopping, .. } = self;
        let mut stops = Vec::with_capacity(most.min(dials.len()));
        for (slot, Running { dial, stop }) in dials.iter_mut().rev() {
            if !dial.is_cut_off() && dial.age(*slot) >= first {
                counts.change(dial, |dial| dial.cut_off_at = Some(now));
                stopping.push_back((now.after(UNSTOPPED), *slot));
                stops.push(stop.clone());
            }
        }
        stops
    }

    /// Of this many dials that are slow or the newest, returns the one that is cut off last.
    fn first_of_newest(&self, most: usize) -> Option<Age> {
        let mut ages: Vec<Age> = self.live().map(|(slot, dial)| dial.age(slot)).collect();
        let at = most.min(ages.len()).checked_sub(1)?;
        let (_, first, _) = ages.select_nth_unstable_by(at, |one, other| other.cmp(one));
        Some(*first)
    }

    /// Returns what stops the tasks of all of them.
    pub(super) fn stops(&self) -> impl Iterator<Item = S> {
        self.dials.values().map(|running| running.stop.clone())
    }

    /// A dial has failed, is slow, or has succeeded: what the others did before says nothing new.
    pub(super) fn happened(&mut self) {
        self.counts.events += 1;
        self.counts.news = 0;
    }

    /// A dial has succeeded: it forgives all that began before.
    pub(super) fn forgive(&mut self) {
        self.happened();
        self.forgiven = self.counts.events;
    }

    /// Returns whether it is slow, and another one has succeeded since it began.
    pub(super) fn is_forgiven(&self, dial: &Dial) -> bool {
        dial.is_slow && dial.event < self.forgiven
    }

    /// Returns whether nothing has happened since it began.
    pub(super) fn is_news(&self, dial: &Dial) -> bool {
        dial.event == self.counts.events
    }
}

/// # Which there are
impl<S> Flight<S> {
    pub(super) fn of(&self, slot: u32) -> Option<&Dial> {
        self.dials.get(&slot).map(|running| &running.dial)
    }

    /// Returns those that are not cut off, by slot.
    pub(super) fn live(&self) -> impl Iterator<Item = (u32, &Dial)> {
        let all = self.dials.iter().map(|(slot, running)| (*slot, &running.dial));
        all.filter(|(_, dial)| !dial.is_cut_off())
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(super) fn slots(&self) -> impl Iterator<Item = u32> {
        self.dials.keys().copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dials.is_empty()
    }

    /// Returns how many are not cut off.
    pub(super) fn len(&self) -> u32 {
        self.counts.live
    }

    pub(super) fn young(&self) -> u32 {
        self.counts.young
    }

    /// Returns how many of the young ones are news.
    pub(super) fn news(&self) -> u32 {
        self.counts.news
    }

    pub(super) fn has_doomed(&self) -> bool {
        self.counts.doomed > 0
    }

    /// Returns whether one was cut off whose place will be free when it stops.
    pub(super) fn has_stopping(&self) -> bool {
        self.counts.stopping > 0
    }

    /// Returns whether one that was cut off has not stopped for a second.
    pub(super) fn has_unstopped(&self) -> bool {
        self.counts.unstopped > 0
    }

    /// Returns when the first of them gives up its place.
    pub(super) fn next_unstopped(&self) -> Time {
        self.stopping.front().map_or(Time::NEVER, |(at, _)| *at)
    }

    /// Returns how many there are, cut off or not.
    pub(super) fn all(&self) -> usize {
        self.dials.len()
    }

    /// Returns how many slow ones are not cut off.
    pub(super) fn slow(&self) -> usize {
        self.slow.len()
    }

    /// Returns the oldest of them.
    pub(super) fn oldest_slow(&self) -> Option<(u32, &Dial)> {
        let (_, slot) = self.slow.first()?;
        self.of(*slot).map(|dial| (*slot, dial))
    }

    /// Returns when the next one may be slow.
    pub(super) fn next_slow(&self) -> Time {
        self.next_slow.next()
    }

    /// Looks at all of them at the next opportunity: they are slow sooner than was said.
    pub(super) fn look_at_all(&mut self) {
        self.next_slow.note(Time::START);
    }
}

impl<S: Clone> Flight<S> {
    /// Finds those that have become slow. Returns when the last of them began, if that is news.
    pub(super) fn find_slow(&mut self, slow: Span, now: Time) -> Option<Time> {
        let mut latest = None;
        loop {
            let Flight { dials, next_slow, .. } = self;
            let all = || {
                let fresh = dials.iter().filter(|(_, running)| running.dial.is_fresh());
                fresh.map(|(slot, running)| (running.dial.since.after(slow), *slot))
            };
            let Some(slot) = next_slow.take(now, all) else { return latest };
            let Some(dial) = self.of(slot).copied().filter(|dial| dial.is_fresh()) else {
                continue;
            };
            if dial.since.after(slow) > now {
                self.next_slow.note(dial.since.after(slow));
                continue;
            }
            if dial.is_young() && self.is_news(&dial) {
                latest = latest.max(Some(dial.since));
            }
            self.change(slot, |dial| dial.is_slow = true);
        }
    }
}
