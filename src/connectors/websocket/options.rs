//! What is asked of the server, and set on the connections.

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
/// Nothing is checked before a connector takes them, and nothing is silently corrected.
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

/// # Setting
impl WebSocketOptions {
    /// Makes options that are all at their defaults.
    pub fn new() -> Self {
        WebSocketOptions::default()
    }

    /// A header to send with each upgrade, such as credentials; once more for each value. Its value
    /// must be visible ASCII, and is never shown by `Debug`. Defaults to none.
    pub fn header(mut self, name: HeaderName, mut value: HeaderValue) -> Self {
        value.set_sensitive(true);
        self.headers.push((name, value));
        self
    }

    /// The subprotocols to offer, the best first. The server must choose one of them, or the dial
    /// fails. Some servers take a token here: neither errors nor `Debug` show the names. Defaults to
    /// none.
    pub fn subprotocols<P: Into<String>>(mut self, names: impl IntoIterator<Item = P>) -> Self {
        self.subprotocols = names.into_iter().map(Into::into).collect();
        self
    }

    /// The protocol's own settings: the sizes of buffers, and of the largest message and frame that
    /// is taken. Defaults to tungstenite's: 64 MiB a message, 16 MiB a frame, buffers of 128 KiB.
    /// Each connection has its read buffer at all times, also while it idles: make it smaller where
    /// there are many connections and small messages.
    pub fn config(mut self, config: WebSocketConfig) -> Self {
        self.config = config;
        self
    }

    /// How hosts are dialed: the resolver, which of their addresses, and what is set on the sockets.
    ///
    /// Defaults to [`TcpOptions::new`].
    pub fn tcp(mut self, options: TcpOptions) -> Self {
        self.tcp = options;
        self
    }

    /// How `wss` connections are encrypted and what they trust: a private authority, a client's
    /// certificate. The protocols that it offers with ALPN are replaced by `http/1.1`.
    ///
    /// Defaults to `None`: TLS 1.2 and 1.3, and what the system trusts, a company's own authorities
    /// included: macOS and Windows verify certificates themselves, elsewhere the authorities of
    /// `/etc/ssl` or of `SSL_CERT_FILE` are read, once for the program. Where there are none, dials
    /// fail with an error that says so.
    pub fn tls(mut self, config: impl Into<Option<Arc<ClientConfig>>>) -> Self {
        self.tls = config.into();
        self
    }

    /// How a peer that is gone is found. Defaults to [`WebSocketHeartbeat::default`]; with `None`
    /// nothing but an error of the socket tells.
    pub fn heartbeat(mut self, heartbeat: impl Into<Option<WebSocketHeartbeat>>) -> Self {
        self.heartbeat = heartbeat.into();
        self
    }

    /// How many messages that nobody has read are kept. While there are so many, no more is read
    /// from the socket: the peer is held back, and the heart rests.
    ///
    /// Defaults to 16: enough that a borrower who reads steadily never makes the socket wait. Each
    /// may be as large as [`config`](WebSocketOptions::config) allows.
    pub fn max_unread(mut self, messages: usize) -> Self {
        self.max_unread = messages;
        self
    }
}

/// What the upgrade itself is made of.
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

    /// The offer of subprotocols as the upgrade has it.
    pub(super) fn offer(&self) -> Option<HeaderValue> {
        let offer = self.subprotocols.join(", ");
        HeaderValue::from_str(&offer).ok().filter(|offer| !offer.is_empty())
    }
}

/// Without the names of subprotocols, which may be tokens; the values of headers are marked as sensitive.
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
