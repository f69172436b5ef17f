//! What the system trusts.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use parking_lot::Mutex;
use rustls_platform_verifier::Verifier;
use tokio::task::spawn_blocking;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{self, ClientConfig};

/// Returns a configuration that trusts the system's authorities. They are read once for all
/// clients, because that may be some 150 files. A failure is not kept: the next dial reads them
/// again.
///
/// No dial waits for a task of another dial, whose runtime may be stalled; it waits only for a
/// thread that reads files.
pub(crate) async fn trusting_the_system() -> io::Result<Arc<ClientConfig>> {
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
