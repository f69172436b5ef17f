//! TLS: what is trusted and offered, and the handshake.

use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::wire::Wire;
use super::{ConnectError, Origin, Protocol};

pub(super) async fn handshake(
    config: &Arc<ClientConfig>,
    origin: &Origin,
    stream: Wire,
) -> Result<TlsStream<Wire>, ConnectError> {
    let host = origin.host().trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host).map_err(ConnectError::HostName)?.to_owned();
    let connector = TlsConnector::from(config.clone());
    connector.connect(name, stream).await.map_err(ConnectError::Tls)
}

/// The user's configuration, or one that trusts Mozilla's roots; with what the protocol offers.
pub(super) fn config(own: Option<Arc<ClientConfig>>, protocol: Protocol) -> Arc<ClientConfig> {
    let mut config = own.unwrap_or_else(|| Arc::new(trusting_mozilla()));
    Arc::make_mut(&mut config).alpn_protocols = protocol.alpn();
    config
}

/// With its own cryptography, so that it does not depend on what a program sets for all.
fn trusting_mozilla() -> ClientConfig {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
