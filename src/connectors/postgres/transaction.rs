//! A transaction whose end is seen.

use std::fmt;
use std::ops::{Deref, DerefMut};

use tokio_postgres::Error;

use super::requests::Requests;

/// A transaction that [`PostgresClient::begin`](super::PostgresClient::begin) has begun.
///
/// It derefs to [`tokio_postgres::Transaction`]. Dropped before its end, it is rolled back when the
/// connection comes back.
pub struct Transaction<'a> {
    transaction: tokio_postgres::Transaction<'a>,
    requests: &'a Requests,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(
        transaction: tokio_postgres::Transaction<'a>,
        requests: &'a Requests,
    ) -> Self {
        Transaction { transaction, requests }
    }

    /// Commits it.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::commit`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before the answer, it closes the connection at its return, and nobody knows whether the
    /// transaction was committed.
    pub async fn commit(self) -> Result<(), Error> {
        let asked = self.requests.ask();
        asked.ended(self.transaction.commit().await)
    }

    /// Rolls it back.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::rollback`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before the answer, it closes the connection at its return.
    pub async fn rollback(self) -> Result<(), Error> {
        let asked = self.requests.ask();
        asked.ended(self.transaction.rollback().await)
    }
}

impl<'a> Deref for Transaction<'a> {
    type Target = tokio_postgres::Transaction<'a>;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
