//! A caller's place in the queue.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::error::AcquireError;
use super::out_of_time;
use super::pooled_connection::PooledConnection;
use crate::engine::Use;
use crate::policy::close_reason::CloseReason;
use crate::policy::connector::Connector;
use crate::policy::observer::SlowAcquire;
use crate::policy::time::Time;
use crate::runtime::cell::HostCell;
use crate::runtime::handle::Runtime;
use crate::runtime::held::{Held, Loan};
use crate::runtime::panics;
use crate::runtime::parts::{Seat, TaskWaker, Waiter, WaitsIn};
use crate::runtime::timer::Timer;

pub(super) type Answer<C> = Result<PooledConnection<C>, AcquireError<<C as Connector>::Error>>;

/// How a wait ended.
pub(super) enum Ended {
    With(Seat),
    OutOfTime,
    /// It was polled outside a runtime, and the one in which it began has ended.
    NoRuntime,
}

pub(super) struct Waiting {
    waiter: Arc<Waiter>,
    /// Set only if maintenance does not wake it at its deadline: a timer for each wait would cost
    /// more than the rest of the wait.
    timer: Option<Box<Timer>>,
    /// How many waited when it joined.
    ahead: usize,
}

impl Waiting {
    pub(super) fn new(waiter: Arc<Waiter>, timer: Option<Box<Timer>>, ahead: usize) -> Self {
        Waiting { waiter, timer, ahead }
    }

    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) fn waited<C: Connector>(&self, cell: &HostCell<C>) -> Duration {
        cell.pool.clock.precise().since(self.waiter.since)
    }

    /// Sets its own timer, if it has one.
    pub(super) fn is_over_at_once(&mut self, cx: &mut Context<'_>) -> bool {
        self.timer.as_mut().is_some_and(|timer| timer.poll(cx))
    }

    pub(super) fn poll<C: Connector>(
        &mut self,
        cell: &Arc<HostCell<C>>,
        cx: &mut Context<'_>,
    ) -> Poll<Ended> {
        if let Some(outcome) = self.collect() {
            return Poll::Ready(Ended::With(outcome));
        }
        let Some(runtime) = self.runtime(cell) else {
            return Poll::Ready(Ended::NoRuntime);
        };
        self.bring_waker(cell, &runtime, cx);
        if let Some(outcome) = self.collect() {
            return Poll::Ready(Ended::With(outcome));
        }
        self.take_own_timer(cell, &runtime);
        let is_over = if let Some(timer) = &mut self.timer {
            timer.has_run_out(&runtime, cx)
        } else {
            let deadline = self.waiter.watched();
            deadline != Time::NEVER && cell.pool.clock.exact() >= deadline
        };
        if is_over { Poll::Ready(Ended::OutOfTime) } else { Poll::Pending }
    }

    /// Takes the outcome, if there is one. It touches only the seat.
    fn collect(&self) -> Option<Seat> {
        let mut seat = self.waiter.seat.lock();
        if matches!(&*seat, Seat::Waiting(_)) {
            return None;
        }
        Some(mem::replace(&mut *seat, Seat::Gone))
    }

    /// Returns the runtime for dials. A caller that was woken to poll again starts dials; in a
    /// runtime that has ended, each of them would be lost at once, and it would be woken again.
    fn runtime<C: Connector>(&self, cell: &HostCell<C>) -> Option<Runtime> {
        let is_to_look = matches!(&*self.waiter.seat.lock(), Seat::Waiting(None));
        if is_to_look { cell.pool.living_runtime() } else { cell.pool.any_runtime() }
    }

    /// Leaves the waker of the polling task if the seat has another one, or none because it was
    /// woken to poll again.
    fn bring_waker<C: Connector>(
        &self,
        cell: &Arc<HostCell<C>>,
        runtime: &Runtime,
        cx: &Context<'_>,
    ) {
        if let Seat::Waiting(Some(old)) = &*self.waiter.seat.lock()
            && old.waker.will_wake(cx.waker())
            && cell.pool.is_where(&old.waits_in, runtime)
        {
            return;
        }
        // Cloned without the lock.
        let waits_in = WaitsIn::Other(runtime.clone());
        let waker = TaskWaker { waker: cx.waker().clone(), waits_in };
        let unused = cell.change(|state, _| state.look_again(&self.waiter, waker));
        let _ = panics::catch("a waker", || drop(unused));
    }

    /// Takes a timer of its own if maintenance does not run in the polling runtime.
    fn take_own_timer<C: Connector>(&mut self, cell: &HostCell<C>, runtime: &Runtime) {
        let deadline = self.waiter.watched();
        if self.timer.is_none()
            && deadline != Time::NEVER
            && !cell.pool.maintenance.runs_in(runtime)
        {
            let rest = deadline.since(cell.pool.clock.exact());
            self.timer = Some(Box::new(Timer::new(rest, runtime)));
        }
    }

    /// Gives up the wait. Returns a connection that has arrived by then.
    pub(super) fn give_up<C: Connector>(
        &self,
        cell: &Arc<HostCell<C>>,
        expired: bool,
    ) -> Option<Seat> {
        cell.change(|state, section| state.give_up(&self.waiter, expired, section))
    }

    /// The caller is gone. A connection that has arrived too late goes to the next one. It has
    /// waited in the seat, so it is checked again.
    #[cold]
    pub(super) fn cancel<C: Connector>(&self, cell: &Arc<HostCell<C>>) {
        if cell.leave_crowd(&self.waiter) {
            return;
        }
        match self.give_up(cell, false) {
            Some(Seat::Served(loan)) => {
                let mut loan = Held::<C>::lent(loan);
                let max_leases = cell.pool.max_leases_if_open(&mut loan.connection);
                let how = if max_leases > 0 {
                    Use::Unused { max_leases }
                } else {
                    Use::Over(CloseReason::NotOpen)
                };
                cell.end_use(loan, how);
            }
            other => {
                let _ = panics::catch("a destructor", || drop(other));
            }
        }
    }

    /// The wait has ended with this outcome.
    pub(super) fn answer<C: Connector>(self, seat: Seat, cell: Arc<HostCell<C>>) -> Answer<C> {
        let error = match seat {
            Seat::Served(loan) => return Ok(self.acquired(Held::lent(loan), cell)),
            Seat::Failed(failure) => AcquireError::of_dial(failure, cell.name()),
            Seat::Closed | Seat::Waiting(_) | Seat::Gone => AcquireError::Closed,
        };
        out_of_time::tell_failure(&cell, error.kind(), self.waited(&cell));
        Err(error)
    }

    fn acquired<C: Connector>(self, loan: Loan<C>, cell: Arc<HostCell<C>>) -> PooledConnection<C> {
        let settings = &cell.pool.settings;
        let is_logged = LevelFilter::current() >= LevelFilter::DEBUG;
        if settings.slow_acquire.is_none() && !settings.observer.is_there() && !is_logged {
            return PooledConnection::new(loan, cell);
        }
        let waited = cell.pool.clock.exact().since(self.waiter.since);
        if is_logged {
            log_wait(&cell, waited);
        }
        if settings.slow_acquire.is_some_and(|limit| waited >= limit) {
            self.warn_of(waited, &loan, &cell);
        }
        let loan = PooledConnection::new(loan, cell);
        PooledConnection::tell_acquired(&loan, waited);
        loan
    }

    #[cold]
    fn warn_of<C: Connector>(&self, waited: Duration, loan: &Loan<C>, cell: &HostCell<C>) {
        let got = cell.look(|state| state.entry_view(loan.ticket));
        let (key, id, place) = (cell, got.id, self.waiter.call_site);
        // The last proof of life during the wait: its dial or a ping.
        let took = if got.proved_at > self.waiter.since {
            got.proof_took.min(waited)
        } else {
            Duration::ZERO
        };
        let (dialing, pinging) =
            if got.was_dialed { (took, Duration::ZERO) } else { (Duration::ZERO, took) };
        let queueing = waited.saturating_sub(took);
        panics::log(|| {
            tracing::warn!(
                target: "wharf::acquire",
                ?key, ?waited, ?queueing, ?dialing, ?pinging, %place, "a slow acquire"
            );
        });
        let event = SlowAcquire { host: key, id, waited, queueing, dialing, pinging, place };
        cell.pool.settings.observer.tell(|observer| observer.slow_acquire(&event));
    }
}

/// Logs on the caller's span, where it polls.
#[cold]
fn log_wait<C: Connector>(cell: &HostCell<C>, waited: Duration) {
    let key = cell;
    panics::log(
        || tracing::debug!(target: "wharf::acquire", ?key, ?waited, "waited for a connection"),
    );
}
