//! The waiters of one host: who waits, in which order, and what has been put into whose hand.
//!
//! A waiter stays here from the moment it is queued until its owner collects the outcome or gives
//! up. Only those without an outcome are in the queue.

use slab::Slab;

use super::connection::Tracked;
use super::time::Time;
use super::wait_queue::WaitQueue;
use super::{Parts, Place};

/// Orders all waiters of an engine, across hosts: a lower one came earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub(crate) u64);

/// Names one waiter of a host, and stays unique when its place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId {
    slot: u32,
    pub(super) ticket: Ticket,
}

/// What came of a wait.
pub(crate) enum Outcome<P: Parts> {
    Connection(Box<Tracked<P::Connection>>),
    Failed(P::Failure),
    Closed,
}

struct Waiter<P: Parts> {
    ticket: Ticket,
    since: Time,
    /// When upkeep is to wake it: its time is over. `NEVER` for one who waits for as long as it says
    /// itself; others may have a timer of their own beside.
    deadline: Time,
    /// How many waited before it when it came.
    ahead: usize,
    place: Place,
    state: State<P>,
}

enum State<P: Parts> {
    /// In the queue. The waker is absent while its task is on the way to look for itself.
    Waiting(Option<P::Waker>),
    Resolved(Outcome<P>),
}

/// See the module. What every return looks at comes first.
#[repr(C)]
pub(crate) struct Waiters<P: Parts> {
    waiting: usize,
    slots: Slab<Waiter<P>>,
    queue: WaitQueue<WaiterId>,
    /// No watched waiter has an earlier deadline. Whoever had this one may be gone: only upkeep looks.
    next_deadline: Time,
}

/// A host with more room for waiters than this gives memory back when the crowd has gone.
const SMALL: usize = 64;

fn is_waiting<P: Parts>(slots: &Slab<Waiter<P>>, id: WaiterId) -> bool {
    slots
        .get(id.slot as usize)
        .is_some_and(|w| w.ticket == id.ticket && matches!(w.state, State::Waiting(..)))
}

impl<P: Parts> Waiters<P> {
    pub(crate) fn new() -> Self {
        Waiters {
            slots: Slab::new(),
            queue: WaitQueue::new(),
            waiting: 0,
            next_deadline: Time::NEVER,
        }
    }

    /// How many wait for an outcome.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Nobody waits, and no outcome lies uncollected.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) fn enqueue(
        &mut self,
        ticket: Ticket,
        now: Time,
        deadline: Time,
        place: Place,
        waker: P::Waker,
    ) -> WaiterId {
        let id = self.enter(ticket, (now, deadline), self.waiting, place, waker);
        self.queue.push_back(id);
        id
    }

    /// Queues a waiter before all others.
    pub(crate) fn enqueue_first(
        &mut self,
        ticket: Ticket,
        now: Time,
        place: Place,
        waker: P::Waker,
    ) -> WaiterId {
        let id = self.enter(ticket, (now, Time::NEVER), 0, place, waker);
        self.queue.push_front(id);
        id
    }

    fn enter(
        &mut self,
        ticket: Ticket,
        (since, deadline): (Time, Time),
        ahead: usize,
        place: Place,
        waker: P::Waker,
    ) -> WaiterId {
        let state = State::Waiting(Some(waker));
        let slot = self.slots.insert(Waiter { ticket, since, deadline, ahead, place, state });
        let slot = u32::try_from(slot).expect("fewer than four thousand million waiters");
        self.waiting += 1;
        self.next_deadline = self.next_deadline.min(deadline);
        WaiterId { slot, ticket }
    }

    /// The ticket of the oldest waiter.
    pub(crate) fn oldest(&mut self) -> Option<Ticket> {
        let slots = &self.slots;
        self.queue.front(|id| is_waiting(slots, id)).map(|id| id.ticket)
    }

    /// Where the oldest waiter came from: how long it has waited since, and its place in the code.
    pub(crate) fn oldest_origin(&mut self) -> Option<(Time, Place)> {
        let slots = &self.slots;
        let id = self.queue.front(|id| is_waiting(slots, id))?;
        let waiter = &self.slots[id.slot as usize];
        Some((waiter.since, waiter.place))
    }

    /// Since when this one waits.
    pub(crate) fn since(&self, id: WaiterId) -> Time {
        self.slots[id.slot as usize].since
    }

    /// How many waited before this one when it came.
    pub(crate) fn ahead(&self, id: WaiterId) -> usize {
        self.slots[id.slot as usize].ahead
    }

    /// The runtime of the oldest waiter, unless its task is on the way to look for itself.
    pub(crate) fn oldest_runtime(&mut self) -> Option<P::Runtime> {
        let slots = &self.slots;
        let id = self.queue.front(|id| is_waiting(slots, id))?;
        match &self.slots[id.slot as usize].state {
            State::Waiting(waker) => waker.as_ref().map(P::runtime),
            State::Resolved(_) => None,
        }
    }

    /// Gives the oldest waiter its outcome. The waker that comes back is to be woken.
    ///
    /// # Panics
    ///
    /// When nobody waits: callers look first, so that an outcome is never lost.
    pub(crate) fn resolve_oldest(&mut self, outcome: Outcome<P>) -> Option<P::Waker> {
        let slots = &self.slots;
        let id = self.queue.pop(|id| is_waiting(slots, id)).expect("somebody waits");
        self.waiting -= 1;
        let state = &mut self.slots[id.slot as usize].state;
        match std::mem::replace(state, State::Resolved(outcome)) {
            State::Waiting(waker) => waker,
            State::Resolved(_) => None,
        }
    }

    /// Takes the wakers of up to `n` of the oldest waiters, who stay queued: they are to look for
    /// themselves.
    pub(crate) fn nudge(&mut self, n: usize, wake: &mut Vec<P::Waker>) {
        let slots = &self.slots;
        let ids: Vec<_> = self.queue.iter(|id| is_waiting(slots, id)).take(n).collect();
        for id in ids {
            self.nudge_one(id, wake);
        }
    }

    pub(crate) fn next_deadline(&self) -> Time {
        self.next_deadline
    }

    /// Takes the wakers of those whose time is over by `now`, who stay queued: they are to look for
    /// themselves. All that are watched wait for equally long, so they run out in their order.
    pub(crate) fn wake_overdue(&mut self, now: Time, wake: &mut Vec<P::Waker>) {
        if self.next_deadline > now {
            return;
        }
        let slots = &self.slots;
        let ids = self.queue.iter(|id| is_waiting(slots, id));
        let watched = ids.filter(|id| slots[id.slot as usize].deadline != Time::NEVER);
        let mut overdue = Vec::new();
        self.next_deadline = Time::NEVER;
        for id in watched {
            let deadline = slots[id.slot as usize].deadline;
            if deadline > now {
                self.next_deadline = deadline;
                break;
            }
            overdue.push(id);
        }
        for id in overdue {
            self.nudge_one(id, wake);
        }
    }

    /// Takes the wakers of all that upkeep watches, which it does no more.
    pub(crate) fn wake_watched(&mut self, wake: &mut Vec<P::Waker>) {
        for (_, waiter) in &mut self.slots {
            if let (State::Waiting(waker), true) =
                (&mut waiter.state, waiter.deadline != Time::NEVER)
            {
                wake.extend(waker.take());
            }
        }
    }

    fn nudge_one(&mut self, id: WaiterId, wake: &mut Vec<P::Waker>) {
        if let State::Waiting(waker) = &mut self.slots[id.slot as usize].state {
            wake.extend(waker.take());
        }
    }

    /// Takes the connection out of a waiter's hand, if it has one there, and forgets the waiter.
    pub(crate) fn take_connection(&mut self, id: WaiterId) -> Option<Box<Tracked<P::Connection>>> {
        if !matches!(self.slots[id.slot as usize].state, State::Resolved(Outcome::Connection(_))) {
            return None;
        }
        match self.remove(id) {
            Outcome::Connection(connection) => Some(connection),
            _ => unreachable!("it was a connection"),
        }
    }

    /// Collects the outcome of a waiter; without one it goes on waiting, to be woken by `waker`.
    /// The waker that comes back is one that is not needed any more.
    pub(crate) fn collect(
        &mut self,
        id: WaiterId,
        waker: P::Waker,
    ) -> (Option<Outcome<P>>, Option<P::Waker>) {
        let slot = id.slot as usize;
        if let State::Waiting(current) = &mut self.slots[slot].state {
            return (None, current.replace(waker));
        }
        (Some(self.remove(id)), Some(waker))
    }

    /// Takes connections out of the hands they lie in, uncollected: their waiters go on waiting where
    /// they were, and are on the way to look.
    pub(crate) fn take_back(
        &mut self,
        is_it: impl Fn(&Tracked<P::Connection>) -> bool,
    ) -> Vec<Box<Tracked<P::Connection>>> {
        let mut waiting = Vec::new();
        let mut taken = Vec::new();
        for (slot, waiter) in &mut self.slots {
            if !matches!(&waiter.state, State::Resolved(Outcome::Connection(c)) if is_it(c)) {
                continue;
            }
            let old = std::mem::replace(&mut waiter.state, State::Waiting(None));
            if let State::Resolved(Outcome::Connection(connection)) = old {
                taken.push(connection);
                waiting.push((waiter.ticket, slot));
                self.next_deadline = self.next_deadline.min(waiter.deadline);
            }
        }
        for &(ticket, slot) in &waiting {
            let slot = u32::try_from(slot).expect("it had this place before");
            self.queue.put_back(WaiterId { slot, ticket }, |other| other.ticket < ticket);
        }
        self.waiting += waiting.len();
        taken
    }

    #[cfg(any(all(test, not(wharf_loom)), fuzzing))]
    pub(crate) fn is_waiting(&self, id: WaiterId) -> bool {
        is_waiting(&self.slots, id)
    }

    /// Ends a wait: what was in the waiter's hand by then, and its waker.
    pub(crate) fn cancel(&mut self, id: WaiterId) -> (Option<Outcome<P>>, Option<P::Waker>) {
        let slot = id.slot as usize;
        let State::Waiting(waker) = &mut self.slots[slot].state else {
            return (Some(self.remove(id)), None);
        };
        let waker = waker.take();
        self.slots.remove(slot);
        self.waiting -= 1;
        let slots = &self.slots;
        self.queue.cancel(|id| is_waiting(slots, id));
        self.give_memory_back();
        (None, waker)
    }

    fn remove(&mut self, id: WaiterId) -> Outcome<P> {
        let waiter = self.slots.remove(id.slot as usize);
        self.give_memory_back();
        match waiter.state {
            State::Resolved(outcome) => outcome,
            State::Waiting(..) => unreachable!("only a resolved waiter is removed"),
        }
    }

    /// Frees what a crowd has left behind. Tried each time that half of those who are left have
    /// gone, so that it stays cheap where one who came late keeps the slots before it.
    fn give_memory_back(&mut self) {
        let few = self.slots.len() * 8 < self.slots.capacity();
        let halved = self.slots.is_empty() || self.slots.len().is_power_of_two();
        if few && halved && self.slots.capacity() > SMALL {
            self.slots.shrink_to_fit();
        }
    }

    /// Whether no deadline of one who is asleep is missed.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn deadlines_are_watched(&self) -> bool {
        let is_asleep = |w: &Waiter<P>| matches!(w.state, State::Waiting(Some(_)));
        self.slots.iter().all(|(_, w)| !is_asleep(w) || w.deadline >= self.next_deadline)
    }

    /// Connections that lie in a waiter's hand.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn in_hand(&self) -> usize {
        let handed = |w: &Waiter<P>| matches!(w.state, State::Resolved(Outcome::Connection(_)));
        self.slots.iter().filter(|(_, w)| handed(w)).count()
    }

    /// How many were woken to look for themselves, and have not looked yet.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn nudged(&self) -> usize {
        self.slots.iter().filter(|(_, w)| matches!(w.state, State::Waiting(None))).count()
    }

    /// Room for how many is allocated, used or not: in the slots, and with the queue.
    #[cfg(all(test, not(wharf_loom)))]
    pub(crate) fn slots(&self) -> usize {
        self.slots.capacity()
    }

    #[cfg(all(test, not(wharf_loom)))]
    pub(crate) fn room(&self) -> usize {
        self.slots.capacity() + self.queue.capacity()
    }

    /// Those who are queued by the queue's own account, in its order.
    #[cfg(any(test, wharf_loom, fuzzing))]
    pub(crate) fn queued(&self) -> Vec<WaiterId> {
        self.queue.iter(|id| is_waiting(&self.slots, id)).collect()
    }
}
