//! The end of a pool.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::status::{LoanInfo, PoolStatus};
use crate::engine::status::{Counted, Seen};
use crate::runtime::any_pool::AnyPool;
use crate::runtime::panics;
use crate::runtime::parts::Cell;
use crate::runtime::pool_base::PoolBase;
use crate::runtime::timer::Timer;

/// Resolves once a closed pool is empty: every loan has returned and every close has ended. No host
/// is listed any more, and the observer was told that the pool is closed. Dials and pings are cut
/// off. Made by [`Pool::close`](crate::Pool::close), which has already started
/// closing.
///
/// # Cancel safety
///
/// Dropping it changes nothing: the pool stays closed.
#[must_use = "closing has begun; await this to know when it has ended"]
pub struct Close(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Close {
    pub(super) fn begin(pool: Arc<dyn AnyPool>) -> Self {
        pool.close();
        Close(Box::pin(drained(pool)))
    }
}

/// A close that takes longer logs once what it waits for.
const LONG: Duration = Duration::from_secs(5);

async fn drained(pool: Arc<dyn AnyPool>) {
    let mut until_long = UntilLong::new();
    loop {
        let mut notified = std::pin::pin!(pool.base().drained.notified());
        // Subscribe before checking, so that no notification is missed.
        notified.as_mut().enable();
        if pool.base().has_ended() {
            return;
        }
        poll_fn(|cx| match notified.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => {
                if until_long.is_over(pool.base(), cx) {
                    log_what_is_out(&*pool);
                }
                Poll::Pending
            }
        })
        .await;
    }
}

/// Expires once, in a runtime with timers. In other runtimes it never does.
enum UntilLong {
    Fresh,
    Running(Timer),
    Over,
}

impl UntilLong {
    fn new() -> Self {
        UntilLong::Fresh
    }

    fn is_over(&mut self, pool: &PoolBase, cx: &mut Context<'_>) -> bool {
        let Some(runtime) = pool.any_runtime() else { return false };
        if let UntilLong::Fresh = self {
            *self = UntilLong::Over;
            // A runtime cannot be asked whether it has timers.
            if !pool.maintenance.knows_timers_of(&runtime) {
                return false;
            }
            *self = UntilLong::Running(Timer::new(LONG, &runtime));
        }
        let UntilLong::Running(timer) = self else { return false };
        let is_over = timer.has_run_out(&runtime, cx);
        if is_over {
            *self = UntilLong::Over;
        }
        is_over
    }
}

/// Logs one warning that names the loans held longest.
#[cold]
fn log_what_is_out(pool: &dyn AnyPool) {
    let (loans, status) = (loans(pool), pool_status(pool));
    let held = |loan: &LoanInfo| {
        let LoanInfo { key, held, place, .. } = loan;
        format!(
            "{key} for {:.1} s, acquired at {}:{}",
            held.as_secs_f64(),
            place.file(),
            place.line()
        )
    };
    let longest: Vec<_> = loans.iter().take(16).map(held).collect();
    let (longest, loans) = (longest.join("; "), loans.len());
    let (dialing, closing) = (status.dialing, status.closing);
    panics::log(|| {
        tracing::warn!(
            target: "wharf::close", waited = ?LONG, loans, dialing, closing, %longest,
            "close waits for loans that are not back and closes that have not ended"
        );
    });
}

impl Future for Close {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Close")
    }
}

/// What had not ended when [`close_within`](crate::Pool::close_within) stopped waiting.
///
/// With the feature `serde` it is written under the names of its fields.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct CloseReport {
    /// Loans that have not returned, the longest held first.
    pub loans: Vec<LoanInfo>,
    /// Dials that were cut off but whose futures were not dropped yet, and that still hold a place
    /// under the caps: their runtime is busy or not driven.
    pub dialing: usize,
    /// Closes that have not ended, of connections that still hold a place under the caps.
    pub closing: usize,
    /// Whether everything has ended: every loan, dial and close.
    pub complete: bool,
}

pub(super) async fn close_within(
    pool: Arc<dyn AnyPool>,
    close: Close,
    limit: Duration,
) -> CloseReport {
    let complete = tokio::time::timeout(limit, close).await.is_ok();
    let status = pool_status(&*pool);
    CloseReport { loans: loans(&*pool), dialing: status.dialing, closing: status.closing, complete }
}

/// Returns the loans of all hosts, the longest held first.
pub(super) fn loans(pool: &dyn AnyPool) -> Vec<LoanInfo> {
    let now = pool.base().clock.precise();
    let of_host = |cell: &Cell| {
        let loans = cell.base().loans();
        let key = if loans.is_empty() { String::new() } else { cell.name().into_string() };
        loans.into_iter().map(move |loan| LoanInfo::new(key.clone(), loan, now))
    };
    let mut loans = Vec::new();
    pool.each_host(&mut |cell| loans.extend(of_host(&cell)));
    loans.sort_by_key(|loan| std::cmp::Reverse(loan.held));
    loans
}

/// Visits all hosts one after the other; the figures of each host are consistent.
pub(super) fn pool_status(pool: &dyn AnyPool) -> PoolStatus {
    let (mut hosts, mut seen, mut counted) = (0, Seen::default(), Counted::default());
    let past = pool.each_host(&mut |cell| {
        hosts += 1;
        cell.base().add_to(&mut seen, &mut counted);
    });
    counted.add_past(&past);
    PoolStatus::new(hosts, seen, counted)
}
