//! What is undone between two borrowers.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error};

/// What is undone when a connection comes back, before anybody else's first request.
///
/// A task of the pool undoes it: see [`Connector::reset`](crate::Connector::reset), and
/// [the module](crate::postgres) for what each costs, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reset {
    /// Nothing. A transaction that a borrower left open is the next one's.
    None,
    /// A transaction that was left open.
    #[default]
    Rollback,
    /// All that `DISCARD ALL` undoes (settings, the role, cursors, `LISTEN`, advisory locks, temporary
    /// tables, sequences' caches), but for prepared statements: the connection goes on using its own.
    Discard,
}

impl Reset {
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

/// One round trip, or three where a transaction has failed: that refuses all but a ROLLBACK, also the BEGIN
/// before it.
pub(super) async fn undo(client: &Client, reset: Reset) -> Result<(), Error> {
    match client.batch_execute(reset.sql()).await {
        Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            client.batch_execute("ROLLBACK").await?;
            client.batch_execute(reset.sql()).await
        }
        answer => answer,
    }
}
