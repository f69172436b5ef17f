//! The dials in flight: how many of each kind there are, and which of them have become slow.

use std::collections::{BTreeMap, BTreeSet};

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
    /// How many are not cut off.
    live: u32,
    /// How many are retired or cut off.
    doomed: u32,
    young: u32,
    /// How many of the young ones are news.
    news: u32,
    events: u32,
    /// How many there had been at the last success.
    forgiven: u32,
    /// When the first of the others is slow.
    next_slow: Soonest,
    /// The slow ones that are not cut off, the oldest first.
    slow: BTreeSet<(Time, u32)>,
    /// Those that are cut off and hold their places, with the times when they give them up.
    stopping: BTreeSet<(Time, u32)>,
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
            live: 0,
            doomed: 0,
            young: 0,
            news: 0,
            events: 0,
            forgiven: 0,
            next_slow: Soonest::new(),
            slow: BTreeSet::new(),
            stopping: BTreeSet::new(),
        }
    }

    /// One begins. It will be slow at `slow`.
    pub(super) fn begin(&mut self, slot: u32, (since, slow): (Time, Time), stop: S) {
        let dial = Dial {
            since,
            event: self.events,
            retired_at: None,
            cut_off_at: None,
            is_unstopped: false,
            is_slow: false,
            is_overdue: false,
        };
        self.count(slot, dial, true);
        self.dials.insert(slot, Running { dial, stop });
        self.next_slow.note(slow);
    }

    /// One has ended.
    pub(super) fn end(&mut self, slot: u32) -> Option<Dial> {
        let Running { dial, .. } = self.dials.remove(&slot)?;
        self.count(slot, dial, false);
        Some(dial)
    }

    /// Changes a dial, and the counts with it.
    pub(super) fn change<R>(&mut self, slot: u32, f: impl FnOnce(&mut Dial) -> R) -> Option<R> {
        let Running { dial, .. } = self.dials.get_mut(&slot)?;
        let was = *dial;
        let result = f(dial);
        let is = *dial;
        self.count(slot, was, false);
        self.count(slot, is, true);
        Some(result)
    }

    /// Cuts a dial off. Returns what stops its task.
    pub(super) fn cut_off(&mut self, slot: u32, now: Time) -> Option<S> {
        self.change(slot, |dial| *dial.cut_off_at.get_or_insert(now))?;
        self.dials.get(&slot).map(|running| running.stop.clone())
    }

    /// Takes the slot of the next one that gives up its place, because its task has not stopped.
    pub(super) fn take_unstopped(&mut self, now: Time) -> Option<u32> {
        let (_, slot) = self.stopping.first().copied().filter(|(at, _)| *at <= now)?;
        self.change(slot, |dial| dial.is_unstopped = true);
        Some(slot)
    }

    /// Returns what stops the tasks of all of them.
    pub(super) fn stops(&self) -> impl Iterator<Item = S> {
        self.dials.values().map(|running| running.stop.clone())
    }

    fn count(&mut self, slot: u32, dial: Dial, is_there: bool) {
        let is_news = dial.is_young() && self.is_news(&dial);
        for (sum, counts) in [
            (&mut self.live, !dial.is_cut_off()),
            (&mut self.doomed, dial.is_doomed()),
            (&mut self.young, dial.is_young()),
            (&mut self.news, is_news),
        ] {
            *sum = if is_there { *sum + u32::from(counts) } else { *sum - u32::from(counts) };
        }
        let slow = (dial.is_slow && !dial.is_cut_off()).then_some(dial.since);
        for (ordered, at) in [(&mut self.slow, slow), (&mut self.stopping, dial.gives_up_at())] {
            let Some(at) = at else { continue };
            if is_there {
                ordered.insert((at, slot))
            } else {
                ordered.remove(&(at, slot))
            };
        }
    }

    /// A dial has failed, is slow, or has succeeded: what the others did before says nothing new.
    pub(super) fn happened(&mut self) {
        self.events += 1;
        self.news = 0;
    }

    /// A dial has succeeded: it forgives all that began before.
    pub(super) fn forgive(&mut self) {
        self.happened();
        self.forgiven = self.events;
    }

    /// Returns whether it is slow, and another one has succeeded since it began.
    pub(super) fn is_forgiven(&self, dial: &Dial) -> bool {
        dial.is_slow && dial.event < self.forgiven
    }

    /// Returns whether nothing has happened since it began.
    pub(super) fn is_news(&self, dial: &Dial) -> bool {
        dial.event == self.events
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
        self.live
    }

    pub(super) fn young(&self) -> u32 {
        self.young
    }

    /// Returns how many of the young ones are news.
    pub(super) fn news(&self) -> u32 {
        self.news
    }

    pub(super) fn has_doomed(&self) -> bool {
        self.doomed > 0
    }

    /// Returns whether one was cut off whose place will be free when it stops.
    pub(super) fn has_stopping(&self) -> bool {
        !self.stopping.is_empty()
    }

    /// Returns when the first of them gives up its place.
    pub(super) fn next_unstopped(&self) -> Time {
        self.stopping.first().map_or(Time::NEVER, |(at, _)| *at)
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
