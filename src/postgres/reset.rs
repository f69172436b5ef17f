//! What is undone between two borrowers.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Error};

/// What is undone when a connection comes back, before anybody else's first request.
///
/// The requests that undo it are sent at the return and not waited for: the server takes requests in
/// their order. See [the module](crate::postgres) for what each costs, and when.
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
    fn requests(self) -> &'static [&'static str] {
        // A ROLLBACK alone would have the server warn, in its log, at every return that left no
        // transaction. In one request they would not do: after an error in the transaction the first
        // fails, and the rest of its request with it.
        match self {
            Reset::None => &[],
            Reset::Rollback => &["BEGIN", "ROLLBACK"],
            Reset::Discard => &["BEGIN", "ROLLBACK", SETTINGS, OBJECTS],
        }
    }
}

/// Before anything that may take a while: what was set may be a `statement_timeout`.
const SETTINGS: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL";

/// `DISCARD ALL` itself would drop the statements by which tokio-postgres looks up types, and it does
/// not notice that.
const OBJECTS: &str = "CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); \
                       DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

/// How long a connection is lent on while its reset is not answered. What holds it up for longer is
/// something that a borrower left running.
const PATIENCE: Duration = Duration::from_secs(1);

type Answer = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + Sync>>;

/// A reset that has been sent.
pub(super) struct Resetting {
    /// Of the last request: the others have theirs before.
    answer: Answer,
    since: Instant,
}

impl Resetting {
    /// Sends the reset, in order with all that is sent before and after. `None` when it is over
    /// already: there was nothing to send, or nobody to send it to.
    pub(super) fn begin(client: &Arc<Client>, reset: Reset) -> Option<Self> {
        let mut last = None;
        for sql in reset.requests() {
            last = send(client, sql);
        }
        Some(Resetting { answer: last?, since: Instant::now() })
    }

    /// What has become of it. `Pending` leaves it to be asked again.
    pub(super) fn poll(&mut self) -> Poll<Result<(), Error>> {
        self.answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.since.elapsed() > PATIENCE
    }

    pub(super) async fn answered(self) -> Result<(), Error> {
        self.answer.await
    }
}

fn send(client: &Arc<Client>, sql: &'static str) -> Option<Answer> {
    let client = client.clone();
    let mut answer: Answer = Box::pin(async move { client.batch_execute(sql).await });
    // A request is sent when it is first polled.
    let sent = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    sent.is_pending().then_some(answer)
}
