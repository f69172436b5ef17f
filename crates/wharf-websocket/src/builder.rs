//! The settings of connections.

use std::fmt;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::http::header::{self, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wharf::BuildError;
use wharf::tcp::TcpTransport;
use wharf::transport::Transport;

use super::connector::WebSocketConnector;
use super::heartbeat::WebSocketHeartbeat;
use super::tls_or_none::Tls;

/// Sets up a [`WebSocketConnector`]. Made by [`WebSocketConnector::builder`].
///
/// Settings are checked by [`build`](WebSocketBuilder::build). Invalid ones are rejected; none is
/// adjusted silently.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use wharf_websocket::WebSocketConnector;
/// use wharf_websocket::http::header::{AUTHORIZATION, HeaderValue};
///
/// let connector = WebSocketConnector::builder()
///     .header(AUTHORIZATION, HeaderValue::from_static("Bearer of news"))
///     .subprotocols(["v2.chat", "v1.chat"])
///     .build()?;
///
/// let error = WebSocketConnector::builder().max_unread(0).build().unwrap_err();
/// assert_eq!(error.to_string(), "max_unread is 0: it must be at least 1");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct WebSocketBuilder {
    settings: Settings,
    transport: Arc<dyn Transport>,
    tls: Tls,
}

/// What a connector keeps of its settings.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) subprotocols: Vec<String>,
    pub(super) config: WebSocketConfig,
    pub(super) heartbeat: Option<WebSocketHeartbeat>,
    pub(super) max_unread: usize,
}

impl Default for WebSocketBuilder {
    fn default() -> Self {
        let settings = Settings {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            config: WebSocketConfig::default(),
            heartbeat: Some(WebSocketHeartbeat::default()),
            max_unread: 16,
        };
        let transport = Arc::new(TcpTransport::new());
        WebSocketBuilder { settings, transport, tls: Tls::default() }
    }
}

/// # Settings
impl WebSocketBuilder {
    /// Adds a header to each upgrade, such as credentials; call it once for each value. The value
    /// must be visible ASCII and is never shown by `Debug`. Defaults to none.
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.settings.headers.push((name, value));
        self
    }

    /// Sets the subprotocols to offer, the best first. The server must choose one of them, or the
    /// dial fails. Some servers take a token here, so neither errors nor `Debug` show the names.
    /// Defaults to none.
    pub fn subprotocols<P: Into<String>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.settings.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the protocol's own options: the sizes of buffers and the largest message and frame that
    /// is accepted. Defaults to tungstenite's: 64 MiB for a message, 16 MiB for a frame, buffers of
    /// 128 KiB. Each connection holds its read buffer at all times, even while it is idle: set a
    /// smaller one for many connections with small messages.
    pub fn config(mut self, config: WebSocketConfig) -> Self {
        self.settings.config = config;
        self
    }

    /// Sets how streams to servers are made: a [`TcpTransport`] with other settings, a proxy, or
    /// servers in memory.
    ///
    /// Defaults to [`TcpTransport::new`].
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Arc::new(transport);
        self
    }

    /// Sets TLS for `wss` connections, for example with a private authority or a client
    /// certificate: a [`crate::tls::Tls`], or the `ClientConfig` of rustls. Its ALPN protocols
    /// are replaced by `http/1.1`.
    ///
    /// Defaults to [`Tls::new`](crate::tls::Tls::new), which trusts what the system trusts.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<crate::tls::Tls>) -> Self {
        self.tls = tls.into();
        self
    }

    /// Sets how a vanished peer is detected. Defaults to [`WebSocketHeartbeat::default`]. With
    /// `None`, only an error of the socket reveals it.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<WebSocketHeartbeat>>) -> Self {
        self.settings.heartbeat = heartbeat.into();
        self
    }

    /// Sets how many unread messages are kept. While that many are unread, nothing more is read
    /// from the socket: the peer is held back, and no heartbeats are sent.
    ///
    /// Defaults to 16: a borrower who reads steadily then never blocks the socket. Each message may
    /// be as large as [`config`](WebSocketBuilder::config) allows. Until somebody first sends or reads, a
    /// connection keeps one: if it was dialed ahead, it will not be lent with an unread message.
    pub fn max_unread(mut self, messages: usize) -> Self {
        self.settings.max_unread = messages;
        self
    }

    /// Makes the connector. It does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// An invalid setting: the error names it and its value.
    pub fn build(self) -> Result<WebSocketConnector, BuildError> {
        self.settings.check()?;
        let tls = self.tls.offering(&[b"http/1.1"]);
        Ok(WebSocketConnector::new_with(self.settings, self.transport, tls))
    }
}

/// The parts of the upgrade request.
const RESERVED: [HeaderName; 7] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
];

impl Settings {
    fn check(&self) -> Result<(), BuildError> {
        for (name, value) in &self.headers {
            if RESERVED.contains(name) {
                return Err(BuildError::new("header", name, "is set by the upgrade itself"));
            }
            if value.to_str().is_err() {
                return Err(BuildError::new("header", name, "must have a value in visible ASCII"));
            }
        }
        for name in &self.subprotocols {
            if !is_token(name) {
                let reason = "must be letters, digits and the signs of an HTTP token";
                let value = format!("a name of {} characters", name.chars().count());
                return Err(BuildError::new("subprotocols", value, reason));
            }
        }
        let WebSocketConfig { write_buffer_size, max_write_buffer_size, .. } = self.config;
        if max_write_buffer_size <= write_buffer_size {
            let reason = format!("must be larger than write_buffer_size, {write_buffer_size}");
            return Err(BuildError::new("max_write_buffer_size", max_write_buffer_size, reason));
        }
        if self.max_unread == 0 {
            return Err(BuildError::new("max_unread", 0, "must be at least 1"));
        }
        self.heartbeat.as_ref().map_or(Ok(()), WebSocketHeartbeat::check)
    }

    /// Returns the list of subprotocols as the upgrade sends it.
    pub(super) fn offer(&self) -> Option<HeaderValue> {
        let offer = self.subprotocols.join(", ");
        HeaderValue::from_str(&offer).ok().filter(|offer| !offer.is_empty())
    }
}

/// Leaves out the names of subprotocols, which may be tokens; header values are marked as
/// sensitive.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("headers", &self.headers)
            .field("subprotocols", &self.subprotocols.len())
            .field("config", &self.config)
            .field("heartbeat", &self.heartbeat)
            .field("max_unread", &self.max_unread)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for WebSocketBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketBuilder")
            .field("settings", &self.settings)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

fn is_token(name: &str) -> bool {
    let is_sign = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}
