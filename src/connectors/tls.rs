//! TLS for every client: the trusted authorities, the offered protocols, and the handshake.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use parking_lot::Mutex;
use rustls_platform_verifier::Verifier;
use tokio::task::spawn_blocking;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

use super::stream::Io;

/// The TLS settings of one connector. Clones share them.
#[derive(Clone)]
pub(crate) struct Tls {
    own: Option<Arc<ClientConfig>>,
    alpn: Vec<Vec<u8>>,
    /// Made at the first handshake, and kept so that sessions are resumed.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Tls {
    /// Uses the given configuration or the default, and offers these protocols with ALPN.
    pub(crate) fn new(own: Option<Arc<ClientConfig>>, alpn: &[&[u8]]) -> Self {
        let alpn = alpn.iter().map(|name| name.to_vec()).collect();
        Tls { own, alpn, config: Arc::default() }
    }

    /// Starts TLS with a server that must present a certificate for this name.
    pub(crate) async fn handshake<S: Io>(
        &self,
        name: ServerName<'static>,
        stream: S,
    ) -> io::Result<TlsStream<S>> {
        TlsConnector::from(self.config().await?).connect(name, stream).await
    }

    async fn config(&self) -> io::Result<Arc<ClientConfig>> {
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
        if config.alpn_protocols != self.alpn {
            Arc::make_mut(&mut config).alpn_protocols.clone_from(&self.alpn);
        }
        Ok(config)
    }
}

/// Returns a configuration that trusts the system's authorities. They are read once for all
/// clients, because that may be some 150 files. A failure is not kept: the next dial reads them
/// again.
///
/// No dial waits for a task of another dial, whose runtime may be stalled; it waits only for a
/// thread that reads files.
async fn trusting_the_system() -> io::Result<Arc<ClientConfig>> {
    static CONFIG: Mutex<Option<Arc<ClientConfig>>> = Mutex::new(None);
    let read = || {
        let mut config = CONFIG.lock();
        if config.is_none() {
            *config = Some(load()?);
        }
        Ok(config.clone().expect("it was put there"))
    };
    spawn_blocking(read).await.map_err(io::Error::other)?
}

/// Uses its own cryptography provider, so that it does not depend on the one that a program
/// installs for the process.
fn load() -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier::new(provider.clone()).map_err(NoTrust)?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The system has no trusted authorities.
#[derive(Debug)]
struct NoTrust(rustls::Error);

impl fmt::Display for NoTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "no certificate authorities were found on this system: install them (most Linux systems \
             have a package ca-certificates), name a file with them in SSL_CERT_FILE, or give the \
             client a TLS configuration of its own",
        )
    }
}

impl Error for NoTrust {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl From<NoTrust> for io::Error {
    fn from(error: NoTrust) -> Self {
        io::Error::new(io::ErrorKind::NotFound, error)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trust = if self.own.is_some() { "own" } else { "system" };
        f.debug_struct("Tls").field("trust", &trust).finish_non_exhaustive()
    }
}

/// Returns whether another handshake may succeed. It may not after a certificate error, which
/// rustls reports with this kind, or when no authorities are trusted.
pub(crate) fn is_retryable(error: &io::Error) -> bool {
    !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::NotFound)
}
