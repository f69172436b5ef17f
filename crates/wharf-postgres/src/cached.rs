//! The methods that cache their statements.

use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row, Statement};

use super::client::{Params, PostgresClient};
use super::failure::is_outdated;
use super::parameters::typed;
use super::requests::Answer;

/// # Cached statements
///
/// Each text is prepared once for each connection and cached. A connection caches up to
/// [`statement_cache_capacity`](crate::PostgresBuilder::statement_cache_capacity) statements (256)
/// and then evicts the least recently used one, so use few different texts, and parameters for the
/// values. A statement that is evicted while it is in use stays usable until its last clone is
/// dropped. Cached statements do not disturb the next
/// borrower. None of these calls needs a [reset](crate#between-borrowers) if its text is
/// plain, which means that it begins with `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `WITH`,
/// `VALUES`, `TABLE` or `SHOW`.
///
/// A cached statement may become outdated: the columns of its table have changed, or `DEALLOCATE`
/// or `DISCARD ALL` was run on this connection. The server then refuses to execute it ("cached plan
/// must not change result type", "prepared statement does not exist"). The methods that execute
/// statements prepare it again and retry once, which is safe because nothing was executed. Inside a
/// transaction, however, the refusal has failed the transaction: the caller gets the error, and the
/// next call prepares the statement anew. If you execute the result of
/// [`prepare_cached`](Self::prepare_cached) yourself, you get the error and have to call
/// [`clear_cached`](Self::clear_cached).
///
/// # Cancel safety
///
/// If one of these calls is dropped before its answer, the server is told to cancel the statement
/// when the connection returns, and the connection is lent again when that is done.
impl PostgresClient {
    /// Prepares a statement and caches it, or returns the cached one.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Client::prepare`].
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, Error> {
        self.prepare_typed_cached(sql, &[]).await
    }

    /// Prepares a statement with parameters of these types and caches it, or returns the cached
    /// one. The server infers the types that are missing.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Client::prepare_typed`].
    pub async fn prepare_typed_cached(
        &self,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.find(sql, types) {
            return Ok(statement);
        }
        let asked = self.requests.ask(sql);
        let statement = asked.answered(self.client.prepare_typed(sql, types).await)?;
        Ok(self.statements.keep(sql, types, statement))
    }

    /// Executes a cached statement and returns its rows.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Client::query`].
    pub async fn query_cached(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Error> {
        if !self.keeps_statements {
            return self.query_typed(sql, &typed(params)).await;
        }
        self.cached(sql, |statement| async move { self.client.query(&statement, params).await })
            .await
    }

    /// Executes a cached statement that returns exactly one row.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Client::query_one`]; it also fails if there is no row or more than one.
    pub async fn query_one_cached(&self, sql: &str, params: Params<'_>) -> Result<Row, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask(sql);
            return asked
                .executed(Some(sql), self.client.query_typed_one(sql, &typed(params)).await);
        }
        self.cached(sql, |statement| async move { self.client.query_one(&statement, params).await })
            .await
    }

    /// Executes a cached statement that returns at most one row.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Client::query_opt`]; it also fails if there is more than one row.
    pub async fn query_opt_cached(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask(sql);
            return asked
                .executed(Some(sql), self.client.query_typed_opt(sql, &typed(params)).await);
        }
        self.cached(sql, |statement| async move { self.client.query_opt(&statement, params).await })
            .await
    }

    /// Executes a cached statement and returns how many rows it changed.
    ///
    /// # Errors
    ///
    /// Those of [`tokio_postgres::Client::execute`].
    pub async fn execute_cached(&self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask(sql);
            return asked.executed(Some(sql), self.client.execute_typed(sql, &typed(params)).await);
        }
        self.cached(sql, |statement| async move { self.client.execute(&statement, params).await })
            .await
    }

    /// Removes the cached statements, here and on the server.
    pub fn clear_cached(&self) {
        self.statements.clear();
    }

    async fn cached<A, F>(&self, sql: &str, run: impl Fn(Statement) -> F) -> Result<A, Error>
    where
        A: Answer,
        F: Future<Output = Result<A, Error>>,
    {
        let statement = self.prepare_cached(sql).await?;
        let asked = self.requests.ask(sql);
        let outdated = match asked.executed(Some(sql), run(statement).await) {
            Err(error) if is_outdated(&error) => error,
            answer => return answer,
        };
        self.statements.forget(sql);
        match self.prepare_cached(sql).await {
            Ok(statement) => {
                let asked = self.requests.ask(sql);
                asked.executed(Some(sql), run(statement).await)
            }
            Err(_) => Err(outdated),
        }
    }
}
