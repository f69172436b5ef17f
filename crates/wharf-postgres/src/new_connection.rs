//! A connection that is being prepared by the user.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::client::PostgresClient;

/// A new connection, passed to [`on_connect`](super::PostgresBuilder::on_connect).
///
/// It derefs to [`PostgresClient`]. The dial continues when it has been dropped.
pub struct NewConnection {
    /// Taken only by `drop`.
    client: Option<PostgresClient>,
    home: Option<oneshot::Sender<PostgresClient>>,
}

impl NewConnection {
    pub(super) fn new(client: PostgresClient, end: End) -> (Self, Back) {
        let (home, back) = oneshot::channel();
        (NewConnection { client: Some(client), home: Some(home) }, Back { back, end: Some(end) })
    }
}

/// How to end a connection whose preparation failed.
pub(super) type End =
    Box<dyn FnOnce(PostgresClient) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The dial's side. If it is dropped before the preparation is done, because that has failed or the
/// dial was given up, a task ends the connection, so that the server stops working on its requests.
pub(super) struct Back {
    back: oneshot::Receiver<PostgresClient>,
    end: Option<End>,
}

impl Back {
    pub(super) async fn set_up(mut self) -> PostgresClient {
        (&mut self.back).await.expect("it is sent when it is dropped")
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        let (Ok(client), Some(end)) = (self.back.try_recv(), self.end.take()) else { return };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(timeout(END, end(client)));
        }
    }
}

/// Longer than a cancellation and the end of a session take.
const END: Duration = Duration::from_secs(5);

impl Deref for NewConnection {
    type Target = PostgresClient;

    fn deref(&self) -> &PostgresClient {
        self.client.as_ref().expect("it is taken by drop alone")
    }
}

impl DerefMut for NewConnection {
    fn deref_mut(&mut self) -> &mut PostgresClient {
        self.client.as_mut().expect("it is taken by drop alone")
    }
}

impl Drop for NewConnection {
    fn drop(&mut self) {
        if let (Some(client), Some(home)) = (self.client.take(), self.home.take()) {
            // The dial may have been given up.
            let _ = home.send(client);
        }
    }
}

impl fmt::Debug for NewConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NewConnection").field(&**self).finish()
    }
}
