//! What a shared pool needs to know of its connector in addition.

use crate::policy::connector::Connector;

/// A connector whose connections carry many borrowers at once, such as HTTP/2 connections.
///
/// Each borrower has a clone of its own, made from the one that the pool keeps, so that methods that
/// take `&mut self` can be called on it. Clones must be cheap and stand for the same connection.
///
/// What [`Connector`] says of a connection holds for each clone, with these differences:
///
/// - [`is_open`](Connector::is_open) saying no means that the connection takes no new leases. Its place is free at once;
///   it is closed after its last lease.
/// - [`ping`](Connector::ping) may run while others use the connection.
/// - [`reset`](Connector::reset) is never called: when one lease ends, the others go on with what they have set up.
/// - [`close`](Connector::close) gets one clone, after the last lease has ended.
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
    /// How many borrowers the connection carries at once.
    ///
    /// Asked when the connection is made, when a lease on it is given without a wait, when one comes back and when a ping
    /// has ended, since a peer may change it: cheap, and without waiting. A connection that is full is asked also while
    /// callers wait for its host: when another one joins them or looks in vain, and once a second. So a peer that raises
    /// its limit is heard, however long the leases are.
    ///
    /// Fewer than are out means no new lease until they fit. Zero means what a connection that is not open means; a new
    /// one carries at least one.
    fn max_leases(&self, conn: &Self::Connection) -> usize;

    /// How many borrowers a first connection to the host will carry, as far as is known before it is
    /// made: asked once for each new host, so that the right number is dialed for a crowd that is
    /// there already. Each connection that is made then tells for the next.
    ///
    /// Everybody by default: one dial, and more when that has told.
    fn expected_leases(&self, key: &Self::Key) -> usize {
        let _ = key;
        usize::MAX
    }
}
