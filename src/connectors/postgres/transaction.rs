//! A transaction whose end is seen.

use std::fmt;
use std::ops::Deref;

use tokio_postgres::Error;

use super::requests::Requests;

/// A transaction that [`PostgresClient::begin`](super::PostgresClient::begin) has begun.
///
/// It derefs to [`tokio_postgres::Transaction`]. Dropped before its end, it is rolled back when the
/// connection comes back. It does not deref mutably: exchanged for another connection's, its end would show
/// nothing of its own connection.
///
/// ```compile_fail,E0596
/// # use wharf::postgres::Transaction;
/// fn exchange<'a>(mut one: Transaction<'a>, mut other: Transaction<'a>) {
///     std::mem::swap(&mut *one, &mut *other);
/// }
/// ```
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

    /// Begins a transaction inside this one, by a savepoint.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::transaction`].
    pub async fn transaction(&mut self) -> Result<tokio_postgres::Transaction<'_>, Error> {
        self.transaction.transaction().await
    }

    /// The same, by a savepoint of this name.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::savepoint`].
    pub async fn savepoint(
        &mut self,
        name: impl Into<String>,
    ) -> Result<tokio_postgres::Transaction<'_>, Error> {
        self.transaction.savepoint(name).await
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

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").finish_non_exhaustive()
    }
}
