//! The end of a pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::status::{LoanInfo, PoolStatus};
use crate::engine::status::{Counted, Seen};
use crate::policy::connector::Connector;
use crate::runtime::pool_core::PoolCore;

/// Resolves once a closed pool is empty: every loan is back and every close has ended. Dials and pings are cut off. Made
/// by [`Pool::close`](crate::Pool::close); closing has begun by then.
///
/// # Cancel safety
///
/// Dropping it changes nothing: the pool stays closed.
#[must_use = "closing has begun; await this to know when it has ended"]
pub struct Close(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Close {
    pub(super) fn begin<C: Connector>(core: Arc<PoolCore<C>>) -> Self {
        core.close();
        Close(Box::pin(drained(core)))
    }
}

async fn drained<C: Connector>(core: Arc<PoolCore<C>>) {
    loop {
        let mut notified = std::pin::pin!(core.drained.notified());
        // First listen, then look: what happens in between is not missed.
        notified.as_mut().enable();
        if core.is_drained() {
            return;
        }
        notified.await;
    }
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

/// What was still out when [`close_within`](crate::Pool::close_within) gave up waiting.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloseReport {
    /// Loans that are not back, the longest held first.
    pub loans: Vec<LoanInfo>,
    /// Dials that were told to stop and have not been polled since: their runtime is busy, or does not run.
    pub dialing: usize,
    /// Closes that have not ended, of connections that hold a place under the caps.
    pub closing: usize,
    /// Whether nothing is out: every loan, dial and close has ended.
    pub complete: bool,
}

pub(super) async fn close_within<C: Connector>(
    core: Arc<PoolCore<C>>,
    close: Close,
    limit: Duration,
) -> CloseReport {
    let complete = tokio::time::timeout(limit, close).await.is_ok();
    let status = pool_status(&core);
    CloseReport { loans: loans(&core), dialing: status.dialing, closing: status.closing, complete }
}

/// The loans of all hosts, the longest held first.
pub(super) fn loans<C: Connector>(core: &PoolCore<C>) -> Vec<LoanInfo> {
    let now = core.clock.precise();
    let of_host = |cell: &Arc<_>| {
        let cell: &crate::runtime::cell::HostCell<C> = cell;
        let loans = cell.look(|state| state.loans());
        let key = if loans.is_empty() { String::new() } else { format!("{cell:?}") };
        loans.into_iter().map(move |loan| LoanInfo::new(key.clone(), loan, now))
    };
    let mut loans: Vec<_> = core.directory.all().0.iter().flat_map(of_host).collect();
    loans.sort_by_key(|loan| std::cmp::Reverse(loan.held));
    loans
}

/// All hosts, visited one after the other: each host's figures are of one moment.
pub(super) fn pool_status<C: Connector>(core: &PoolCore<C>) -> PoolStatus {
    let (cells, past) = core.directory.all();
    let (mut seen, mut counted) = (Seen::default(), Counted::default());
    for cell in &cells {
        let view = cell.look(|state| state.view());
        seen.add(view.seen);
        counted.add(&view.counted);
    }
    counted.add_past(&past);
    PoolStatus::new(cells.len(), seen, counted)
}
