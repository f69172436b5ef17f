//! The handles on a shared connection: the connection, and each borrower's clone of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::policy::connector::{Connector, PingFuture};
use crate::policy::shared_connector::SharedConnector;
use crate::runtime::cell::Held;
use crate::runtime::pool_core::Sharing;

/// Wraps a connector so that its connections can be shared under the pool's lock, where no user
/// code may run: a user's `Clone` is called only when a share is first used.
pub(crate) struct Shares<C>(pub(crate) C);

/// One handle on a shared connection: the pool's, a borrower's or a ping's.
pub(crate) struct Share<T> {
    all: Arc<T>,
    own: Option<T>,
}

impl<T: Clone> Share<T> {
    pub(crate) fn new(connection: T) -> Self {
        Share { all: Arc::new(connection), own: None }
    }

    fn split(&self) -> Self {
        Share { all: self.all.clone(), own: None }
    }

    /// Returns this share's clone, which is made at the first call.
    pub(crate) fn own(&mut self) -> &mut T {
        self.own.get_or_insert_with(|| (*self.all).clone())
    }

    /// Returns the connection for reading.
    pub(crate) fn get(&self) -> &T {
        self.own.as_ref().unwrap_or(&self.all)
    }

    pub(crate) fn into_connection(self) -> T {
        drop(self.own);
        Arc::try_unwrap(self.all).unwrap_or_else(|all| (*all).clone())
    }
}

#[async_trait]
impl<C: SharedConnector> Connector for Shares<C> {
    type Key = C::Key;
    type Connection = Share<C::Connection>;
    type Error = C::Error;

    async fn connect(&self, key: &C::Key) -> Result<Share<C::Connection>, C::Error> {
        self.0.connect(key).await.map(Share::new)
    }

    // The future itself: another one around it would hide that there is no ping.
    fn ping<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut Share<C::Connection>,
    ) -> PingFuture<'async_trait, C::Error>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        self.0.ping(conn.own())
    }

    fn notices_close(&self) -> bool {
        self.0.notices_close()
    }

    fn has_failed(&self, conn: &mut Share<C::Connection>) -> bool {
        self.0.has_failed(conn.own())
    }

    fn is_doubted(&self, conn: &Share<C::Connection>) -> bool {
        self.0.is_doubted(conn.get())
    }

    fn last_heard(&self, conn: &Share<C::Connection>) -> Option<Instant> {
        self.0.last_heard(conn.get())
    }

    fn is_open(&self, conn: &mut Share<C::Connection>) -> bool {
        self.0.is_open(conn.own())
    }

    fn fmt_key(&self, key: &C::Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_key(key, f)
    }

    fn peer_addr(&self, conn: &Share<C::Connection>) -> Option<SocketAddr> {
        self.0.peer_addr(conn.get())
    }

    fn is_retryable(&self, error: &C::Error) -> bool {
        self.0.is_retryable(error)
    }

    async fn close(&self, conn: Share<C::Connection>) {
        self.0.close(conn.into_connection()).await;
    }
}

/// Tells the pool how to share connections.
pub(super) fn sharing<C: SharedConnector>() -> Sharing<Shares<C>> {
    Sharing {
        share: |value| {
            let held = Held::<Shares<C>>::of(value);
            Held::<Shares<C>>::boxed(held.connection.split())
        },
        max_leases: |shares, share| shares.0.max_leases(share.get()),
        expected_leases: |shares, key| shares.0.expected_leases(key),
        leave: |share| drop(share.own.take()),
    }
}
