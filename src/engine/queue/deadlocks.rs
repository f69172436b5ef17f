//! Which tasks hold connections of a host, and which wait for others of it.
//!
//! A loan counts as held by the task that asked for it. Two things cannot be seen: that its guard was given to another
//! task, and that one task runs several futures, of which one holds and another waits. In both the connection may come
//! back although its task waits. So a deadlock is reported once it has lasted for a while in which no loan has begun.

use std::collections::HashMap;
use std::num::NonZeroU32;

use crate::engine::{CallSite, Ticket};
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
pub(crate) struct Tasks {
    /// Who holds the first lease on each entry, by slot, and the others, by slot and number. Where there is no such lease any
    /// more, it means nothing.
    first: Vec<Option<Task>>,
    more: HashMap<Ticket, Option<Task>>,
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
    /// Where it acquired the one that it has held longest.
    pub(crate) acquired_at: CallSite,
    pub(crate) waits_at: CallSite,
    /// The host's cap.
    pub(crate) max: u32,
}

/// Every loan is held by a task that waits.
#[derive(Clone, Debug)]
pub(crate) struct Deadlock {
    pub(crate) loans: usize,
    /// The loan held longest first; each pair of places once.
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
    /// Notes who holds the first lease on an entry. Returns false if it is another one, or there is
    /// no room for the entry.
    #[inline]
    pub(crate) fn note_first(&mut self, ticket: Ticket, task: Task) -> bool {
        let holder = self.first.get_mut(ticket.slot as usize);
        let Some(holder) = holder.filter(|_| ticket.lease == 0) else {
            return false;
        };
        *holder = Some(task);
        (self.since, self.told) = (Time::NEVER, false);
        true
    }

    pub(crate) fn note(&mut self, ticket: Ticket, task: Option<Task>) {
        (self.since, self.told) = (Time::NEVER, false);
        if ticket.lease > 0 {
            self.more.insert(ticket, task);
            return;
        }
        let slot = ticket.slot as usize;
        if self.first.len() <= slot {
            self.first.resize(slot + 1, None);
        }
        self.first[slot] = task;
    }

    pub(crate) fn holder(&self, ticket: Ticket) -> Option<Task> {
        match ticket.lease {
            0 => *self.first.get(ticket.slot as usize)?,
            _ => *self.more.get(&ticket)?,
        }
    }

    pub(crate) fn waits(&self, task: Option<Task>) -> bool {
        task.is_some_and(|task| self.waits.contains_key(&task))
    }

    /// One more caller of the task waits. Returns how many do.
    pub(crate) fn begin_wait(&mut self, task: Task) -> usize {
        let waits = self.waits.entry(task).or_default();
        *waits += 1;
        *waits
    }

    pub(crate) fn end_wait(&mut self, task: Task) {
        if let Some(waits) = self.waits.get_mut(&task) {
            *waits -= 1;
            if *waits == 0 {
                self.waits.remove(&task);
            }
        }
    }

    /// Notes whether there is a deadlock now. Returns whether to report it: it has lasted for so
    /// long, and `is_sure`.
    pub(crate) fn is_news(&mut self, is_now: bool, now: Time, after: Span, is_sure: bool) -> bool {
        if !is_now {
            (self.since, self.told) = (Time::NEVER, false);
            return false;
        }
        self.since = self.since.min(now);
        let is_news = is_sure && !self.told && self.since.after(after) <= now;
        self.told |= is_news;
        is_news
    }

    /// Returns when a deadlock will have lasted for so long.
    pub(crate) fn next(&self, after: Span) -> Time {
        if self.told { Time::NEVER } else { self.since.after(after) }
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use super::*;

    const AFTER: Span = Span::from_nanos(10);

    fn at(nanos: u64) -> Time {
        Time::from_nanos(nanos)
    }

    fn ticket(slot: u32, lease: u32) -> Ticket {
        Ticket { slot, lease }
    }

    #[test]
    fn each_lease_has_its_own_holder() {
        let (mut tasks, [one, two]) = (Tasks::default(), [1, 2].map(Task::new));
        assert!(!tasks.note_first(ticket(3, 0), one), "there is no room for it yet");
        tasks.note(ticket(3, 0), Some(one));
        tasks.note(ticket(3, 2), Some(two));
        assert!(!tasks.note_first(ticket(3, 2), one), "it is not the first lease");
        let holders = [ticket(3, 0), ticket(3, 2), ticket(2, 0), ticket(9, 0), ticket(3, 1)];
        let expected = [Some(one), Some(two), None, None, None];
        assert_eq!(holders.map(|ticket| tasks.holder(ticket)), expected);
        assert!(tasks.note_first(ticket(3, 0), two));
        tasks.note(ticket(3, 2), None);
        assert_eq!(
            [ticket(3, 0), ticket(3, 2)].map(|ticket| tasks.holder(ticket)),
            [Some(two), None]
        );
    }

    #[test]
    fn a_task_waits_until_its_last_caller_has_left() {
        let (mut tasks, task) = (Tasks::default(), Task::new(0));
        assert_eq!([tasks.begin_wait(task), tasks.begin_wait(task)], [1, 2]);
        tasks.end_wait(task);
        assert!(tasks.waits(Some(task)));
        tasks.end_wait(task);
        assert!(!tasks.waits(Some(task)) && !tasks.waits(None));
        tasks.end_wait(task);
    }

    #[test]
    fn a_deadlock_that_has_lasted_is_news_once() {
        let mut tasks = Tasks::default();
        assert_eq!(tasks.next(AFTER), Time::NEVER);
        assert!(!tasks.is_news(true, at(5), AFTER, true));
        assert_eq!(tasks.next(AFTER), at(15));
        assert!(!tasks.is_news(true, at(14), AFTER, true));
        assert!(!tasks.is_news(true, at(15), AFTER, false), "a ping may still end it");
        assert!(tasks.is_news(true, at(15), AFTER, true));
        assert!(!tasks.is_news(true, at(30), AFTER, true));
        assert_eq!(tasks.next(AFTER), Time::NEVER);
    }

    #[test]
    fn a_new_loan_or_the_end_of_the_deadlock_begins_its_time_again() {
        let mut tasks = Tasks::default();
        tasks.note(ticket(0, 0), None);
        let ends: [fn(&mut Tasks); 3] = [
            |tasks| assert!(tasks.note_first(ticket(0, 0), Task::new(1))),
            |tasks| tasks.note(ticket(0, 1), None),
            |tasks| assert!(!tasks.is_news(false, at(9), AFTER, true)),
        ];
        for end in ends {
            assert!(!tasks.is_news(true, at(1), AFTER, true));
            end(&mut tasks);
            assert!(!tasks.is_news(true, at(11), AFTER, true), "it begins at this time");
            assert!(tasks.is_news(true, at(21), AFTER, true));
            end(&mut tasks);
        }
    }
}
