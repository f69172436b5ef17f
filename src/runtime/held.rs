//! A connection with its type, and its way into the engine and out of it.
//!
//! The engine is compiled once and knows connections as `Box<dyn Any>`. Each is in fact a [`Held`]: one box from its
//! dial to its close, so that neither a hit nor a return allocates, and a guard is one word.

use std::sync::Arc;

use super::cell::HostCell;
use super::parts::{Lent, Value};
use crate::engine::{LoanView, Ticket};
use crate::policy::connector::Connector;
use crate::policy::time::Time;

/// See the module.
pub(crate) struct Held<C: Connector> {
    /// Present while it is lent.
    pub(crate) home: Option<Arc<HostCell<C>>>,
    /// What the engine said of the latest loan.
    pub(crate) ticket: Ticket,
    pub(crate) view: LoanView,
    pub(crate) connection: C::Connection,
}

/// A connection on loan.
pub(crate) type Loan<C> = Box<Held<C>>;

const ITS_OWN: &str = "a pool has connections of its own connector only";

#[allow(clippy::unnecessary_box_returns)] // It stays in its box from its dial to its close.
impl<C: Connector> Held<C> {
    /// Puts a new connection into its box.
    pub(crate) fn boxed(connection: C::Connection) -> Value {
        let (ticket, since) = (Ticket { slot: 0, lease: 0 }, Time::NEVER);
        let view = LoanView { id: 0, since, is_first: true };
        Box::new(Held::<C> { home: None, ticket, view, connection })
    }

    /// Returns what the engine has lent with its type. It runs under the lock, and calls no user code.
    #[inline]
    pub(crate) fn lent(lent: Lent) -> Loan<C> {
        let Lent { ticket, view, connection } = lent;
        let mut held = Held::own(connection);
        (held.ticket, held.view) = (ticket, view);
        held
    }

    #[inline]
    pub(crate) fn own(value: Value) -> Loan<C> {
        value.downcast().expect(ITS_OWN)
    }

    pub(crate) fn of(value: &Value) -> &Held<C> {
        value.downcast_ref().expect(ITS_OWN)
    }

    pub(crate) fn of_mut(value: &mut Value) -> &mut Held<C> {
        value.downcast_mut().expect(ITS_OWN)
    }

    /// The reverse of [`lent`](Held::lent).
    #[inline]
    pub(crate) fn erased(self: Box<Self>) -> Lent {
        Lent { ticket: self.ticket, view: self.view, connection: self }
    }
}
