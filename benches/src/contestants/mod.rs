//! The pools that are measured, each behind the same few calls.
//!
//! All of them lend a number that costs nothing to make, check or drop. They are set up alike (no
//! health check when one is lent, 30 seconds of patience), and where that is not a pool's default,
//! once more as it comes.
//!
//! Not everybody can be driven everywhere. The pools of hyper-util and pingora keep idle connections
//! and cap nothing, so that nobody ever waits for them; r2d2 blocks the threads of those who wait. They
//! are measured where nobody waits. Pools inside a client that cannot be had without it are left out.

mod asyncband;
mod bare;
mod bb8;
mod deadpool;
mod fast_pool;
mod hand_made;
mod hyper_util;
mod mobc;
mod pingora;
mod qorb;
mod r2d2;
mod wharf;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::drive::{Drive, Entrant};
pub(crate) use bare::{Floor, ShardedMap, Striped};
pub(crate) use hyper_util::HyperUtil;
pub(crate) use pingora::Pingora;
pub(crate) use wharf::{Host, Key, Numbered, Watched};

/// What a bare pool keeps: connections are rarely as small as the vector of them would like.
type Connection = Box<u64>;

/// The patience of everybody who has any.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What a contestant is in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// What can hardly be done for less: it promises nothing.
    Floor,
    /// This crate.
    Wharf,
    /// Another pool, set up like this one.
    Peer,
    /// The same one as it comes.
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
    fn patience(&self) -> Option<Duration> {
        self.alike.then_some(PATIENCE)
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
}

fn entrant<P: Contestant>(name: &'static str, kind: Kind) -> Box<dyn Entrant> {
    Box::new(Drive::<P>::new(name, kind))
}

/// All, for one task that always finds a connection.
pub(crate) fn for_hits() -> Vec<Box<dyn Entrant>> {
    let mut all = vec![
        entrant::<Floor>("floor: a bare mutex and vector", Kind::Floor),
        entrant::<ShardedMap>("keyed floor: a bare sharded map", Kind::Floor),
    ];
    all.extend(for_contention());
    all.insert(3, entrant::<Watched>("wharf, host, watched", Kind::Wharf));
    all.push(entrant::<r2d2::R2d2>("r2d2 (blocks its thread)", Kind::Peer));
    all.push(entrant::<Pingora>("pingora-pool (key; no cap)", Kind::Peer));
    all.push(entrant::<HyperUtil>("hyper-util legacy (key; no cap)", Kind::Peer));
    all
}

/// Those that may be used by several threads, where nobody has to wait.
pub(crate) fn for_contention() -> Vec<Box<dyn Entrant>> {
    let mut all = for_waiting();
    all.insert(1, entrant::<Key>("wharf, key", Kind::Wharf));
    all
}

/// Those that let tasks wait for a connection.
pub(crate) fn for_waiting() -> Vec<Box<dyn Entrant>> {
    vec![
        entrant::<Host>("wharf, host", Kind::Wharf),
        entrant::<deadpool::Deadpool>("deadpool", Kind::Peer),
        entrant::<deadpool::Deadpool>("deadpool, no time-out", Kind::AsItComes),
        entrant::<bb8::Bb8>("bb8", Kind::Peer),
        entrant::<bb8::Bb8>("bb8, pings", Kind::AsItComes),
        entrant::<mobc::Mobc>("mobc", Kind::Peer),
        entrant::<mobc::Mobc>("mobc, pings", Kind::AsItComes),
        entrant::<asyncband::Asyncband>("asyncband", Kind::Peer),
        entrant::<asyncband::Asyncband>("asyncband, no time-out", Kind::AsItComes),
        entrant::<fast_pool::FastPool>("fast_pool (always pings)", Kind::Peer),
        entrant::<hand_made::HandMade>("semaphore and vector", Kind::Peer),
        entrant::<hand_made::HandMade>("semaphore and vector, no time-out", Kind::AsItComes),
        entrant::<qorb::Qorb>("qorb", Kind::Peer),
    ]
}
