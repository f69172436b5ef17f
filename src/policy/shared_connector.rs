//! The additional methods of a connector for a shared pool.

use crate::policy::connector::Connector;

/// A connector whose connections carry many borrowers at once, such as HTTP/2 connections.
///
/// Each borrower has a clone of its own, made from the pool's, so that it can call methods that
/// take `&mut self`. Clones must be cheap and refer to the same connection.
///
/// The documentation of [`Connector`] applies to each clone, with these differences:
///
/// - If [`is_open`](Connector::is_open) returns false, the connection takes no new leases. Its
///   place is free at once; it is closed after its last lease.
/// - [`ping`](Connector::ping) may run while others use the connection.
/// - [`reset`](Connector::reset) is never called: when one lease ends, the others still need the
///   session's state.
/// - [`close`](Connector::close) receives one clone, after the last lease has ended.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use wharf::{Connector, SharedConnector, SharedPool, async_trait};
///
/// /// What a peer said it takes at once.
/// struct Session {
///     streams: usize,
/// }
///
/// struct Sessions;
///
/// #[async_trait]
/// impl Connector for Sessions {
///     type Key = String;
///     type Connection = Arc<Session>;
///     type Error = std::io::Error;
///
///     async fn connect(&self, _host: &String) -> std::io::Result<Arc<Session>> {
///         Ok(Arc::new(Session { streams: 2 }))
///     }
/// }
///
/// impl SharedConnector for Sessions {
///     fn max_leases(&self, session: &Arc<Session>) -> usize {
///         session.streams
///     }
/// }
///
/// let pool = SharedPool::new(Sessions);
/// let leases = [pool.acquire("a").await?, pool.acquire("a").await?, pool.acquire("a").await?];
/// assert!(Arc::ptr_eq(&leases[0], &leases[1]));
/// assert!(!Arc::ptr_eq(&leases[0], &leases[2]), "the first one is full");
/// # Ok(()) }
/// ```
pub trait SharedConnector: Connector<Connection: Clone + Sync> {
    /// Returns how many leases the connection carries at once.
    ///
    /// It must be cheap and not block. It is called when the connection is made, when a lease is
    /// given without a wait, when a lease ends and when a ping has ended, since a peer may change
    /// its limit. Full connections are also asked while callers wait for their host: up to four of
    /// them, in turn, when another caller joins or finds nothing, and up to 1,024 once a second. A peer
    /// that raises its limit is therefore noticed even if the leases are long.
    ///
    /// If it returns less than the number of current leases, no new lease is given until they fit.
    /// Zero means that the connection is not open; a new connection carries at least one lease.
    fn max_leases(&self, conn: &Self::Connection) -> usize;

    /// Returns how many leases the first connection to the host will carry, as far as this is known
    /// before it is made. It is called once for each new host, so that the right number of
    /// connections is dialed for callers that are already waiting. After that, each new connection
    /// supplies the number for the next.
    ///
    /// Defaults to unlimited: one dial, and more once that connection has reported its limit.
    fn expected_leases(&self, key: &Self::Key) -> usize {
        let _ = key;
        usize::MAX
    }
}
