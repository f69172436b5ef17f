//! A pool of shared connections, made by the scripted connector.

use std::sync::atomic::Ordering;

use wharf::test_util::SharedTestConnector;
use wharf::{AcquireLease, Builder, Lease, Shared, SharedPool};

use crate::support::*;

/// The scripted connector, whose connections carry several leases.
pub(crate) type Many = SharedTestConnector<u32, Held>;

/// How many each connection carries. It is set as an atomic number is.
#[derive(Clone)]
pub(crate) struct Room(Many);

impl Room {
    pub(crate) fn store(&self, leases: usize, _: Ordering) {
        self.0.let_carry(leases);
    }
}

/// Of this one it is known before that it carries ten.
pub(crate) const KNOWN: u32 = 99;

/// A pool of shared connections, and what it works with.
pub(crate) struct Sharing {
    pub(crate) pool: SharedPool<Many>,
    pub(crate) script: TestConnector,
    pub(crate) room: Room,
}

/// Up to `cap` connections, each for `room` leases.
pub(crate) fn sharing(cap: usize, room: usize) -> Sharing {
    sharing_with(room, |b| b.max_per_host(cap))
}

pub(crate) fn sharing_with(
    room: usize,
    set: impl FnOnce(Builder<Shared>) -> Builder<Shared>,
) -> Sharing {
    let script = TestConnector::new();
    let many = Many::new(script.clone(), room);
    many.let_expect(&KNOWN, 10);
    let pool = set(SharedPool::builder()).build(many.clone()).unwrap();
    Sharing { pool, script, room: Room(many) }
}

impl Sharing {
    pub(crate) async fn lease(&self) -> Lease<Many> {
        self.pool.acquire(&1).await.unwrap()
    }

    pub(crate) async fn leases(&self, n: usize) -> Vec<Lease<Many>> {
        let mut leases = Vec::new();
        for _ in 0..n {
            leases.push(self.lease().await);
        }
        leases
    }

    /// An acquire that waits: polled once.
    pub(crate) fn waiting(&self) -> AcquireLease<Many> {
        let mut acquire = self.pool.acquire(&1);
        assert!(poll(&mut acquire).is_pending(), "something was lent at once");
        acquire
    }

    /// Connections idle and in use, leases, callers that wait.
    pub(crate) fn gauges(&self) -> [usize; 4] {
        let status = self.pool.status();
        [status.idle, status.in_use, status.leases, status.waiting]
    }

    /// Nothing is out or under way, and the pool and its connector agree on what there is.
    #[track_caller]
    pub(crate) fn assert_balanced(&self) {
        let (status, counts) = (self.pool.status(), self.script.counts());
        let out = [status.in_use, status.leases, status.dialing, status.closing, status.waiting];
        assert_eq!(out, [0; 5], "in use, leases, dialing, closing, waiting");
        assert_eq!((counts.live(), counts.open), (status.idle, status.idle));
        assert_eq!(counts.closed_in_use, 0, "nobody uses it when it is closed");
    }
}

pub(crate) fn numbers(leases: &[Lease<Many>]) -> Vec<usize> {
    leases.iter().map(|lease| lease.number).collect()
}

pub(crate) fn now(acquire: &mut AcquireLease<Many>) -> Lease<Many> {
    match poll(acquire) {
        std::task::Poll::Ready(Ok(lease)) => lease,
        other => panic!("{other:?}"),
    }
}
