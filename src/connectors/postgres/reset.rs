//! What is undone between two borrowers.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio_postgres::{Client, Error};

use super::driver::Driver;

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
    /// What must succeed, after a `BEGIN`.
    fn requests(self) -> &'static [&'static str] {
        match self {
            Reset::None => &[],
            Reset::Rollback => &["ROLLBACK"],
            Reset::Discard => &["ROLLBACK", SETTINGS, OBJECTS],
        }
    }
}

/// A ROLLBACK alone would have the server warn, in its log, at every return that left no transaction.
/// In one request with it this would not do: after an error in the transaction it fails, and the rest
/// of its request would with it.
const BEGIN: &str = "BEGIN";

/// Before anything that may take a while: what was set may be a `statement_timeout`.
const SETTINGS: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL";

/// `DISCARD ALL` itself would drop the statements by which tokio-postgres looks up types, and it does
/// not notice that.
const OBJECTS: &str = "CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); \
                       DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

type Answer = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + Sync>>;

/// The resets that have been sent.
#[derive(Default)]
pub(super) struct Resetting {
    /// The answers that have not come, in their order, each with its reset's number.
    answers: VecDeque<(u64, Answer)>,
}

impl Resetting {
    /// Sends a reset, in order with all that is sent before and after.
    pub(super) fn begin(&mut self, client: &Arc<Client>, driver: &Driver, reset: Reset) {
        let requests = reset.requests();
        if requests.is_empty() {
            return;
        }
        let number = driver.begin_reset();
        // Its answer says nothing.
        drop(send(client, BEGIN));
        self.answers.extend(requests.iter().filter_map(|sql| Some((number, send(client, sql)?))));
    }

    /// What has become of them. `Pending` leaves it to be asked again.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while let Some((_, answer)) = self.answers.front_mut() {
            let answer = ready!(answer.as_mut().poll(cx));
            self.answers.pop_front();
            answer?;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether they were obeyed, or may still be.
    pub(super) fn is_in_time(&mut self, driver: &Driver) -> bool {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer.is_ok(),
            Poll::Pending => {
                self.answers.front().is_some_and(|(number, _)| !driver.is_late(*number))
            }
        }
    }
}

/// `None` where there is nobody to send it to.
fn send(client: &Arc<Client>, sql: &'static str) -> Option<Answer> {
    let client = client.clone();
    let mut answer: Answer = Box::pin(async move { client.batch_execute(sql).await });
    // A request is sent when it is first polled.
    let sent = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    sent.is_pending().then_some(answer)
}
