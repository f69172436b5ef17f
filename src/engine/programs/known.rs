//! What is known of hosts and connections from outside the engine, and what that implies for a
//! connection that is lent.

use std::collections::VecDeque;

use super::super::{HostState, Leak, LoanView, PingOrder, Seat};
use super::world::{Loan, Plain, Waiter, World};
use crate::policy::order::Order;
use crate::policy::time::{Span, Time};

/// See the module.
#[derive(Default)]
pub(in crate::engine) struct Host {
    /// The waiters without an outcome, in the order of their arrival.
    pub(super) queue: VecDeque<(usize, Waiter)>,
    /// How many callers have joined it.
    pub(super) joined: u64,
    /// Places in use after the last section: more than the cap if that was lowered.
    pub(super) places: usize,
    /// Dials after the last section, for the same reason.
    pub(super) dialing: usize,
    /// Increases when a connection is found dead that was not suspect.
    pub(super) generation: u32,
}

/// See the module.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // Each is known for itself.
pub(in crate::engine) struct Connection {
    pub(super) at: usize,
    pub(super) generation: u32,
    pub(super) created: Time,
    /// The end of its lifetime.
    pub(super) expires: Time,
    /// Its lifetime has changed, and ends between these.
    pub(super) expires_in: Option<(Time, Time)>,
    /// When its last use ended, and when its dial or an answered ping last proved it alive.
    pub(super) idle_since: Time,
    pub(super) proved: Time,
    /// The section in which it was proved alive.
    pub(super) proved_step: usize,
    pub(super) uses: u64,
    pub(super) leases: usize,
    /// The leases that it takes, as last reported to the pool.
    pub(super) max_leases: usize,
    /// Retired, dead or given up: must not be lent any more.
    pub(super) over: bool,
    /// Its last borrower has left state that was not undone yet.
    pub(super) needs_reset: bool,
    /// A borrower suspects it, and it has not answered since.
    pub(super) doubted: bool,
    pub(super) gone: bool,
}

impl World {
    pub(super) fn made(&mut self, at: usize, over: bool) -> usize {
        let (now, step) = (self.now, self.step + 1);
        self.connections.push(Connection {
            at,
            generation: self.cells[at].known.generation,
            created: now,
            expires: Time::NEVER,
            expires_in: None,
            idle_since: now,
            proved: now,
            proved_step: step,
            uses: 0,
            leases: 0,
            max_leases: self.room,
            over,
            needs_reset: false,
            doubted: false,
            gone: false,
        });
        let number = self.connections.len() - 1;
        self.connections[number].expires = self.end_of_life();
        number
    }

    /// A ping begins. A connection that was too old may get another life by it.
    pub(super) fn see_taken_back(&mut self, at: usize, order: &PingOrder<Plain>) {
        self.learn_life(at, order.slot, order.connection);
        let (state, end) = (&self.cells[at].state, self.end_of_life());
        let (expires, known) =
            (state.entry(order.slot).expires, &mut self.connections[order.connection]);
        if expires != known.expires {
            assert!(known.expires <= self.now && expires == end, "another life of {known:?}");
            assert!(state.waiting() > 0, "it is too old, and nobody waits: {known:?}");
            known.expires = expires;
        }
    }

    /// When a lifetime ends that has changed is the engine's choice, within limits.
    fn learn_life(&mut self, at: usize, slot: u32, connection: usize) {
        // It may have ended, and been followed by another one.
        let next = self.end_of_life();
        let expires = self.cells[at].state.entry(slot).expires;
        let known = &mut self.connections[connection];
        let Some((first, last)) = known.expires_in.take() else { return };
        let is_within = (first..=last).contains(&expires);
        assert!(is_within || (first <= self.now && expires == next), "{expires:?}: {known:?}");
        known.expires = expires;
    }

    /// Makes its older peers suspect, unless it was suspect itself.
    pub(super) fn found_dead(&mut self, connection: usize) {
        let connection = &mut self.connections[connection];
        let host = &mut self.cells[connection.at].known;
        connection.over = true;
        host.generation += u32::from(connection.generation == host.generation);
    }

    /// A lease ends in the next section.
    pub(super) fn known_back(&mut self, loan: &Loan, was_used: bool) {
        let connection = &mut self.connections[loan.connection];
        connection.leases -= 1;
        if was_used {
            connection.idle_since = self.now;
        }
        connection.max_leases = self.room;
    }

    /// Looks at a connection that has just been lent.
    pub(super) fn known_lent(&mut self, at: usize, loan: &Loan, tag: usize) {
        self.holders.insert((at, loan.ticket), self.task(tag));
        self.learn_life(at, loan.ticket.slot, loan.connection);
        self.check_lendable(at, loan);
        let entry = &self.cells[at].state.entry(loan.ticket.slot);
        let known = &mut self.connections[loan.connection];
        let lease = entry.leases().get(loan.ticket.lease).expect("it is lent");
        let LoanView { id, since, is_first } = loan.view;
        let told = (entry.id, lease.since, known.uses == 0);
        assert_eq!((id, since, is_first), told, "what an observer is told");
        known.uses += 1;
        known.leases += 1;
        let connection = loan.connection;
        if self.is_ordered() {
            self.trace.push(format!("{at} lends {connection} to {tag}"));
        }
    }

    /// Checks that a waiter with an outcome was the oldest of its host, or the newest where the order
    /// is not strict, and resolves once.
    pub(super) fn see_served(&mut self, at: usize) {
        self.check_caps(at);
        let state = &self.cells[at].state;
        assert_eq!(
            state.connections().generation(),
            self.cells[at].known.generation,
            "who is suspect"
        );
        let waiting: Vec<_> = queued(state);
        let known = &mut self.cells[at].known.queue;
        let mut served = Vec::new();
        let is_next = |known: Option<&(usize, Waiter)>, waiting: Option<&*const _>| {
            known.map(|(_, waiter)| std::sync::Arc::as_ptr(waiter)) == waiting.copied()
        };
        while known.len() > waiting.len() {
            let newest_stays = is_next(known.back(), waiting.last());
            let is_strict = self.common.limits.order == Order::Fifo;
            let is_oldest = is_strict || waiting.is_empty() || newest_stays;
            served.extend(if is_oldest { known.pop_front() } else { known.pop_back() });
        }
        let in_order = known.iter().map(|(_, waiter)| std::sync::Arc::as_ptr(waiter)).eq(waiting);
        assert!(in_order, "1: first in, first out");
        // They may have come from two ends: a connection's first loan was its first.
        served.sort_by_key(|(_, waiter)| !is_first_loan(waiter));
        for (tag, waiter) in served {
            self.see_outcome(at, tag, &waiter);
        }
        let is_waiting = |waiter: &Waiter| matches!(&*waiter.seat.lock(), Seat::Waiting(_));
        let known = &self.cells[at].known.queue;
        assert!(known.iter().all(|(_, waiter)| is_waiting(waiter)), "1: who waits has no outcome");
    }

    fn see_outcome(&mut self, at: usize, tag: usize, waiter: &Waiter) {
        let seat = waiter.seat.lock();
        match &*seat {
            Seat::Served(loan) => self.known_lent(at, loan, tag),
            Seat::Failed(_) | Seat::Closed => {}
            Seat::Waiting(_) | Seat::Gone => {
                panic!("1: {tag} has left the queue without an outcome")
            }
        }
        assert!(self.woken.contains(&tag), "1: {tag} was served and woken");
    }

    /// Records a caller that has joined the queue.
    pub(super) fn known_queued(&mut self, at: usize, tag: usize, waiter: &Waiter) {
        let known = &mut self.cells[at].known;
        known.queue.push_back((tag, waiter.clone()));
        known.joined += 1;
    }

    pub(super) fn known_left(&mut self, at: usize, tag: usize) {
        self.cells[at].known.queue.retain(|(other, _)| *other != tag);
        self.woken.retain(|other| *other != tag);
    }

    /// Checks that each loan is reported at most once as held for long, and then once as returned.
    pub(super) fn count_leaks(&mut self, leaks: &[Leak]) {
        for leak in leaks {
            match leak {
                Leak::StillOut { lease, .. } => {
                    self.leaks += 1;
                    let held = self.now.since(lease.since);
                    assert!(Span::from(held) >= self.common.limits.leak_after, "held for {held:?}");
                }
                Leak::Back { .. } => self.leaks -= 1,
            }
        }
    }
}

fn is_first_loan(waiter: &Waiter) -> bool {
    matches!(&*waiter.seat.lock(), Seat::Served(loan) if loan.view.is_first)
}

fn queued(state: &HostState<Plain>) -> Vec<*const super::super::Waiter<Plain>> {
    let waiters = state.queue();
    waiters.map_or_else(Vec::new, |waiters| waiters.queued().map(std::sync::Arc::as_ptr).collect())
}
