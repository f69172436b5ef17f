//! One connection, as it is lent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{
    CancelToken, Client, Error, Row, SimpleQueryMessage, Socket, Statement, ToStatement,
    Transaction,
};

use super::cancel::Cancel;
use super::driver::{Driver, LONG_WAIT};
use super::error::PostgresError;
use super::failure::{is_cancelled, is_outdated};
use super::parameters::typed;
use super::requests::{Answer, Requests};
use super::reset::{self, Reset};
use super::servers::Writes;
use super::statements::Statements;
use super::transaction;

/// One connection to a PostgreSQL server. Made by a
/// [`PostgresConnector`](super::PostgresConnector).
///
/// It derefs to [`tokio_postgres::Client`], and has some methods of its own: those that keep their
/// statements, [`begin`](Self::begin), and some of `Client`'s names, which do the same and whose answers are
/// seen.
/// Dropped, it cuts the connection off; the server then ends its session.
pub struct PostgresClient {
    client: Client,
    /// After `client`: each that is dropped earlier would tell the server so.
    statements: Statements,
    requests: Requests,
    /// A ping or a reset has no answer yet, and may never have one.
    held_up: bool,
    cancel: Cancel,
    /// How long an answer may take before what holds it up is cancelled.
    soon: Duration,
    /// The server was asked for because it writes.
    writes: Option<Writes>,
    keeps_statements: bool,
    driver: Driver,
}

/// What a dial has made.
pub(super) struct Dialed {
    pub(super) client: Client,
    pub(super) driver: Driver,
    pub(super) cancel: Cancel,
    pub(super) took: Duration,
    pub(super) writes: Option<Writes>,
    pub(super) keeps_statements: bool,
}

type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// # Statements that are kept
///
/// Each text is prepared once for each connection, and kept as long as the connection lives: use few
/// texts, and parameters for what differs. A statement is no burden to the next borrower. None of these
/// calls needs a [reset](crate::postgres#between-borrowers) if its text is plain, which means that it begins
/// with `SELECT`, `INSERT`, `UPDATE`, `DELETE`, `MERGE`, `WITH`, `VALUES`, `TABLE` or `SHOW`.
///
/// A statement may become outdated: a table that it reads has got other columns, or somebody ran
/// `DEALLOCATE` or `DISCARD ALL` on this connection. The server then refuses to execute it ("cached plan
/// must not change result type", "prepared statement does not exist"). The methods that execute prepare
/// it again and try once more, which is safe, since nothing was executed; but inside a transaction the
/// refusal has failed the transaction, so there it is what the caller gets, and the statement is
/// prepared anew by the next call. Whoever executes what [`prepare_cached`](Self::prepare_cached) gave
/// sees the refusal, and calls [`clear_cached`](Self::clear_cached).
///
/// # Cancel safety
///
/// When a connection comes back after one of these was dropped before its answer, the server is told to cancel what it
/// was doing, and the connection is lent when that is over.
impl PostgresClient {
    /// Prepares a statement, or gives the one that this connection has already.
    ///
    /// # Errors
    ///
    /// Those of [`Client::prepare`].
    pub async fn prepare_cached(&self, sql: &str) -> Result<Statement, Error> {
        self.prepare_typed_cached(sql, &[]).await
    }

    /// Prepares a statement with parameters of these types, or gives the one that this connection has
    /// already. Types that are not given are the server's choice.
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

    /// Executes a kept statement, and gives its rows.
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

    /// Executes a kept statement that gives one row.
    ///
    /// # Errors
    ///
    /// Those of [`Client::query_one`]; none or several rows are one.
    pub async fn query_one_cached(&self, sql: &str, params: Params<'_>) -> Result<Row, Error> {
        if !self.keeps_statements {
            let asked = self.requests.ask();
            return asked
                .executed(Some(sql), self.client.query_typed_one(sql, &typed(params)).await);
        }
        self.cached(sql, |statement| async move { self.client.query_one(&statement, params).await })
            .await
    }

    /// Executes a kept statement that gives one row or none.
    ///
    /// # Errors
    ///
    /// Those of [`Client::query_opt`]; several rows are one.
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

    /// Executes a kept statement, and says how many rows it changed.
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

    /// Forgets the kept statements, and has the server forget them.
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
    /// Begins a transaction whose end is seen: once its COMMIT or ROLLBACK is answered, nothing that was done
    /// before needs a reset. For code that takes [`tokio_postgres::Transaction`]'s end into its own hands there
    /// is [`transaction`](Self::transaction).
    ///
    /// # Errors
    ///
    /// Those of [`Client::transaction`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before the answer, it is cancelled and undone when the connection comes back.
    pub async fn begin(&mut self) -> Result<transaction::Transaction<'_>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        let transaction = asked.answered(self.client.transaction().await)?;
        Ok(transaction::Transaction::new(transaction, &self.requests))
    }
}

/// # `Client`'s methods whose answers are seen
///
/// See [the module](crate::postgres#between-borrowers) for what needs no reset. A connection that comes back after one
/// of these was dropped before its answer (its task was aborted, its time was over) is kept back until the server has
/// cancelled what it was doing.
#[allow(clippy::missing_errors_doc)] // They are those of the methods named.
impl PostgresClient {
    /// As [`Client::query`].
    pub async fn query<T>(&self, statement: &T, params: Params<'_>) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.query(statement, params).await)
    }

    /// As [`Client::query_one`].
    pub async fn query_one<T>(&self, statement: &T, params: Params<'_>) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.query_one(statement, params).await)
    }

    /// As [`Client::query_opt`].
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

    /// As [`Client::execute`].
    pub async fn execute<T>(&self, statement: &T, params: Params<'_>) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement,
    {
        let asked = self.requests.ask();
        asked.executed(None, self.client.execute(statement, params).await)
    }

    /// As [`Client::query_typed`].
    pub async fn query_typed(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let asked = self.requests.ask();
        asked.executed(Some(sql), self.client.query_typed(sql, params).await)
    }

    /// As [`Client::prepare`].
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        let asked = self.requests.ask();
        asked.answered(self.client.prepare(sql).await)
    }

    /// As [`Client::prepare_typed`].
    pub async fn prepare_typed(&self, sql: &str, types: &[Type]) -> Result<Statement, Error> {
        let asked = self.requests.ask();
        asked.answered(self.client.prepare_typed(sql, types).await)
    }

    /// As [`Client::is_closed`].
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// As [`Client::cancel_token`]. Nobody knows when a token is used, so this costs the connection: it is closed at its
    /// return. What is dropped is cancelled without one.
    pub fn cancel_token(&self) -> CancelToken {
        self.requests.token_is_out();
        self.client.cancel_token()
    }

    /// As [`Client::simple_query`].
    pub async fn simple_query(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        asked.answered(self.client.simple_query(sql).await)
    }

    /// As [`Client::batch_execute`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        asked.answered(self.client.batch_execute(sql).await)
    }

    /// As [`Client::transaction`], whose end is not seen: see [`begin`](Self::begin).
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask();
        asked.answered(self.client.transaction().await)
    }
}

/// # For the connector
impl PostgresClient {
    pub(super) fn new(dialed: Dialed) -> Self {
        let Dialed { client, driver, cancel, took, writes, keeps_statements } = dialed;
        PostgresClient {
            client,
            statements: Statements::default(),
            requests: Requests::default(),
            held_up: false,
            cancel,
            soon: took.clamp(SOON, LONG_WAIT / 2),
            writes,
            keeps_statements,
            driver,
        }
    }

    /// What was asked of it so far is not to be undone.
    pub(super) fn is_set_up(&mut self) {
        self.requests.keep();
    }

    /// Whether it may be lent, or lent on.
    pub(super) fn is_fit(&self) -> bool {
        !(self.is_lost() || self.held_up || self.is_outdated() || self.requests.has_token_out())
    }

    /// A ping or a reset has got no answer.
    pub(super) fn is_held_up(&self) -> bool {
        self.held_up
    }

    /// Whether the server writes no more. Who finds that out tells all that are connected to it.
    fn is_outdated(&self) -> bool {
        let is_refused = self.requests.were_refused_to_write();
        if let (Some(writes), true) = (&self.writes, is_refused) {
            writes.refute();
        }
        is_refused || self.writes.as_ref().is_some_and(Writes::is_outdated)
    }

    /// Whether what was done with it is to be undone.
    pub(super) fn needs_reset(&self, reset: Reset) -> bool {
        self.requests.call_for(reset)
    }

    /// Cancels what was cut off, and undoes what was done with it. What holds that up for long is something that a
    /// borrower left running and that cannot be cancelled: the connection is not fit then, which says nothing of
    /// others.
    pub(super) async fn reset<T>(&mut self, reset: Reset, tls: &T) -> Result<(), PostgresError>
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
            self.requests.forget();
        }
        Ok(())
    }

    /// Says whether nothing of its borrower is left, neither here nor in the server nor on its way there.
    async fn clear<T>(&self, reset: Reset, tls: &T) -> Result<bool, PostgresError>
    where
        T: MakeTlsConnect<Socket> + Clone,
        T::Stream: Send,
    {
        let token = self.client.cancel_token();
        let mut is_cut_off = self.requests.are_cut_off();
        // Cancellations that may still hit what is asked here.
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
                Ok(Err(PostgresError::Postgres(error)))
                    if cancelled > 0 && is_cancelled(&error) =>
                {
                    cancelled -= 1;
                }
                Ok(answer) => return answer.map(|()| true),
                Err(_) => soon *= 2,
            }
        }
    }

    pub(super) async fn ping(&mut self) -> Result<(), PostgresError> {
        self.held_up = true;
        match &self.writes {
            Some(writes) => reset::still_writes(&self.client, writes).await?,
            None => self.client.check_connection().await?,
        }
        self.held_up = false;
        Ok(())
    }

    fn is_lost(&self) -> bool {
        self.client.is_closed() || self.driver.has_ended() || self.requests.are_lost()
    }

    /// Says goodbye, if there is anybody to say it to. The server hears that when it has done all
    /// that was asked of it: what may take long is cancelled.
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

/// An answer that takes no longer is not held up by anything. On a slow line it may take as long as a dial, which is some
/// round trips.
const SOON: Duration = Duration::from_millis(50);

/// What comes of `future` in this time. In two halves: where nobody drove the runtime meanwhile, an answer may have come
/// that is yet to be read.
async fn within_a_long_wait<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    match timeout(LONG_WAIT / 2, future.as_mut()).await {
        Ok(output) => Some(output),
        Err(_) => timeout(LONG_WAIT / 2, future).await.ok(),
    }
}

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

/// Shows whether it is closed, and how many statements it keeps.
impl fmt::Debug for PostgresClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresClient")
            .field("closed", &self.client.is_closed())
            .field("statements", &self.statements.count())
            .finish_non_exhaustive()
    }
}
