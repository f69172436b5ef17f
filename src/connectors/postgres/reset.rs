//! What is undone between two borrowers.

use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

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
    /// What is sent, each by itself.
    fn requests(self) -> &'static [&'static str] {
        match self {
            Reset::None => &[],
            Reset::Rollback => &["BEGIN; ROLLBACK"],
            Reset::Discard => &[SETTINGS, OBJECTS],
        }
    }
}

/// A ROLLBACK alone would have the server warn, in its log, at every return that left no transaction.
/// Settings come before anything that may take a while: what was set may be a `statement_timeout`.
const SETTINGS: &str = "BEGIN; ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL";

/// `DISCARD ALL` itself would drop the statements by which tokio-postgres looks up types, and it does
/// not notice that.
const OBJECTS: &str = "CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); \
                       DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

type Answer<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// One round trip, or three where a transaction has failed: it refuses all but a ROLLBACK, also the BEGIN
/// before that.
pub(super) async fn undo(client: &Client, reset: Reset) -> Result<(), Error> {
    match ask(client, reset).await {
        Err(error) if error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION) => {
            client.batch_execute("ROLLBACK").await?;
            ask(client, reset).await
        }
        answer => answer,
    }
}

/// Sends all requests of a reset at once, in their order, and waits for their answers.
async fn ask(client: &Client, reset: Reset) -> Result<(), Error> {
    let answers: Vec<_> = reset.requests().iter().map(|sql| send(client, sql)).collect();
    let mut all = Ok(());
    for answer in answers {
        all = all.and(answer.await);
    }
    all
}

fn send<'a>(client: &'a Client, sql: &'static str) -> Answer<'a> {
    let mut answer: Answer<'a> = Box::pin(client.batch_execute(sql));
    // A request is sent when it is first polled.
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Box::pin(ready(answer)),
        Poll::Pending => answer,
    }
}
