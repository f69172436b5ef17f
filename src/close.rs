//! The end of a pool.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::connector::Connector;
use crate::core::Core;
use crate::status::{LoanInfo, PoolStatus};

/// Resolves once a closed pool is empty: every loan is back, every dial has ended, and so has every
/// close. Made by [`Pool::close`](crate::Pool::close); closing has begun by then.
///
/// # Cancel safety
///
/// Dropping it changes nothing: the pool stays closed.
#[must_use = "closing has begun; await this to know when it has ended"]
pub struct Close(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Close {
    pub(crate) fn begin<C: Connector>(core: Arc<Core<C>>) -> Self {
        core.close();
        Close(Box::pin(drained(core)))
    }
}

async fn drained<C: Connector>(core: Arc<Core<C>>) {
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

/// What was still out when [`close_timeout`](crate::Pool::close_timeout) gave up waiting.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CloseReport {
    /// Loans that are not back, the longest held first.
    pub loans: Vec<LoanInfo>,
    /// Dials that have not ended.
    pub dialing: usize,
    /// Closes that have not ended, of connections that hold a place under the caps.
    pub closing: usize,
    /// Whether nothing is out: every loan, dial and close has ended.
    pub complete: bool,
}

pub(crate) async fn close_within<C: Connector>(
    core: Arc<Core<C>>,
    close: Close,
    limit: Duration,
) -> CloseReport {
    let complete = tokio::time::timeout(limit, close).await.is_ok();
    let status = pool_status(&core);
    CloseReport { loans: loans(&core), dialing: status.dialing, closing: status.closing, complete }
}

pub(crate) fn loans<C: Connector>(core: &Core<C>) -> Vec<LoanInfo> {
    let now = core.clock.precise();
    let found: Vec<_> = core
        .all_engines()
        .iter()
        .flat_map(|engine| {
            engine.loans().map(|(target, loan)| (target.clone(), loan)).collect::<Vec<_>>()
        })
        .collect();
    let mut loans: Vec<_> = found
        .into_iter()
        .map(|(target, loan)| LoanInfo::new(format!("{:?}", target.key), loan, now))
        .collect();
    loans.sort_by_key(|loan| std::cmp::Reverse(loan.held));
    loans
}

/// One picture of all hosts.
pub(crate) fn pool_status<C: Connector>(core: &Core<C>) -> PoolStatus {
    let engines = core.all_engines();
    let mut hosts = 0;
    let mut gauges = crate::engine::status::Gauges::default();
    let mut counters = crate::engine::status::Counters::default();
    for engine in &engines {
        counters.add(&engine.past());
        for (_, view) in engine.views() {
            hosts += 1;
            gauges.add(view.gauges);
            counters.add(&view.counters);
        }
    }
    PoolStatus::new(hosts, gauges, counters)
}
