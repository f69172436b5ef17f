//! The future of one acquire: an idle connection, or a wait.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::error::{AcquireError, AtHost};
use super::out_of_time;
use super::pooled_connection::PooledConnection;
use super::waiting::{Answer, Ended, Waiting};
use crate::engine::{CallSite, Joined, Until};
use crate::policy::acquire_failure::AcquireFailure;
use crate::policy::connector::Connector;
use crate::policy::time::Span;
use crate::runtime::cell::HostCell;
use crate::runtime::held::{Held, Loan};
use crate::runtime::parts::{TaskWaker, Waiter, WaitsIn};
use crate::runtime::timer::Timer;

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

/// The time limit of an acquire.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimeLimit {
    /// The pool's `acquire_timeout`.
    AsSet,
    Own(Duration),
}

const NOT_READY: &str = "an acquire is not polled after it was ready";

impl<C: Connector> Unpin for Acquire<C> {}

impl<C: Connector> Acquire<C> {
    /// Inlined, because moving it costs as much as the rest.
    #[inline(always)]
    #[allow(clippy::inline_always)] // Measured.
    pub(super) fn new(cell: Arc<HostCell<C>>, limit: TimeLimit, call_site: CallSite) -> Self {
        Acquire { cell: Some(cell), call_site, stage: Stage::Fresh(limit) }
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

    /// Fails before the caller waits.
    fn fail(&mut self, error: AcquireError<C::Error>) -> Poll<Answer<C>> {
        self.stage = Stage::Over;
        out_of_time::tell_failure(self.cell(), error.kind(), Duration::ZERO);
        Poll::Ready(Err(error))
    }

    /// Joins the queue after the fast path found nothing to lend. It is separate from `poll`, to
    /// keep that path short.
    #[cold]
    #[inline(never)]
    fn join(&mut self, limit: TimeLimit, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let pool = &self.cell().pool;
        if pool.is_closed() {
            return self.fail(AcquireError::Closed);
        }
        let timeout = match limit {
            TimeLimit::AsSet => pool.settings.acquire_timeout,
            TimeLimit::Own(timeout) => Some(timeout),
        };
        let may_wait = timeout != Some(Duration::ZERO);
        let runtime = if may_wait { pool.find_runtime() } else { None };
        let Some((runtime, is_maintained)) = runtime else { return self.look_once(may_wait) };
        let since = pool.clock.exact();
        let is_watched = is_maintained && matches!(limit, TimeLimit::AsSet);
        let deadline = since.after(Span::from(timeout));
        let until = if is_watched { Until::Watched(deadline) } else { Until::OwnTimer(deadline) };
        let timer =
            timeout.filter(|_| !is_watched).map(|limit| Box::new(Timer::new(limit, &runtime)));
        if timer.is_some() {
            pool.watch_in(&runtime);
        }
        // Cloning a waker runs user code, so it happens before the lock is taken.
        let waits_in = if is_maintained { WaitsIn::Maintained } else { WaitsIn::Other(runtime) };
        let waker = TaskWaker { waker: cx.waker().clone(), waits_in };
        let borrower = self.cell().pool.borrower(self.call_site);
        let waiter = Arc::new(Waiter::new(since, until, borrower, waker));
        if let Some(ahead) = self.cell().join_crowd(&waiter) {
            return self.wait(Waiting::new(waiter, timer, ahead), cx);
        }
        loop {
            match self.cell().change(|state, section| state.join(&waiter, section)) {
                Joined::Queued { ahead } => {
                    // Maintenance may have ended since it was asked where it runs.
                    self.cell().pool.ensure_maintenance();
                    return self.wait(Waiting::new(waiter, timer, ahead), cx);
                }
                Joined::Lent(loan) => {
                    if let Some(loan) = self.cell().check_lent(Held::lent(loan), None) {
                        return self.hit(loan);
                    }
                }
                Joined::Full => {
                    let key = self.cell().name();
                    let limit = self.cell().pool.common.limits.max_waiters_per_host;
                    return self.fail(AcquireError::QueueFull(AtHost::new(key, limit)));
                }
                Joined::Closed => return self.fail(AcquireError::Closed),
                Joined::NotListed => {
                    self.cell = Some(self.cell().pool.directory.enter(self.cell()));
                }
            }
        }
    }

    /// Tries once without waiting; a caller with a zero time-out gets this attempt too.
    fn look_once(&mut self, may_wait: bool) -> Poll<Answer<C>> {
        let pool = &self.cell().pool;
        if let Some(listed) = pool.directory.find(self.cell().hash, &self.cell().key) {
            self.cell = Some(listed);
        }
        match self.cell().try_lend(self.call_site) {
            Some(loan) => self.hit(loan),
            None if may_wait => self.fail(AcquireError::NoRuntime),
            None => {
                let error = out_of_time::too_late(self.cell());
                self.fail(error)
            }
        }
    }

    fn wait(&mut self, waiting: Waiting, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        // The caller is in the queue now: if its timer panics, because the runtime has ended,
        // dropping the stage ends the wait.
        self.stage = Stage::Waiting(waiting);
        self.cell().ask_peers();
        let Stage::Waiting(waiting) = &mut self.stage else { unreachable!("{NOT_READY}") };
        if waiting.is_over_at_once(cx) { self.give_up() } else { Poll::Pending }
    }

    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let cell = self.cell.as_ref().expect(NOT_READY);
        let Stage::Waiting(waiting) = &mut self.stage else { unreachable!("{NOT_READY}") };
        match waiting.poll(cell, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Ended::With(seat)) => {
                let (waiting, cell) = self.end();
                Poll::Ready(waiting.answer(seat, cell))
            }
            Poll::Ready(Ended::OutOfTime) => self.give_up(),
            Poll::Ready(Ended::NoRuntime) => {
                let (waiting, cell) = self.end();
                waiting.cancel(&cell);
                out_of_time::tell_failure(&cell, AcquireFailure::NoRuntime, waiting.waited(&cell));
                Poll::Ready(Err(AcquireError::NoRuntime))
            }
        }
    }

    fn end(&mut self) -> (Waiting, Arc<HostCell<C>>) {
        let Stage::Waiting(waiting) = mem::replace(&mut self.stage, Stage::Over) else {
            unreachable!("{NOT_READY}")
        };
        (waiting, self.cell.take().expect(NOT_READY))
    }

    /// The time-out has passed; a connection that arrived at the same moment is taken.
    #[cold]
    fn give_up(&mut self) -> Poll<Answer<C>> {
        let cell = self.cell.as_ref().expect(NOT_READY);
        let Stage::Waiting(waiting) = &self.stage else { unreachable!("{NOT_READY}") };
        // Done while the caller is still queued: the user's `Debug` or `Display` may panic in the
        // report.
        let (waited, ahead) = (waiting.waited(cell), waiting.ahead());
        let report = out_of_time::report(cell, waited, ahead);
        let seat = waiting.give_up(cell, true);
        let (waiting, cell) = self.end();
        if let Some(seat) = seat {
            return Poll::Ready(waiting.answer(seat, cell));
        }
        out_of_time::tell_failure(&cell, AcquireFailure::TimedOut, waited);
        Poll::Ready(Err(report))
    }
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
        if !cell.is_crowded()
            && let Some(loan) = cell.lend(self.call_site)
        {
            return self.hit(loan);
        }
        self.join(limit, cx)
    }
}

impl<C: Connector> Drop for Acquire<C> {
    #[inline]
    fn drop(&mut self) {
        if let (Stage::Waiting(waiting), Some(cell)) = (&self.stage, &self.cell) {
            waiting.cancel(cell);
            if cell.pool.settings.observer.is_there() {
                out_of_time::tell_failure(cell, AcquireFailure::Cancelled, waiting.waited(cell));
            }
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
