//! Who waits for one host, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::sync::Mutex;
use super::wait_queue::WaitQueue;
use super::{CallSite, Loan, Parts};
use crate::policy::time::Time;

/// One that waits. Its seat is shared with its future: the outcome is put there under the host's lock and the seat's,
/// and collected under the seat's alone. What a hand-over touches comes first.
#[repr(C)]
pub(crate) struct Waiter<P: Parts> {
    /// In the queue, and without an outcome. Changed under the host's lock.
    queued: AtomicBool,
    /// Whether maintenance wakes it at its deadline. Otherwise a timer of its own does.
    pub(crate) is_watched: bool,
    pub(crate) since: Time,
    pub(crate) call_site: CallSite,
    pub(crate) seat: Mutex<Seat<P>>,
    /// When its time is over; `NEVER` if it has no end.
    pub(crate) deadline: Time,
}

/// When the time of a waiter is over, and who wakes it then.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Maintenance does.
    Watched(Time),
    /// A timer of its own does.
    OwnTimer(Time),
}

/// What has come of a wait so far.
pub(crate) enum Seat<P: Parts> {
    /// The waker is absent while its task is on the way to look for itself.
    Waiting(Option<P::Waker>),
    Served(Box<Loan<P>>),
    Failed(P::Failure),
    Closed,
    /// The outcome was collected, or the future has given up.
    Gone,
}

impl<P: Parts> Waiter<P> {
    pub(crate) fn new(since: Time, until: Until, call_site: CallSite, waker: P::Waker) -> Self {
        let (deadline, is_watched) = match until {
            Until::Watched(deadline) => (deadline, true),
            Until::OwnTimer(deadline) => (deadline, false),
        };
        let seat = Mutex::new(Seat::Waiting(Some(waker)));
        Waiter { since, deadline, is_watched, call_site, queued: AtomicBool::new(false), seat }
    }

    /// When maintenance wakes it, if it does.
    #[inline]
    pub(crate) fn watched(&self) -> Time {
        if self.is_watched { self.deadline } else { Time::NEVER }
    }

    fn is_queued(&self) -> bool {
        self.queued.load(Relaxed)
    }

    /// Puts the outcome into the seat. The waker that comes back is to be woken.
    fn resolve(&self, outcome: Seat<P>) -> Option<P::Waker> {
        self.queued.store(false, Relaxed);
        match std::mem::replace(&mut *self.seat.lock(), outcome) {
            Seat::Waiting(waker) => waker,
            _ => None,
        }
    }

    /// Takes the waker: its task is to look for itself.
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
    /// No waiter has an earlier deadline. The waiter that had it may be gone: only maintenance looks.
    next_deadline: Time,
    queue: WaitQueue<Arc<Waiter<P>>>,
    /// When the peers of full connections were last asked for those who wait: the first of them has asked.
    pub(super) asked_at: Time,
}

impl<P: Parts> Waiters<P> {
    pub(crate) fn new(now: Time) -> Self {
        Waiters { queue: WaitQueue::new(), next_deadline: Time::NEVER, asked_at: now }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    #[inline]
    pub(crate) fn push(&mut self, waiter: Arc<Waiter<P>>) {
        waiter.queued.store(true, Relaxed);
        if waiter.watched() < self.next_deadline {
            self.next_deadline = waiter.watched();
        }
        self.queue.push(waiter);
    }

    /// The oldest.
    pub(crate) fn front(&mut self) -> Option<&Arc<Waiter<P>>> {
        self.queue.front(|waiter| waiter.is_queued())
    }

    /// The one that has waited for longest, and the one that came last.
    pub(crate) fn oldest_and_newest(&self) -> Option<(&Waiter<P>, &Waiter<P>)> {
        let mut waiting = self.queue.iter(|waiter| waiter.is_queued());
        let oldest = waiting.next()?;
        Some((oldest, waiting.next_back().unwrap_or(oldest)))
    }

    /// How many of the first ones have waited since before this time, of this many at most.
    pub(crate) fn came_before(&self, time: Time, at_most: usize) -> usize {
        let first = self.queue.iter(|waiter| waiter.is_queued()).take(at_most);
        first.take_while(|waiter| waiter.since < time).count()
    }

    /// Gives the oldest its outcome, which is made for it.
    #[inline]
    pub(crate) fn resolve_oldest(
        &mut self,
        outcome: impl FnOnce(&Waiter<P>) -> Seat<P>,
    ) -> Option<P::Waker> {
        let waiter = self.queue.pop(|waiter| waiter.is_queued())?;
        waiter.resolve(outcome(&waiter))
    }

    /// Takes a waiter out that gives up. Says whether it was still in the queue.
    pub(crate) fn cancel(&mut self, waiter: &Waiter<P>) -> bool {
        if !waiter.queued.swap(false, Relaxed) {
            return false;
        }
        self.queue.cancel(|waiter| waiter.is_queued());
        true
    }

    /// Where the dial for the oldest is to run, unless its task is on the way to look for itself.
    pub(crate) fn oldest_runtime(&mut self) -> Option<P::Runtime> {
        match &*self.front()?.seat.lock() {
            Seat::Waiting(Some(waker)) => Some(P::runtime(waker)),
            _ => None,
        }
    }

    /// Takes the wakers of all, who stay: they are to look for themselves.
    pub(crate) fn wake_all(&mut self, wake: &mut Vec<P::Waker>) {
        let waiting = self.queue.iter(|waiter| waiter.is_queued());
        wake.extend(waiting.filter_map(|waiter| waiter.take_waker()));
    }

    /// Takes the wakers of all that maintenance watches, which it does no more.
    pub(crate) fn wake_watched(&mut self, wake: &mut Vec<P::Waker>) {
        let watched =
            self.queue.iter(|waiter| waiter.is_queued() && waiter.watched() != Time::NEVER);
        wake.extend(watched.filter_map(|waiter| waiter.take_waker()));
    }

    pub(crate) fn next_deadline(&self) -> Time {
        self.next_deadline
    }

    /// Takes the wakers of those whose time is over by `now`, who stay: they are to look for themselves. All that are
    /// watched wait for equally long, so their time is over in their order.
    pub(crate) fn wake_overdue(&mut self, now: Time, wake: &mut Vec<P::Waker>) {
        if self.next_deadline > now {
            return;
        }
        self.next_deadline = Time::NEVER;
        for waiter in
            self.queue.iter(|waiter| waiter.is_queued() && waiter.watched() != Time::NEVER)
        {
            if waiter.deadline > now {
                self.next_deadline = waiter.deadline;
                break;
            }
            wake.extend(waiter.take_waker());
        }
    }

    /// Those whose tasks are on the way to look for themselves.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn woken(&self) -> usize {
        self.queue.iter(|waiter| waiter.is_woken()).count()
    }

    /// Those who wait by the queue's own account, in its order.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn queued(&self) -> impl Iterator<Item = &Arc<Waiter<P>>> {
        self.queue.iter(|waiter| waiter.is_queued())
    }

    /// Whether no deadline of one that is asleep is missed. One whose time is over was woken, and is about to go.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn deadlines_are_watched(&self, now: Time) -> bool {
        let is_watched =
            |waiter: &Waiter<P>| waiter.watched() >= self.next_deadline || waiter.deadline <= now;
        self.queued().all(|waiter| waiter.is_woken() || is_watched(waiter))
    }
}
