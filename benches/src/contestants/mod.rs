//! The pools that are measured, each behind the same few calls.
//!
//! All of them lend a number that costs nothing to make, check or drop. They are set up alike: no health check when one
//! is lent, a time-out of 30 seconds. Those whose users may well do without the time-out are measured without it, too.
//!
//! Not every pool fits every measurement. The pools of hyper-util and pingora keep idle connections and cap nothing, so
//! that nobody ever waits for them: they are measured by key, where nobody waits.

mod asyncband;
mod bare;
mod bb8;
mod deadpool;
mod hand_made;
mod hyper_util;
mod mobc;
mod pingora;
mod wharf;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::drive::{Drive, Entrant};
pub(crate) use bare::{Floor, Keyed, ShardedMap, Unkeyed};
pub(crate) use hyper_util::HyperUtil;
pub(crate) use pingora::Pingora;
use wharf::{Key, Metered, Noted, Plain, Through, Total, Watched};
pub(crate) use wharf::{Numbered, report_after};

/// What a bare pool keeps: connections are rarely as small as the vector of them would like.
type Connection = Box<u64>;

// Rows that aims are about.
pub(crate) const FLOOR: &str = "floor: a bare mutex and vector";
pub(crate) const HOST: &str = "wharf, host";
pub(crate) const KEY: &str = "wharf, key";
pub(crate) const NOTED: &str = "wharf, host, deadlock warnings";
pub(crate) const WATCHED: &str = "wharf, host, watched";
pub(crate) const METERED: &str = "wharf, host, watched, with metrics";
pub(crate) const TOTAL_1: &str = "wharf, host, max_total, 1 idle";
pub(crate) const TOTAL_1000: &str = "wharf, host, max_total, 1,000 idle";
pub(crate) const DEADPOOL: &str = "deadpool";
pub(crate) const DEADPOOL_UNTIMED: &str = "deadpool, no time-out";

/// The time-out of everybody who has one.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// What a contestant is in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// What can hardly be done for less: it promises nothing.
    Floor,
    /// This crate.
    Wharf,
    /// Another pool, set up like this one.
    Peer,
    /// The same one as it comes: without a time-out.
    AsItComes,
}

/// How a pool is set up.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) max: usize,
    /// Set up as the others are, or as it comes.
    pub(crate) alike: bool,
    pub(crate) made: Made,
}

impl Setup {
    pub(crate) fn new(max: usize, alike: bool) -> Setup {
        Setup { max, alike, made: Made::default() }
    }

    fn max_u32(&self) -> u32 {
        u32::try_from(self.max).expect("a cap is a small number")
    }

    /// What the pools with an optional time-out are given.
    fn time_out(&self) -> Option<Duration> {
        self.alike.then_some(TIMEOUT)
    }
}

/// Makes connections, and counts them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Made(Arc<AtomicUsize>);

impl Made {
    fn make(&self) -> u64 {
        self.0.fetch_add(1, Relaxed) as u64
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// A pool that can be driven.
pub(crate) trait Contestant: Clone + Send + Sync + 'static {
    type Loan<'a>: Send
    where
        Self: 'a;

    /// Runs in the runtime in which it is driven.
    fn build(setup: Setup) -> impl Future<Output = Self> + Send;

    fn acquire(&self) -> impl Future<Output = Self::Loan<'_>> + Send;

    /// Idle connections, as the pool counts them: `None` where it does not say.
    fn idle(&self) -> impl Future<Output = Option<usize>> + Send;

    /// The same pool for another thread: on a host of its own, where there are hosts.
    fn apart(&self, _nth: u64) -> Self {
        self.clone()
    }
}

fn entrant<P: Contestant>(name: &'static str, kind: Kind) -> Box<dyn Entrant> {
    Box::new(Drive::<P>::new(name, kind))
}

/// All, for one task that always finds a connection.
pub(crate) fn for_hits() -> Vec<Box<dyn Entrant>> {
    let mut all = vec![
        entrant::<Floor>(FLOOR, Kind::Floor),
        entrant::<Key>(KEY, Kind::Wharf),
        entrant::<Through<Noted>>(NOTED, Kind::Wharf),
        entrant::<Through<Watched>>(WATCHED, Kind::Wharf),
        entrant::<Through<Metered>>(METERED, Kind::Wharf),
        entrant::<Through<Total<0>>>(TOTAL_1, Kind::Wharf),
        entrant::<Through<Total<999>>>(TOTAL_1000, Kind::Wharf),
    ];
    all.extend(for_waiting());
    all
}

/// Those that may be used by several threads, where nobody has to wait.
pub(crate) fn for_threads() -> Vec<Box<dyn Entrant>> {
    let mut all = vec![entrant::<Floor>(FLOOR, Kind::Floor), entrant::<Key>(KEY, Kind::Wharf)];
    all.extend(for_waiting());
    all
}

/// Those that can give each thread a host of its own.
pub(crate) fn for_own_hosts() -> Vec<Box<dyn Entrant>> {
    let mut all = for_threads();
    all.truncate(3);
    all
}

/// Those that let tasks wait for a connection.
pub(crate) fn for_waiting() -> Vec<Box<dyn Entrant>> {
    vec![
        entrant::<Through<Plain>>(HOST, Kind::Wharf),
        entrant::<deadpool::Deadpool>(DEADPOOL, Kind::Peer),
        entrant::<deadpool::Deadpool>(DEADPOOL_UNTIMED, Kind::AsItComes),
        entrant::<bb8::Bb8>("bb8", Kind::Peer),
        entrant::<mobc::Mobc>("mobc", Kind::Peer),
        entrant::<asyncband::Asyncband>("asyncband", Kind::Peer),
        entrant::<asyncband::Asyncband>("asyncband, no time-out", Kind::AsItComes),
        entrant::<hand_made::HandMade>("semaphore and vector", Kind::Peer),
        entrant::<hand_made::HandMade>("semaphore and vector, no time-out", Kind::AsItComes),
    ]
}
