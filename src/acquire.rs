//! The future of one acquire.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::Sleeper;
use crate::engine::time::Time;
use crate::engine::{Outcome, Place, Refusal, Wait, WaiterId};
use crate::error::{AcquireError, LastDialError, Phase, TimeoutReport};
use crate::core::DialFailure;
use crate::pooled_connection::PooledConnection;
use crate::status::LoanInfo;
use crate::target::{Aim, Missing, Target};
use crate::timer::Timer;

/// Waits for a connection. Made by [`Pool::acquire`](crate::Pool::acquire) and its kin.
///
/// Takes an idle connection at its first poll. Without one it joins the host's queue, first in,
/// first out, and takes what comes first: a connection that is returned, or a dial that is done.
///
/// # Cancel safety
///
/// Dropping it at any point loses nothing. A dial begun for it serves the next waiter or goes idle;
/// a connection handed to it already goes to the next waiter.
#[must_use = "an acquire does nothing until it is awaited"]
pub struct Acquire<C: Connector> {
    state: State<C>,
    timeout: Option<Duration>,
    place: Place,
}

enum State<C: Connector> {
    Start(Aim<C>),
    Waiting(Waiting<C>),
    Done,
}

type Answer<C> = Result<PooledConnection<C>, AcquireError<<C as Connector>::Error>>;

impl<C: Connector> Acquire<C> {
    #[inline]
    pub(crate) fn new(aim: Aim<C>, timeout: Option<Duration>, place: Place) -> Self {
        Acquire { state: State::Start(aim), timeout, place }
    }

    fn start(&mut self, aim: Aim<C>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let mut target = match aim {
            Aim::Known(target) => target,
            new @ Aim::New { .. } => new.enter(),
        };
        loop {
            target = match target.lend(self.place) {
                Ok(connection) => return Poll::Ready(Ok(connection)),
                Err((_, Missing::Closed)) => return Poll::Ready(Err(AcquireError::Closed)),
                Err((target, Missing::Forgotten)) => Aim::Known(target).enter(),
                Err((target, Missing::NoneIdle)) => match self.join_queue(target, cx) {
                    Ok(waiting) => return self.wait(waiting, cx),
                    Err(Ok(target)) => target,
                    Err(Err(error)) => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    /// Joins the queue, unless there is something idle by now: then the target comes back.
    #[allow(clippy::type_complexity)] // A waiter, another try, or an error.
    fn join_queue(
        &self,
        target: Arc<Target<C>>,
        cx: &Context<'_>,
    ) -> Result<Waiting<C>, Result<Arc<Target<C>>, AcquireError<C::Error>>> {
        if self.timeout == Some(Duration::ZERO) {
            return Err(Err(timed_out(&target, Duration::ZERO)));
        }
        let Some(runtime) = target.core.see_runtime() else {
            return Err(Err(AcquireError::NoRuntime));
        };
        let timer = self.timeout.map(|timeout| Timer::new(timeout, &runtime));
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime };
        let since = target.core.clock.precise();
        let wait = target.change(|engine, now, fx| {
            engine.wait(target.id, now, self.place, sleeper, fx)
        });
        match wait {
            Wait::Queued(id) => Ok(Waiting { target, id: Some(id), since, timer }),
            Wait::SomethingIdle => Err(Ok(target)),
            Wait::Unknown => Err(Ok(Aim::Known(target).enter())),
            Wait::Refused(Refusal::QueueFull) => Err(Err(AcquireError::QueueFull)),
            Wait::Refused(Refusal::Closed) => Err(Err(AcquireError::Closed)),
        }
    }

    fn wait(&mut self, mut waiting: Waiting<C>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let answer = waiting.poll(cx);
        if answer.is_pending() {
            self.state = State::Waiting(waiting);
        }
        answer
    }
}

impl<C: Connector> Future for Acquire<C> {
    type Output = Answer<C>;

    /// # Panics
    ///
    /// When it is polled again after it was ready, or when it has to wait with a time limit in a
    /// tokio runtime whose timers are not enabled.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        match mem::replace(&mut self.state, State::Done) {
            State::Start(aim) => self.start(aim, cx),
            State::Waiting(waiting) => self.wait(waiting, cx),
            State::Done => panic!("an acquire was polled after it was ready"),
        }
    }
}

impl<C: Connector> fmt::Debug for Acquire<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Start(_) => "not polled",
            State::Waiting(_) => "waiting",
            State::Done => "done",
        };
        f.debug_struct("Acquire").field("state", &state).finish_non_exhaustive()
    }
}

/// A place in the queue, given up when dropped.
struct Waiting<C: Connector> {
    target: Arc<Target<C>>,
    /// Present until the outcome is collected.
    id: Option<WaiterId>,
    since: Time,
    timer: Option<Timer>,
}

impl<C: Connector> Waiting<C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let Some(id) = self.id else { return Poll::Pending };
        if let Some(outcome) = self.collect(id, cx) {
            self.id = None;
            return Poll::Ready(self.answer(outcome));
        }
        if self.timer.as_mut().is_some_and(|timer| timer.has_run_out(cx)) {
            self.id = None;
            return Poll::Ready(self.expire(id));
        }
        Poll::Pending
    }

    fn collect(&self, id: WaiterId, cx: &Context<'_>) -> Option<Outcome<crate::core::Shell<C>>> {
        let runtime = self.target.core.any_runtime()?;
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime };
        let at = self.target.id.index;
        self.target.change(|engine, now, fx| engine.collect(at, id, now, sleeper, fx))
    }

    /// The time is over; but what arrived at the same moment is taken.
    fn expire(&self, id: WaiterId) -> Answer<C> {
        let target = &self.target;
        let report = timed_out(target, target.core.clock.precise().since(self.since));
        match target.change(|engine, now, fx| engine.expire(target.id.index, id, now, fx)) {
            Some(outcome) => self.answer(outcome),
            None => Err(report),
        }
    }

    fn answer(&self, outcome: Outcome<crate::core::Shell<C>>) -> Answer<C> {
        match outcome {
            Outcome::Connection(tracked) => {
                Ok(PooledConnection::new(tracked, self.target.clone()))
            }
            Outcome::Failed(failure) => Err(failure.into()),
            Outcome::Closed => Err(AcquireError::Closed),
        }
    }
}

impl<C: Connector> Drop for Waiting<C> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let at = self.target.id.index;
            self.target.change(|engine, now, fx| engine.cancel(at, id, now, fx));
        }
    }
}

/// Reports a time-out of the given wait, which is still in the queue, if it ever was.
#[cold]
fn timed_out<C: Connector>(target: &Target<C>, waited: Duration) -> AcquireError<C::Error> {
    let now = target.core.clock.precise();
    let causes = target.engine().causes(target.id);
    let key = format!("{:?}", target.key);
    let (view, failure, loans) = match causes {
        Some(causes) => (causes.view, causes.failure, causes.loans),
        None => Default::default(),
    };
    let loans = loans.into_iter().map(|loan| LoanInfo::new(key.clone(), loan, now)).collect();
    AcquireError::Timeout(TimeoutReport {
        phase: if view.gauges.dialing > 0 { Phase::Dial } else { Phase::Queue },
        key,
        waited,
        in_use: view.gauges.in_use,
        idle: view.gauges.idle,
        dialing: view.gauges.dialing,
        waiting: view.gauges.waiting,
        max: view.max,
        loans,
        last_dial_error: failure.map(|(failure, at)| last_dial_error(failure, now.since(at))),
    })
}

fn last_dial_error<E: std::error::Error>(failure: DialFailure<E>, age: Duration) -> LastDialError<E> {
    let (error, message) = match failure {
        DialFailure::Error(error) => {
            let message = error.to_string();
            (Some(error), message)
        }
        DialFailure::TimedOut => (None, "connect_timeout passed".to_owned()),
        DialFailure::Panicked => (None, "the connector panicked".to_owned()),
    };
    LastDialError { error, message, age }
}
