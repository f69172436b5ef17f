//! What a shared pool asks of its connector beside the rest.

use crate::connector::Connector;

/// A connector whose connections carry many borrowers at once, such as HTTP/2 connections.
///
/// Each borrower has a clone of its own, made from the one that the pool keeps, so that methods that
/// take `&mut self` can be called on it. Clones must be cheap and stand for the same connection.
///
/// What [`Connector`] says of a connection holds for each clone, with these differences:
///
/// - [`is_open`](Connector::is_open) saying no means that the connection takes no new leases. Its
///   place is free at once; it is closed after its last lease.
/// - [`ping`](Connector::ping) may run while others use the connection, and never in a caller's own
///   future: who needs it waits in the queue.
/// - [`close`](Connector::close) gets one clone, after the last lease has ended.
pub trait SharedConnector: Connector<Connection: Clone + Sync> {
    /// How many borrowers the connection carries at once.
    ///
    /// Asked when the connection is made, when a lease on it is given without a wait and when one comes
    /// back, since a peer may change it: cheap, and without waiting. Fewer than are out means no new lease until
    /// they fit. Zero means what a connection that is not open means; a new one carries at least one.
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
