//! A caller's place in the queue. It knows no types of the connector.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::alarm::Alarm;
use crate::engine::{CallSite, Ticket, Until};
use crate::policy::observer::SlowAcquire;
use crate::policy::time::{Span, Time};
use crate::runtime::any_host::AnyHost;
use crate::runtime::handle::Runtime;
use crate::runtime::host_base::HostBase;
use crate::runtime::panics;
use crate::runtime::parts::{Cell, Seat, TaskWaker, Waiter, WaitsIn};
use crate::runtime::pool_base::PoolBase;
use crate::runtime::slow_path::Joined;

/// The time limit of an acquire.
#[derive(Clone, Copy, Debug)]
pub(super) enum TimeLimit {
    /// The pool's `acquire_timeout`.
    AsSet,
    Own(Duration),
    /// This one, or the pool's `acquire_timeout` if that is shorter.
    AtMost(Duration),
}

/// Why a caller does not wait.
#[derive(Clone, Copy)]
pub(super) enum Refusal {
    Closed,
    /// Its time limit is zero.
    NoTime,
    NoRuntime,
}

/// How a wait ended.
pub(super) enum Ended {
    With(Seat),
    OutOfTime,
    /// It was polled outside a runtime, and the one in which it began has ended.
    NoRuntime,
}

pub(super) struct Waiting {
    waiter: Arc<Waiter>,
    /// Set only if maintenance does not wake it at its deadline, or may stand still: a timer for each
    /// wait would cost more than the rest of the wait.
    alarm: Option<Box<Alarm>>,
    /// How many waited when it joined.
    ahead: usize,
}

/// # Joining
impl Waiting {
    /// Prepares a wait, which is not in the queue yet.
    pub(super) fn prepare(
        host: &dyn AnyHost,
        limit: TimeLimit,
        call_site: CallSite,
        cx: &Context<'_>,
    ) -> Result<Self, Refusal> {
        let pool = host.pool();
        if pool.is_closed() {
            return Err(Refusal::Closed);
        }
        let timeout = match limit {
            TimeLimit::AsSet => host.base().acquire_timeout(),
            TimeLimit::Own(timeout) => timeout.into(),
            TimeLimit::AtMost(limit) => Span::from(limit).min(host.base().acquire_timeout()),
        };
        if timeout == Span::ZERO {
            return Err(Refusal::NoTime);
        }
        let (runtime, is_maintained) = pool.find_runtime().ok_or(Refusal::NoRuntime)?;
        let since = pool.clock.exact();
        let is_watched = is_maintained && matches!(limit, TimeLimit::AsSet);
        let deadline = since.after(timeout);
        let until = if is_watched { Until::Watched(deadline) } else { Until::OwnTimer(deadline) };
        let own_alarm = || Alarm::of(timeout.into(), &pool.maintenance, &runtime);
        let alarm = if is_watched { None } else { own_alarm() };
        if alarm.is_some() {
            host.has_timer_in(&runtime);
        }
        // Cloning a waker runs user code, so it happens before the lock is taken.
        let waits_in = if is_maintained { WaitsIn::Maintained } else { WaitsIn::Other(runtime) };
        let waker = TaskWaker { waker: cx.waker().clone(), waits_in };
        let waiter = Arc::new(Waiter::new(since, until, pool.borrower(call_site), waker));
        Ok(Waiting { waiter, alarm, ahead: 0 })
    }

    /// Joins the queue on the fast path, if there are waiters already. Returns whether it did.
    #[inline]
    pub(super) fn join_crowd(&mut self, host: &HostBase, pool: &PoolBase) -> bool {
        let ahead = host.join_crowd(&self.waiter, pool);
        self.ahead = ahead.unwrap_or(0);
        ahead.is_some()
    }

    /// Joins the queue on the slow path.
    #[inline]
    pub(super) fn join(&mut self, host: &mut Cell) -> Joined {
        let joined = host.join(&self.waiter);
        if let Joined::Queued { ahead } = joined {
            self.ahead = ahead;
        }
        joined
    }

    /// Sets its own timer, if it has one. Returns whether its time is over.
    pub(super) fn is_over_at_once(&mut self, host: &dyn AnyHost, cx: &mut Context<'_>) -> bool {
        let runtime = self.alarm.as_ref().and_then(|_| host.pool().any_runtime());
        runtime.is_some_and(|runtime| self.has_run_out(host, &runtime, cx))
    }

    fn has_run_out(&mut self, host: &dyn AnyHost, runtime: &Runtime, cx: &mut Context<'_>) -> bool {
        let alarm = self.alarm.as_mut();
        alarm.is_some_and(|alarm| alarm.has_run_out(|| host.pool_ref(), runtime, cx))
    }
}

/// # Waiting
impl Waiting {
    pub(super) fn ahead(&self) -> usize {
        self.ahead
    }

    pub(super) fn waited(&self, pool: &PoolBase) -> Duration {
        pool.clock.precise().since(self.waiter.since)
    }

    /// Takes the outcome, if there is one. It touches only the seat.
    #[inline]
    pub(super) fn collect(&self) -> Option<Seat> {
        let mut seat = self.waiter.seat.lock();
        if matches!(&*seat, Seat::Waiting(_)) {
            return None;
        }
        Some(mem::replace(&mut *seat, Seat::Gone))
    }

    /// Waits on: it was polled, and there is no outcome yet.
    #[cold]
    pub(super) fn poll_again(&mut self, host: &Cell, cx: &mut Context<'_>) -> Poll<Ended> {
        let pool = host.pool();
        let Some(runtime) = self.runtime(pool) else {
            return Poll::Ready(Ended::NoRuntime);
        };
        self.bring_waker(host, &runtime, cx);
        if let Some(outcome) = self.collect() {
            return Poll::Ready(Ended::With(outcome));
        }
        self.take_own_timer(pool, &runtime);
        let is_over = if self.alarm.is_some() {
            self.has_run_out(&**host, &runtime, cx)
        } else {
            let deadline = self.waiter.watched();
            deadline != Time::NEVER && pool.clock.exact() >= deadline
        };
        if is_over { Poll::Ready(Ended::OutOfTime) } else { Poll::Pending }
    }

    /// Returns the runtime for dials. A caller that was woken to poll again starts dials; in a
    /// runtime that has ended, each of them would be lost at once, and it would be woken again.
    fn runtime(&self, pool: &PoolBase) -> Option<Runtime> {
        let is_to_look = matches!(&*self.waiter.seat.lock(), Seat::Waiting(None));
        if is_to_look { pool.living_runtime() } else { pool.any_runtime() }
    }

    /// Leaves the waker of the polling task if the seat has another one, or none because it was
    /// woken to poll again.
    fn bring_waker(&self, host: &Cell, runtime: &Runtime, cx: &Context<'_>) {
        let has_it = match &*self.waiter.seat.lock() {
            Seat::Waiting(Some(old)) => {
                old.waker.will_wake(cx.waker()) && host.pool().is_where(&old.waits_in, runtime)
            }
            _ => false,
        };
        if has_it {
            return;
        }
        // Cloned without the lock.
        let waits_in = WaitsIn::Other(runtime.clone());
        host.look_again(&self.waiter, TaskWaker { waker: cx.waker().clone(), waits_in });
    }

    /// Takes a timer of its own if maintenance does not run in the polling runtime.
    fn take_own_timer(&mut self, pool: &PoolBase, runtime: &Runtime) {
        self.alarm.take_if(|alarm| !alarm.may_stay(&pool.maintenance, runtime));
        if self.alarm.is_none() && !pool.maintenance.runs_in(runtime) {
            let deadline = self.waiter.watched();
            let rest = deadline.since(pool.clock.exact());
            let limit = (deadline != Time::NEVER).then_some(rest);
            self.alarm = Alarm::of(limit, &pool.maintenance, runtime);
        }
    }
}

/// # The end of a wait
impl Waiting {
    /// Gives up the wait. Returns a connection that has arrived by then.
    pub(super) fn give_up(&self, host: &Cell) -> Option<Seat> {
        host.give_up(&self.waiter)
    }

    /// The caller is gone.
    #[cold]
    pub(super) fn cancel(&self, host: &Cell) {
        if !host.base().leave_crowd(&self.waiter, host.pool()) {
            host.cancel(&self.waiter);
        }
    }

    /// Returns whether anybody is told of a wait that ended well.
    #[inline]
    pub(super) fn is_told(pool: &PoolBase) -> bool {
        pool.slow_acquire() != Span::FOREVER
            || pool.observer.is_there()
            || LevelFilter::current() >= LevelFilter::DEBUG
    }

    /// Logs the wait, and warns of a slow one. Returns how long it took.
    #[cold]
    pub(super) fn tell(&self, host: &dyn AnyHost, ticket: Ticket) -> Duration {
        let pool = host.pool();
        let waited = pool.clock.exact().since(self.waiter.since);
        if LevelFilter::current() >= LevelFilter::DEBUG {
            log_wait(host, waited);
        }
        if Span::from(waited) >= pool.slow_acquire() {
            self.warn_of(waited, ticket, host);
        }
        waited
    }

    #[cold]
    fn warn_of(&self, waited: Duration, ticket: Ticket, host: &dyn AnyHost) {
        let got = host.base().entry_view(ticket);
        let (key, id, place) = (host, got.id, self.waiter.call_site);
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
        let event = SlowAcquire { host: &key, id, waited, queueing, dialing, pinging, place };
        host.pool().observer.tell(|observer| observer.slow_acquire(&event));
    }
}

/// Logs on the caller's span, where it polls.
#[cold]
fn log_wait(key: &dyn AnyHost, waited: Duration) {
    panics::log(
        || tracing::debug!(target: "wharf::acquire", ?key, ?waited, "waited for a connection"),
    );
}
