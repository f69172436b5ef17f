//! The pooled type: a channel on one connection.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use super::answer::Answer;
use super::call::Call;
use super::deadline::Deadline;
use super::in_flight::Held;
use super::target::Target;
use wharf_http::conn::Http2Connection;

/// Makes calls on exactly one connection and ends with it: it does not redial behind the pool's
/// back.
///
/// Pass it to a generated client, `EchoClient::new(lease.clone())`. Clones are cheap and share the
/// connection. Where you have only a reference to the lease, write `GrpcChannel::clone(lease)`,
/// since `lease.clone()` would copy the reference.
///
/// A call that the server did not start is not sent again: see
/// [`is_unprocessed`](super::is_unprocessed), or use a [`PooledChannel`](super::PooledChannel),
/// which retries such calls.
///
/// A clone that outlives its lease still works and keeps the connection open, but the pool does not
/// know about its calls. Keep the lease until the last message of the call has arrived, and the
/// clone no longer than that.
#[derive(Clone)]
pub struct GrpcChannel {
    connection: Http2Connection,
    target: Arc<Target>,
}

impl GrpcChannel {
    /// Wraps a connection that speaks HTTP/2.
    pub(super) fn new(connection: Http2Connection, target: Target) -> Self {
        GrpcChannel { connection, target: Arc::new(target) }
    }

    /// Returns the address that was dialed. `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.connection.peer_addr()
    }

    /// Returns whether the connection takes new calls: it has not ended, and its server has not
    /// sent GOAWAY.
    pub fn is_open(&self) -> bool {
        self.connection.is_open()
    }

    /// Returns how many calls the server allows at once on this connection at the moment. `None` if
    /// it sets no limit.
    pub fn max_concurrent_streams(&self) -> Option<u32> {
        self.connection.allowed_streams()
    }

    pub(super) async fn close(self) {
        self.connection.close().await;
    }

    pub(super) fn connection(&self) -> &Http2Connection {
        &self.connection
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    async fn run(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut deadline = Deadline::of(request.headers(), None)?;
        let begin = async {
            let mut call = Call::of(request).await?;
            call.attempt(Held::Clone(self)).await.map_err(|failure| failure.status)
        };
        let begun = deadline.bound(begin).await?;
        Ok(Answer::to(begun, deadline))
    }
}

/// The answer to a call, until its head has arrived.
pub(super) type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

impl Service<Request<Body>> for GrpcChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answering {
        Box::pin(self.clone().run(request))
    }
}

impl fmt::Debug for GrpcChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcChannel").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}
