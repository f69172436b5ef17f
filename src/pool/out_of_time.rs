//! The reports of acquires that timed out or failed.

use std::time::Duration;

use super::error::AcquireError;
use super::status::LoanInfo;
use super::timeout_report::{
    Draining, FullServer, LastDialError, Phase, SlowDials, TimeoutDetails, TimeoutReport,
};
use crate::engine::status::{Causes, Drains, Seen};
use crate::policy::acquire_failure::AcquireFailure;
use crate::policy::observer::{AcquireFailed, TimedOut};
use crate::runtime::any_host::AnyHost;
use crate::runtime::failure::DialFailure;

/// Reports a caller that would not wait and found nothing idle.
#[cold]
pub(super) fn too_late<E>(host: &dyn AnyHost) -> AcquireError<E> {
    report(host, Duration::ZERO, 0)
}

/// Tells the observer that an acquire has failed.
pub(super) fn tell_failure(host: &dyn AnyHost, kind: AcquireFailure, waited: Duration) {
    let (observer, host) = (&host.pool().observer, &host);
    if kind == AcquireFailure::TimedOut {
        observer.tell(|observer| observer.timed_out(&TimedOut { host, waited }));
    }
    observer.tell(|observer| observer.acquire_failed(&AcquireFailed { host, kind, waited }));
}

/// Builds the report of a time-out. If the caller has queued, it is still in the queue, with
/// `ahead` callers before it when it joined.
#[cold]
pub(super) fn report<E>(host: &dyn AnyHost, waited: Duration, ahead: usize) -> AcquireError<E> {
    let now = host.pool().clock.precise();
    let Causes {
        view,
        pinging_since,
        slow,
        next_dial,
        full,
        draining,
        lost_after,
        failure,
        loans,
        more_loans,
        held_by_waiting,
    } = host.base().causes(now);
    // That is no answer of the server.
    let has_panicked = matches!(failure, Some((DialFailure::Panicked, _)));
    let Seen { idle, in_use, dialing, closing, waiting, .. } = view.seen;
    let key = format!("{host:?}");
    let loans = loans.into_iter().map(|loan| LoanInfo::new(key.clone(), loan, now)).collect();
    let phase = match pinging_since {
        _ if dialing > 0 => Phase::Dial,
        Some(_) => Phase::Ping,
        None => Phase::Queue,
    };
    AcquireError::Timeout(TimeoutReport::new(TimeoutDetails {
        key,
        waited,
        phase,
        pinged: pinging_since.map_or(Duration::ZERO, |since| now.since(since).min(waited)),
        in_use,
        idle,
        dialing,
        closing,
        waiting,
        ahead,
        max: view.max,
        loans,
        more_loans,
        held_by_waiting,
        slow_dials: slow.map(|(count, oldest)| SlowDials { count, oldest: now.since(oldest) }),
        next_dial: next_dial.map(|at| at.since(now)),
        full_server: full
            .filter(|_| !has_panicked)
            .map(|(connections, at)| FullServer { connections, age: now.since(at) }),
        draining: draining.map(draining_of),
        lost_after,
        last_dial_error: failure.map(|(failure, at)| last_dial_error(failure, now.since(at))),
    }))
}

fn draining_of(drains: Drains) -> Draining {
    let Drains { connections, places, leases, reason } = drains;
    Draining { connections, places, leases, reason }
}

pub(super) fn last_dial_error(failure: DialFailure, age: Duration) -> LastDialError {
    let message = failure.to_string();
    let error = if let DialFailure::Error(failed) = failure { Some(failed.error) } else { None };
    LastDialError { error, message, age }
}
