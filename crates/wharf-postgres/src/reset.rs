//! What is undone between two borrowers.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::Error;
use super::servers::Writes;

/// Selects what is undone when a connection returns, before the next borrower's first request.
///
/// A task of the pool performs the reset: see [`Connector::reset`](wharf::Connector::reset), and
/// [the module](crate) for when it is needed and what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reset {
    /// Nothing except dropped requests. A transaction that a borrower left open passes to the next
    /// one.
    None,
    /// A transaction that was left open.
    #[default]
    Rollback,
    /// Everything that `DISCARD ALL` undoes (settings, the role, cursors, `LISTEN`, advisory locks,
    /// temporary tables, cached sequences) except prepared statements: the connection keeps using
    /// its own.
    Discard,
}

impl Reset {
    /// Undoes what the preparation of a connection left by accident, but keeps its settings.
    pub(super) fn of_set_up(self) -> Self {
        match self {
            Reset::None => Reset::None,
            Reset::Rollback | Reset::Discard => Reset::Rollback,
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Reset::None => "",
            Reset::Rollback => "BEGIN; ROLLBACK",
            Reset::Discard => DISCARD,
        }
    }
}

/// A ROLLBACK alone would make the server log a warning at every return without an open
/// transaction. Settings come first, before anything that may take a while: one of them may be a
/// `statement_timeout`, which applies to each of these statements.
///
/// `DISCARD ALL` would drop the statements with which tokio-postgres looks up types, and
/// tokio-postgres would not notice.
const DISCARD: &str = "BEGIN; ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; \
                       CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); \
                       DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

/// Performs the reset in one round trip, or in three after a failed transaction, which rejects
/// everything but a ROLLBACK, including the BEGIN before it. If the server must accept writes, it
/// is also asked whether it does.
pub(super) async fn undo(
    client: &Client,
    reset: Reset,
    writes: Option<&Writes>,
) -> Result<(), Error> {
    match try_undo(client, reset, writes).await {
        Err(Error::Postgres(error))
            if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) =>
        {
            client.batch_execute("ROLLBACK").await?;
            try_undo(client, reset, writes).await
        }
        answer => answer,
    }
}

async fn try_undo(client: &Client, reset: Reset, writes: Option<&Writes>) -> Result<(), Error> {
    match writes {
        None => Ok(client.batch_execute(reset.sql()).await?),
        Some(writes) => ask(client, &format!("{}; {SHOW}", reset.sql()), writes).await,
    }
}

/// Asks whether the server still satisfies `target_session_attrs=read-write`.
pub(super) async fn still_writes(client: &Client, writes: &Writes) -> Result<(), Error> {
    ask(client, SHOW, writes).await
}

const SHOW: &str = "SHOW transaction_read_only";
/// The column of the answer.
const COLUMN: &str = "transaction_read_only";

async fn ask(client: &Client, sql: &str, writes: &Writes) -> Result<(), Error> {
    let answers = client.simple_query(sql).await?;
    let is_on = |answer: &SimpleQueryMessage| match answer {
        SimpleQueryMessage::Row(row) => {
            row.columns()[0].name() == COLUMN && row.get(0) == Some("on")
        }
        _ => false,
    };
    if !answers.iter().any(is_on) {
        return Ok(());
    }
    writes.refute();
    Err(Error::ReadOnly)
}
