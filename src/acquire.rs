//! The future of one acquire.

use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::{Core, DialFailure, Shell, Sleeper};
use crate::engine::status::{Causes, HostView};
use crate::engine::time::{Span, Time};
use crate::engine::{AfterPing, Outcome, Place, Refusal, Wait, WaiterId};
use crate::error::{AcquireError, LastDialError, Phase, TimeoutDetails, TimeoutReport, in_full};
use crate::observer::TimedOut;
use crate::panics;
use crate::ping::{self, Ping};
use crate::pooled_connection::{Parcel, PooledConnection};
use crate::runtime::Runtime;
use crate::status::LoanInfo;
use crate::target::{Aim, Hit, Missing, Target};
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
    /// Nobody has to wait any more.
    SomethingIdle(Arc<Target<C>>),
}

type Answer<C> = Result<PooledConnection<C>, AcquireError<<C as Connector>::Error>>;

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
            let target = match self.join_queue(&aim, cx) {
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
        if timeout == Some(Duration::ZERO) {
            // Not to wait: this connection goes back as if nobody had looked at it.
            PooledConnection::unlend(loan);
            return match target.clone().try_lend(self.place) {
                Some(loan) => Poll::Ready(Ok(loan)),
                None => Poll::Ready(Err(too_late(&Aim::Known(target)))),
            };
        }
        let Some(runtime) = core.see_runtime() else {
            PooledConnection::unlend(loan);
            return Poll::Ready(Err(AcquireError::NoRuntime));
        };
        let alarm = Alarm::own(timeout, &runtime);
        let (since, place) = (core.clock.precise(), self.place);
        let doubts = target.engine().doubts(target.id.index);
        let stage = Stage::Pinging(Ping::new(loan), doubts);
        let pinged = Duration::ZERO;
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
        aim: &Aim<C>,
        cx: &Context<'_>,
    ) -> Result<Joined<C>, AcquireError<C::Error>> {
        let core = aim.core();
        if core.is_closed() {
            return Err(AcquireError::Closed);
        }
        let timeout = self.timeout(core);
        if timeout == Some(Duration::ZERO) {
            return Err(too_late(aim));
        }
        let (runtime, has_upkeep) = core.find_runtime().ok_or(AcquireError::NoRuntime)?;
        let since = core.clock.exact();
        let deadline = self.common_deadline(core, since);
        let alarm = match timeout {
            Some(_) if has_upkeep && deadline != Time::NEVER => Alarm::Upkeep(deadline),
            timeout => Alarm::own(timeout, &runtime),
        };
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime };
        let (target, wait) = core.change_at(since, aim.shard(), |engine, now, fx| {
            let target = aim.enter(engine, fx);
            let wait = engine.wait(target.id.index, (now, deadline), self.place, sleeper, fx);
            (target, wait)
        });
        match wait {
            Wait::Queued(id) => {
                let (stage, pinged) = (Stage::Queued(id), Duration::ZERO);
                let place = self.place;
                let waiting = Waiting { target, stage, since, pinged, place, alarm };
                Ok(Joined::Waiting(Box::new(waiting)))
            }
            Wait::SomethingIdle => Ok(Joined::SomethingIdle(target)),
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

/// A ping, or a place in the queue, given up when dropped.
struct Waiting<C: Connector> {
    target: Arc<Target<C>>,
    stage: Stage<C>,
    since: Time,
    /// The part of the wait that went into a ping.
    pinged: Duration,
    place: Place,
    alarm: Alarm,
}

/// Who wakes a caller when its time is over.
enum Alarm {
    /// It waits for as long as it takes.
    Never,
    /// The pool's upkeep, at this time: a timer each would cost more than the rest of a wait.
    Upkeep(Time),
    /// It does not wait for as long as the others, or upkeep does not run in its runtime.
    Own(Timer),
}

impl Alarm {
    fn own(timeout: Option<Duration>, runtime: &Runtime) -> Self {
        timeout.map_or(Alarm::Never, |timeout| Alarm::Own(Timer::new(timeout, runtime)))
    }
}

enum Stage<C: Connector> {
    /// The host had so many doubts when it began.
    Pinging(Ping<C>, u32),
    Queued(WaiterId),
    /// The outcome is collected.
    Over,
}

impl<C: Connector> Waiting<C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
        if let Stage::Queued(id) = self.stage {
            let now = self.target.core.clock.exact();
            let at = self.target.id.index;
            let handed = self.target.engine().collect_connection(at, id, now);
            if let Some(tracked) = handed {
                self.stage = Stage::Over;
                return Poll::Ready(Ok(self.acquired(tracked, now)));
            }
        }
        // It could wait, so a runtime has been seen; but that may have ended.
        let Some(runtime) = self.target.core.any_runtime() else {
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
    fn begin(&mut self, cx: &mut Context<'_>) -> Poll<Answer<C>> {
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
            Alarm::Upkeep(deadline) => self.target.core.clock.exact() >= *deadline,
        };
        if is_over { Poll::Ready(self.expire()) } else { Poll::Pending }
    }

    /// Upkeep does not run where this is polled now: it gets a timer of its own.
    fn take_own_timer(&mut self, runtime: &Runtime) {
        let core = &self.target.core;
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
                Some(outcome) => Poll::Ready(self.answer(outcome)),
                None => Poll::Pending,
            },
            _ => Poll::Pending,
        }
    }

    /// A ping has ended. When it failed, the caller waits at the head of the queue, for at most one
    /// ping is waited for.
    fn pinged(
        &mut self,
        loan: PooledConnection<C>,
        answered: bool,
        doubts: u32,
        runtime: &Runtime,
        cx: &Context<'_>,
    ) -> Option<Answer<C>> {
        let (mut tracked, target) = PooledConnection::into_parts(loan);
        let at = target.id.index;
        if answered {
            target.engine().ping_answered(at, &mut tracked, doubts);
            return Some(Ok(self.acquired(tracked, target.core.clock.exact())));
        }
        ping::report_failed_ping(&target, tracked.id);
        let sleeper = Sleeper { waker: cx.waker().clone(), runtime: runtime.clone() };
        let place = self.place;
        let after = target
            .change(|engine, now, fx| engine.ping_failed(at, tracked, now, place, sleeper, fx));
        match after {
            AfterPing::Connection(tracked) => {
                Some(Ok(self.acquired(tracked, target.core.clock.exact())))
            }
            AfterPing::Closed => Some(Err(AcquireError::Closed)),
            AfterPing::Queued(id) => {
                self.stage = Stage::Queued(id);
                None
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
        let at = self.target.id.index;
        self.target.change(|engine, now, fx| engine.collect(at, id, now, sleeper, fx))
    }

    /// The time is over; but what arrived at the same moment is taken.
    fn expire(&mut self) -> Answer<C> {
        let (target, spent) = (self.target.clone(), self.spent());
        // While it is still queued: the user's `Debug` or `Display` may panic in the report.
        let aim = Aim::Known(target.clone());
        let report = report(&aim, spent);
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
        tell_timed_out(&aim, spent.waited);
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
        self.target.core.clock.precise().since(self.since)
    }

    /// The wait is over, with a connection.
    fn acquired(&self, tracked: Parcel<C>, now: Time) -> PooledConnection<C> {
        let waited = now.since(self.since);
        if self.target.core.settings.slow_acquire.is_some_and(|limit| waited >= limit) {
            self.warn_of(waited, &tracked);
        }
        let loan = PooledConnection::new(tracked, self.target.clone());
        PooledConnection::tell_acquired(&loan, waited);
        loan
    }

    #[cold]
    fn warn_of(&self, waited: Duration, got: &Parcel<C>) {
        let (key, place, pinging) = (&self.target.key, self.place, self.pinged);
        let rest = waited.saturating_sub(pinging);
        let dialing = if got.uses == 1 { got.took.min(rest) } else { Duration::ZERO };
        let queueing = rest.saturating_sub(dialing);
        panics::log(|| {
            tracing::warn!(
                target: "wharf::acquire",
                ?key, ?waited, ?queueing, ?dialing, ?pinging, %place, "a slow acquire"
            );
        });
    }

    fn answer(&self, outcome: Outcome<Shell<C>>) -> Answer<C> {
        match outcome {
            Outcome::Connection(tracked) => {
                Ok(self.acquired(tracked, self.target.core.clock.exact()))
            }
            Outcome::Failed(failure) => Err(failure.into()),
            Outcome::Closed => Err(AcquireError::Closed),
        }
    }
}

impl<C: Connector> Drop for Waiting<C> {
    fn drop(&mut self) {
        if let Stage::Queued(id) = self.stage {
            let at = self.target.id.index;
            self.target.change(|engine, now, fx| engine.cancel(at, id, now, fx));
        }
    }
}

/// How a caller has spent the time that is over now.
#[derive(Clone, Copy, Default)]
struct Spent {
    waited: Duration,
    /// The part that went into a ping.
    pinged: Duration,
    /// That ping has not ended.
    pinging: bool,
    /// While it is still queued.
    waiter: Option<WaiterId>,
}

/// Nothing was idle for a caller who would not wait.
#[cold]
fn too_late<C: Connector>(aim: &Aim<C>) -> AcquireError<C::Error> {
    let report = report(aim, Spent::default());
    tell_timed_out(aim, Duration::ZERO);
    report
}

fn tell_timed_out<C: Connector>(aim: &Aim<C>, waited: Duration) {
    let observer = &aim.core().settings.observer;
    observer.tell(|o| o.timed_out(&TimedOut { host: aim.key(), waited }));
}

/// What a time-out says. The caller is still in the queue, if it ever was.
#[cold]
fn report<C: Connector>(aim: &Aim<C>, spent: Spent) -> AcquireError<C::Error> {
    let core = aim.core();
    let Spent { waited, pinged, pinging, waiter } = spent;
    let now = core.clock.precise();
    let causes = match aim {
        Aim::Known(target) => target.engine().causes(target.id, waiter),
        Aim::New(_) => None,
    };
    let key = format!("{:?}", aim.key());
    let causes = causes.unwrap_or_else(|| {
        // A host that is not known yet.
        let view = HostView { max: core.settings.limits().max_per_host, ..HostView::default() };
        Causes { view, ahead: 0, failure: None, loans: Vec::new() }
    });
    let Causes { view, ahead, failure, loans } = causes;
    let loans = loans.into_iter().map(|loan| LoanInfo::new(key.clone(), loan, now)).collect();
    AcquireError::Timeout(TimeoutReport::new(TimeoutDetails {
        phase: match view.gauges.dialing {
            _ if pinging => Phase::Ping,
            0 => Phase::Queue,
            _ => Phase::Dial,
        },
        key,
        waited,
        pinged,
        in_use: view.gauges.in_use,
        idle: view.gauges.idle,
        dialing: view.gauges.dialing,
        closing: view.gauges.closing,
        waiting: view.gauges.waiting,
        ahead,
        max: view.max,
        loans,
        last_dial_error: failure.map(|(failure, at)| last_dial_error(failure, now.since(at))),
    }))
}

fn last_dial_error<E: std::error::Error>(
    failure: DialFailure<E>,
    age: Duration,
) -> LastDialError<E> {
    let (error, message) = match failure {
        DialFailure::Error(error) => {
            let message = in_full(&*error);
            (Some(error), message)
        }
        DialFailure::TimedOut => (None, "connect_timeout passed".to_owned()),
        DialFailure::Panicked => (None, "the connector panicked".to_owned()),
    };
    LastDialError { error, message, age }
}
