//! The settings of TLS, and the handshake.

use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use wharf::connector::Redacted;

use crate::stream::TlsStream;
use crate::trust::trusting_the_system;

/// How a client speaks TLS: which authorities it trusts, and which certificate it shows. Clones share
/// it, and its sessions.
///
/// The default trusts what the system trusts, including a company's own authorities, speaks TLS 1.2
/// and 1.3 with ring's cryptography, and has no certificate of the client. macOS and Windows verify
/// certificates themselves; elsewhere the authorities in `/etc/ssl` or `SSL_CERT_FILE` are read once
/// for the program, at the first handshake. If there are none, dials fail with an error that says
/// so.
///
/// A rustls [`ClientConfig`] is turned into one by `into()`, so that every client's `tls` takes
/// either.
///
/// # Examples
///
/// ```
/// use wharf_tls::Tls;
/// use wharf_tls::rustls::{ClientConfig, RootCertStore};
///
/// let system = Tls::new();
///
/// let mut own_authority = RootCertStore::empty();
/// // own_authority.add(certificate)?;
/// # let provider = std::sync::Arc::new(wharf_tls::rustls::crypto::ring::default_provider());
/// # let builder = ClientConfig::builder_with_provider(provider);
/// # let builder = builder.with_safe_default_protocol_versions()?;
/// # /*
/// let builder = ClientConfig::builder();
/// # */
/// let config = builder.with_root_certificates(own_authority).with_no_client_auth();
/// let own = Tls::from(config);
/// # Ok::<_, wharf_tls::rustls::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    own: Option<Arc<ClientConfig>>,
    /// `None` leaves those of the configuration.
    alpn: Option<Vec<Vec<u8>>>,
    /// Made at the first handshake, and kept so that sessions are resumed.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// Makes TLS that trusts what the system trusts.
    pub fn new() -> Self {
        Tls::default()
    }

    /// Offers these protocols with ALPN, instead of those of the configuration: for clients, which
    /// know what they speak.
    pub fn offering(self, protocols: &[&[u8]]) -> Self {
        let alpn = protocols.iter().map(|name| name.to_vec()).collect();
        Tls { own: self.own, alpn: Some(alpn), config: Arc::default() }
    }

    /// Starts TLS on a stream, with a server that must present a certificate for this name: a DNS
    /// name, or an address without brackets.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if no certificate can have the name, `InvalidData` if the server's is not
    /// trusted, `NotFound` if the system has no authorities; otherwise the stream's own.
    /// [`is_retryable`] tells whether another handshake may succeed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the stream is.
    pub async fn connect<S>(&self, name: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = server_name(name)?;
        let connector = TlsConnector::from(self.config().await?);
        connector.connect(name, stream).await.map(TlsStream::new)
    }

    /// Returns the configuration, for a client that makes the handshake itself.
    ///
    /// # Errors
    ///
    /// `NotFound` if the system has no authorities.
    pub async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let made = self.make().await?;
        Ok(self.config.get_or_init(|| made).clone())
    }

    async fn make(&self) -> io::Result<Arc<ClientConfig>> {
        let mut config = match &self.own {
            Some(own) => own.clone(),
            None => trusting_the_system().await?,
        };
        if let Some(alpn) = self.alpn.as_ref().filter(|alpn| config.alpn_protocols != **alpn) {
            Arc::make_mut(&mut config).alpn_protocols.clone_from(alpn);
        }
        Ok(config)
    }
}

impl From<Arc<ClientConfig>> for Tls {
    fn from(config: Arc<ClientConfig>) -> Self {
        Tls { own: Some(config), ..Tls::default() }
    }
}

impl From<ClientConfig> for Tls {
    fn from(config: ClientConfig) -> Self {
        Arc::new(config).into()
    }
}

/// Says whose certificates are trusted, and nothing that could be secret.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = if self.own.is_some() { "own" } else { "system" };
        f.debug_struct("Tls").field("trust", &trust).finish_non_exhaustive()
    }
}

/// Returns whether a certificate can have this name: a DNS name, or an address without brackets.
pub fn is_server_name(name: &str) -> bool {
    server_name(name).is_ok()
}

fn server_name(name: &str) -> io::Result<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let reason = format!("{:?} is no name that a certificate can have", Redacted(name));
        io::Error::new(io::ErrorKind::InvalidInput, reason)
    })
}

/// Returns whether another handshake may succeed after this error of [`Tls::connect`]. It may not
/// after a certificate error, for a name that no certificate can have, or when no authorities are
/// trusted.
pub fn is_retryable(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, NotFound};
    !matches!(error.kind(), InvalidData | InvalidInput | NotFound)
}
