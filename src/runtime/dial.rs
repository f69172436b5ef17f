//! The task of one dial. It belongs to the host, not to its waiters.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;

use super::deadline;
use super::end::Untold;
use super::failure::DialFailure;
use super::handle::Runtime;
use super::panics::{self, Panicked};
use super::parts::{Actions, Cell, Erased, Value, WaitsIn};
use super::traced::Traced;
use crate::engine::sync::{Mutex, Notify};
use crate::engine::{DialOrder, Dialed, Failed, Outage};
use crate::policy::observer::{DialDone, DialFailed};
use crate::policy::time::Time;

/// Starts a dial in a task of its own. If there is no runtime, or it has ended, the dial is
/// returned as lost. Its place may then go to another host, whose dial may be lost in the same way:
/// the caller handles them one after the other.
pub(super) fn begin(cell: &Cell, order: DialOrder<Erased>) -> Option<Dialing> {
    let DialOrder { slot, runtime, stop } = order;
    let pool = cell.pool();
    let runtime = match runtime {
        Some(WaitsIn::Other(runtime)) => Some(runtime),
        Some(WaitsIn::Maintained) => pool.maintenance.runtime().or_else(|| pool.any_runtime()),
        None => pool.any_runtime(),
    };
    let (cell, began) = (cell.clone(), pool.clock.precise());
    let span = Traced::cause();
    let untold = Untold::of(&*cell);
    let dialing =
        Dialing { cell, slot, stop, began, told: false, ended: false, span, _untold: untold };
    let Some(runtime) = runtime else { return Some(dialing) };
    // A runtime that has ended drops its task at once; this is then the only reference.
    let parcel = Arc::new(Mutex::new(Some(dialing)));
    let of_task = parcel.clone();
    runtime.spawn(async move {
        let dialing = of_task.lock().take();
        drop(of_task);
        if let Some(dialing) = dialing {
            dial(dialing).await;
        }
    });
    let left = Arc::into_inner(parcel)?;
    left.lock().take()
}

async fn dial(mut dialing: Dialing) {
    dialing.tell_begin();
    let cell = dialing.cell.clone();
    panics::log(|| tracing::debug!(target: "wharf::dial", key = ?cell, "dialing"));
    let connect_timeout = cell.pool().rules().config.connect_timeout;
    // The time-out is made inside, because that panics in a runtime without timers.
    let connect = panics::catch_future("connect", async {
        let connect = cell.connect();
        match connect_timeout {
            None => Ok(connect.await),
            Some(limit) => dialing.in_time(limit, deadline::told(limit, connect)).await,
        }
    });
    let made = {
        let made = pin!(dialing.unless_cut_off(connect));
        dialing.span.run(made).await
    };
    match made {
        Some(Ok(Ok(Ok(connection)))) => dialing.done(connection),
        Some(Ok(Ok(Err(error)))) => dialing.failed(DialFailure::Error(error)),
        Some(Ok(Err(_))) => {
            let limit = connect_timeout.unwrap_or(Duration::MAX);
            dialing.failed(DialFailure::TimedOut(limit));
        }
        Some(Err(Panicked)) => dialing.failed(DialFailure::Panicked),
        None => dialing.stopped(),
    }
}

/// The slot of a dial. If it is dropped before its end (its task was aborted, or its runtime has
/// ended) it frees the slot and wakes the waiters.
pub(super) struct Dialing {
    cell: Cell,
    slot: u32,
    /// It is not needed any more.
    stop: Arc<Notify>,
    began: Time,
    /// Its start was reported.
    told: bool,
    ended: bool,
    /// The span that caused it, until its start is reported.
    span: Traced,
    /// Its end is to be told. Dropped last.
    _untold: Option<Untold>,
}

impl Dialing {
    pub(super) fn cell(&self) -> &Cell {
        &self.cell
    }

    /// Runs in its own task: an observer that blocks delays only this dial.
    fn tell_begin(&mut self) {
        if mem::replace(&mut self.told, true) {
            return;
        }
        let cell = &self.cell;
        cell.pool().may_block(LevelFilter::INFO);
        cell.pool().observer.tell(|observer| observer.dial_began(cell));
        self.span = self.span.causes(|cause| {
            tracing::info_span!(
                target: "wharf::dial", parent: cause, "dial", key = ?cell, outcome = Empty
            )
        });
    }

    /// Gives the dial its time-out, as often as the host allows.
    async fn in_time<F: Future>(&self, limit: Duration, dial: F) -> Result<F::Output, Elapsed> {
        let mut dial = pin!(dial);
        let mut times = 1;
        loop {
            let in_time = tokio::time::timeout(limit, dial.as_mut());
            self.note_timers();
            let made = in_time.await;
            if made.is_ok() || !self.goes_on(times, limit) {
                return made;
            }
            times += 1;
        }
    }

    /// A timer was made in the dial's runtime.
    fn note_timers(&self) {
        if let Some(runtime) = Runtime::current() {
            self.cell.pool().maintenance.has_timers(&runtime);
        }
    }

    /// It has used up its time-out this often. Returns whether it may go on.
    fn goes_on(&self, times: u32, limit: Duration) -> bool {
        let failure = DialFailure::TimedOut(limit);
        let failed = Failed { failure, retryable: true, took: self.took(), timed_out: true };
        let (goes_on, begins) = self
            .cell
            .change(|state, section| state.dial_overdue((self.slot, times), failed, section));
        if begins {
            self.cell.pool().may_block(LevelFilter::WARN);
            self.log_failure(&DialFailure::TimedOut(limit), begins);
        }
        goes_on
    }

    /// Runs the dial to its end, unless it is not needed any more. Everything that had to start has
    /// started by now.
    async fn unless_cut_off<F: Future>(&self, dial: F) -> Option<F::Output> {
        let (mut dial, mut stop) = (pin!(dial), pin!(self.stop.notified()));
        poll_fn(|cx| match dial.as_mut().poll(cx) {
            Poll::Ready(made) => Poll::Ready(Some(made)),
            Poll::Pending => stop.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    fn done(mut self, mut connection: Value) {
        self.ended = true;
        let (pool, took, slot) = (self.cell.pool(), self.took(), self.slot);
        let peer_addr =
            panics::catch("peer_addr", || self.cell.peer_addr(&connection)).unwrap_or(None);
        let (host, id) = (&self.cell, pool.next_id());
        // Reported before the connection is handed over: the borrower may report that it has the
        // connection.
        pool.may_block(LevelFilter::INFO);
        pool.observer.tell(|observer| {
            observer.dial_done(&DialDone { host, id, took, peer_addr });
        });
        self.span.ends(&"connected");
        let max_leases = self.cell.leases(&connection).max(1);
        let proof = self.cell.proof(&mut connection);
        let dialed = Dialed { id, connection, max_leases, took, proof };
        let ends = self.cell.change(|state, section| state.dialed(slot, dialed, section));
        if let Some(outage) = ends {
            self.cell.pool().may_block(LevelFilter::INFO);
            self.log_end(outage);
        }
    }

    /// Logs the end of an outage.
    fn log_end(&self, Outage { since, failed_dials, told }: Outage) {
        let lasted = self.cell.pool().clock.precise().since(since);
        panics::log(|| {
            tracing::info!(
                target: "wharf::dial", key = ?self.cell, ?lasted, failed_dials, callers_told = told,
                "the host can be dialed again"
            );
        });
    }

    /// The first failure of an outage is logged as a warning, and further ones until a dial
    /// succeeds at debug level.
    fn log_failure(&self, error: &dyn Display, begins: bool) {
        let (key, took) = (&self.cell, self.took());
        panics::log(|| {
            if begins {
                tracing::warn!(target: "wharf::dial", ?key, %error, ?took, "the host cannot be dialed");
            } else {
                tracing::debug!(target: "wharf::dial", ?key, %error, ?took, "a dial failed");
            }
        });
    }

    fn took(&self) -> Duration {
        self.cell.pool().clock.precise().since(self.began)
    }

    fn tell_failure(&self, error: &dyn Display) {
        let (host, took) = (&self.cell, self.took());
        self.cell.pool().observer.tell(|observer| {
            observer.dial_failed(&DialFailed { host, took, error: format_args!("{error}") });
        });
        self.span.ends(error);
    }

    fn failed(mut self, failure: DialFailure) {
        self.ended = true;
        let (slot, error, retryable) = (self.slot, failure.clone(), failure.is_retryable());
        let timed_out = matches!(failure, DialFailure::TimedOut(_));
        let failed = Failed { failure, retryable, took: self.took(), timed_out };
        let begins = self.cell.change(|state, section| state.dial_failed(slot, failed, section));
        // The waiters already have the error, even if this thread blocks from here on.
        self.cell.pool().may_block(LevelFilter::WARN);
        self.tell_failure(&error);
        self.log_failure(&error, begins);
        let _ = panics::catch("a destructor", || drop(error));
    }

    /// The host has cut it off.
    fn stopped(mut self) {
        self.ended = true;
        let slot = self.slot;
        let begins = self.cell.change(|state, section| state.dial_stopped(slot, section));
        self.cell.pool().may_block(LevelFilter::WARN);
        let limit = self.cell.pool().rules().config.connect_timeout;
        let why: &dyn Display = match limit.filter(|limit| *limit <= self.took()) {
            Some(limit) => &DialFailure::TimedOut(limit),
            None => &CUT_OFF,
        };
        self.tell_failure(why);
        if begins {
            self.log_failure(why, begins);
        }
    }

    fn lost(&mut self, why: &dyn Display) {
        let (cell, mut actions) = self.lose();
        cell.carry_out(&mut actions);
        self.cell.pool().may_block(LevelFilter::INFO);
        self.tell_begin();
        self.tell_failure(why);
    }

    /// The caller carries out the actions.
    pub(super) fn lose(&mut self) -> (Cell, Actions) {
        self.ended = true;
        let actions = self.cell.decide(&mut |state, section| state.dial_lost(self.slot, section));
        (self.cell.clone(), actions)
    }

    /// The dial was lost at once and could not start.
    pub(super) fn tell_loss(mut self) {
        self.tell_begin();
        self.tell_failure(&NO_RUNTIME);
    }
}

const CUT_OFF: &str = "cut off: it hung, or is not needed any more";

const NO_RUNTIME: &str = "the runtime of the dial has ended";

impl Drop for Dialing {
    fn drop(&mut self) {
        if !self.ended {
            self.lost(&NO_RUNTIME);
        }
    }
}
