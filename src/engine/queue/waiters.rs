//! The waiters of one host, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use super::order::{Age, End, ServiceOrder};
use super::wait_queue::WaitQueue;
use crate::engine::sync::Mutex;
use crate::engine::{Borrower, CallSite, Loan, Parts, Task};
use crate::policy::order::Order;
use crate::policy::time::Time;

/// A waiter. Its seat is shared with its future: the outcome is stored under the host's lock and
/// the seat's, and collected under the seat's alone. The fields that a hand-over uses come first.
#[repr(C)]
pub(crate) struct Waiter<P: Parts> {
    /// In the queue and without an outcome. Changed under the host's lock.
    queued: AtomicBool,
    /// Whether maintenance wakes it at its deadline. Otherwise it has a timer of its own.
    pub(crate) is_watched: bool,
    /// Known where deadlocks are looked for.
    pub(crate) task: Option<Task>,
    pub(crate) since: Time,
    pub(crate) call_site: CallSite,
    pub(crate) seat: Mutex<Seat<P>>,
    /// When its time-out passes; `NEVER` if it has none.
    pub(crate) deadline: Time,
}

/// When the time-out of a waiter passes, and what wakes it then.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Maintenance wakes it.
    Watched(Time),
    /// A timer of its own wakes it.
    OwnTimer(Time),
}

/// The state of a wait.
pub(crate) enum Seat<P: Parts> {
    /// The waker is absent while its task was woken to poll again.
    Waiting(Option<P::Waker>),
    Served(Loan<P>),
    Failed(P::Failure),
    Closed,
    /// The outcome was collected, or the future was dropped.
    Gone,
}

impl<P: Parts> Waiter<P> {
    pub(crate) fn new(since: Time, until: Until, borrower: Borrower, waker: P::Waker) -> Self {
        let (deadline, is_watched) = match until {
            Until::Watched(deadline) => (deadline, true),
            Until::OwnTimer(deadline) => (deadline, false),
        };
        let Borrower { call_site, task } = borrower;
        let seat = Mutex::new(Seat::Waiting(Some(waker)));
        let queued = AtomicBool::new(false);
        Waiter { queued, is_watched, task, since, call_site, seat, deadline }
    }

    pub(crate) fn borrower(&self) -> Borrower {
        Borrower { call_site: self.call_site, task: self.task }
    }

    /// Returns when maintenance wakes it, if it does.
    #[inline]
    pub(crate) fn watched(&self) -> Time {
        if self.is_watched { self.deadline } else { Time::NEVER }
    }

    /// A waiter with a timer of its own has a time limit of its own, or none.
    fn age(&self, now: Time) -> Age {
        let limit = self.deadline.span_since(self.since);
        let own_limit = (!self.is_watched && self.deadline != Time::NEVER).then_some(limit);
        Age { waited: now.span_since(self.since), own_limit }
    }

    fn is_queued(&self) -> bool {
        self.queued.load(Relaxed)
    }

    /// Stores the outcome in the seat. The caller wakes the returned waker.
    fn resolve(&self, outcome: Seat<P>) -> Option<P::Waker> {
        self.queued.store(false, Relaxed);
        match std::mem::replace(&mut *self.seat.lock(), outcome) {
            Seat::Waiting(waker) => waker,
            _ => None,
        }
    }

    /// Takes the waker: its task has to poll again.
    fn take_waker(&self) -> Option<P::Waker> {
        match &mut *self.seat.lock() {
            Seat::Waiting(waker) => waker.take(),
            _ => None,
        }
    }

    #[cfg(any(test, wharf_loom, fuzzing))]
    fn is_woken(&self) -> bool {
        matches!(&*self.seat.lock(), Seat::Waiting(None))
    }
}

/// See the module.
#[repr(C)]
pub(crate) struct Waiters<P: Parts> {
    /// A lower bound of the deadlines. The waiter that had it may be gone: only maintenance updates
    /// it.
    next_deadline: Time,
    /// The latest deadline of those that were pushed.
    last_deadline: Time,
    /// Whether the deadlines that maintenance watches are not in order: the time-out was lowered
    /// meanwhile.
    unordered: bool,
    queue: WaitQueue<Arc<Waiter<P>>>,
    order: ServiceOrder,
}

impl<P: Parts> Waiters<P> {
    pub(crate) fn new(order: Order) -> Self {
        let order = ServiceOrder::new(order);
        Waiters {
            queue: WaitQueue::new(),
            next_deadline: Time::NEVER,
            last_deadline: Time::START,
            unordered: false,
            order,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, waiter: Arc<Waiter<P>>) {
        waiter.queued.store(true, Relaxed);
        let watched = waiter.watched();
        if watched < self.next_deadline {
            self.next_deadline = watched;
        }
        if watched != Time::NEVER {
            self.unordered |= watched < self.last_deadline;
            self.last_deadline = watched;
        }
        self.queue.push(waiter);
    }

    pub(crate) fn set_order(&mut self, order: Order) {
        self.order.set_rule(order);
    }

    /// Returns how long those have waited whose waits were lost lately, while many are.
    pub(crate) fn lost_after(&self) -> Option<Duration> {
        self.order.lost_after().map(Duration::from)
    }

    /// Returns the oldest waiter.
    pub(crate) fn front(&mut self) -> Option<&Arc<Waiter<P>>> {
        self.queue.front(|waiter| waiter.is_queued())
    }

    /// Returns the waiter that is served next, and its end of the queue.
    #[inline]
    pub(crate) fn next(&mut self, now: Time) -> Option<(End, &Arc<Waiter<P>>)> {
        let Waiters { queue, order, .. } = self;
        let oldest = queue.front(|waiter| waiter.is_queued())?;
        let end = order.next(|| oldest.age(now));
        self.at(end).map(|waiter| (end, waiter))
    }

    /// Returns the waiter at this end.
    #[inline]
    pub(crate) fn at(&mut self, end: End) -> Option<&Arc<Waiter<P>>> {
        match end {
            End::Oldest => self.queue.front(|waiter| waiter.is_queued()),
            End::Newest => self.queue.back(|waiter| waiter.is_queued()),
        }
    }

    /// Gives the waiter at this end its connection.
    #[inline]
    pub(crate) fn serve(&mut self, end: End, loan: Loan<P>) -> Option<P::Waker> {
        self.order.served();
        let waiter = match end {
            End::Oldest => self.queue.pop(|waiter| waiter.is_queued())?,
            End::Newest => self.queue.pop_back(|waiter| waiter.is_queued())?,
        };
        waiter.resolve(Seat::Served(loan))
    }

    /// Returns the oldest waiter.
    pub(crate) fn oldest(&self) -> Option<&Waiter<P>> {
        self.queue.iter(|waiter| waiter.is_queued()).next().map(|waiter| &**waiter)
    }

    /// Returns how many of the first waiters, at most this many, joined before this time.
    pub(crate) fn came_before(&self, time: Time, at_most: usize) -> usize {
        let first = self.queue.iter(|waiter| waiter.is_queued()).take(at_most);
        first.take_while(|waiter| waiter.since < time).count()
    }

    /// Gives the oldest waiter its outcome, which is made for it.
    #[inline]
    pub(crate) fn resolve_oldest(
        &mut self,
        outcome: impl FnOnce(&Waiter<P>) -> Seat<P>,
    ) -> Option<P::Waker> {
        let waiter = self.queue.pop(|waiter| waiter.is_queued())?;
        waiter.resolve(outcome(&waiter))
    }

    /// Removes a waiter that gives up. Returns whether it was still in the queue.
    pub(crate) fn cancel(&mut self, waiter: &Waiter<P>, now: Time) -> bool {
        if !waiter.queued.swap(false, Relaxed) {
            return false;
        }
        self.queue.cancel(|waiter| waiter.is_queued());
        self.order.lost(now.span_since(waiter.since));
        true
    }

    /// Returns the runtime for the oldest waiter's dial, unless its task was woken to poll again.
    pub(crate) fn oldest_runtime(&mut self) -> Option<P::Runtime> {
        match &*self.front()?.seat.lock() {
            Seat::Waiting(Some(waker)) => Some(P::runtime(waker)),
            _ => None,
        }
    }

    /// Takes the wakers of all waiters, which stay in the queue: they have to poll again.
    pub(crate) fn wake_all(&mut self, wake: &mut Vec<P::Waker>) {
        let waiting = self.queue.iter(|waiter| waiter.is_queued());
        wake.extend(waiting.filter_map(|waiter| waiter.take_waker()));
    }

    /// Takes the wakers of all waiters that maintenance watched; it watches them no more.
    pub(crate) fn wake_watched(&mut self, wake: &mut Vec<P::Waker>) {
        let watched =
            self.queue.iter(|waiter| waiter.is_queued() && waiter.watched() != Time::NEVER);
        wake.extend(watched.filter_map(|waiter| waiter.take_waker()));
    }

    pub(crate) fn next_deadline(&self) -> Time {
        self.next_deadline
    }

    /// Takes the wakers of the waiters whose deadline is before `now`, which stay in the queue:
    /// they have to poll again. Watched waiters have the same time limit, so their deadlines are in
    /// order, unless the limit has changed.
    pub(crate) fn wake_overdue(&mut self, now: Time, wake: &mut Vec<P::Waker>) {
        if self.next_deadline > now {
            return;
        }
        self.next_deadline = Time::NEVER;
        for waiter in
            self.queue.iter(|waiter| waiter.is_queued() && waiter.watched() != Time::NEVER)
        {
            if waiter.deadline <= now {
                wake.extend(waiter.take_waker());
                continue;
            }
            self.next_deadline = self.next_deadline.min(waiter.deadline);
            if !self.unordered {
                break;
            }
        }
    }

    /// Returns the waiters whose tasks were woken to poll again.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn woken(&self) -> usize {
        self.queue.iter(|waiter| waiter.is_woken()).count()
    }

    /// Those who wait by the queue's own account, in its order.
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Arc<Waiter<P>>> {
        self.queue.iter(|waiter| waiter.is_queued())
    }

    /// Returns whether no deadline of a sleeping waiter is missed. A waiter past its deadline was
    /// woken and is about to leave.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn deadlines_are_watched(&self, now: Time) -> bool {
        let is_watched =
            |waiter: &Waiter<P>| waiter.watched() >= self.next_deadline || waiter.deadline <= now;
        self.queued().all(|waiter| waiter.is_woken() || is_watched(waiter))
    }
}
