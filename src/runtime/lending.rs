//! Lends a host's connections and takes them back: the fast paths, inlined where they are used.
//!
//! The slow paths know no types of the connector: see `slow_path.rs`.

use std::sync::Arc;

use super::cell::{Held, HostCell, Loan};
use super::host_base::Governed;
use super::parts::Value;
use super::{panics, task};
use crate::engine::{CallSite, Ended, Returned, Use};
use crate::policy::connector::Connector;
use crate::policy::time::Time;

/// # Lending
impl<C: Connector> HostCell<C> {
    /// Lends an open connection on the fast path. Connections found not open are closed.
    #[inline]
    pub(crate) fn lend(self: &Arc<Self>, call_site: CallSite) -> Option<Loan<C>> {
        loop {
            let pool = &self.pool;
            let now = pool.clock.now();
            let holder = pool.notes_tasks().then(task::current);
            let mut governed = self.state.lock();
            let Governed { rules, state } = &mut *governed;
            let loan = state.lend_as(now, call_site, &rules.common, Held::<C>::lent)?;
            if let Some(task) = holder {
                state.note_holder(loan.ticket, task);
            }
            let known = if rules.common.is_plain { 1 } else { state.max_leases(loan.ticket.slot) };
            drop(governed);
            if let Some(loan) = self.check(loan, known as usize) {
                return Some(loan);
            }
        }
    }

    /// Lends an open connection that needs no ping, on the fast path or the slow path.
    pub(crate) fn try_lend(self: &Arc<Self>, call_site: CallSite) -> Option<Loan<C>> {
        self.lend(call_site).or_else(|| {
            let borrower = self.pool.borrower(call_site);
            self.any().lend_slowly(borrower).map(Held::lent)
        })
    }

    /// Checks a connection that was just lent: whether it is open, and whether it takes as many leases as was known
    /// then.
    #[inline]
    fn check(self: &Arc<Self>, mut loan: Loan<C>, known: usize) -> Option<Loan<C>> {
        let max_leases = self.pool.max_leases_if_open(&mut loan.connection);
        if known == max_leases {
            return Some(loan);
        }
        self.any().check_leases(loan.erased(), max_leases).map(Held::lent)
    }
}

/// # Returning
impl<C: Connector> HostCell<C> {
    /// Takes back a connection that was used and is open.
    #[inline]
    pub(crate) fn give_back(self: Arc<Self>, loan: Loan<C>, max_leases: usize, now: Time) {
        let mut governed = self.state.lock();
        let Governed { rules, state } = &mut *governed;
        let ended = Ended { ticket: loan.ticket, connection: loan as Value, max_leases };
        match state.give_back(ended, now, &rules.common) {
            Returned::Idle => {}
            Returned::Left(share) => {
                drop(governed);
                let _ = panics::catch("the drop of a connection", || drop(share));
            }
            Returned::HandedOver(waker) => {
                self.note_crowded(state.waiting() > 0);
                drop(governed);
                // The reference count is next to the lock, which other threads take now.
                drop(self);
                if let Some(waker) = waker {
                    let _ = panics::catch("a waker", || waker.waker.wake());
                }
            }
            Returned::Unsettled(connection) => {
                drop(governed);
                self.end_use(Held::own(connection), Use::Ended { max_leases });
            }
        }
    }

    /// Ends the use of a connection, on the slow path.
    #[cold]
    pub(crate) fn end_use(self: Arc<Self>, loan: Loan<C>, how: Use) {
        self.into_any().end_use(loan.erased(), how);
    }
}
