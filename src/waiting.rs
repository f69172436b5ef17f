//! An acquire that waits: for a ping, or in the queue.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::acquire::Answer;
use crate::connector::Connector;
use crate::core::{Shell, Sleeper};
use crate::engine::time::Time;
use crate::engine::{AfterPing, CloseReason, Outcome, Place, WaiterId};
use crate::error::AcquireError;
use crate::out_of_time::{self, Spent};
use crate::panics;
use crate::ping::{self, Ping};
use crate::pooled_connection::{Parcel, PooledConnection};
use crate::runtime::Runtime;
use crate::target::{Aim, Target};
use crate::timer::Timer;

/// A ping, or a place in the queue, given up when dropped.
pub(crate) struct Waiting<C: Connector> {
    /// Until it is ready: the loan takes it along.
    pub(crate) target: Option<Arc<Target<C>>>,
    pub(crate) stage: Stage<C>,
    pub(crate) since: Time,
    /// The part of the wait that went into a ping.
    pub(crate) pinged: Duration,
    pub(crate) place: Place,
    pub(crate) alarm: Alarm,
}

/// Who wakes a caller when its time is over.
pub(crate) enum Alarm {
    /// It waits for as long as it takes.
    Never,
    /// The pool's upkeep, at this time: a timer each would cost more than the rest of a wait.
    Upkeep(Time),
    /// It does not wait for as long as the others, or upkeep does not run in its runtime.
    Own(Timer),
}

impl Alarm {
    pub(crate) fn own(timeout: Option<Duration>, runtime: &Runtime) -> Self {
        timeout.map_or(Alarm::Never, |timeout| Alarm::Own(Timer::new(timeout, runtime)))
    }
}

pub(crate) enum Stage<C: Connector> {
    /// The host had so many doubts when it began.
    Pinging(Ping<C>, u32),
    Queued(WaiterId),
    /// The outcome is collected.
    Over,
}

impl<C: Connector> Waiting<C> {
    fn target(&self) -> &Arc<Target<C>> {
        self.target.as_ref().expect("it is not ready")
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        if let Stage::Queued(id) = self.stage {
            let now = self.target().core.clock.exact();
            let at = self.target().id.index;
            let handed = self.target().engine().collect_connection(at, id, now);
            if let Some(tracked) = handed {
                self.stage = Stage::Over;
                return Poll::Ready(Ok(self.acquired(tracked, now)));
            }
        }
        // It could wait, so a runtime has been seen; but that may have ended.
        let Some(runtime) = self.target().core.any_runtime() else {
            return Poll::Ready(Err(AcquireError::NoRuntime));
        };
        if let Poll::Ready(answer) = self.poll_stage(&runtime, cx) {
            self.stage = Stage::Over;
            return Poll::Ready(answer);
        }
        self.take_own_timer(&runtime);
        self.poll_alarm(&runtime, cx)
    }

    /// Sets its own timer, if it has one.
    pub(crate) fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let is_over = match &mut self.alarm {
            Alarm::Own(timer) => timer.poll(cx),
            Alarm::Never | Alarm::Upkeep(_) => false,
        };
        if is_over { Poll::Ready(self.expire()) } else { Poll::Pending }
    }

    fn poll_alarm(&mut self, runtime: &Runtime, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let is_over = match &mut self.alarm {
            Alarm::Never => false,
            Alarm::Own(timer) => timer.has_run_out(runtime, cx),
            &mut Alarm::Upkeep(deadline) => self.target().core.clock.exact() >= deadline,
        };
        if is_over { Poll::Ready(self.expire()) } else { Poll::Pending }
    }

    /// Upkeep does not run where this is polled now: it gets a timer of its own.
    fn take_own_timer(&mut self, runtime: &Runtime) {
        let core = &self.target().core;
        if let Alarm::Upkeep(deadline) = self.alarm
            && !core.upkeep.runs_in(runtime)
        {
            let rest = deadline.since(core.clock.exact());
            self.alarm = Alarm::own(Some(rest), runtime);
        }
    }

    fn poll_stage(&mut self, runtime: &Runtime, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        if let Stage::Pinging(ping, doubts) = &mut self.stage {
            let doubts = *doubts;
            let (loan, answered) = match ping.poll(cx) {
                Poll::Ready(pinged) => pinged,
                Poll::Pending => return Poll::Pending,
            };
            self.stage = Stage::Over;
            self.pinged = self.waited();
            if let Some(answer) = self.pinged(loan, answered, doubts, runtime, cx) {
                return Poll::Ready(answer);
            }
        }
        match self.stage {
            Stage::Queued(id) => match self.collect(id, runtime, cx) {
                Some(outcome) => {
                    self.stage = Stage::Over;
                    Poll::Ready(self.answer(outcome))
                }
                None => Poll::Pending,
            },
            _ => Poll::Pending,
        }
    }

    /// A ping has ended. When it failed, or what has answered may not be lent any more, the caller
    /// waits at the head of the queue, for at most one ping is waited for.
    fn pinged(
        &mut self,
        loan: PooledConnection<C>,
        answered: bool,
        doubts: u32,
        runtime: &Runtime,
        cx: &Context<'_>,
    ) -> Option<Answer<C>> {
        let sleeper = || Sleeper { waker: cx.waker().clone(), runtime: runtime.clone() };
        // Cloning a waker is the user's code: not under the lock, and while the loan comes back by itself.
        let (place, waker) = (self.place, sleeper());
        let (mut tracked, target) = PooledConnection::into_parts(loan);
        let (core, at) = (&target.core, target.id.index);
        let replace = |old, waker| {
            target.change(|engine, now, fx| engine.replace_pinged(at, old, now, place, waker, fx))
        };
        let mut after = if answered {
            let now = core.clock.exact();
            let outdated = target.engine().ping_answered(at, &mut tracked, doubts, now);
            match outdated {
                None => return Some(Ok(self.acquired(tracked, now))),
                Some(reason) => replace((tracked, reason), waker),
            }
        } else {
            ping::report_failed_ping(&target, tracked.id);
            target.change(|engine, now, fx| engine.ping_failed(at, tracked, now, place, waker, fx))
        };
        loop {
            match after {
                AfterPing::Connection(mut tracked) => {
                    if core.is_open(&mut tracked) {
                        return Some(Ok(self.acquired(tracked, core.clock.exact())));
                    }
                    let loan = PooledConnection::new(tracked, target.clone());
                    let waker = sleeper();
                    let dead = (PooledConnection::into_parts(loan).0, CloseReason::NotOpen);
                    after = replace(dead, waker);
                }
                AfterPing::Closed => return Some(Err(AcquireError::Closed)),
                AfterPing::Queued(id) => {
                    self.stage = Stage::Queued(id);
                    return None;
                }
            }
        }
    }

    fn collect(
        &self,
        id: WaiterId,
        runtime: &Runtime,
        cx: &Context<'_>,
    ) -> Option<Outcome<Shell<C>>> {
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime: runtime.clone() };
        let at = self.target().id.index;
        self.target().change(|engine, now, fx| engine.collect(at, id, now, sleeper, fx))
    }

    /// The time is over; but what arrived at the same moment is taken.
    fn expire(&mut self) -> Answer<C> {
        let (target, spent) = (self.target().clone(), self.spent());
        // While it is still queued: the user's `Debug` or `Display` may panic in the report.
        let aim = Aim::Known(target.clone());
        let report = out_of_time::report(&aim, spent);
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Queued(id) => {
                let at = target.id.index;
                let outcome = target.change(|engine, now, fx| engine.expire(at, id, now, fx));
                if let Some(outcome) = outcome {
                    return self.answer(outcome);
                }
            }
            Stage::Pinging(ping, _) => ping.expire(),
            Stage::Over => {}
        }
        out_of_time::tell(&aim, spent.waited);
        Err(report)
    }

    fn spent(&self) -> Spent {
        let waited = self.waited();
        match self.stage {
            Stage::Pinging(..) => Spent { waited, pinged: waited, pinging: true, waiter: None },
            Stage::Queued(id) => {
                Spent { waited, pinged: self.pinged, pinging: false, waiter: Some(id) }
            }
            Stage::Over => Spent { waited, ..Spent::default() },
        }
    }

    fn waited(&self) -> Duration {
        self.target().core.clock.precise().since(self.since)
    }

    /// The wait is over, with a connection.
    fn acquired(&mut self, tracked: Parcel<C>, now: Time) -> PooledConnection<C> {
        let waited = now.since(self.since);
        if self.target().core.settings.slow_acquire.is_some_and(|limit| waited >= limit) {
            self.warn_of(waited, &tracked);
        }
        let target = self.target.take().expect("it was not ready before");
        let loan = PooledConnection::new(tracked, target);
        PooledConnection::tell_acquired(&loan, waited);
        loan
    }

    #[cold]
    fn warn_of(&self, waited: Duration, got: &Parcel<C>) {
        let (key, place, pinging) = (&self.target().key, self.place, self.pinged);
        let rest = waited.saturating_sub(pinging);
        let dialing = if got.uses == 1 { got.took.length().min(rest) } else { Duration::ZERO };
        let queueing = rest.saturating_sub(dialing);
        panics::log(|| {
            tracing::warn!(
                target: "wharf::acquire",
                ?key, ?waited, ?queueing, ?dialing, ?pinging, %place, "a slow acquire"
            );
        });
    }

    /// Gives back what has arrived too late: it lay there for a while, so it is looked at again.
    #[cold]
    fn hand_back(&self, mut handed: Parcel<C>) {
        let target = self.target();
        let is_open = target.core.is_open(&mut handed);
        target.change(|engine, now, fx| {
            engine.hand_back(target.id.index, handed, is_open, now, fx);
        });
    }

    fn answer(&mut self, outcome: Outcome<Shell<C>>) -> Answer<C> {
        match outcome {
            Outcome::Connection(tracked) => {
                Ok(self.acquired(tracked, self.target().core.clock.exact()))
            }
            Outcome::Failed(failure) => Err(failure.into()),
            Outcome::Closed => Err(AcquireError::Closed),
        }
    }
}

impl<C: Connector> Drop for Waiting<C> {
    fn drop(&mut self) {
        if let Stage::Queued(id) = self.stage {
            let at = self.target().id.index;
            let now = self.target().core.clock.exact();
            let in_hand =
                self.target().change_at(now, |engine, now, fx| engine.cancel(at, id, now, fx));
            if let Some(handed) = in_hand {
                self.hand_back(handed);
            }
        }
    }
}
