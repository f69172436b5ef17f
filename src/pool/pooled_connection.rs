//! The guard of a lent connection.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::engine::LoanView;
use crate::engine::status::EntryView;
use crate::engine::{CallSite, Use};
use crate::policy::close_reason::CloseReason;
use crate::policy::connector::Connector;
use crate::policy::observer::{Acquired, Closed, Returned};
use crate::policy::time::Time;
use crate::runtime::cell::{HostCell, Loan};

/// A connection on loan. It returns to the pool when it is dropped, on any thread, inside or
/// outside a runtime.
///
/// If it is dropped while its thread is panicking, the connection is closed, because its state is
/// unknown. It is also closed if it returns after its lifetime or to a closed pool.
///
/// The operations on the loan itself are associated functions, so that they do not hide a method of
/// the connection: `PooledConnection::discard(conn)`.
#[must_use = "the connection goes back to the pool at once when it is dropped"]
pub struct PooledConnection<C: Connector> {
    /// Present until the loan ends. The guard is a single pointer, which makes moving it cheap.
    loan: Option<Loan<C>>,
}

/// What the pool knows about a connection.
///
/// With the feature `serde` it is written under the names of its fields, times as a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The connection's id, unique within the pool.
    pub id: u64,
    /// The time since it was made.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub age: Duration,
    /// How long it was idle before it was lent, or has been idle now. A ping or a heartbeat is not
    /// a use.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::policy::figures::seconds"))]
    pub idle_for: Duration,
    /// How often it was lent, this time included.
    pub uses: u64,
    /// Whether it was lent before.
    pub reused: bool,
}

impl<C: Connector> PooledConnection<C> {
    #[inline]
    pub(crate) fn new(mut loan: Loan<C>, cell: Arc<HostCell<C>>) -> Self {
        // It was not lent, so there is nothing to drop.
        std::mem::forget(loan.home.replace(cell));
        PooledConnection { loan: Some(loan) }
    }

    /// Lends an open connection that needs no ping, if there is one.
    pub(super) fn lent_at_once(cell: &Arc<HostCell<C>>, call_site: CallSite) -> Option<Self> {
        let loan = PooledConnection::new(cell.try_lend(call_site)?, cell.clone());
        PooledConnection::tell_acquired(&loan, Duration::ZERO);
        Some(loan)
    }

    /// Ends the loan and returns the connection with its host.
    #[inline]
    fn take(&mut self) -> Option<(Loan<C>, Arc<HostCell<C>>)> {
        let mut loan = self.loan.take()?;
        let home = loan.home.take()?;
        Some((loan, home))
    }

    fn loan(&self) -> &Loan<C> {
        self.loan.as_ref().expect(PRESENT)
    }

    fn home(&self) -> &Arc<HostCell<C>> {
        self.loan().home.as_ref().expect(PRESENT)
    }

    /// Returns the key as it is shown.
    pub(super) fn shown_key(&self) -> &dyn fmt::Debug {
        self.home()
    }

    fn view(&self) -> EntryView {
        let loan = self.loan();
        self.home().entry_view(loan.ticket)
    }

    /// Ends the loan of a connection that has died, and closes it; its place is free at once. Older
    /// connections of its host become suspect: each must answer a ping before it is lent again,
    /// including those that are lent now.
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
    /// // The answer made no sense: the connection must not be used again.
    /// PooledConnection::discard(connection);
    /// assert_eq!(pool.status().idle, 0);
    /// # Ok(()) }
    /// ```
    pub fn discard(this: Self) {
        this.end(Use::FoundDead);
    }

    /// Ends the loan in another way than by its drop.
    pub(super) fn end(mut self, how: Use) {
        if let Some((loan, cell)) = self.take() {
            tell_returned(&cell, &loan, cell.pool.clock.now());
            cell.end_use(loan, how);
        }
    }

    /// Reports that the connection may be dead, for a borrower that has heard nothing from its
    /// peer. Once the connection is returned, the pool pings it and does not lend it until it has
    /// answered; others are dialed meanwhile if there is room. If it does not answer, it is closed,
    /// and older connections of its host must answer, too.
    ///
    /// The loan continues: the connection may be used, suspected again, and returned or discarded
    /// like any other.
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
    /// // No answer came in time, but the connection can still be used.
    /// PooledConnection::suspect(&connection);
    /// drop(connection);
    /// assert_eq!(pool.status().pinging, 1);
    /// # Ok(()) }
    /// ```
    pub fn suspect(this: &Self) {
        this.home().any().doubt(this.loan().ticket.slot);
    }

    /// Takes the connection out of the pool, which may dial a replacement.
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
        let (loan, cell) = this.take().expect(PRESENT);
        let ticket = loan.ticket;
        let (host, id, reason) = (&cell, loan.view.id, CloseReason::Detached);
        // Told before it leaves: it may be the last one of a closed pool.
        cell.pool.observer.tell(|observer| observer.closed(&Closed { host, id, reason }));
        cell.any().detach(ticket);
        loan.connection
    }

    /// Returns what the pool knows about this connection.
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
        let view = this.view();
        ConnectionInfo {
            id: view.id,
            age: this.home().pool.clock.precise().since(view.created),
            idle_for: view.idle_for,
            uses: view.uses,
            reused: view.uses > 1,
        }
    }

    /// Returns the key of the host.
    pub fn key(this: &Self) -> &C::Key {
        &this.home().key
    }

    /// Tells the observer about a loan that begins, once the connection has been checked.
    #[inline]
    pub(super) fn tell_acquired(this: &Self, waited: Duration) {
        let (home, LoanView { id, is_first, .. }) = (this.home(), this.loan().view);
        home.pool.observer.tell(|observer| {
            observer.acquired(&Acquired { host: home, id, waited, reused: !is_first });
        });
    }

    /// Tells the pool that the connection comes back by itself, without the task that acquired it:
    /// that task may wait for another connection, which is no deadlock. See
    /// [`deadlock_warnings`](crate::Builder::deadlock_warnings).
    ///
    /// For clients that keep a loan in the background until its exchange has ended.
    pub fn leave_task(this: &Self) {
        if this.home().pool.notes_tasks() {
            this.home().note_no_holder(this.loan().ticket);
        }
    }

    /// Ends the loan of a connection that was only looked at: it goes back to where it was, or is closed.
    pub(super) fn put_back(mut this: Self, keep: bool) {
        if let Some((loan, cell)) = this.take() {
            let how = if keep { Use::LookedAt } else { Use::Over(CloseReason::NotRetained) };
            cell.end_use(loan, how);
        }
    }
}

#[inline]
fn tell_returned<C: Connector>(cell: &HostCell<C>, loan: &Loan<C>, now: Time) {
    cell.pool.observer.tell(|observer| {
        let LoanView { id, since, .. } = loan.view;
        observer.returned(&Returned { host: &cell, id, held: now.since(since) });
    });
}

const PRESENT: &str = "a loan has its connection until it ends";

impl<C: Connector> Drop for PooledConnection<C> {
    fn drop(&mut self) {
        let Some((mut loan, cell)) = self.take() else { return };
        let pool = &cell.pool;
        let now = pool.clock.now();
        tell_returned(&cell, &loan, now);
        if thread::panicking() {
            return cell.end_use(loan, Use::Over(CloseReason::Discarded));
        }
        pool.ensure_maintenance();
        let max_leases = pool.max_leases_if_open(&mut loan.connection);
        if max_leases == 0 {
            let how = pool.how_it_closed(&mut loan.connection);
            return cell.end_use(loan, how);
        }
        if pool.is_doubted(&loan.connection) {
            cell.any().doubt(loan.ticket.slot);
        }
        match pool.needs_reset(&loan.connection) {
            Ok(false) => {
                pool.leave(&mut loan.connection);
                cell.give_back(loan, max_leases, now);
            }
            Ok(true) => cell.end_use(loan, Use::NeedsReset),
            Err(_) => cell.end_use(loan, Use::Over(CloseReason::NotOpen)),
        }
    }
}

impl<C: Connector> Deref for PooledConnection<C> {
    type Target = C::Connection;

    fn deref(&self) -> &C::Connection {
        &self.loan().connection
    }
}

impl<C: Connector> DerefMut for PooledConnection<C> {
    fn deref_mut(&mut self) -> &mut C::Connection {
        &mut self.loan.as_mut().expect(PRESENT).connection
    }
}

/// Names the host and the connection; the connection itself may not be `Debug`.
impl<C: Connector> fmt::Debug for PooledConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PooledConnection")
            .field("key", self.shown_key())
            .field("id", &self.loan().view.id)
            .finish_non_exhaustive()
    }
}
