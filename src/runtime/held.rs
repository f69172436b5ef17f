//! A connection with its type, and its way into the engine and out of it.
//!
//! The engine is compiled once and knows connections as `Box<dyn Any>`. Each is in fact a [`Held`]: one box from its
//! dial to its close, so that neither a hit nor a return allocates, and a guard is one word.

use super::parts::{Lent, Value};
use crate::engine::{LoanView, Ticket};
use crate::policy::time::Time;

/// A connection of the type `T` in its box, with a reference to its host while it is lent.
pub(crate) struct Held<T, H> {
    /// Present while it is lent.
    pub(crate) home: Option<H>,
    /// Of the latest loan.
    pub(crate) ticket: Ticket,
    pub(crate) view: LoanView,
    pub(crate) connection: T,
}

const ITS_OWN: &str = "a pool has connections of its own connector only";

#[allow(clippy::unnecessary_box_returns)] // It stays in its box from its dial to its close.
impl<T: Send + 'static, H: Send + 'static> Held<T, H> {
    /// Puts a new connection into its box.
    pub(crate) fn boxed(connection: T) -> Value {
        let (ticket, since) = (Ticket { slot: 0, lease: 0 }, Time::NEVER);
        let view = LoanView { id: 0, since, is_first: true };
        Box::new(Held::<T, H> { home: None, ticket, view, connection })
    }

    /// Returns with its type what the engine has lent. It runs under the lock, and calls no user code.
    #[inline]
    pub(crate) fn lent(lent: Lent) -> Box<Self> {
        let Lent { ticket, view, connection } = lent;
        let mut held = Held::own(connection);
        (held.ticket, held.view) = (ticket, view);
        held
    }

    /// The reverse of [`lent`](Held::lent).
    #[inline]
    pub(crate) fn erased(self: Box<Self>) -> Lent {
        Lent { ticket: self.ticket, view: self.view, connection: self }
    }

    #[inline]
    pub(crate) fn own(value: Value) -> Box<Self> {
        value.downcast().expect(ITS_OWN)
    }

    pub(crate) fn of(value: &Value) -> &Self {
        value.downcast_ref().expect(ITS_OWN)
    }

    pub(crate) fn of_mut(value: &mut Value) -> &mut Self {
        value.downcast_mut().expect(ITS_OWN)
    }
}
