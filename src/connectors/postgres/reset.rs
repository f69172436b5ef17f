//! What is undone between two borrowers.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::PostgresError;
use super::servers::Writes;

/// What is undone when a connection comes back, before anybody else's first request.
///
/// A task of the pool undoes it: see [`Connector::reset`](crate::Connector::reset), and
/// [the module](crate::postgres) for what each costs, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reset {
    /// Nothing but what was cut off. A transaction that a borrower left open is the next one's.
    None,
    /// A transaction that was left open.
    #[default]
    Rollback,
    /// All that `DISCARD ALL` undoes (settings, the role, cursors, `LISTEN`, advisory locks, temporary
    /// tables, sequences' caches), but for prepared statements: the connection goes on using its own.
    Discard,
}

impl Reset {
    /// What the set-up of a connection leaves that nobody wants. Its settings are wanted.
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

/// A ROLLBACK alone would have the server warn, in its log, at every return that left no transaction.
/// Settings come before anything that may take a while: what was set may be a `statement_timeout`, which
/// is for each of these statements by itself.
///
/// `DISCARD ALL` would drop the statements by which tokio-postgres looks up types, and it does not notice
/// that.
const DISCARD: &str = "BEGIN; ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; \
                       CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); \
                       DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

/// Undoes it in one round trip, or three where a transaction has failed: that refuses all but a ROLLBACK, also the
/// BEGIN before it. A server that is to write is asked whether it does, too.
pub(super) async fn undo(
    client: &Client,
    reset: Reset,
    writes: Option<&Writes>,
) -> Result<(), PostgresError> {
    match try_undo(client, reset, writes).await {
        Err(PostgresError::Postgres(error))
            if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) =>
        {
            client.batch_execute("ROLLBACK").await?;
            try_undo(client, reset, writes).await
        }
        answer => answer,
    }
}

async fn try_undo(
    client: &Client,
    reset: Reset,
    writes: Option<&Writes>,
) -> Result<(), PostgresError> {
    match writes {
        None => Ok(client.batch_execute(reset.sql()).await?),
        Some(writes) => ask(client, &format!("{}; {SHOW}", reset.sql()), writes).await,
    }
}

/// Whether the server still does what `target_session_attrs=read-write` asked of it when it was dialed.
pub(super) async fn still_writes(client: &Client, writes: &Writes) -> Result<(), PostgresError> {
    ask(client, SHOW, writes).await
}

const SHOW: &str = "SHOW transaction_read_only";
/// The column that it answers with.
const COLUMN: &str = "transaction_read_only";

async fn ask(client: &Client, sql: &str, writes: &Writes) -> Result<(), PostgresError> {
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
    Err(PostgresError::ReadOnly)
}
