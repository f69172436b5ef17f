//! A transaction whose end is observed.

use std::fmt;
use std::ops::Deref;

use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{CancelToken, Error, Row, SimpleQueryMessage, Statement, ToStatement};

use super::requests::Requests;

/// A transaction that [`PostgresClient::begin`](super::PostgresClient::begin) has begun.
///
/// It derefs to [`tokio_postgres::Transaction`], and has some of its methods itself, whose answers
/// are observed: a request that is dropped before its answer is cancelled as soon as the connection
/// returns. A transaction that is dropped before its end is rolled back at that time. It does not
/// deref mutably, because a transaction could then be swapped with that of another connection, and
/// its end would say nothing about its own connection.
///
/// ```compile_fail,E0596
/// # use wharf_postgres::Transaction;
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

    /// Begins a nested transaction, as a savepoint.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::transaction`].
    pub async fn transaction(&mut self) -> Result<tokio_postgres::Transaction<'_>, Error> {
        self.transaction.transaction().await
    }

    /// Begins a nested transaction, as a savepoint with this name.
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

    /// Commits the transaction.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::commit`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the answer, the COMMIT is cancelled when the connection
    /// returns, and it is unknown whether the transaction was committed.
    pub async fn commit(self) -> Result<(), Error> {
        let asked = self.requests.ask("COMMIT");
        asked.ended(self.transaction.commit().await)
    }

    /// Rolls the transaction back.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Transaction::rollback`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the answer, the transaction is still rolled back.
    pub async fn rollback(self) -> Result<(), Error> {
        let asked = self.requests.ask("ROLLBACK");
        asked.ended(self.transaction.rollback().await)
    }
}

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// # Methods whose answers are observed
///
/// They do the same as the methods of [`tokio_postgres::Transaction`] with the same names.
#[allow(clippy::missing_errors_doc)] // They are those of the methods named.
impl Transaction<'_> {
    /// Same as [`query`](tokio_postgres::Transaction::query).
    pub async fn query<T>(&self, statement: &T, params: Params<'_>) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.answered(self.transaction.query(statement, params).await)
    }

    /// Same as [`query_one`](tokio_postgres::Transaction::query_one).
    pub async fn query_one<T>(&self, statement: &T, params: Params<'_>) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.answered(self.transaction.query_one(statement, params).await)
    }

    /// Same as [`query_opt`](tokio_postgres::Transaction::query_opt).
    pub async fn query_opt<T>(
        &self,
        statement: &T,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.answered(self.transaction.query_opt(statement, params).await)
    }

    /// Same as [`execute`](tokio_postgres::Transaction::execute).
    pub async fn execute<T>(&self, statement: &T, params: Params<'_>) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.answered(self.transaction.execute(statement, params).await)
    }

    /// Same as [`query_typed`](tokio_postgres::Transaction::query_typed).
    pub async fn query_typed(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let asked = self.requests.ask(sql);
        asked.answered(self.transaction.query_typed(sql, params).await)
    }

    /// Same as [`prepare`](tokio_postgres::Transaction::prepare).
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        let asked = self.requests.ask(sql);
        asked.answered(self.transaction.prepare(sql).await)
    }

    /// Same as [`cancel_token`](super::PostgresClient::cancel_token).
    pub fn cancel_token(&self) -> CancelToken {
        self.requests.token_is_out();
        self.transaction.cancel_token()
    }

    /// Same as [`simple_query`](tokio_postgres::Transaction::simple_query).
    pub async fn simple_query(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        let asked = self.requests.ask(sql);
        asked.answered(self.transaction.simple_query(sql).await)
    }

    /// Same as [`batch_execute`](tokio_postgres::Transaction::batch_execute).
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        let asked = self.requests.ask(sql);
        asked.answered(self.transaction.batch_execute(sql).await)
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
