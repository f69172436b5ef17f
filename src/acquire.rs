//! The future of one acquire.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::{Core, Sleeper};
use crate::engine::time::{Span, Time};
use crate::engine::{Place, Refusal, Wait};
use crate::error::AcquireError;
use crate::out_of_time;
use crate::ping::Ping;
use crate::pooled_connection::PooledConnection;
use crate::target::{Aim, Hit, Missing, Target};
use crate::waiting::{Alarm, Stage, Waiting};

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
    /// Until the first poll.
    aim: Option<Aim<C>>,
    /// From then on, until it is ready. In a box, so that a hit does not move it about.
    waiting: Option<Box<Waiting<C>>>,
    patience: Patience,
    place: Place,
}

/// How long an acquire may take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// As the pool's `acquire_timeout` says.
    AsSet,
    Own(Duration),
}

/// What came of joining the queue.
enum Joined<C: Connector> {
    Waiting(Box<Waiting<C>>),
    /// Nobody has to wait any more, or may: lend what is idle.
    SomethingIdle(Arc<Target<C>>),
    /// The host has left the map since it was looked up.
    Forgotten(Aim<C>),
}

pub(crate) type Answer<C> = Result<PooledConnection<C>, AcquireError<<C as Connector>::Error>>;

impl<C: Connector> Acquire<C> {
    #[inline]
    pub(crate) fn new(aim: Aim<C>, patience: Patience, place: Place) -> Self {
        Acquire { aim: Some(aim), waiting: None, patience, place }
    }

    #[inline(always)]
    #[allow(clippy::inline_always)] // The result is moved once less: measured.
    fn hit(&mut self, hit: Hit<C>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let Some(Aim::Known(target)) = self.aim.take() else { unreachable!("it was lent by one") };
        let loan = PooledConnection::new(hit.connection, target);
        if hit.must_ping {
            return self.ping(loan, cx);
        }
        PooledConnection::tell_acquired(&loan, Duration::ZERO);
        Poll::Ready(Ok(loan))
    }

    /// Nothing was idle: join the queue. Apart from `poll`, to keep a hit short.
    #[inline(never)]
    fn miss(&mut self, mut missing: Missing, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let Some(mut aim) = self.aim.take() else { return Poll::Pending };
        loop {
            if missing == Missing::Closed {
                return Poll::Ready(Err(AcquireError::Closed));
            }
            let target = match self.join_queue(aim, missing, cx) {
                Ok(Joined::Forgotten(forgotten)) => {
                    aim = forgotten.again();
                    continue;
                }
                Ok(Joined::SomethingIdle(target)) => target,
                Ok(Joined::Waiting(waiting)) => {
                    // Its waker is in the queue: what it gets from now on wakes it.
                    let waiting = self.waiting.insert(waiting);
                    let answer = waiting.begin(cx);
                    if answer.is_ready() {
                        self.waiting = None;
                    }
                    return answer;
                }
                Err(error) => return Poll::Ready(Err(error)),
            };
            missing = match target.lend(self.place) {
                Ok(hit) => {
                    self.aim = Some(Aim::Known(target));
                    return self.hit(hit, cx);
                }
                Err(missing) => missing,
            };
            aim = Aim::Known(target);
        }
    }

    /// Pings an idle connection before it is lent.
    #[cold]
    fn ping(&mut self, loan: PooledConnection<C>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let target = PooledConnection::target(&loan).clone();
        let core = &target.core;
        let timeout = self.timeout(core);
        let may_wait = timeout != Some(Duration::ZERO);
        let runtime = if may_wait { core.see_runtime() } else { None };
        let Some(runtime) = runtime else {
            // Who cannot wait gives it back as if nobody had looked at it, and gets another one.
            PooledConnection::unlend(loan);
            let answer = target.clone().try_lend(self.place);
            return Poll::Ready(match answer {
                Some(loan) => Ok(loan),
                None if may_wait => Err(AcquireError::NoRuntime),
                None => Err(out_of_time::too_late(&Aim::Known(target))),
            });
        };
        let alarm = Alarm::own(timeout, &runtime);
        let (since, place) = (core.clock.precise(), self.place);
        let doubts = target.engine().doubts(target.id.index);
        let stage = Stage::Pinging(Ping::new(loan), doubts);
        let pinged = Duration::ZERO;
        let target = Some(target);
        self.waiting = Some(Box::new(Waiting { target, stage, since, pinged, place, alarm }));
        self.wait(cx)
    }

    fn timeout(&self, core: &Core<C>) -> Option<Duration> {
        match self.patience {
            Patience::AsSet => core.settings.acquire_timeout,
            Patience::Own(timeout) => Some(timeout),
        }
    }

    /// When upkeep is to wake it, if it waits for as long as the pool says.
    fn common_deadline(&self, core: &Core<C>, since: Time) -> Time {
        match self.patience {
            Patience::AsSet => since.after(Span::from(core.settings.acquire_timeout)),
            Patience::Own(_) => Time::NEVER,
        }
    }

    fn join_queue(
        &self,
        aim: Aim<C>,
        missing: Missing,
        cx: &Context<'_>,
    ) -> Result<Joined<C>, AcquireError<C::Error>> {
        let core = aim.core();
        if core.is_closed() {
            return Err(AcquireError::Closed);
        }
        let timeout = self.timeout(core);
        let may_wait = timeout != Some(Duration::ZERO);
        let runtime = if may_wait { core.find_runtime() } else { None };
        let Some((runtime, has_upkeep)) = runtime else {
            // Whoever cannot wait has the right to a look.
            return match aim {
                Aim::Known(target) if missing == Missing::NotLooked => {
                    target.note_crowded(false);
                    Ok(Joined::SomethingIdle(target))
                }
                _ if may_wait => Err(AcquireError::NoRuntime),
                aim => Err(out_of_time::too_late(&aim)),
            };
        };
        let since = core.clock.exact();
        let deadline = self.common_deadline(core, since);
        let alarm = match timeout {
            Some(_) if has_upkeep && deadline != Time::NEVER => Alarm::Upkeep(deadline),
            timeout => Alarm::own(timeout, &runtime),
        };
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime };
        let entered = aim.enter(since, |host, engine, fx| {
            engine.wait(host.index, (since, deadline), self.place, sleeper, fx)
        });
        let (target, wait) = match entered {
            Ok(entered) => entered,
            Err(aim) => return Ok(Joined::Forgotten(aim)),
        };
        match wait {
            Wait::Queued(id) => {
                // It may have ended since it was asked where it runs.
                target.core.ensure_upkeep();
                target.note_crowded(true);
                let (stage, pinged) = (Stage::Queued(id), Duration::ZERO);
                let place = self.place;
                let target = Some(target);
                let waiting = Waiting { target, stage, since, pinged, place, alarm };
                Ok(Joined::Waiting(Box::new(waiting)))
            }
            Wait::SomethingIdle => {
                target.note_crowded(false);
                Ok(Joined::SomethingIdle(target))
            }
            Wait::Refused(Refusal::QueueFull) => Err(AcquireError::QueueFull),
            Wait::Refused(Refusal::Closed) => Err(AcquireError::Closed),
        }
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let waiting = self.waiting.as_mut().expect("an acquire was polled after it was ready");
        let answer = waiting.poll(cx);
        if answer.is_ready() {
            self.waiting = None;
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
    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        let missing = match &self.aim {
            None => return self.wait(cx),
            Some(Aim::Known(target)) if target.is_crowded() => Missing::NotLooked,
            Some(Aim::Known(target)) => match target.lend(self.place) {
                Ok(hit) => return self.hit(hit, cx),
                Err(missing) => missing,
            },
            Some(new) => match new.find() {
                Some(target) => {
                    self.aim = Some(Aim::Known(target));
                    return self.poll(cx);
                }
                None => Missing::NoneIdle,
            },
        };
        self.miss(missing, cx)
    }
}

impl<C: Connector> fmt::Debug for Acquire<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("polled", &self.aim.is_none())
            .field("waiting", &self.waiting.is_some())
            .finish_non_exhaustive()
    }
}
