//! The future of one acquire: an idle connection, or a wait.

use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::error::{AcquireError, AtHost};
use super::out_of_time;
use super::pooled_connection::PooledConnection;
use super::waiting::{Ended, Refusal, TimeLimit, Waiting};
use crate::engine::{Asking, CallSite};
use crate::policy::acquire_failure::AcquireFailure;
use crate::policy::connector::Connector;
use crate::runtime::cell::{Held, HostCell, Loan};
use crate::runtime::parts::Seat;
use crate::runtime::slow_path::Joined;

/// Waits for a connection. Made by [`Pool::acquire`](crate::Pool::acquire) and similar methods.
///
/// It takes an idle connection at its first poll. If there is none, it joins the host's queue, first
/// in, first out, and takes the first connection that becomes available: one that returns, one that
/// has answered a ping, or a new one.
///
/// A connection may die between being handed to a future and the next poll of that future; it is
/// not checked again.
///
/// # Cancel safety
///
/// Dropping it at any point loses nothing. A dial or a ping that was started for it continues, and
/// its connection serves the next waiter or becomes idle. A connection that was already handed to it
/// is checked with `is_open` and passed to the next waiter.
#[must_use = "an acquire does nothing until it is awaited"]
pub struct Acquire<C: Connector> {
    /// Moved into the loan when the wait ends.
    cell: Option<Arc<HostCell<C>>>,
    call_site: CallSite,
    stage: Stage,
}

enum Stage {
    Fresh(TimeLimit),
    Waiting(Waiting),
    Over,
}

type Answer<C> = Result<PooledConnection<C>, AcquireError<<C as Connector>::Error>>;

const NOT_READY: &str = "an acquire is not polled after it was ready";

impl<C: Connector> Unpin for Acquire<C> {}

impl<C: Connector> Acquire<C> {
    /// Inlined, because moving it costs as much as the rest.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Measured.
    pub(super) fn new(cell: Arc<HostCell<C>>, limit: TimeLimit, call_site: CallSite) -> Self {
        Acquire { cell: Some(cell), call_site, stage: Stage::Fresh(limit) }
    }

    /// Has logs and reports name this place in the code, instead of the line that called `acquire`.
    ///
    /// For wrappers and clients, whose own line would tell their users nothing: take
    /// [`Location::caller`] in a function that is marked `#[track_caller]` and not `async`.
    pub fn called_at(mut self, place: &'static Location<'static>) -> Self {
        self.call_site = self.call_site.at(place);
        self
    }

    /// Names the purpose of this acquire. Loans, time-outs, leaks and deadlocks show it after the line of
    /// code: `acquired at src/pool.rs:81 (checkout)`. It tells callers apart that acquire through one
    /// function of yours, all at the same line.
    ///
    /// Without one it costs nothing; with one, a look into a table of the labels in use. The table is
    /// shared by all pools and never shrinks. After 65,534 texts all further ones are shown
    /// as `other labels`, so use the purpose and not the number of an order.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wharf::{Pool, connector_fn};
    /// # let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
    /// # let pool = Pool::new(connector);
    /// let connection = pool.acquire("db-1").label("checkout").await?;
    /// let loans = pool.loans();
    /// assert_eq!(loans[0].place.label(), Some("checkout"));
    /// assert!(loans[0].place.to_string().ends_with(" (checkout)"));
    /// # drop(connection);
    /// # Ok(()) }
    /// ```
    pub fn label(mut self, label: &'static str) -> Self {
        self.call_site = self.call_site.with_label(label);
        self
    }

    /// Waits for this long at most, or for [`acquire_timeout`](crate::Builder::acquire_timeout) if that is
    /// shorter: for clients whose callers give up after a time of their own. With zero it does not
    /// wait.
    ///
    /// It has no effect once the future was polled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// # use wharf::{AcquireError, Connector, Pool, PooledConnection};
    ///
    /// async fn connection<C: Connector<Key = ()>>(
    ///     pool: &Pool<C>,
    ///     deadline: Instant, // the caller's
    /// ) -> Result<PooledConnection<C>, AcquireError<C::Error>> {
    ///     let left = deadline.saturating_duration_since(Instant::now());
    ///     pool.acquire(&()).at_most(left).await
    /// }
    /// ```
    pub fn at_most(mut self, limit: Duration) -> Self {
        if let Stage::Fresh(limited) = &mut self.stage {
            *limited = TimeLimit::AtMost(limit);
        }
        self
    }

    fn cell(&self) -> &Arc<HostCell<C>> {
        self.cell.as_ref().expect(NOT_READY)
    }

    #[inline]
    fn hit(&mut self, loan: Loan<C>) -> Poll<Answer<C>> {
        // The stage may stay as it is: without its host, the future has ended.
        let cell = self.cell.take().expect(NOT_READY);
        let loan = PooledConnection::new(loan, cell);
        PooledConnection::tell_acquired(&loan, Duration::ZERO);
        Poll::Ready(Ok(loan))
    }

    /// Joins the queue after the fast path found nothing to lend. It is separate from `poll`, to
    /// keep that path short.
    #[cold]
    #[inline(never)]
    fn join(&mut self, limit: TimeLimit, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let cell = self.cell();
        let mut waiting = match Waiting::prepare(cell.as_any(), limit, self.call_site, cx) {
            Ok(waiting) => waiting,
            Err(Refusal::Closed) => return self.fail(AcquireError::Closed),
            Err(refusal) => return self.look_once(refusal),
        };
        if waiting.join_crowd(cell, &cell.pool) {
            return self.wait(waiting, Asking::InCrowd, cx);
        }
        let mut host = self.cell.take().expect(NOT_READY).into_any();
        let joined = waiting.join(&mut host);
        self.cell = Some(HostCell::typed(host));
        match joined {
            Joined::Queued { .. } => self.wait(waiting, Asking::Caller, cx),
            Joined::Lent(lent) => self.hit(Held::lent(lent)),
            Joined::Full => {
                let limit = self.cell().rules().common.limits.max_waiters_per_host;
                self.fail(AcquireError::QueueFull(AtHost::new(self.cell().as_any().name(), limit)))
            }
            Joined::Closed => self.fail(AcquireError::Closed),
        }
    }

    /// Tries once without waiting; a caller with a zero time-out gets this attempt too.
    fn look_once(&mut self, refusal: Refusal) -> Poll<Answer<C>> {
        let cell = self.cell();
        if let Some(listed) = cell.listed() {
            self.cell = Some(listed);
        }
        match self.cell().try_lend(self.call_site) {
            Some(loan) => self.hit(loan),
            None if matches!(refusal, Refusal::NoRuntime) => self.fail(AcquireError::NoRuntime),
            None => {
                let error = out_of_time::too_late(self.cell().as_any());
                self.fail(error)
            }
        }
    }

    /// Fails before the caller waits.
    fn fail(&mut self, error: AcquireError<C::Error>) -> Poll<Answer<C>> {
        self.stage = Stage::Over;
        out_of_time::tell_failure(self.cell().as_any(), error.kind(), Duration::ZERO);
        Poll::Ready(Err(error))
    }

    fn wait(&mut self, waiting: Waiting, asking: Asking, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        // The caller is in the queue now: if its timer panics, because the runtime has ended,
        // dropping the stage ends the wait.
        self.stage = Stage::Waiting(waiting);
        if self.cell().pool.is_shared() {
            self.cell().any().ask_peers(asking);
        }
        let cell = self.cell.as_ref().expect(NOT_READY);
        let Stage::Waiting(waiting) = &mut self.stage else { unreachable!("{NOT_READY}") };
        if waiting.is_over_at_once(cell.as_any(), cx) { self.give_up() } else { Poll::Pending }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let cell = self.cell.as_ref().expect(NOT_READY);
        let Stage::Waiting(waiting) = &mut self.stage else { unreachable!("{NOT_READY}") };
        if let Some(seat) = waiting.collect() {
            return self.end(seat);
        }
        let host = cell.any();
        match waiting.poll_again(&host, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ended::With(seat)) => self.end(seat),
            Poll::Ready(Ended::OutOfTime) => self.give_up(),
            Poll::Ready(Ended::NoRuntime) => {
                let (waiting, _) = self.leave();
                waiting.cancel(&host);
                let (failure, waited) = (AcquireFailure::NoRuntime, waiting.waited(host.pool()));
                out_of_time::tell_failure(&*host, failure, waited);
                Poll::Ready(Err(AcquireError::NoRuntime))
            }
        }
    }

    /// The time-out has passed; a connection that arrived at the same moment is taken.
    #[cold]
    fn give_up(&mut self) -> Poll<Answer<C>> {
        let host = self.cell().any();
        let Stage::Waiting(waiting) = &self.stage else { unreachable!("{NOT_READY}") };
        // Done while the caller is still queued: the user's `Debug` or `Display` may panic in the
        // report.
        let waited = waiting.waited(host.pool());
        let report = out_of_time::report(&*host, waited, waiting.ahead());
        if let Some(seat) = waiting.give_up(&host) {
            return self.end(seat);
        }
        self.leave();
        out_of_time::tell_failure(&*host, report.kind(), waited);
        Poll::Ready(Err(report))
    }

    /// The wait has ended with this outcome.
    fn end(&mut self, seat: Seat) -> Poll<Answer<C>> {
        let (waiting, cell) = self.leave();
        let error = match seat {
            Seat::Served(lent) => return Poll::Ready(Ok(served(&waiting, Held::lent(lent), cell))),
            Seat::Failed(failure) => AcquireError::of_dial(failure, cell.as_any().name()),
            Seat::Closed | Seat::Waiting(_) | Seat::Gone => AcquireError::Closed,
        };
        out_of_time::tell_failure(cell.as_any(), error.kind(), waiting.waited(&cell.pool));
        Poll::Ready(Err(error))
    }

    /// The caller is gone. Not inlined: after a hit there is nothing to do.
    #[cold]
    #[inline(never)]
    fn cancel(&mut self) {
        let (Stage::Waiting(waiting), Some(cell)) = (&self.stage, &self.cell) else { return };
        let host = cell.any();
        waiting.cancel(&host);
        if host.pool().observer.is_there() {
            let (failure, waited) = (AcquireFailure::Cancelled, waiting.waited(host.pool()));
            out_of_time::tell_failure(&*host, failure, waited);
        }
    }

    /// Takes everything out of the future, which has ended.
    fn leave(&mut self) -> (Waiting, Arc<HostCell<C>>) {
        let Stage::Waiting(waiting) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("{NOT_READY}")
        };
        (waiting, self.cell.take().expect(NOT_READY))
    }
}

fn served<C: Connector>(
    waiting: &Waiting,
    loan: Loan<C>,
    cell: Arc<HostCell<C>>,
) -> PooledConnection<C> {
    if !Waiting::is_told(&cell.pool) {
        return PooledConnection::new(loan, cell);
    }
    let waited = waiting.tell(cell.as_any(), loan.ticket);
    let loan = PooledConnection::new(loan, cell);
    PooledConnection::tell_acquired(&loan, waited);
    loan
}

impl<C: Connector> Future for Acquire<C> {
    type Output = Answer<C>;

    /// # Panics
    ///
    /// If it is polled again after it was ready, or if it has to wait with a time limit in a tokio
    /// runtime whose timers are not enabled.
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let Stage::Fresh(limit) = self.stage else { return self.poll_waiting(cx) };
        let cell = self.cell();
        if !cell.is_crowded() {
            if let Some(loan) = cell.lend(self.call_site) {
                return self.hit(loan);
            }
        }
        self.join(limit, cx)
    }
}

impl<C: Connector> Drop for Acquire<C> {
    #[inline]
    fn drop(&mut self) {
        if matches!(self.stage, Stage::Waiting(_)) {
            self.cancel();
        }
    }
}

impl<C: Connector> fmt::Debug for Acquire<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("polled", &!matches!(self.stage, Stage::Fresh(_)))
            .field("waiting", &matches!(self.stage, Stage::Waiting(_)))
            .finish_non_exhaustive()
    }
}
