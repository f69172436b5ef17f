//! A connection that is being set up.

use std::fmt;
use std::ops::{Deref, DerefMut};

use tokio::sync::oneshot;

use super::client::PostgresClient;

/// A new connection, in the hands of [`on_connect`](super::PostgresConnector::on_connect).
///
/// It derefs to [`PostgresClient`]. The dial goes on when it has been dropped.
pub struct NewConnection {
    /// Taken by `drop` alone.
    client: Option<PostgresClient>,
    home: Option<oneshot::Sender<PostgresClient>>,
}

impl NewConnection {
    pub(super) fn new(client: PostgresClient) -> (Self, oneshot::Receiver<PostgresClient>) {
        let (home, back) = oneshot::channel();
        (NewConnection { client: Some(client), home: Some(home) }, back)
    }
}

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
