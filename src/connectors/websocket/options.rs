//! The settings of connections.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::rustls::ClientConfig;
use tokio_tungstenite::tungstenite::http::header::{self, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::heartbeat::WebSocketHeartbeat;
use crate::connectors::tcp::TcpOptions;
use crate::policy::build_error::BuildError;

/// Options of the connections that a [`WebSocketConnector`](super::WebSocketConnector) makes.
///
/// The options are checked when a connector takes them. Invalid ones are rejected; none is adjusted
/// silently.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use wharf::websocket::http::header::{AUTHORIZATION, HeaderValue};
/// use wharf::websocket::{WebSocketConnector, WebSocketOptions};
///
/// let options = WebSocketOptions::new()
///     .header(AUTHORIZATION, HeaderValue::from_static("Bearer of news"))
///     .subprotocols(["v2.chat", "v1.chat"]);
/// let connector = WebSocketConnector::with_options(options)?;
///
/// let error = WebSocketConnector::with_options(WebSocketOptions::new().max_unread(0)).unwrap_err();
/// assert_eq!(error.to_string(), "max_unread is 0: it must be at least 1");
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
#[must_use = "options do nothing until a connector takes them"]
pub struct WebSocketOptions {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) subprotocols: Vec<String>,
    pub(super) config: WebSocketConfig,
    pub(super) tcp: TcpOptions,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) heartbeat: Option<WebSocketHeartbeat>,
    pub(super) max_unread: usize,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        WebSocketOptions {
            headers: Vec::new(),
            subprotocols: Vec::new(),
            config: WebSocketConfig::default(),
            tcp: TcpOptions::new(),
            tls: None,
            heartbeat: Some(WebSocketHeartbeat::default()),
            max_unread: 16,
        }
    }
}

/// # Settings
impl WebSocketOptions {
    /// Makes options with every value at its default.
    pub fn new() -> Self {
        WebSocketOptions::default()
    }

    /// Adds a header to each upgrade, such as credentials; call it once for each value. The value
    /// must be visible ASCII and is never shown by `Debug`. Defaults to none.
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.push((name, value));
        self
    }

    /// Sets the subprotocols to offer, the best first. The server must choose one of them, or the
    /// dial fails. Some servers take a token here, so neither errors nor `Debug` show the names.
    /// Defaults to none.
    pub fn subprotocols<P: Into<String>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the protocol's own options: the sizes of buffers and the largest message and frame that
    /// is accepted. Defaults to tungstenite's: 64 MiB for a message, 16 MiB for a frame, buffers of
    /// 128 KiB. Each connection holds its read buffer at all times, even while it is idle: set a
    /// smaller one for many connections with small messages.
    pub fn config(mut self, config: WebSocketConfig) -> Self {
        self.config = config;
        self
    }

    /// Sets how hosts are dialed: the resolver, the choice among their addresses, and the socket
    /// options.
    ///
    /// Defaults to [`TcpOptions::new`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// Sets TLS for `wss` connections, for example with a private authority or a client
    /// certificate. The ALPN protocols in the configuration are replaced by `http/1.1`.
    ///
    /// Defaults to `None`: TLS 1.2 and 1.3, trusting what the system trusts, including a company's
    /// own authorities. macOS and Windows verify certificates themselves; elsewhere the authorities
    /// in `/etc/ssl` or `SSL_CERT_FILE` are read once for the program. If there are none, dials
    /// fail with an error that says so.
    pub fn tls(mut self, config: impl Into<Option<Arc<ClientConfig>>>) -> Self {
        self.tls = config.into();
        self
    }

    /// Sets how a vanished peer is detected. Defaults to [`WebSocketHeartbeat::default`]. With
    /// `None`, only an error of the socket reveals it.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<WebSocketHeartbeat>>) -> Self {
        self.heartbeat = heartbeat.into();
        self
    }

    /// Sets how many unread messages are kept. While that many are unread, nothing more is read
    /// from the socket: the peer is held back, and no heartbeats are sent.
    ///
    /// Defaults to 16: a borrower who reads steadily then never blocks the socket. Each message may
    /// be as large as [`config`](WebSocketOptions::config) allows.
    pub fn max_unread(mut self, messages: usize) -> Self {
        self.max_unread = messages;
        self
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

impl WebSocketOptions {
    pub(super) fn check(&self) -> Result<(), BuildError> {
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
impl fmt::Debug for WebSocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketOptions")
            .field("headers", &self.headers)
            .field("subprotocols", &self.subprotocols.len())
            .field("config", &self.config)
            .field("heartbeat", &self.heartbeat)
            .field("max_unread", &self.max_unread)
            .finish_non_exhaustive()
    }
}

fn is_token(name: &str) -> bool {
    let is_sign = |byte: u8| b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || is_sign(byte))
}
