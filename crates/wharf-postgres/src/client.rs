//! One connection, as it is lent.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
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
use super::failure::is_cancelled;
use super::requests::Requests;
use super::reset::{self, Reset};
use super::servers::Writes;
use super::slow::Slow;
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
    pub(super) client: Client,
    /// Declared after `client`: a statement that is dropped while the client lives sends a message
    /// to the server.
    pub(super) statements: Arc<Statements>,
    pub(super) requests: Requests,
    /// A ping or a reset has no answer yet, and may never get one.
    held_up: bool,
    cancel: Cancel,
    /// How long to wait for an answer before cancelling what delays it.
    soon: Duration,
    /// The server, which was chosen because it accepts writes.
    writes: Option<Writes>,
    pub(super) keeps_statements: bool,
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
    pub(super) statements: Arc<Statements>,
    pub(super) slow: Option<Slow>,
    pub(super) signs: Signs,
}

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

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
        let asked = self.requests.ask("BEGIN");
        let transaction = asked.answered(self.client.transaction().await)?;
        Ok(transaction::Transaction::new(transaction, &self.requests))
    }
}

/// # Methods of `Client` whose answers are observed
///
/// See [the module](crate#between-borrowers) for what needs no reset. If one of these
/// calls is dropped before its answer (the task was aborted, a time limit expired), the connection
/// is held back at its return until the server has cancelled the statement. `T` is `Debug`, as every
/// statement is, for the warning of [a slow one](crate::PostgresBuilder::slow_statement).
#[allow(clippy::missing_errors_doc)] // They are those of the methods named.
impl PostgresClient {
    /// Same as [`Client::query`].
    pub async fn query<T>(&self, statement: &T, params: Params<'_>) -> Result<Vec<Row>, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.executed(None, self.client.query(statement, params).await)
    }

    /// Same as [`Client::query_one`].
    pub async fn query_one<T>(&self, statement: &T, params: Params<'_>) -> Result<Row, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.executed(None, self.client.query_one(statement, params).await)
    }

    /// Same as [`Client::query_opt`].
    pub async fn query_opt<T>(
        &self,
        statement: &T,
        params: Params<'_>,
    ) -> Result<Option<Row>, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.executed(None, self.client.query_opt(statement, params).await)
    }

    /// Same as [`Client::execute`].
    pub async fn execute<T>(&self, statement: &T, params: Params<'_>) -> Result<u64, Error>
    where
        T: ?Sized + ToStatement + fmt::Debug,
    {
        let asked = self.requests.ask(statement);
        asked.executed(None, self.client.execute(statement, params).await)
    }

    /// Same as [`Client::query_typed`].
    pub async fn query_typed(
        &self,
        sql: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Error> {
        let asked = self.requests.ask(sql);
        asked.executed(Some(sql), self.client.query_typed(sql, params).await)
    }

    /// Same as [`Client::prepare`].
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        let asked = self.requests.ask(sql);
        asked.answered(self.client.prepare(sql).await)
    }

    /// Same as [`Client::prepare_typed`].
    pub async fn prepare_typed(&self, sql: &str, types: &[Type]) -> Result<Statement, Error> {
        let asked = self.requests.ask(sql);
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
        let asked = self.requests.ask(sql);
        asked.answered(self.client.simple_query(sql).await)
    }

    /// Same as [`Client::batch_execute`].
    pub async fn batch_execute(&self, sql: &str) -> Result<(), Error> {
        self.requests.unknown();
        let asked = self.requests.ask(sql);
        asked.answered(self.client.batch_execute(sql).await)
    }

    /// Same as [`Client::transaction`], whose end is not observed: see [`begin`](Self::begin).
    pub async fn transaction(&mut self) -> Result<Transaction<'_>, Error> {
        self.requests.unknown();
        let asked = self.requests.ask("BEGIN");
        asked.answered(self.client.transaction().await)
    }
}

/// # For the connector
impl PostgresClient {
    pub(super) fn new(dialed: Dialed) -> Self {
        PostgresClient {
            client: dialed.client,
            statements: dialed.statements,
            requests: Requests::new(dialed.signs, dialed.slow),
            held_up: false,
            cancel: dialed.cancel,
            soon: dialed.took.clamp(SOON, LONG_WAIT / 2),
            writes: dialed.writes,
            keeps_statements: dialed.keeps_statements,
            driver: dialed.driver,
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
