//! Pings: of a connection that is to be lent, in the acquire that waits for it; of suspects and for
//! heartbeats, in the background.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::{Core, Shell};
use crate::engine::{Asked, Health, PingOrder, Purpose, Tracked};
use crate::observer::{HeartbeatMissed, PingFailed};
use crate::panics;
use crate::pooled_connection::{Lendable, Parcel, PooledConnection};
use crate::target::Target;
use crate::timer::Timer;

/// The ping of a loan, before it is lent. It comes back with what the ping said. Dropped before its
/// end it gives the connection up: nobody knows the state of a conversation that was cut off.
pub(crate) struct Ping<C: Connector> {
    pinging: Pin<Box<dyn Future<Output = (PooledConnection<C>, bool)> + Send>>,
    expired: Arc<AtomicBool>,
}

impl<C: Connector> Ping<C> {
    pub(crate) fn new(loan: PooledConnection<C>) -> Self {
        let expired = Arc::new(AtomicBool::new(false));
        let mut asked = AskedLoan { loan: Some(loan), expired: expired.clone() };
        let pinging = Box::pin(async move {
            let core = PooledConnection::target(asked.loan()).core.clone();
            let answered = answers(&core, asked.loan()).await;
            (asked.loan.take().expect("it is taken once"), answered)
        });
        Ping { pinging, expired }
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(PooledConnection<C>, bool)> {
        self.pinging.as_mut().poll(cx)
    }

    /// Cuts it off because its caller's time is over.
    pub(crate) fn expire(self) {
        self.expired.store(true, Ordering::Relaxed);
    }
}

struct AskedLoan<C: Connector> {
    loan: Option<PooledConnection<C>>,
    expired: Arc<AtomicBool>,
}

impl<C: Connector> AskedLoan<C> {
    fn loan(&mut self) -> &mut PooledConnection<C> {
        self.loan.as_mut().expect("it is taken once")
    }
}

impl<C: Connector> Drop for AskedLoan<C> {
    fn drop(&mut self) {
        if let Some(loan) = self.loan.take() {
            PooledConnection::cut_off(loan, self.expired.load(Ordering::Relaxed));
        }
    }
}

/// Whether the connection answers before `ping_timeout`.
async fn answers<C: Connector>(core: &Core<C>, connection: &mut C::Connection) -> bool {
    let mut patience = Patience::of(core.settings.ping_timeout);
    patience.wait(core, ping(core, connection)).await.unwrap_or(false)
}

async fn ping<C: Connector>(core: &Core<C>, connection: &mut C::Connection) -> bool {
    let ping = panics::catch_future("ping", async { core.connector.ping(connection).await });
    matches!(ping.await, Ok(Ok(())))
}

/// How long to wait, from the first time that there is nothing yet.
struct Patience {
    limit: Option<Duration>,
    timer: Option<Timer>,
}

impl Patience {
    fn of(limit: Option<Duration>) -> Self {
        Patience { limit, timer: None }
    }

    /// `None` when the time is over first.
    async fn wait<C: Connector, F: Future>(
        &mut self,
        core: &Core<C>,
        future: F,
    ) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.is_over(core, cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    fn is_over<C: Connector>(&mut self, core: &Core<C>, cx: &mut Context<'_>) -> bool {
        let (Some(limit), Some(runtime)) = (self.limit, core.any_runtime()) else { return false };
        let timer = self.timer.get_or_insert_with(|| Timer::new(limit, &runtime));
        timer.has_run_out(&runtime, cx)
    }
}

/// Starts the ping of a connection that is in nobody's hand. Without a runtime it counts as failed.
pub(crate) fn begin<C: Connector>(order: PingOrder<Shell<C>>) {
    let PingOrder { host, connection, asked } = order;
    let runtime = host.core.any_runtime();
    let check = Check { connection: Some(connection), target: host, asked };
    if let Some(runtime) = runtime {
        runtime.spawn(check.run());
    }
}

/// A connection that is being checked. Dropped before its end it closes the connection.
struct Check<C: Connector> {
    connection: Option<Parcel<C>>,
    target: Arc<Target<C>>,
    asked: Asked,
}

/// What a ping in the background has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Answered,
    Failed,
    GivenUp,
}

impl<C: Connector> Check<C> {
    async fn run(mut self) {
        let Some(connection) = self.connection.as_deref_mut() else { return };
        let purpose = self.asked.purpose;
        let verdict = ask(&self.target, purpose, connection).await;
        panics::log(|| {
            let key = &self.target.key;
            tracing::debug!(target: "wharf::ping", ?key, ?purpose, ?verdict, "pinged");
        });
        if let (Verdict::Failed, Purpose::Suspicion, Some(dead)) =
            (verdict, purpose, &self.connection)
        {
            report_failed_ping(&self.target, dead.id);
        }
        match (verdict, purpose) {
            (Verdict::Answered, _) => self.answered(),
            (Verdict::Failed, Purpose::Heartbeat) => self.beat_failed(),
            // What is still there is closed when `self` is dropped.
            (Verdict::Failed | Verdict::GivenUp, _) => {}
        }
    }

    fn answered(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let (at, asked) = (self.target.id.index, self.asked);
        let is_open = self.target.core.is_open(&mut connection);
        self.target.change(|engine, now, fx| {
            engine.check_answered(at, connection, asked, is_open, now, fx);
        });
    }

    fn beat_failed(mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let (at, asked) = (self.target.id.index, self.asked);
        let is_open = self.target.core.is_open(&mut connection);
        let Health { missed, late, .. } = connection.health;
        // A late one has missed this beat already, which was told then.
        if !late {
            // Before its close may be told.
            report_missed_beat(&self.target, connection.id, missed + 1);
        }
        self.target.change(|engine, now, fx| {
            engine.beat_failed(at, connection, asked, is_open, now, fx);
        });
    }
}

impl<C: Connector> Drop for Check<C> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            let (at, purpose) = (self.target.id.index, self.asked.purpose);
            self.target.change(|engine, now, fx| {
                engine.check_failed(at, connection, purpose, now, fx);
            });
        }
    }
}

/// Pings the connection, and waits for as long as the engine has it.
async fn ask<C: Connector>(
    target: &Target<C>,
    purpose: Purpose,
    asked: &mut Tracked<Lendable<C>>,
) -> Verdict {
    let (core, at) = (&target.core, target.id.index);
    let Tracked { connection, health, id, carrier, .. } = asked;
    let mut ping = pin!(ping(core, &mut connection.connection));
    let settings = &core.settings;
    let (first, next) = match (purpose, settings.heartbeat) {
        (Purpose::Heartbeat, Some(beat)) => (Some(beat.first_wait()), beat.next_wait()),
        _ => (settings.ping_timeout, Duration::MAX),
    };
    let mut patience = Patience::of(first);
    loop {
        // First the ear, then the question: what is decided after it is heard.
        let hurried = target.hurry.notified();
        if target.engine().gives_up(at, *carrier, health.late) {
            return Verdict::GivenUp;
        }
        match patience.wait(core, unless(ping.as_mut(), hurried)).await {
            Some(Some(true)) => return Verdict::Answered,
            Some(Some(false)) => return Verdict::Failed,
            Some(None) => {}
            None if purpose == Purpose::Suspicion => return Verdict::Failed,
            None => {
                let goes_on = target
                    .change(|engine, now, fx| engine.beat_missed(at, *carrier, health, now, fx));
                report_missed_beat(target, *id, health.missed);
                if !goes_on {
                    return Verdict::GivenUp;
                }
                patience = Patience::of(Some(next));
            }
        }
    }
}

pub(crate) fn report_failed_ping<C: Connector>(target: &Target<C>, id: u64) {
    panics::log(|| {
        tracing::debug!(target: "wharf::ping", key = ?target.key, id, "a ping failed");
    });
    target.core.settings.observer.tell(|o| o.ping_failed(&PingFailed { host: &target.key, id }));
}

fn report_missed_beat<C: Connector>(target: &Target<C>, id: u64, missed: u32) {
    panics::log(|| {
        let key = &target.key;
        tracing::warn!(target: "wharf::heartbeat", ?key, id, missed, "a heartbeat was missed");
    });
    let event = HeartbeatMissed { host: &target.key, id, missed };
    target.core.settings.observer.tell(|o| o.heartbeat_missed(&event));
}

/// What comes of `future`, unless the other one ends first.
async fn unless<F: Future + Unpin>(mut future: F, other: impl Future) -> Option<F::Output> {
    let mut other = pin!(other);
    poll_fn(|cx| match Pin::new(&mut future).poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => other.as_mut().poll(cx).map(|_| None),
    })
    .await
}
