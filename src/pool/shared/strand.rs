//! The handles on a shared connection: the connection, and each borrower's clone of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::policy::connector::Connector;
use crate::pool::shared::SharedConnector;
use crate::runtime::pool_core::Sharing;

/// Wraps a connector so that its connections can be shared under the pool's lock, where no user
/// code may run: a user's `Clone` is called only when a strand is first used.
pub(crate) struct Strands<C>(pub(crate) C);

/// One handle on a shared connection: the pool's, a borrower's or a ping's.
pub(crate) struct Strand<T> {
    all: Arc<T>,
    own: Option<T>,
}

impl<T: Clone> Strand<T> {
    pub(crate) fn new(connection: T) -> Self {
        Strand { all: Arc::new(connection), own: None }
    }

    fn split(&self) -> Self {
        Strand { all: self.all.clone(), own: None }
    }

    /// Returns this strand's clone, which is made at the first call.
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
impl<C: SharedConnector> Connector for Strands<C> {
    type Key = C::Key;
    type Connection = Strand<C::Connection>;
    type Error = C::Error;

    async fn connect(&self, key: &C::Key) -> Result<Strand<C::Connection>, C::Error> {
        self.0.connect(key).await.map(Strand::new)
    }

    async fn ping(&self, conn: &mut Strand<C::Connection>) -> Result<(), C::Error> {
        self.0.ping(conn.own()).await
    }

    fn is_open(&self, conn: &mut Strand<C::Connection>) -> bool {
        self.0.is_open(conn.own())
    }

    fn fmt_key(&self, key: &C::Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_key(key, f)
    }

    fn peer_addr(&self, conn: &Strand<C::Connection>) -> Option<SocketAddr> {
        self.0.peer_addr(conn.get())
    }

    fn is_retryable(&self, error: &C::Error) -> bool {
        self.0.is_retryable(error)
    }

    async fn close(&self, conn: Strand<C::Connection>) {
        self.0.close(conn.into_connection()).await;
    }
}

/// Tells the pool how to share connections.
pub(super) fn sharing<C: SharedConnector>() -> Sharing<Strands<C>> {
    Sharing {
        share: Strand::split,
        max_leases: |strands, strand| strands.0.max_leases(strand.get()),
        expected_leases: |strands, key| strands.0.expected_leases(key),
    }
}
