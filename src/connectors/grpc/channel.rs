//! What is pooled: a channel on one connection.

use std::error::Error;
use std::fmt;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::ops::Deref;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tonic::ConnectError;
use tonic::body::Body;
use tonic::transport::{Channel, Endpoint};
use tower_service::Service;

use super::call::Call;
use super::error::GrpcError;
use super::unprocessed::Gone;
use super::wire::{Peer, Wire};
use crate::connectors::stream::Stream;

/// A tonic [`Channel`] on exactly one connection, which ends with it: it does not dial again behind
/// the pool's back.
///
/// It is what a generated client is made of, `EchoClient::new(lease.clone())`, and derefs to the
/// [`Channel`] for code that names that type, `EchoClient::new(Channel::clone(&lease))`. Clones are
/// cheap and share the connection. Where all there is is a reference to the lease, write
/// `GrpcChannel::clone(lease)`, since `lease.clone()` would copy the reference.
///
/// A clone that outlives its lease goes on working and keeps the connection open, but the pool does
/// not know of its calls: keep the lease until the last message of the call has come, and the clone
/// no longer.
#[derive(Clone)]
pub struct GrpcChannel {
    channel: Channel,
    peer: watch::Receiver<Peer>,
    peer_addr: Option<SocketAddr>,
}

impl GrpcChannel {
    /// Begins HTTP/2 on a stream, and waits for the server's settings.
    pub(super) async fn open(
        stream: Stream,
        peer_addr: Option<SocketAddr>,
        endpoint: Endpoint,
    ) -> Result<Self, GrpcError> {
        let (wire, mut peer) = Wire::new(stream);
        let once = Once(Some(TokioIo::new(wire)));
        let channel = Channel::connect(once, endpoint).await.map_err(GrpcError::Handshake)?;
        // Without them nobody knows how many calls the connection carries.
        peer.wait_for(|peer| peer.greeted).await.map_err(|_| GrpcError::NoSettings)?;
        Ok(GrpcChannel { channel, peer, peer_addr })
    }

    /// The address that was dialed. `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Whether the connection takes new calls: it has not ended, and its server has not said GOAWAY.
    pub fn is_open(&self) -> bool {
        self.peer.has_changed().is_ok() && !self.peer.borrow().leaving
    }

    /// How many calls the server takes at once on this connection, now. `None` when it sets no limit.
    pub fn max_concurrent_streams(&self) -> Option<u32> {
        self.peer.borrow().max_streams
    }
}

impl Deref for GrpcChannel {
    type Target = Channel;

    fn deref(&self) -> &Channel {
        &self.channel
    }
}

impl Service<Request<Body>> for GrpcChannel {
    type Response = Response<Body>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Call;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Call {
        Call::begin(&mut self.channel, request)
    }
}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcChannel").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

/// Gives the one connection that there is. tonic asks again when that has ended.
struct Once<T>(Option<TokioIo<T>>);

impl<T> Service<Uri> for Once<T> {
    type Response = TokioIo<T>;
    type Error = ConnectError;
    type Future = Ready<Result<TokioIo<T>, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().ok_or_else(|| ConnectError(Box::new(Gone))))
    }
}
