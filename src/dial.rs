//! The task of one dial. It belongs to the host, not to whoever waits for it.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use crate::connector::Connector;
use crate::core::{DialFailure, Shell};
use crate::engine::time::Time;
use crate::engine::{DialOrder, Dialed};
use crate::observer::{DialDone, DialFailed};
use crate::panics;
use crate::pooled_connection::Lendable;
use crate::target::Target;

/// Starts a dial in a task of its own. Without a runtime its slot is free again, and waiters dial
/// from where they are polled.
pub(crate) fn begin<C: Connector>(order: DialOrder<Shell<C>>) {
    let DialOrder { host, epoch, runtime } = order;
    let runtime = runtime.or_else(|| host.core.any_runtime());
    host.core.settings.observer.tell(|o| o.dial_began(&host.key));
    let began = host.core.clock.precise();
    let dialing = Dialing { target: host, epoch, began, ended: false };
    if let Some(runtime) = runtime {
        runtime.spawn(dial(dialing));
    }
}

async fn dial<C: Connector>(dialing: Dialing<C>) {
    let target = dialing.target.clone();
    let core = &target.core;
    panics::log(|| tracing::debug!(target: "wharf::dial", key = ?target.key, "dialing"));
    // The time-out is inside: making one panics in a runtime without timers.
    let connect = panics::catch_future("connect", async {
        let connect = core.connector.connect(&target.key);
        match core.settings.connect_timeout {
            None => Ok(connect.await),
            Some(limit) => tokio::time::timeout(limit, connect).await,
        }
    });
    match connect.await {
        Ok(Ok(Ok(connection))) => dialing.done(connection),
        Ok(Ok(Err(error))) => dialing.failed(DialFailure::Error(Arc::new(error))),
        Ok(Err(_)) => dialing.failed(DialFailure::TimedOut),
        Err(panics::Panicked) => dialing.failed(DialFailure::Panicked),
    }
}

/// The slot of a dial. Dropped before its end (its task was aborted, or its runtime has gone) it
/// gives the slot back and wakes whoever waits for it.
struct Dialing<C: Connector> {
    target: Arc<Target<C>>,
    epoch: u32,
    began: Time,
    ended: bool,
}

impl<C: Connector> Dialing<C> {
    fn done(mut self, connection: C::Connection) {
        self.ended = true;
        let (at, epoch) = (self.target.id.index, self.epoch);
        let (core, took) = (&self.target.core, self.took());
        core.settings.observer.tell(|o| o.dial_done(&DialDone { host: &self.target.key, took }));
        let max_leases = core.max_leases(&connection).max(1);
        let connection = Lendable::new(connection);
        let dialed = Dialed { connection, epoch, max_leases, took };
        self.target.change(|engine, now, fx| engine.dial_done(at, dialed, now, fx));
    }

    fn took(&self) -> Duration {
        self.target.core.clock.precise().since(self.began)
    }

    fn tell_failure(&self, error: &dyn Display) {
        let (host, took) = (&self.target.key, self.took());
        self.target.core.settings.observer.tell(|o| {
            o.dial_failed(&DialFailed { host, took, error: format_args!("{error}") });
        });
    }

    fn failed(mut self, failure: DialFailure<C::Error>) {
        let (at, core) = (self.target.id.index, &self.target.core);
        panics::log(|| {
            let key = &self.target.key;
            tracing::debug!(target: "wharf::dial", ?key, ?failure, "a dial failed");
        });
        self.tell_failure(&failure);
        let retryable = match &failure {
            DialFailure::Error(error) => {
                panics::catch("is_retryable", || core.connector.is_retryable(error))
                    .unwrap_or(false)
            }
            DialFailure::TimedOut => true,
            DialFailure::Panicked => false,
        };
        self.ended = true;
        self.target.change(|engine, now, fx| engine.dial_failed(at, failure, retryable, now, fx));
    }
}

impl<C: Connector> Drop for Dialing<C> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell_failure(&"the runtime of the dial has ended");
            let at = self.target.id.index;
            self.target.change(|engine, now, fx| engine.dial_lost(at, now, fx));
        }
    }
}
