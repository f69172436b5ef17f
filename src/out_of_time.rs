//! What a caller is told whose time is over.

use std::time::Duration;

use crate::connector::Connector;
use crate::core::DialFailure;
use crate::engine::WaiterId;
use crate::engine::status::{Causes, HostView};
use crate::error::{AcquireError, LastDialError, Phase, TimeoutDetails, TimeoutReport, in_full};
use crate::observer::TimedOut;
use crate::status::LoanInfo;
use crate::target::Aim;

/// How a caller has spent the time that is over now.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) waited: Duration,
    /// The part that went into a ping.
    pub(crate) pinged: Duration,
    /// That ping has not ended.
    pub(crate) pinging: bool,
    /// While it is still queued.
    pub(crate) waiter: Option<WaiterId>,
}

/// Nothing was idle for a caller who would not wait.
#[cold]
pub(crate) fn too_late<C: Connector>(aim: &Aim<C>) -> AcquireError<C::Error> {
    let report = report(aim, Spent::default());
    tell(aim, Duration::ZERO);
    report
}

pub(crate) fn tell<C: Connector>(aim: &Aim<C>, waited: Duration) {
    let observer = &aim.core().settings.observer;
    observer.tell(|o| o.timed_out(&TimedOut { host: aim.key(), waited }));
}

/// What a time-out says. The caller is still in the queue, if it ever was.
#[cold]
pub(crate) fn report<C: Connector>(aim: &Aim<C>, spent: Spent) -> AcquireError<C::Error> {
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
