//! A pool of shared connections, made by the scripted connector.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wharf::{
    AcquireLease, Builder, Connector, Lease, Shared, SharedConnector, SharedPool, async_trait,
};

use crate::support::*;

/// The scripted connector, whose connections carry so many.
#[derive(Clone)]
pub(crate) struct Many {
    script: TestConnector,
    room: Arc<AtomicUsize>,
}

#[async_trait]
impl Connector for Many {
    type Key = u32;
    type Connection = Arc<TestConnection>;
    type Error = TestError;

    async fn connect(&self, host: &u32) -> Result<Arc<TestConnection>, TestError> {
        self.script.connect(host).await.map(Arc::new)
    }

    async fn ping(&self, _: &mut Arc<TestConnection>) -> Result<(), TestError> {
        self.script.answer().await
    }

    fn is_open(&self, conn: &mut Arc<TestConnection>) -> bool {
        conn.is_alive()
    }

    async fn close(&self, conn: Arc<TestConnection>) {
        let conn = Arc::into_inner(conn).expect("nobody uses it when it is closed");
        self.script.close(conn).await;
    }
}

impl SharedConnector for Many {
    fn expected_leases(&self, &host: &u32) -> usize {
        // Of this one it is known before.
        if host == KNOWN { 10 } else { usize::MAX }
    }

    fn max_leases(&self, _: &Arc<TestConnection>) -> usize {
        self.room.load(Ordering::SeqCst)
    }
}

pub(crate) const KNOWN: u32 = 99;

/// A pool of shared connections, and what it works with.
pub(crate) struct Sharing {
    pub(crate) pool: SharedPool<Many>,
    pub(crate) script: TestConnector,
    pub(crate) room: Arc<AtomicUsize>,
}

/// Up to `cap` connections, each for so many.
pub(crate) fn sharing(cap: usize, room: usize) -> Sharing {
    sharing_with(room, |b| b.max_per_host(cap))
}

pub(crate) fn sharing_with(
    room: usize,
    set: impl FnOnce(Builder<Shared>) -> Builder<Shared>,
) -> Sharing {
    let many = Many { script: TestConnector::new(), room: Arc::new(AtomicUsize::new(room)) };
    let (script, room) = (many.script.clone(), many.room.clone());
    let pool = set(SharedPool::builder()).build(many).unwrap();
    Sharing { pool, script, room }
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
