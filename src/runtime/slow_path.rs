//! What callers ask of a host on the slow path, by name.
//!
//! None of this is generic: it is compiled in this crate, and a program with many connectors has it once.

use std::mem;
use std::sync::Arc;

use super::any_host::AnyHost;
use super::failure::DialFailure;
use super::panics;
use super::parts::{Cell, Lent, Seat, TaskWaker, Value, Waiter};
use crate::engine::{
    Asking, Borrower, CallSite, Joined as Tried, Progress, Room, Ticket, Use, WarmRequest,
};
use crate::policy::close_reason::CloseReason;

/// How a caller joined a host's queue.
pub(crate) enum Joined {
    /// The number of callers that waited already.
    Queued {
        ahead: usize,
    },
    /// It did not have to wait. The connection was checked.
    Lent(Lent),
    /// `max_waiters_per_host` callers wait already.
    Full,
    Closed,
}

/// # Waiting
impl dyn AnyHost {
    /// Joins the queue, unless a connection can be lent at once. The host becomes the one that is listed in the
    /// directory, which may be another one by now.
    pub(crate) fn join(self: &mut Arc<Self>, waiter: &Arc<Waiter>) -> Joined {
        loop {
            return match self.change(|state, section| state.join(waiter, section)) {
                Tried::NotListed => match self.clone().enter() {
                    Some(listed) => {
                        *self = listed;
                        continue;
                    }
                    None => Joined::Closed,
                },
                Tried::Lent(lent) => match self.check_lent(lent) {
                    Some(lent) => Joined::Lent(lent),
                    None => continue,
                },
                Tried::Queued { ahead } => {
                    // Maintenance may have ended since it was asked where it runs.
                    self.ensure_maintenance();
                    Joined::Queued { ahead }
                }
                Tried::Full => Joined::Full,
                Tried::Closed => Joined::Closed,
            };
        }
    }

    /// Leaves another waker with a waiter, and starts the dials that could not be started for it.
    pub(crate) fn look_again(self: &Arc<Self>, waiter: &Waiter, waker: TaskWaker) {
        let unused = self.change(|state, _| state.look_again(waiter, waker));
        let _ = panics::catch("a waker", || drop(unused));
    }

    /// Gives up a wait whose time has passed. Returns the outcome if there is one by now.
    pub(crate) fn give_up(self: &Arc<Self>, waiter: &Waiter) -> Option<Seat> {
        self.change(|state, section| state.give_up(waiter, true, section))
    }

    /// The caller is gone. A connection that has arrived too late goes to the next one. It has
    /// waited in the seat, so it is checked again.
    pub(crate) fn cancel(self: &Arc<Self>, waiter: &Waiter) {
        match self.change(|state, section| state.give_up(waiter, false, section)) {
            Some(Seat::Served(mut lent)) => {
                let how = match self.leases_if_open(&mut lent.connection) {
                    0 => Use::Over(CloseReason::NotOpen),
                    max_leases => Use::Unused { max_leases },
                };
                self.end_use(lent, how);
            }
            other => {
                let _ = panics::catch("a destructor", || drop(other));
            }
        }
    }
}

/// # Lending and returning
impl dyn AnyHost {
    /// Lends an open connection that needs no ping.
    #[cold]
    pub(crate) fn lend_slowly(self: &Arc<Self>, borrower: Borrower) -> Option<Lent> {
        let mut has_asked = false;
        loop {
            if let Some(lent) = self.change(|state, section| state.lend_any(borrower, section)) {
                if let Some(lent) = self.check_lent(lent) {
                    return Some(lent);
                }
            } else if mem::replace(&mut has_asked, true) || !self.ask_peers(Asking::Caller) {
                self.change(|state, section| state.ping_for_the_next_try(section));
                return None;
            }
        }
    }

    /// Checks a connection that was lent without a wait: whether it is open, and whether it takes
    /// its leases.
    fn check_lent(self: &Arc<Self>, mut lent: Lent) -> Option<Lent> {
        let max_leases = self.leases_if_open(&mut lent.connection);
        self.check_leases(lent, max_leases)
    }

    /// The same for a connection that was asked already.
    #[cold]
    pub(super) fn check_leases(self: &Arc<Self>, lent: Lent, max_leases: usize) -> Option<Lent> {
        if max_leases == 0 {
            self.unlend(lent, Use::Over(CloseReason::NotOpen));
            return None;
        }
        if !self.pool().is_shared() {
            return Some(lent);
        }
        let slot = lent.ticket.slot;
        if self.change(|state, _| state.takes_its_leases(slot, max_leases)) {
            return Some(lent);
        }
        self.unlend(lent, Use::Unused { max_leases });
        None
    }

    /// Takes back a connection that was lent without a wait and does not count as lent.
    fn unlend(self: &Arc<Self>, lent: Lent, how: Use) {
        self.change(|state, section| {
            state.unlend();
            state.returned(lent, how, section);
        });
    }

    /// Ends the use of a connection.
    #[cold]
    pub(crate) fn end_use(self: &Arc<Self>, lent: Lent, how: Use) {
        self.change(|state, section| state.returned(lent, how, section));
    }

    /// Asks the peers of a few full connections how many leases they take now, for waiting callers.
    /// Returns whether a limit has changed.
    ///
    /// # Race window
    ///
    /// A connection whose last lease ends meanwhile may be closed while the share used here still
    /// lives.
    #[cold]
    pub(crate) fn ask_peers(self: &Arc<Self>, asking: Asking) -> bool {
        if !self.pool().is_shared() {
            return false;
        }
        let mut is_news = false;
        for mut peer in self.base().full_peers(asking) {
            if self.leases(&peer.connection) != peer.max_leases as usize {
                is_news = true;
                // A dead one may report room: waiters must not get it.
                let max_leases = self.leases_if_open(&mut peer.connection);
                self.change(|state, section| state.heard(&peer, max_leases, section));
            }
            let _ = panics::catch("the drop of a connection", || drop(peer));
        }
        is_news
    }

    /// The borrower doubts the connection of its loan.
    pub(crate) fn doubt(self: &Arc<Self>, slot: u32) {
        self.change(|state, _| state.doubt(slot));
    }

    /// The borrower keeps the connection.
    pub(crate) fn detach(self: &Arc<Self>, ticket: Ticket) {
        self.change(|state, section| state.detach(ticket, section));
    }
}

/// # Control
impl dyn AnyHost {
    /// Keeps the host in the directory until `let_go`. Returns the host that is listed there, which
    /// may be another one by now. A closed pool lists none.
    pub(crate) fn hold(mut self: Arc<Self>) -> Cell {
        while !self.change(|state, _| state.hold()) {
            let Some(listed) = self.clone().enter() else {
                self.change(|state, _| state.hold_closed());
                break;
            };
            self = listed;
        }
        self
    }

    pub(crate) fn let_go(self: &Arc<Self>) {
        self.change(|state, _| state.let_go());
    }

    pub(crate) fn retire(self: &Arc<Self>) {
        self.change(|state, section| state.retire(section));
    }

    pub(crate) fn set_max(self: &Arc<Self>, max: usize) {
        self.change(|state, section| state.set_max(max, section));
    }

    /// Adds a connection that was made elsewhere and is open.
    pub(crate) fn add(self: &Arc<Self>, mut value: Value) -> Room<Value> {
        self.pool().see_runtime();
        let known = (self.leases(&value).max(1), self.proof(&mut value));
        let room = self.change(|state, section| state.add(value, known, section));
        self.ensure_maintenance();
        room
    }

    /// Takes out an idle connection to inspect it.
    pub(crate) fn inspect(self: &Arc<Self>, id: u64, call_site: CallSite) -> Option<Lent> {
        self.change(|state, section| state.inspect(id, call_site, section))
    }
}

/// # Dialing in advance
impl dyn AnyHost {
    /// Begins a warm request for this many connections. Their dials begin now, if `begins` says so.
    pub(crate) fn begin_warm(self: &Arc<Self>, connections: usize, begins: bool) -> WarmRequest {
        self.change(|state, section| {
            if begins {
                state.warm(connections);
            }
            WarmRequest { number: section.common.next_id(), connections, since: section.now }
        })
    }

    /// Begins the dials of a warm request.
    pub(crate) fn warm(self: &Arc<Self>, connections: usize) {
        self.change(|state, _| state.warm(connections));
    }

    /// Returns how far a warm request has come.
    pub(crate) fn progress(
        self: &Arc<Self>,
        request: &WarmRequest,
        waker: TaskWaker,
    ) -> Progress<DialFailure> {
        self.change(|state, section| state.progress(request, waker, section))
    }

    /// Nobody waits for the warm request any more.
    pub(crate) fn leave_warm(self: &Arc<Self>, number: u64) {
        self.change(|state, section| state.leave_warm(number, section));
    }
}
