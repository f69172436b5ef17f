//! Pools the streams of any transport.

use std::net::SocketAddr;
use std::sync::Arc;
use std::{fmt, io};

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Host, Place, Stream, Transport, failure};
use crate::policy::connector::Connector;
use crate::policy::redacted::Redacted;

/// Makes the streams of a [`Transport`]. The key is `"host:port"`, or `"unix:/path"` for a Unix
/// socket.
///
/// For plain TCP there is [`TcpHostConnector`](crate::tcp::TcpHostConnector), whose connections are
/// tokio's. Everything else, such as the stream through a proxy, is pooled by this. See [the
/// module](crate::transport) for an example.
///
/// It has no ping: a [`Wrapper`](crate::Wrapper) adds one.
///
/// # Errors
///
/// The transport's own, and `InvalidInput` for a key that is not of that form.
#[derive(Clone)]
pub struct StreamConnector {
    transport: Arc<dyn Transport>,
}

impl StreamConnector {
    /// Makes a connector for this transport.
    pub fn new(transport: impl Transport) -> Self {
        StreamConnector { transport: Arc::new(transport) }
    }
}

fn place(key: &str) -> io::Result<Place<'_>> {
    if let Some(path) = key.strip_prefix("unix:").filter(|path| path.starts_with('/')) {
        return Ok(Place::Unix(path));
    }
    let host = Host::parse(key).map_err(|error| failure::of_key(key, error))?;
    Ok(Place::Host(host))
}

#[async_trait]
impl Connector for StreamConnector {
    type Key = String;
    type Connection = Stream;
    type Error = io::Error;

    async fn connect(&self, key: &String) -> io::Result<Stream> {
        let mut stream = self.transport.connect(place(key)?).await?;
        // It is not known what the server says first: that it has accepted must do.
        stream.trial().passed();
        Ok(stream)
    }

    fn is_open(&self, stream: &mut Stream) -> bool {
        stream.is_open()
    }

    /// True: [`is_open`](Connector::is_open) finds the end and the reset of the stream.
    fn notices_close(&self) -> bool {
        true
    }

    /// Returns whether a read of the stream has failed, which a reset makes it.
    fn has_failed(&self, stream: &mut Stream) -> bool {
        stream.signs().has_failed()
    }

    fn last_heard(&self, stream: &Stream) -> Option<Instant> {
        Some(stream.signs().last_heard())
    }

    /// A URL is not a valid key of this connector, but one may be given by mistake.
    fn fmt_key(&self, key: &String, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Redacted(key), f)
    }

    fn peer_addr(&self, stream: &Stream) -> Option<SocketAddr> {
        stream.peer_addr()
    }

    fn is_retryable(&self, error: &io::Error) -> bool {
        failure::is_retryable(error)
    }
}

impl fmt::Debug for StreamConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamConnector").finish_non_exhaustive()
    }
}
