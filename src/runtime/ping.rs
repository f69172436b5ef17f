//! The task of one ping: for a waiter, of a suspect, as a heartbeat, or as a reset.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;

use super::any_host::AnyHost;
use super::panics;
use super::parts::{Cell, Erased, Value};
use super::pool_base::PoolBase;
use super::timer::Timer;
use super::traced::Traced;
use crate::engine::{PingOrder, Purpose, Verdict};
use crate::policy::observer::{HeartbeatMissed, PingAnswered, PingFailed};
use crate::policy::time::{Span, Time};

/// Starts a ping in a task of its own. Without a runtime the ping counts as cut off.
pub(super) fn begin(cell: &Cell, order: PingOrder<Erased>) {
    let PingOrder { slot, id, connection, purpose, unless_heard } = order;
    let runtime = cell.pool().any_runtime();
    let asked = Asked { cell: cell.clone(), slot, purpose, id };
    let connection = Some(connection);
    let pinging = Pinging { asked, connection, unless_heard, span: Traced::cause() };
    if let Some(runtime) = runtime {
        runtime.spawn(pinging.run());
    }
}

/// A connection that is being pinged. If it is dropped before its end, the ping counts as cut off.
struct Pinging {
    asked: Asked,
    connection: Option<Value>,
    /// It is needless if the peer was heard since then.
    unless_heard: Option<Time>,
    /// The span that caused it, until it runs.
    span: Traced,
}

impl Pinging {
    async fn run(mut self) {
        let Some(connection) = &mut self.connection else { return };
        if let Some(since) = self.unless_heard {
            if let Some(at) = self.asked.heard(connection).filter(|at| *at > since) {
                return self.end(Answer::Heard(at));
            }
        }
        self.asked.cell.pool().may_block(LevelFilter::DEBUG);
        self.span = self.asked.span(&self.span);
        let began = self.asked.cell.pool().clock.precise();
        let answer = {
            let ask = pin!(self.asked.ask(connection));
            self.span.run(ask).await
        };
        self.asked.cell.pool().may_block(LevelFilter::DEBUG);
        self.span.ends(&answer.in_words());
        if let Answer::Yes = answer {
            self.asked.report_answer(began);
        }
        let (key, purpose) = (&self.asked.cell, self.asked.purpose);
        panics::log(|| tracing::debug!(target: "wharf::ping", ?key, ?purpose, ?answer, "pinged"));
        self.end(answer);
    }

    fn end(mut self, answer: Answer) {
        let Some(mut connection) = self.connection.take() else { return };
        let (cell, slot) = (&self.asked.cell, self.asked.slot);
        let max_leases = match answer {
            Answer::CutOff => 0,
            Answer::Yes | Answer::Heard(_) | Answer::No { .. } => {
                cell.leases_if_open(&mut connection)
            }
        };
        let is_open = max_leases > 0;
        let verdict = match answer {
            Answer::Yes if is_open => Verdict::Answered { max_leases },
            Answer::Heard(at) if is_open => Verdict::Heard { at, max_leases },
            Answer::Yes | Answer::Heard(_) => Verdict::NotOpen,
            Answer::No { was_late } => {
                // Reported before the close may be.
                self.asked.report_failure(was_late);
                Verdict::Failed { is_open }
            }
            Answer::CutOff => Verdict::CutOff,
        };
        cell.change(|state, section| state.pinged(slot, connection, verdict, section));
    }
}

impl Drop for Pinging {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let Asked { cell, slot, .. } = &self.asked;
            let cut_off = Verdict::CutOff;
            cell.change(|state, section| state.pinged(*slot, connection, cut_off, section));
        }
    }
}

/// The result of a ping.
#[derive(Clone, Copy, Debug)]
enum Answer {
    Yes,
    /// It was not asked: it was heard at this time.
    Heard(Time),
    /// An error, a panic, or no answer in time.
    No {
        was_late: bool,
    },
    CutOff,
}

impl Answer {
    fn in_words(self) -> &'static str {
        match self {
            Answer::Yes => "answered",
            Answer::Heard(_) => "heard",
            Answer::No { .. } => "failed",
            Answer::CutOff => "cut off",
        }
    }
}

/// The connection that is pinged, and the purpose.
struct Asked {
    cell: Cell,
    slot: u32,
    purpose: Purpose,
    id: u64,
}

impl Asked {
    fn span(&self, cause: &Traced) -> Traced {
        let Asked { cell, id, purpose, .. } = self;
        cause.causes(|cause| {
            tracing::debug_span!(
                target: "wharf::ping", parent: cause, "ping", key = ?cell, id, ?purpose, outcome = Empty
            )
        })
    }

    /// Returns when the peer was last heard, if that is known.
    fn heard(&self, connection: &Value) -> Option<Time> {
        let heard = panics::catch("last_heard", || self.cell.last_heard(connection));
        let ago = Instant::now().saturating_duration_since(heard.ok().flatten()?);
        let now = self.cell.pool().clock.precise();
        Some(Time::from_nanos(now.nanos().saturating_sub(Span::from(ago).nanos())))
    }

    /// Pings the connection, and waits for as long as the host needs the answer.
    async fn ask(&self, connection: &mut Value) -> Answer {
        let pool = self.cell.pool();
        let rules = pool.rules();
        let mut ping = pin!(ping(&*self.cell, self.purpose, connection));
        let (first, next) = match (self.purpose, rules.config.heartbeat) {
            (Purpose::Heartbeat, Some(beat)) => (Some(beat.first_wait()), beat.next_wait()),
            _ => (rules.config.ping_timeout, Duration::MAX),
        };
        let mut limit = TimeLimit::of(first);
        let mut was_late = false;
        loop {
            // Subscribe before checking, so that no notification is missed.
            let told = pool.recheck.notified();
            if self.stops() {
                return Answer::CutOff;
            }
            match limit.wait(pool, unless(ping.as_mut(), told)).await {
                Some(Some(true)) => return Answer::Yes,
                Some(Some(false)) => return Answer::No { was_late },
                Some(None) => {}
                None if self.purpose != Purpose::Heartbeat => return Answer::No { was_late },
                None => {
                    was_late = true;
                    if self.miss_beat() {
                        return Answer::CutOff;
                    }
                    limit = TimeLimit::of(Some(next));
                }
            }
        }
    }

    fn stops(&self) -> bool {
        let now = self.cell.pool().clock.exact();
        self.cell.base().stops_ping(self.slot, now)
    }

    /// The heartbeat was not answered in time. Returns whether it has missed too many.
    fn miss_beat(&self) -> bool {
        let slot = self.slot;
        let (missed, is_enough) = self.cell.change(|state, section| {
            let missed = state.beat_missed(slot, section.now);
            (missed, state.has_missed_enough(slot, &section.common.limits))
        });
        self.cell.pool().may_block(LevelFilter::WARN);
        self.report_missed_beat(missed);
        is_enough
    }

    fn report_failure(&self, was_late: bool) {
        match self.purpose {
            Purpose::Health | Purpose::Reset => self.report_failed_ping(),
            // A late one has missed this heartbeat already, which was reported then.
            Purpose::Heartbeat if was_late => {}
            Purpose::Heartbeat => {
                let missed = self.cell.base().look(|state| state.missed_beats(self.slot)) + 1;
                self.report_missed_beat(missed);
            }
        }
    }

    fn report_answer(&self, began: Time) {
        let pool = self.cell.pool();
        if self.purpose != Purpose::Heartbeat {
            pool.observer.tell(|observer| {
                let took = pool.clock.precise().since(began);
                observer.ping_answered(&PingAnswered { host: &self.cell, id: self.id, took });
            });
        }
    }

    fn report_failed_ping(&self) {
        let (key, id, purpose) = (&self.cell, self.id, self.purpose);
        panics::log(|| tracing::debug!(target: "wharf::ping", ?key, id, ?purpose, "a ping failed"));
        self.cell
            .pool()
            .observer
            .tell(|observer| observer.ping_failed(&PingFailed { host: key, id }));
    }

    fn report_missed_beat(&self, missed: u32) {
        let (key, id) = (&self.cell, self.id);
        panics::log(|| {
            tracing::warn!(target: "wharf::heartbeat", ?key, id, missed, "a heartbeat was missed");
        });
        let event = HeartbeatMissed { host: key, id, missed };
        self.cell.pool().observer.tell(|observer| observer.heartbeat_missed(&event));
    }
}

async fn ping(host: &dyn AnyHost, purpose: Purpose, connection: &mut Value) -> bool {
    let ping = panics::catch_future("ping", async { host.ping(purpose, connection).await });
    matches!(ping.await, Ok(true))
}

/// The time limit of a ping, which starts when the first poll is pending.
struct TimeLimit {
    limit: Option<Duration>,
    timer: Option<Timer>,
}

impl TimeLimit {
    fn of(limit: Option<Duration>) -> Self {
        TimeLimit { limit, timer: None }
    }

    /// `None` if the limit passes first.
    async fn wait<F: Future>(&mut self, pool: &PoolBase, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.is_over(pool, cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn is_over(&mut self, pool: &PoolBase, cx: &mut Context<'_>) -> bool {
        let (Some(limit), Some(runtime)) = (self.limit, pool.any_runtime()) else { return false };
        let timer = self.timer.get_or_insert_with(|| Timer::new(limit, &runtime));
        timer.has_run_out(&runtime, cx)
    }
}

/// Returns the output of `future`, unless the other one ends first.
async fn unless<F: Future + Unpin>(mut future: F, other: impl Future) -> Option<F::Output> {
    let mut other = pin!(other);
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => other.as_mut().poll(cx).map(|_| None),
    })
    .await
}
