//! A loan.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::connector::Connector;
use crate::core::Sleeper;
use crate::engine::time::Time;
use crate::engine::{self, CloseReason, Tracked};
use crate::observer::{Acquired, Closed, Returned};
use crate::ping;
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
    /// Present until the loan ends. All that a loan needs is behind this one pointer, which makes
    /// moving it cheap.
    tracked: Option<Parcel<C>>,
}

/// A connection as it travels: idle list, waiter's hand, guard.
pub(crate) type Parcel<C> = Box<Tracked<Lendable<C>>>;

/// A connection, and while it is lent, the way back.
pub(crate) struct Lendable<C: Connector> {
    pub(crate) connection: C::Connection,
    home: Option<Arc<Target<C>>>,
}

impl<C: Connector> Lendable<C> {
    pub(crate) fn new(connection: C::Connection) -> Self {
        Lendable { connection, home: None }
    }
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
    pub(crate) fn new(mut tracked: Parcel<C>, target: Arc<Target<C>>) -> Self {
        tracked.connection.home = Some(target);
        PooledConnection { tracked: Some(tracked) }
    }

    /// Ends the loan: the connection, and where it belongs.
    #[inline]
    fn take(&mut self) -> Option<(Parcel<C>, Arc<Target<C>>)> {
        let mut tracked = self.tracked.take()?;
        let home = tracked.connection.home.take()?;
        Some((tracked, home))
    }

    fn tracked(&self) -> &Tracked<Lendable<C>> {
        self.tracked.as_deref().expect(PRESENT)
    }

    fn home(&self) -> &Arc<Target<C>> {
        self.tracked().connection.home.as_ref().expect(PRESENT)
    }

    /// Ends the loan and closes the connection, whose place is free at once: for one that has died.
    /// Older idle connections of its host are suspect from now on: each must answer a ping before it
    /// is lent.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// use wharf::PooledConnection;
    ///
    /// let connection = pool.acquire("db-1").await?;
    /// // The answer made no sense: nobody should use it again.
    /// PooledConnection::discard(connection);
    /// assert_eq!(pool.status().idle, 0);
    /// # Ok(()) }
    /// ```
    pub fn discard(mut this: Self) {
        if let Some((tracked, target)) = this.take() {
            tell_returned(&target, &tracked, target.core.clock.now());
            target.change(|engine, now, fx| engine.discard(target.id.index, tracked, now, fx));
        }
    }

    /// Takes the connection out of the pool, which may dial another in its place.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// use wharf::PooledConnection;
    ///
    /// let connection = PooledConnection::detach(pool.acquire("db-1").await?);
    /// assert_eq!(connection, "db-1"); // ours, for as long as we like
    /// assert_eq!(pool.status().in_use, 0);
    /// # Ok(()) }
    /// ```
    #[allow(clippy::missing_panics_doc)] // It cannot: a loan has its connection until it ends.
    pub fn detach(mut this: Self) -> C::Connection {
        let (tracked, target) = this.take().expect(PRESENT);
        let (at, id, loan) = (target.id.index, tracked.id, tracked.loan);
        target.change(|engine, now, fx| engine.detach(at, loan, now, fx));
        let (host, reason) = (&target.key, CloseReason::Detached);
        target.core.settings.observer.tell(|o| o.closed(&Closed { host, id, reason }));
        tracked.connection.connection
    }

    /// What the pool knows of this connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// use wharf::PooledConnection;
    ///
    /// drop(pool.acquire("db-1").await?);
    /// let connection = pool.acquire("db-1").await?;
    /// let info = PooledConnection::info(&connection);
    /// assert!(info.reused);
    /// assert_eq!(info.uses, 2);
    /// # Ok(()) }
    /// ```
    pub fn info(this: &Self) -> ConnectionInfo {
        let tracked = this.tracked();
        let now = this.home().core.clock.precise();
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
        &this.home().key
    }

    /// Its borrower has it now.
    #[inline]
    pub(crate) fn tell_acquired(this: &Self, waited: Duration) {
        let home = this.home();
        home.core.settings.observer.tell(|o| {
            let Tracked { id, uses, .. } = *this.tracked();
            o.acquired(&Acquired { host: &home.key, id, waited, reused: uses > 1 });
        });
    }

    pub(crate) fn target(this: &Self) -> &Arc<Target<C>> {
        this.home()
    }

    /// Ends a loan in the middle of a ping; `expired`: because its caller's time is over.
    pub(crate) fn cut_off(mut this: Self, expired: bool) {
        if let Some((tracked, target)) = this.take() {
            let at = target.id.index;
            if expired {
                ping::report_failed_ping(&target, tracked.id);
            }
            target.change(|engine, now, fx| engine.ping_cut_off(at, tracked, expired, now, fx));
        }
    }

    /// The connection as the engine keeps it, and where it belongs: the loan is in the caller's hand
    /// now.
    pub(crate) fn into_parts(mut this: Self) -> (Parcel<C>, Arc<Target<C>>) {
        this.take().expect(PRESENT)
    }

    /// Gives a connection back for which its looker found no use: `retain` said no.
    pub(crate) fn reject(mut this: Self) {
        if let Some((tracked, target)) = this.take() {
            target.change(|engine, now, fx| engine.reject(target.id.index, tracked, now, fx));
        }
    }

    /// Gives a connection back that was lent, and not used.
    pub(crate) fn unlend(mut this: Self) {
        if let Some((tracked, target)) = this.take() {
            target.change(|engine, now, fx| engine.unlend(target.id.index, tracked, now, fx));
        }
    }

    /// Gives a connection back that was only looked at.
    pub(crate) fn put_back(mut this: Self) {
        if let Some((tracked, target)) = this.take() {
            target.change(|engine, now, fx| engine.put_back(target.id.index, tracked, now, fx));
        }
    }
}

#[inline]
fn tell_returned<C: Connector>(target: &Target<C>, tracked: &Tracked<Lendable<C>>, now: Time) {
    target.core.settings.observer.tell(|o| {
        let (id, held) = (tracked.id, now.since(tracked.lent));
        o.returned(&Returned { host: &target.key, id, held });
    });
}

#[cold]
fn bury<C: Connector>(target: &Target<C>, tracked: Parcel<C>, reason: CloseReason) {
    target.change(|engine, now, fx| engine.bury(target.id.index, tracked, reason, now, fx));
}

/// What is rarer than going idle or into the next one's hand.
#[cold]
fn settle<C: Connector>(target: &Target<C>, tracked: Parcel<C>) {
    target.change(|engine, now, fx| engine.settle(target.id.index, tracked, now, fx));
}

const PRESENT: &str = "a loan has its connection until it ends";

impl<C: Connector> Drop for PooledConnection<C> {
    fn drop(&mut self) {
        let Some((mut tracked, target)) = self.take() else { return };
        let core = &target.core;
        let now = core.clock.now();
        tell_returned(&target, &tracked, now);
        if thread::panicking() {
            return bury(&target, tracked, CloseReason::Discarded);
        }
        core.ensure_upkeep();
        if !core.is_open(&mut tracked) {
            return bury(&target, tracked, CloseReason::NotOpen);
        }
        let returned = target.engine().give_back(target.id.index, tracked, now);
        match returned {
            engine::Returned::Idle { first: false } | engine::Returned::HandedOver(None) => {}
            engine::Returned::Idle { first: true } => core.wake_upkeep(),
            engine::Returned::HandedOver(Some(Sleeper { waker, .. })) => waker.wake(),
            engine::Returned::Unsettled(tracked) => settle(&target, tracked),
        }
    }
}

impl<C: Connector> Deref for PooledConnection<C> {
    type Target = C::Connection;

    fn deref(&self) -> &C::Connection {
        &self.tracked().connection.connection
    }
}

impl<C: Connector> DerefMut for PooledConnection<C> {
    fn deref_mut(&mut self) -> &mut C::Connection {
        &mut self.tracked.as_deref_mut().expect(PRESENT).connection.connection
    }
}

/// Names the host and the connection; what is lent need not be `Debug`.
impl<C: Connector> fmt::Debug for PooledConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field("key", PooledConnection::key(self))
            .field("id", &self.tracked().id)
            .finish_non_exhaustive()
    }
}
