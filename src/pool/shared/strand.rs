//! How a shared connection looks to the pool: the connection, and each borrower's clone of it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::policy::connector::Connector;
use crate::pool::shared::SharedConnector;
use crate::runtime::pool_core::Sharing;

/// A connector of connections that can be shared under the pool's lock, where no code of the user's
/// may run: a user's `Clone` waits until a strand is first used.
pub(crate) struct Strands<C>(pub(crate) C);

/// One strand: the pool's, a borrower's or a ping's.
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

    /// This strand's clone, made when it is first asked for.
    pub(crate) fn own(&mut self) -> &mut T {
        self.own.get_or_insert_with(|| (*self.all).clone())
    }

    /// The connection to look at.
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

/// How the pool shares connections.
pub(super) fn sharing<C: SharedConnector>() -> Sharing<Strands<C>> {
    Sharing {
        share: Strand::split,
        max_leases: |strands, strand| strands.0.max_leases(strand.get()),
        expected_leases: |strands, key| strands.0.expected_leases(key),
    }
}
