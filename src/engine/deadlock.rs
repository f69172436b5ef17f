//! Which tasks hold connections of a host and wait for others of it.
//!
//! Noted only with `deadlock_warnings`. Then joining a queue, leaving it and handing a connection over take the long way,
//! and every section ends with a look at who waits for what.
//!
//! A loan counts as held by the task that asked for it. Two things cannot be seen: that its guard was given to another
//! task, and that one task runs several futures, of which one holds and another waits. In both the connection may come
//! back although its task waits. So a deadlock is told once it has lasted for a while in which no loan has begun.

use std::collections::HashMap;
use std::num::NonZeroU32;

use super::entry::{Entry, Holds};
use super::leases::Lease;
use super::{CallSite, HostState, Parts, Section, Ticket, Waiter};
use crate::policy::time::{Span, Time};

/// A task, or a thread where no task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Task(NonZeroU32);

impl Task {
    /// By a number. Those that are 2³² apart are taken for one: a waiter has no room for more.
    pub(crate) fn new(number: u64) -> Self {
        #[allow(clippy::cast_possible_truncation)] // As said.
        Task(NonZeroU32::new(number as u32).unwrap_or(NonZeroU32::MAX))
    }
}

/// What is known of a host's tasks.
pub(super) struct Tasks {
    /// Who holds the first lease on each entry, by slot, and the others, by slot and number. Where there is no such lease any
    /// more, it means nothing.
    first: Vec<Option<Task>>,
    more: HashMap<(u32, u32), Option<Task>>,
    /// How many callers of each task are in the queue.
    waits: HashMap<Task, usize>,
    /// Since when each loan is held by a task that waits, and none has begun; `NEVER` if that is not so.
    since: Time,
    /// It was told.
    told: bool,
}

impl Default for Tasks {
    fn default() -> Self {
        Tasks {
            first: Vec::new(),
            more: HashMap::new(),
            waits: HashMap::new(),
            since: Time::NEVER,
            told: false,
        }
    }
}

/// What is found out of tasks that hold connections and wait.
#[derive(Clone, Debug)]
pub(crate) enum SelfWait {
    Nested(Nested),
    Deadlock(Deadlock),
}

/// A task that holds connections has joined the queue for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nested {
    pub(crate) loans: usize,
    /// Where it acquired the one that it has held for longest.
    pub(crate) acquired_at: CallSite,
    pub(crate) waits_at: CallSite,
    /// The host's cap.
    pub(crate) max: u32,
}

/// Every loan is held by a task that waits.
#[derive(Clone, Debug)]
pub(crate) struct Deadlock {
    pub(crate) loans: usize,
    /// The loan held for longest first; each pair of places once.
    pub(crate) sides: Vec<Side>,
}

/// Loans that were acquired in one place, and where their tasks wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) loans: usize,
    pub(crate) acquired_at: CallSite,
    pub(crate) waits_at: CallSite,
}

impl Tasks {
    /// Whether there is room for the first lease on the entry in this slot, and it is that.
    #[inline]
    fn note_first(&mut self, slot: u32, lease: u32, task: Task) -> bool {
        let Some(holder) = self.first.get_mut(slot as usize).filter(|_| lease == 0) else {
            return false;
        };
        *holder = Some(task);
        (self.since, self.told) = (Time::NEVER, false);
        true
    }

    fn note(&mut self, slot: u32, lease: u32, task: Option<Task>) {
        (self.since, self.told) = (Time::NEVER, false);
        if lease > 0 {
            self.more.insert((slot, lease), task);
            return;
        }
        let slot = slot as usize;
        if self.first.len() <= slot {
            self.first.resize(slot + 1, None);
        }
        self.first[slot] = task;
    }

    fn holder(&self, slot: u32, lease: u32) -> Option<Task> {
        match lease {
            0 => *self.first.get(slot as usize)?,
            lease => *self.more.get(&(slot, lease))?,
        }
    }

    fn waits(&self, task: Option<Task>) -> bool {
        task.is_some_and(|task| self.waits.contains_key(&task))
    }

    /// One more caller of the task waits. Returns how many do.
    fn begin_wait(&mut self, task: Task) -> usize {
        let waits = self.waits.entry(task).or_default();
        *waits += 1;
        *waits
    }

    pub(super) fn end_wait(&mut self, task: Task) {
        if let Some(waits) = self.waits.get_mut(&task) {
            *waits -= 1;
            if *waits == 0 {
                self.waits.remove(&task);
            }
        }
    }
}

impl<P: Parts> HostState<P> {
    fn tasks(&self) -> Option<&Tasks> {
        self.rare.as_ref()?.tasks.as_deref()
    }

    #[inline]
    pub(super) fn tasks_mut(&mut self) -> Option<&mut Tasks> {
        self.rare.as_mut()?.tasks.as_deref_mut()
    }

    /// Notes who holds a loan that begins now. Every loan is noted, or none of the pool: so what is known of a lease is
    /// never that of the one before it.
    #[inline]
    pub(crate) fn note_holder(&mut self, ticket: Ticket, task: Task) {
        let Ticket { slot, lease } = ticket;
        if !self.tasks_mut().is_some_and(|tasks| tasks.note_first(slot, lease, task)) {
            self.note_another(slot, lease, task);
        }
    }

    #[cold]
    fn note_another(&mut self, slot: u32, lease: u32, task: Task) {
        self.rare().tasks.get_or_insert_default().note(slot, lease, Some(task));
    }

    /// Notes that no task holds a loan: the pool itself does, or what comes back by itself.
    pub(crate) fn note_no_holder(&mut self, ticket: Ticket) {
        if let Some(tasks) = self.tasks_mut() {
            tasks.note(ticket.slot, ticket.lease, None);
        }
    }

    /// A caller has joined the queue. Says what it holds already.
    #[inline]
    pub(super) fn begin_wait(&mut self, waiter: &Waiter<P>) -> Option<Box<SelfWait>> {
        let nested = self.note_wait(waiter.task?, waiter.call_site)?;
        Some(Box::new(SelfWait::Nested(nested)))
    }

    #[cold]
    fn note_wait(&mut self, task: Task, waits_at: CallSite) -> Option<Nested> {
        let waits = self.rare().tasks.get_or_insert_default().begin_wait(task);
        // A task that waits twice at a time runs several futures, each of which may hold what it has for itself.
        if waits > 1 || self.max == u32::MAX {
            return None;
        }
        let held = || self.holdings().filter(|(holder, _)| *holder == Some(task));
        let (_, oldest) = held().min_by_key(|(_, lease)| lease.since)?;
        Some(Nested {
            loans: held().count(),
            acquired_at: oldest.call_site,
            waits_at,
            max: self.max,
        })
    }

    /// A caller has left the queue, with a connection or without.
    pub(super) fn end_wait(&mut self, task: Option<Task>) {
        if let (Some(task), Some(tasks)) = (task, self.tasks_mut()) {
            tasks.end_wait(task);
        }
    }

    /// Whether somebody who waits may be served when the entry is free. What drains without a place lets another one that
    /// drains give up its own.
    fn keeps_from_serving(&self, entry: &Entry<P>) -> bool {
        match entry.holds {
            Holds::Place => true,
            Holds::Permit => self.gauges.leaving > 0,
            Holds::Nothing => false,
        }
    }

    /// The leases on what may serve those who wait, each with its task.
    fn holdings(&self) -> impl Iterator<Item = (Option<Task>, &Lease)> {
        let entries = self.entries.iter().filter(|(_, entry)| self.keeps_from_serving(entry));
        let leases = entries.flat_map(|(slot, entry)| {
            entry.leases.numbered().map(move |(number, lease)| (slot, number, lease))
        });
        let holder = |slot, number| self.tasks()?.holder(slot, number);
        leases.map(move |(slot, number, lease)| (holder(slot, number), lease))
    }

    /// How many loans are held by tasks that wait.
    pub(super) fn held_by_waiting(&self) -> usize {
        self.tasks()
            .map_or(0, |tasks| self.holdings().filter(|(holder, _)| tasks.waits(*holder)).count())
    }

    /// Whether only loans could serve those who wait, and every one is held by a task that waits.
    fn is_deadlocked(&self) -> bool {
        let only_loans = self.waiting() > 0
            && self.gauges.places >= self.max
            && self.ready.is_empty()
            // A dial, a ping of what is idle and a close end by themselves.
            && self.entries.iter().all(|(_, entry)| {
                !self.keeps_from_serving(entry) || !entry.leases.is_empty()
            });
        only_loans
            && self.tasks().is_some_and(|tasks| self.holdings().all(|(task, _)| tasks.waits(task)))
    }

    /// Tells of a deadlock that has lasted for a while.
    #[cold]
    pub(super) fn look_for_deadlock(&mut self, section: &mut Section<'_, P>) {
        let after = section.common.limits.deadlock_after;
        // A shared connection in use is pinged again and again. When that fails, its place is free.
        let (is_now, is_answered) = (self.is_deadlocked(), self.pings().is_empty());
        let Some(tasks) = self.tasks_mut() else { return };
        if !is_now {
            (tasks.since, tasks.told) = (Time::NEVER, false);
            return;
        }
        tasks.since = tasks.since.min(section.now);
        if is_answered && !tasks.told && tasks.since.after(after) <= section.now {
            tasks.told = true;
            section.actions.self_wait = Some(Box::new(SelfWait::Deadlock(self.deadlock())));
        }
    }

    /// When a deadlock will have lasted for so long. The end of a ping is a section of its own.
    pub(super) fn next_deadlock(&self, after: Span) -> Option<Time> {
        if after == Span::FOREVER || !self.pings().is_empty() {
            return None;
        }
        let tasks = self.tasks().filter(|tasks| !tasks.told)?;
        Some(tasks.since.after(after))
    }

    fn deadlock(&self) -> Deadlock {
        let mut places = HashMap::new();
        for waiter in self.waiters.iter().flat_map(|waiters| waiters.queued()) {
            places.entry(waiter.task).or_insert(waiter.call_site);
        }
        let mut holdings: Vec<_> = self.holdings().collect();
        holdings.sort_by_key(|(_, lease)| lease.since);
        let mut sides: Vec<Side> = Vec::new();
        for (task, lease) in &holdings {
            let Some(&waits_at) = places.get(task) else { continue };
            let acquired_at = lease.call_site;
            let is_it =
                |side: &&mut Side| (side.acquired_at, side.waits_at) == (acquired_at, waits_at);
            match sides.iter_mut().find(is_it) {
                Some(side) => side.loans += 1,
                None => sides.push(Side { loans: 1, acquired_at, waits_at }),
            }
        }
        Deadlock { loans: holdings.len(), sides }
    }
}
