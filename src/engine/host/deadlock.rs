//! Tasks that hold connections of this host and wait for others of it.
//!
//! Noted only with `deadlock_warnings`. Then joining a queue, leaving it and handing a connection over take the slow
//! path, and every section ends with a look at who waits for which task.

use std::collections::HashMap;

use super::HostState;
use crate::engine::connections::entry::{Entry, Holds};
use crate::engine::connections::leases::Lease;
use crate::engine::queue::deadlocks::{Deadlock, Nested, SelfWait, Side, Task, Tasks};
use crate::engine::queue::waiters::Waiter;
use crate::engine::{CallSite, Parts, Section, Ticket};
use crate::policy::time::{Span, Time};

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
        if !self.tasks_mut().is_some_and(|tasks| tasks.note_first(ticket, task)) {
            self.note_another(ticket, task);
        }
    }

    #[cold]
    fn note_another(&mut self, ticket: Ticket, task: Task) {
        self.rare().tasks.get_or_insert_default().note(ticket, Some(task));
    }

    /// Notes that no task holds a loan: the pool itself does, or what comes back by itself.
    pub(crate) fn note_no_holder(&mut self, ticket: Ticket) {
        if let Some(tasks) = self.tasks_mut() {
            tasks.note(ticket, None);
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
        if waits > 1 || self.membership.max() == u32::MAX {
            return None;
        }
        let held = || self.holdings().filter(|(holder, _)| *holder == Some(task));
        let (_, oldest) = held().min_by_key(|(_, lease)| lease.since)?;
        Some(Nested {
            loans: held().count(),
            acquired_at: oldest.call_site(),
            waits_at,
            max: self.membership.max(),
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
            Holds::Permit => self.connections.gauges().leaving > 0,
            Holds::Nothing => false,
        }
    }

    /// The leases on what may serve those who wait, each with its task.
    fn holdings(&self) -> impl Iterator<Item = (Option<Task>, &Lease)> {
        let entries = self.connections.iter().filter(|(_, entry)| self.keeps_from_serving(entry));
        let leases = entries.flat_map(|(slot, entry)| {
            entry
                .leases()
                .numbered()
                .map(move |(number, lease)| (Ticket { slot, lease: number }, lease))
        });
        let holder = |ticket| self.tasks()?.holder(ticket);
        leases.map(move |(ticket, lease)| (holder(ticket), lease))
    }

    /// How many loans are held by tasks that wait.
    pub(in crate::engine) fn held_by_waiting(&self) -> usize {
        self.tasks()
            .map_or(0, |tasks| self.holdings().filter(|(holder, _)| tasks.waits(*holder)).count())
    }

    /// Whether only loans could serve those who wait, and every one is held by a task that waits.
    fn is_deadlocked(&self) -> bool {
        let gauges = self.connections.gauges();
        let only_loans = self.waiting() > 0
            && gauges.places >= self.membership.max()
            && !self.connections.has_room()
            // A dial, a ping of an idle connection and a close end by themselves.
            && gauges.places == gauges.in_use;
        only_loans
            && self.tasks().is_some_and(|tasks| self.holdings().all(|(task, _)| tasks.waits(task)))
    }

    /// Tells of a deadlock that has lasted for a while.
    pub(super) fn look_for_deadlock(&mut self, section: &mut Section<'_, P>) {
        let after = section.common.limits.deadlock_after;
        if after == Span::FOREVER {
            return;
        }
        // A shared connection in use is pinged again and again. When that fails, its place is free.
        let (is_now, is_answered) = (self.is_deadlocked(), self.pings().is_empty());
        let Some(tasks) = self.tasks_mut() else { return };
        if tasks.is_news(is_now, section.now, after, is_answered) {
            section.actions.self_wait = Some(Box::new(SelfWait::Deadlock(self.deadlock())));
        }
    }

    /// When a deadlock will have lasted for so long. The end of a ping is a section of its own.
    pub(super) fn next_deadlock(&self, section: &Section<'_, P>) -> Time {
        let after = section.common.limits.deadlock_after;
        let tasks = self.tasks().filter(|_| after != Span::FOREVER && self.pings().is_empty());
        tasks.map_or(Time::NEVER, |tasks| tasks.next(after))
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
            let acquired_at = lease.call_site();
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
