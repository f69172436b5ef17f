//! The future of one acquire.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::{DialFailure, Shell, Sleeper};
use crate::engine::time::Time;
use crate::engine::{Outcome, Place, Refusal, Wait, WaiterId};
use crate::error::{AcquireError, LastDialError, Phase, TimeoutReport};
use crate::pooled_connection::PooledConnection;
use crate::runtime::Runtime;
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

/// What came of joining the queue.
enum Joined<C: Connector> {
    Waiting(Waiting<C>),
    /// Nobody has to wait any more.
    SomethingIdle(Arc<Target<C>>),
}

type Answer<C> = Result<PooledConnection<C>, AcquireError<<C as Connector>::Error>>;

impl<C: Connector> Acquire<C> {
    #[inline]
    pub(crate) fn new(aim: Aim<C>, timeout: Option<Duration>, place: Place) -> Self {
        Acquire { state: State::Start(aim), timeout, place }
    }

    fn start(&mut self, mut aim: Aim<C>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        loop {
            aim = match aim.lend(self.place) {
                Ok(connection) => return Poll::Ready(Ok(connection)),
                Err((_, Missing::Closed)) => return Poll::Ready(Err(AcquireError::Closed)),
                Err((aim, Missing::NoneIdle)) => match self.join_queue(&aim, cx) {
                    Ok(Joined::Waiting(waiting)) => return self.wait(waiting, cx),
                    Ok(Joined::SomethingIdle(target)) => Aim::Known(target),
                    Err(error) => return Poll::Ready(Err(error)),
                },
            }
        }
    }

    fn join_queue(
        &self,
        aim: &Aim<C>,
        cx: &Context<'_>,
    ) -> Result<Joined<C>, AcquireError<C::Error>> {
        let core = aim.core();
        if self.timeout == Some(Duration::ZERO) {
            return Err(timed_out(aim, Duration::ZERO));
        }
        let runtime = core.see_runtime().ok_or(AcquireError::NoRuntime)?;
        let timer = self.timeout.map(|timeout| Timer::new(timeout, &runtime));
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime };
        let since = core.clock.precise();
        let (target, wait) = core.change(aim.shard(), |engine, now, fx| {
            let target = aim.enter(engine);
            let wait = engine.wait(target.id.index, now, self.place, sleeper, fx);
            (target, wait)
        });
        match wait {
            Wait::Queued(id) => {
                Ok(Joined::Waiting(Waiting { target, id: Some(id), since, timer }))
            }
            Wait::SomethingIdle => Ok(Joined::SomethingIdle(target)),
            Wait::Refused(Refusal::QueueFull) => Err(AcquireError::QueueFull),
            Wait::Refused(Refusal::Closed) => Err(AcquireError::Closed),
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
        // It could wait, so a runtime has been seen.
        let runtime = self.target.core.any_runtime();
        let (Some(id), Some(runtime)) = (self.id, runtime) else { return Poll::Pending };
        if let Some(outcome) = self.collect(id, &runtime, cx) {
            self.id = None;
            return Poll::Ready(self.answer(outcome));
        }
        if self.timer.as_mut().is_some_and(|timer| timer.has_run_out(&runtime, cx)) {
            self.id = None;
            return Poll::Ready(self.expire(id));
        }
        Poll::Pending
    }

    fn collect(
        &self,
        id: WaiterId,
        runtime: &Runtime,
        cx: &Context<'_>,
    ) -> Option<Outcome<Shell<C>>> {
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime: runtime.clone() };
        let at = self.target.id.index;
        self.target.change(|engine, now, fx| engine.collect(at, id, now, sleeper, fx))
    }

    /// The time is over; but what arrived at the same moment is taken.
    fn expire(&self, id: WaiterId) -> Answer<C> {
        let target = &self.target;
        let aim = Aim::Known(target.clone());
        let report = timed_out(&aim, target.core.clock.precise().since(self.since));
        match target.change(|engine, now, fx| engine.expire(target.id.index, id, now, fx)) {
            Some(outcome) => self.answer(outcome),
            None => Err(report),
        }
    }

    fn answer(&self, outcome: Outcome<Shell<C>>) -> Answer<C> {
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

/// Reports a time-out after the given wait, which is still in the queue, if it ever was.
#[cold]
fn timed_out<C: Connector>(aim: &Aim<C>, waited: Duration) -> AcquireError<C::Error> {
    let core = aim.core();
    let now = core.clock.precise();
    let causes = match aim {
        Aim::Known(target) => target.engine().causes(target.id),
        Aim::New { .. } => None,
    };
    let key = format!("{:?}", aim.key());
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
