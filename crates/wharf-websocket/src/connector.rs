//! Dials URLs.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use tokio::time::Instant;
use wharf::Connector;
use wharf::connector::Redacted;
use wharf::transport::Transport;

use super::builder::{Settings, WebSocketBuilder};
use super::connection::WebSocketConnection;
use super::dial::Upgrade;
use super::error::Error;
use super::tls_or_none::{Tls, available, secure};
use super::url::Url;

/// Makes WebSocket connections to URLs: the key is a string such as `"wss://chat.example/room"`.
///
/// The name is resolved at every dial, and its addresses are tried as described in
/// [`tcp`](wharf::tcp#addresses). `"ws://unix:/run/chat.sock:/room"`, nginx's form, connects to the
/// server on a Unix socket. Keys are compared as they are written. Errors and logs show them
/// without their query, which may hold a token. A URL with a user and a password is rejected,
/// because RFC 6455 has none: send credentials in a [`header`](WebSocketBuilder::header).
///
/// # Errors
///
/// [`Error`] says which step failed. There is no retry for a URL that cannot be dialed, an
/// untrusted certificate, or an upgrade that was refused with a permanent status (3xx, and 4xx
/// other than 408, 425 and 429).
#[derive(Clone)]
pub struct WebSocketConnector {
    settings: Arc<Settings>,
    transport: Arc<dyn Transport>,
    tls: Tls,
    missed: Arc<AtomicU64>,
}

impl Default for WebSocketConnector {
    fn default() -> Self {
        WebSocketConnector::builder().build().expect("the defaults are good")
    }
}

impl WebSocketConnector {
    /// Makes a connector with every setting at its default.
    pub fn new() -> Self {
        WebSocketConnector::default()
    }

    /// Starts the set-up of a connector.
    pub fn builder() -> WebSocketBuilder {
        WebSocketBuilder::default()
    }

    pub(super) fn new_with(settings: Settings, transport: Arc<dyn Transport>, tls: Tls) -> Self {
        let settings = Arc::new(settings);
        WebSocketConnector { settings, transport, tls, missed: Arc::default() }
    }

    /// Returns the number of heartbeats missed by all connections of this connector and its clones.
    pub fn missed_beats(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Connector for WebSocketConnector {
    type Key = String;
    type Connection = WebSocketConnection;
    type Error = Error;

    async fn connect(&self, url: &String) -> Result<WebSocketConnection, Error> {
        let to = Url::parse(url)?;
        if to.tls_name().is_some() {
            available().map_err(|error| Error::Tls(Arc::new(error)))?;
        }
        let mut stream = self
            .transport
            .connect(to.place())
            .await
            .map_err(|error| Error::Connect(Arc::new(error)))?;
        let (trial, peer, signs) = (stream.trial(), stream.peer_addr(), stream.signs().clone());
        if let Some(name) = to.tls_name() {
            let secured = secure(&self.tls, name, stream).await;
            stream = secured.map_err(|error| Error::Tls(Arc::new(error)))?;
        }
        let (settings, all_missed) = (&*self.settings, &self.missed);
        let upgrade = Upgrade { url, uri: to.uri, peer, signs, settings, all_missed };
        let connection = upgrade.run(stream).await?;
        trial.passed();
        Ok(connection)
    }

    fn peer_addr(&self, connection: &WebSocketConnection) -> Option<SocketAddr> {
        connection.peer_addr()
    }

    /// Sends a Ping with a unique payload and waits for its Pong.
    async fn ping(&self, connection: &mut WebSocketConnection) -> Result<(), Error> {
        connection.ping().await.map(drop)
    }

    /// Returns whether the connection has not ended and has no unread message and no unanswered
    /// request. See [the module](crate) for what this cannot detect.
    fn is_open(&self, connection: &mut WebSocketConnection) -> bool {
        connection.is_clean()
    }

    /// True: the connection's task reads at all times, except behind a buffer full of unread
    /// messages, and a connection that has any is not lent anyway.
    fn notices_close(&self) -> bool {
        true
    }

    /// Returns whether the connection broke, its peer fell silent, or the peer closed it with a
    /// code that says that the server is at fault or restarts (1002, 1011, 1012, 1013). Not after
    /// any other close frame, such as 1000 and 1001.
    fn has_failed(&self, connection: &mut WebSocketConnection) -> bool {
        connection.end().is_some_and(|end| end.is_failure())
    }

    /// Returns when bytes last came from the peer, as for the connection's heartbeats.
    fn last_heard(&self, connection: &WebSocketConnection) -> Option<Instant> {
        Some(connection.last_heard())
    }

    /// Shows the URL without user, password and query.
    fn fmt_key(&self, url: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Redacted(url), f)
    }

    fn is_retryable(&self, error: &Error) -> bool {
        error.is_retryable()
    }

    /// Sends a close frame and waits for the peer's.
    async fn close(&self, mut connection: WebSocketConnection) {
        connection.close(None).await;
    }
}

impl fmt::Debug for WebSocketConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketConnector")
            .field("settings", &self.settings)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}
