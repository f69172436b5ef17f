//! Dials: the transport, and TLS where it is asked for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use wharf::connector::Signs;
use wharf::transport::{Host, Place, Stream, Transport, Trial};

use crate::ConnectError;
use crate::proxy_or_none::Proxy;
use crate::tls_or_none::{Tls, available, secure};
use crate::wire::{Wire, Written};

/// Makes the streams of one connector. Clones share them.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) tls: Tls,
}

/// How a server is reached.
pub(crate) enum Route<'a> {
    /// A dial leads there.
    Direct(Place<'a>),
    /// In a tunnel.
    Through(&'a Proxy, Host<'a>),
}

/// A stream on which HTTP can be spoken.
pub(crate) struct Dialed {
    pub(crate) stream: Stream,
    /// The server has chosen HTTP/2, in a TLS handshake.
    pub(crate) chose_http2: bool,
    /// The bytes that the system has taken.
    pub(crate) written: Written,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) signs: Signs,
    /// To be passed once the handshakes on the stream are over.
    pub(crate) trial: Trial,
}

impl Dialer {
    /// Proto TLS if there is a name that the server's certificate must have.
    pub(crate) async fn dial(
        &self,
        to: Route<'_>,
        tls_name: Option<&str>,
    ) -> Result<Dialed, ConnectError> {
        if tls_name.is_some() {
            available().map_err(ConnectError::Tls)?;
        }
        let mut stream = self.stream(to).await.map_err(ConnectError::Transport)?;
        let (trial, peer, signs) = (stream.trial(), stream.peer_addr(), stream.signs().clone());
        let (wire, written) = Wire::new(stream);
        let (stream, chose_http2) = match tls_name {
            Some(name) => secure(&self.tls, name, wire).await.map_err(ConnectError::Tls)?,
            None => (Stream::with_signs(wire, signs.clone()), false),
        };
        Ok(Dialed { stream, chose_http2, written, peer, signs, trial })
    }

    async fn stream(&self, to: Route<'_>) -> io::Result<Stream> {
        match to {
            Route::Direct(place) => self.transport.connect(place).await,
            Route::Through(proxy, host) => proxy.connect(&*self.transport, host).await,
        }
    }
}
