//! One connection, as it is lent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{
    CancelToken, Client, Error, Row, SimpleQueryMessage, Socket, Statement, ToStatement,
    Transaction,
};

use super::cancel::Cancel;
use super::driver::{Driver, LONG_WAIT, within_a_long_wait};
use super::error;
use super::failure::{is_cancelled, is_outdated};
use super::parameters::typed;
use super::requests::{Answer, Requests};
use super::reset::{self, Reset};
use super::servers::Writes;
use super::statements::Statements;
use super::transaction;
use wharf::connector::Signs;

/// One connection to a PostgreSQL server. A [`PostgresConnector`](super::PostgresConnector) makes
/// it.
///
/// It derefs to [`tokio_postgres::Client`] and adds methods of its own: those that cache their
/// statements, [`begin`](Self::begin), and methods that do the same as the ones of `Client` with
/// their name but observe the answers. Dropping it cuts the connection, and the server then ends
/// the session.
pub struct PostgresClient {
    client: Client,
    /// Declared after `client`: a statement that is dropped while the client lives sends a message
    /// to the server.
    statements: Statements,
    requests: Requests,
    /// A ping or a reset has no answer yet, and may never get one.
    held_up: bool,
    cancel: Cancel,
    /// How long to wait for an answer before cancelling what delays it.
    soon: Duration,
    /// The server, which was chosen because it accepts writes.
    writes: Option<Writes>,
    keeps_statements: bool,
    driver: Driver,
}

/// The result of a dial.
pub(super) struct Dialed {
    pub(super) client: Client,
    pub(super) driver: Driver,
    pub(super) cancel: Cancel,
    pub(super) took: Duration,
    pub(super) writes: Option<Writes>,
    pub(super) keeps_statements: bool,
    pub(super) signs: Signs,
}

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// # Cached statements
///
/// Each text is prepared once for each connection and cached as long as the connection lives: use
/// few different texts, and parameters for the values. Cached statements do not disturb the next
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
    /// Prepares a statement, or returns the cached one.
    ///
    /// # Errors
    ///
    /// Those of [`Client::prepare`].
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, Error> {
        self.prepare_typed_cached(sql, &[]).await
    }

    /// Prepares a statement with parameters of these types, or returns the cached one. The server
    /// infers the types that are missing.
    ///
    /// # Errors
    ///
    /// Those of [`Client::prepare_typed`].
    pub async fn prepare_typed_cached(
        &self,
        sql: &str,
        types: &[Type],
    ) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.find(sql, types) {
            return Ok(statement);
        }
        let asked = self.requests.ask();
        let statement = asked.answered(self.client.prepare_typed(sql, types).await)?;
        Ok(self.statements.keep(sql, types, statement))
    }

    /// Executes a cached statement and returns its rows.
    ///
    /// # Errors
    ///
    /// Those of [`Client::query`].
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
    /// Those of [`Client::query_one`]; it also fails if there is no row or more than one.
    pub async fn query_one_cached(&self, sql: &str, params: Params<'_>) -> Result<Row, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask();
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
    /// Those of [`Client::query_opt`]; it also fails if there is more than one row.
    pub async fn query_opt_cached(
        &self,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask();
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
    /// Those of [`Client::execute`].
    pub async fn execute_cached(&self, sql: &str, params: Params<'_>) -> Result<u64, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask();
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
        let asked = self.requests.ask();
        let outdated = match asked.executed(Some(sql), run(statement).await) {
            Err(error) if is_outdated(&error) => error,
            answer => return answer,
        };
        self.statements.forget(sql);
        match self.prepare_cached(sql).await {
            Ok(statement) => {
                let asked = self.requests.ask();
                asked.executed(Some(sql), run(statement).await)
            }
            Err(_) => Err(outdated),
        }
    }
}

/// # Transactions
impl PostgresClient {
    /// Begins a transaction whose end is observed: once its COMMIT or ROLLBACK is answered, nothing
    /// that was done before needs a reset. Code that has to own a [`tokio_postgres::Transaction`]
    /// uses [`transaction`](Self::transaction) instead.
    ///
    /// # Errors
    ///
    /// Those of [`Client::transaction`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before the answer, the transaction is cancelled and rolled back
    /// when the connection returns.
    pub async fn begin(&mut self) -> Result<transaction::Transaction<'_>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        let transaction = asked.answered(self.client.transaction().await)?;
        Ok(transaction::Transaction::new(transaction, &self.requests))
    }
}

/// # Methods of `Client` whose answers are observed
///
/// See [the module](crate#between-borrowers) for what needs no reset. If one of these
/// calls is dropped before its answer (the task was aborted, a time limit expired), the connection
/// is held back at its return until the server has cancelled the statement.
#[allow(clippy::missing_errors_doc)] // They are those of the methods named.
impl PostgresClient {
    /// Same as [`Client::query`].
    pub async fn query<T>(&self, statement: &T, params: Params<'_>) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.query(statement, params).await)
    }

    /// Same as [`Client::query_one`].
    pub async fn query_one<T>(&self, statement: &T, params: Params<'_>) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.query_one(statement, params).await)
    }

    /// Same as [`Client::query_opt`].
    pub async fn query_opt<T>(
        &self,
        statement: &T,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.query_opt(statement, params).await)
    }

    /// Same as [`Client::execute`].
    pub async fn execute<T>(&self, statement: &T, params: Params<'_>) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.execute(statement, params).await)
    }

    /// Same as [`Client::query_typed`].
    pub async fn query_typed(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let asked = self.requests.ask();
        asked.executed(Some(sql), self.client.query_typed(sql, params).await)
    }

    /// Same as [`Client::prepare`].
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        let asked = self.requests.ask();
        asked.answered(self.client.prepare(sql).await)
    }

    /// Same as [`Client::prepare_typed`].
    pub async fn prepare_typed(&self, sql: &str, types: &[Type]) -> Result<Statement, Error> {
        let asked = self.requests.ask();
        asked.answered(self.client.prepare_typed(sql, types).await)
    }

    /// Same as [`Client::is_closed`].
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Same as [`Client::cancel_token`]. The token could be used at any later time, so the
    /// connection is closed at its return. Dropped calls are cancelled without a token.
    pub fn cancel_token(&self) -> CancelToken {
        self.requests.token_is_out();
        self.client.cancel_token()
    }

    /// Same as [`Client::simple_query`].
    pub async fn simple_query(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        asked.answered(self.client.simple_query(sql).await)
    }

    /// Same as [`Client::batch_execute`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        asked.answered(self.client.batch_execute(sql).await)
    }

    /// Same as [`Client::transaction`], whose end is not observed: see [`begin`](Self::begin).
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        asked.answered(self.client.transaction().await)
    }
}

/// # For the connector
impl PostgresClient {
    pub(super) fn new(dialed: Dialed) -> Self {
        let Dialed { client, driver, cancel, took, writes, keeps_statements, signs } = dialed;
        PostgresClient {
            client,
            statements: Statements::default(),
            requests: Requests::new(signs),
            held_up: false,
            cancel,
            soon: took.clamp(SOON, LONG_WAIT / 2),
            writes,
            keeps_statements,
            driver,
        }
    }

    /// Marks everything asked so far as not to be undone.
    pub(super) fn is_set_up(&mut self) {
        self.requests.keep();
    }

    /// Returns whether the connection may be lent.
    pub(super) fn is_fit(&self) -> bool {
        !(self.is_lost() || self.held_up || self.is_outdated() || self.requests.has_token_out())
    }

    /// A ping or a reset has no answer.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up
    }

    /// Returns whether the server has stopped accepting writes. The first connection to notice
    /// marks all connections to that server.
    fn is_outdated(&self) -> bool {
        let is_refused = self.requests.were_refused_to_write();
        if let (Some(writes), true) = (&self.writes, is_refused) {
            writes.refute();
        }
        is_refused || self.writes.as_ref().is_some_and(Writes::is_outdated)
    }

    /// Returns whether something has to be undone.
    pub(super) fn needs_reset(&self, reset: Reset) -> bool {
        self.requests.call_for(reset)
    }

    /// Cancels dropped requests and undoes what the borrower did. If that is delayed for long, a
    /// borrower left something running that cannot be cancelled: this connection is then unfit,
    /// which says nothing about others.
    pub(super) async fn reset<T>(&mut self, reset: Reset, tls: &T) -> Result<(), error::Error>
    where
        T: MakeTlsConnect<Socket> + Clone,
        T::Stream: Send,
    {
        self.held_up = true;
        self.driver.set_quiet(true);
        let is_done = within_a_long_wait(self.clear(reset, tls)).await;
        self.driver.set_quiet(false);
        if is_done.transpose()? == Some(true) {
            self.held_up = false;
            self.signs().hear();
            self.requests.forget();
        }
        Ok(())
    }

    /// Returns whether nothing of its borrower is left: neither here, nor on the server, nor on the
    /// way there.
    async fn clear<T>(&self, reset: Reset, tls: &T) -> Result<bool, error::Error>
    where
        T: MakeTlsConnect<Socket> + Clone,
        T::Stream: Send,
    {
        let token = self.client.cancel_token();
        let mut is_cut_off = self.requests.are_cut_off();
        // Cancellations that may still hit the next request.
        let mut cancelled = 0_u32;
        let mut soon = self.soon;
        loop {
            if is_cut_off {
                if !self.cancel.run(&token, tls.clone()).await {
                    return Ok(false);
                }
                cancelled += 1;
            }
            let undo = reset::undo(&self.client, reset, self.writes.as_ref());
            let undone = timeout(soon, undo).await;
            is_cut_off = undone.is_err();
            match undone {
                Ok(Err(error::Error::Postgres(error))) if cancelled > 0 && is_cancelled(&error) => {
                    cancelled -= 1;
                }
                Ok(answer) => return answer.map(|()| true),
                Err(_) => soon *= 2,
            }
        }
    }

    pub(super) async fn ping(&mut self) -> Result<(), error::Error> {
        self.held_up = true;
        match &self.writes {
            Some(writes) => reset::still_writes(&self.client, writes).await?,
            None => self.client.check_connection().await?,
        }
        self.held_up = false;
        self.signs().hear();
        Ok(())
    }

    pub(super) fn signs(&self) -> &Signs {
        self.requests.signs()
    }

    fn is_lost(&self) -> bool {
        self.client.is_closed() || self.driver.has_ended() || self.requests.are_lost()
    }

    /// Ends the session properly if the server is still there. The server reads the farewell after
    /// everything that was asked of it, so requests that may take long are cancelled.
    pub(super) async fn end<T>(self, tls: T)
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send,
    {
        if self.is_lost() {
            return;
        }
        let is_held_up = self.requests.are_cut_off() || self.held_up;
        let token = self.client.cancel_token();
        let PostgresClient { client, cancel, mut driver, .. } = self;
        drop(client);
        if is_held_up || timeout(LONG_WAIT, driver.end()).await.is_err() {
            cancel.run(&token, tls).await;
            driver.end().await;
        }
    }
}

/// The longest time for an undelayed answer. On a slow line it may take as long as a dial, which is
/// a few round trips.
const SOON: Duration = Duration::from_millis(50);

impl Deref for PostgresClient {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.requests.unknown();
        &self.client
    }
}

impl DerefMut for PostgresClient {
    fn deref_mut(&mut self) -> &mut Client {
        self.requests.unknown();
        &mut self.client
    }
}

/// Shows whether the connection is closed, and how many statements it caches.
impl fmt::Debug for PostgresClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresClient")
            .field("closed", &self.client.is_closed())
            .field("statements", &self.statements.count())
            .finish_non_exhaustive()
    }
}
