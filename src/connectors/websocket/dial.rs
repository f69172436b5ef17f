//! The steps of a dial: TCP, TLS if the URL asks for it, the upgrade, and the driver.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

use super::connection::WebSocketConnection;
use super::driver::Driver;
use super::error::WebSocketError;
use super::mailbox::Mailbox;
use super::meter::Meter;
use super::options::WebSocketOptions;
use super::url::Url;

pub(super) struct Dial<'a> {
    pub(super) url: &'a str,
    pub(super) options: &'a WebSocketOptions,
    pub(super) all_missed: &'a Arc<AtomicU64>,
}

impl Dial<'_> {
    pub(super) async fn run(self) -> Result<WebSocketConnection, WebSocketError> {
        let Url { uri, host, port, tls } = Url::parse(self.url)?;
        let request = self.request(uri).map_err(handshake)?;
        let stream = reach(&host, port).await?;
        let Some(name) = tls else { return self.upgrade(request, stream).await };
        let config = self.options.tls.clone().unwrap_or_else(default_tls);
        let encrypted = TlsConnector::from(config).connect(name, stream).await;
        let encrypted = encrypted.map_err(|error| WebSocketError::Tls(Arc::new(error)))?;
        self.upgrade(request, encrypted).await
    }

    fn request(&self, uri: impl IntoClientRequest) -> Result<Request, Error> {
        let mut request = uri.into_client_request()?;
        let headers = request.headers_mut();
        for (name, value) in &self.options.headers {
            headers.append(name, value.clone());
        }
        if let Some(offer) = self.options.offer() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        Ok(request)
    }

    async fn upgrade<S>(
        self,
        request: Request,
        stream: S,
    ) -> Result<WebSocketConnection, WebSocketError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let upgraded =
            client_async_with_config(request, Meter::new(stream), Some(self.options.config));
        let (socket, response) = upgraded.await.map_err(handshake)?;
        let mailbox = Arc::new(Mailbox::new(self.options.max_unread));
        let heartbeat = self.options.heartbeat;
        let all_missed = self.all_missed.clone();
        let driver = Driver::new(socket, mailbox.clone(), self.url, heartbeat, all_missed);
        tokio::spawn(driver.run());
        Ok(WebSocketConnection::new(mailbox, response))
    }
}

async fn reach(host: &str, port: u16) -> Result<TcpStream, WebSocketError> {
    let failed = |error| WebSocketError::Connect(Arc::new(error));
    let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
    // A frame that waits for the acknowledgement of the last gains nothing from it.
    stream.set_nodelay(true).map_err(failed)?;
    Ok(stream)
}

fn handshake(error: Error) -> WebSocketError {
    WebSocketError::Handshake(Arc::new(error))
}

/// Made once: it holds some 150 certificates.
fn default_tls() -> Arc<ClientConfig> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let make = || {
        let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let versions = builder.with_safe_default_protocol_versions();
        let versions = versions.expect("ring has the cipher suites of both versions");
        Arc::new(versions.with_root_certificates(roots).with_no_client_auth())
    };
    CONFIG.get_or_init(make).clone()
}
