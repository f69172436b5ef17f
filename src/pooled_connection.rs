//! A loan.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::connector::Connector;
use crate::core::Sleeper;
use crate::engine::{CloseReason, Returned, Tracked};
use crate::target::Target;

/// A connection on loan. It goes back to the pool when it is dropped: on any thread, inside a
/// runtime or outside.
///
/// Dropped while its thread is panicking, the connection is closed: nobody knows in which state it
/// was left. Returned after its time, or when the pool is closed, it is closed too.
///
/// What can be done with the loan itself are associated functions, so that no method of the
/// connection is hidden: `PooledConnection::discard(conn)`.
#[must_use = "the connection goes back to the pool at once when it is dropped"]
pub struct PooledConnection<C: Connector> {
    /// Present until the loan ends.
    tracked: Option<Box<Tracked<C::Connection>>>,
    target: Arc<Target<C>>,
}

/// What the pool knows of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Tells it from every other connection of the pool.
    pub id: u64,
    /// How long ago it was made.
    pub age: Duration,
    /// How long it was idle before it was lent, or has been idle now.
    pub idle_for: Duration,
    /// How often it was lent, this time included.
    pub uses: u64,
    /// Whether it was lent before.
    pub reused: bool,
}

impl<C: Connector> PooledConnection<C> {
    #[inline]
    pub(crate) fn new(tracked: Box<Tracked<C::Connection>>, target: Arc<Target<C>>) -> Self {
        PooledConnection { tracked: Some(tracked), target }
    }

    /// Ends the loan and closes the connection, whose place is free at once: for one that has died.
    pub fn discard(mut this: Self) {
        if let Some(tracked) = this.tracked.take() {
            this.bury(tracked, CloseReason::Discarded);
        }
    }

    /// Takes the connection out of the pool, which may dial another in its place.
    pub fn detach(mut this: Self) -> C::Connection {
        let tracked = this.tracked.take().expect(PRESENT);
        let (at, loan) = (this.target.id.index, tracked.loan);
        this.target.change(|engine, now, fx| engine.detach(at, loan, now, fx));
        tracked.connection
    }

    /// What the pool knows of this connection.
    pub fn info(this: &Self) -> ConnectionInfo {
        let tracked = this.tracked.as_deref().expect(PRESENT);
        let now = this.target.core.clock.precise();
        ConnectionInfo {
            id: tracked.id,
            age: now.since(tracked.created),
            idle_for: tracked.lent.since(tracked.idle_since),
            uses: tracked.uses,
            reused: tracked.uses > 1,
        }
    }

    /// The key of the host that it is connected to.
    pub fn key(this: &Self) -> &C::Key {
        &this.target.key
    }

    /// Gives a connection back for which its looker found no use: `retain` said no.
    pub(crate) fn reject(mut this: Self) {
        if let Some(tracked) = this.tracked.take() {
            let at = this.target.id.index;
            this.target.change(|engine, now, fx| engine.reject(at, tracked, now, fx));
        }
    }

    /// Gives a connection back that was only looked at.
    pub(crate) fn put_back(mut this: Self) {
        if let Some(tracked) = this.tracked.take() {
            let at = this.target.id.index;
            this.target.change(|engine, now, fx| engine.put_back(at, tracked, now, fx));
        }
    }

    #[cold]
    fn bury(&self, tracked: Box<Tracked<C::Connection>>, reason: CloseReason) {
        let at = self.target.id.index;
        self.target.change(|engine, now, fx| engine.bury(at, tracked, reason, now, fx));
    }

    /// What is rarer than going idle or into the next one's hand.
    #[cold]
    fn settle(&self, tracked: Box<Tracked<C::Connection>>) {
        let at = self.target.id.index;
        self.target.change(|engine, now, fx| engine.settle(at, tracked, now, fx));
    }
}

const PRESENT: &str = "a loan has its connection until it ends";

impl<C: Connector> Drop for PooledConnection<C> {
    fn drop(&mut self) {
        let Some(mut tracked) = self.tracked.take() else { return };
        if thread::panicking() {
            return self.bury(tracked, CloseReason::Discarded);
        }
        let core = &self.target.core;
        if !core.is_open(&mut tracked.connection) {
            return self.bury(tracked, CloseReason::NotOpen);
        }
        let now = core.clock.now();
        let returned = self.target.engine().give_back(self.target.id.index, tracked, now);
        match returned {
            Returned::Idle { first: false } | Returned::HandedOver(None) => {}
            Returned::Idle { first: true } => core.wake_upkeep(),
            Returned::HandedOver(Some(Sleeper { waker, .. })) => waker.wake(),
            Returned::Unsettled(tracked) => self.settle(tracked),
        }
    }
}

impl<C: Connector> Deref for PooledConnection<C> {
    type Target = C::Connection;

    fn deref(&self) -> &C::Connection {
        &self.tracked.as_deref().expect(PRESENT).connection
    }
}

impl<C: Connector> DerefMut for PooledConnection<C> {
    fn deref_mut(&mut self) -> &mut C::Connection {
        &mut self.tracked.as_deref_mut().expect(PRESENT).connection
    }
}

/// Names the host and the connection; what is lent need not be `Debug`.
impl<C: Connector> fmt::Debug for PooledConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field("key", &self.target.key)
            .field("id", &self.tracked.as_deref().map(|tracked| tracked.id))
            .finish_non_exhaustive()
    }
}
