//! Dials: the transport, and TLS where it is asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use wharf::connector::Signs;
use wharf::transport::{Place, Stream, Transport, Trial};

use crate::ConnectError;
use crate::tls_or_none::{Tls, available, secure};
use crate::wire::{Wire, Written};

/// Makes the streams of one connector. Clones share them.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) tls: Tls,
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
    /// Speaks TLS if there is a name that the server's certificate must have.
    pub(crate) async fn dial(
        &self,
        to: Place<'_>,
        tls_name: Option<&str>,
    ) -> Result<Dialed, ConnectError> {
        if tls_name.is_some() {
            available().map_err(ConnectError::Tls)?;
        }
        let mut stream = self.transport.connect(to).await.map_err(ConnectError::Transport)?;
        let (trial, peer, signs) = (stream.trial(), stream.peer_addr(), stream.signs().clone());
        let (wire, written) = Wire::new(stream);
        let (stream, chose_http2) = match tls_name {
            Some(name) => secure(&self.tls, name, wire).await.map_err(ConnectError::Tls)?,
            None => (Stream::with_signs(wire, signs.clone()), false),
        };
        Ok(Dialed { stream, chose_http2, written, peer, signs, trial })
    }
}
