//! The steps of a dial after the transport: the upgrade, and the start of the driver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;

use wharf::connector::Signs;
use wharf::transport::Stream;

use super::builder::Settings;
use super::channel::Channel;
use super::connection::WebSocketConnection;
use super::driver::Driver;
use super::error::Error;
use super::meter::Meter;

pub(super) struct Upgrade<'a> {
    /// The key.
    pub(super) url: &'a str,
    /// The request of the upgrade.
    pub(super) uri: Uri,
    pub(super) peer: Option<SocketAddr>,
    pub(super) signs: Signs,
    pub(super) settings: &'a Settings,
    pub(super) all_missed: &'a Arc<AtomicU64>,
}

impl Upgrade<'_> {
    fn request(&self) -> Result<Request, tungstenite::Error> {
        let mut request = self.uri.clone().into_client_request()?;
        let headers = request.headers_mut();
        for (name, value) in &self.settings.headers {
            headers.append(name, value.clone());
        }
        if let Some(offer) = self.settings.offer() {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        Ok(request)
    }

    pub(super) async fn run(self, stream: Stream) -> Result<WebSocketConnection, Error> {
        let request = self.request().map_err(handshake)?;
        let signs = self.signs;
        let upgraded =
            client_async_with_config(request, Meter::new(stream), Some(self.settings.config));
        let (socket, response) = upgraded.await.map_err(handshake)?;
        let channel = Arc::new(Channel::new(self.settings.max_unread));
        let heartbeat = self.settings.heartbeat;
        let all_missed = self.all_missed.clone();
        let driver = Driver::new(socket, channel.clone(), self.url, heartbeat, all_missed);
        tokio::spawn(driver.run());
        Ok(WebSocketConnection::new(channel, signs, self.peer, response))
    }
}

fn handshake(error: tungstenite::Error) -> Error {
    Error::Handshake(Arc::new(error))
}
