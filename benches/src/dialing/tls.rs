//! An echo over TLS 1.3. Those who dial each time share a configuration, and so resume sessions.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, crypto};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use wharf::{Connector, Pool, async_trait};

use super::tcp::{dial, echo};
use super::{Protocol, Serving, TASKS, listen};

type Configs = (Arc<ServerConfig>, Arc<ClientConfig>);

/// One certificate for everybody.
static CONFIGS: LazyLock<Configs> = LazyLock::new(configs);

pub(crate) struct Tls {
    address: SocketAddr,
    dialer: Dialer,
    pool: Pool<Dialer>,
}

#[derive(Clone)]
pub(crate) struct Dialer(TlsConnector);

#[async_trait]
impl Connector for Dialer {
    type Key = SocketAddr;
    type Connection = TlsStream<TcpStream>;
    type Error = io::Error;

    async fn connect(&self, address: &SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::IpAddress(address.ip().into());
        self.0.connect(name, dial(*address).await?).await
    }
}

impl Protocol for Tls {
    const NAME: &'static str = "TLS";

    async fn serve() -> Serving {
        listen(serve).await
    }

    fn at(address: SocketAddr) -> Self {
        let dialer = Dialer(TlsConnector::from(CONFIGS.1.clone()));
        let pool = Pool::builder().max_per_host(TASKS).build(dialer.clone());
        Tls { address, dialer, pool: pool.expect("valid settings") }
    }

    async fn dial_and_ask(&self) {
        let mut stream = self.dialer.connect(&self.address).await.expect("a connection");
        echo(&mut stream).await;
    }

    async fn ask_through_pool(&self) {
        let mut stream = self.pool.acquire(&self.address).await.expect("a connection");
        echo(&mut *stream).await;
    }

    fn dials(&self) -> u64 {
        self.pool.status().dials
    }
}

async fn serve(stream: TcpStream) {
    let Ok(stream) = TlsAcceptor::from(CONFIGS.0.clone()).accept(stream).await else { return };
    let (mut from, mut to) = tokio::io::split(stream);
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

fn configs() -> Configs {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]);
    let signed = signed.expect("a certificate");
    let chain = vec![signed.cert.der().clone()];
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).expect("a key");
    let mut roots = RootCertStore::empty();
    roots.add(signed.cert.der().clone()).expect("a root");
    let provider = Arc::new(crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate that fits");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}
