//! Calls that came too late for their connection.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::Arc;

use tonic::Status;

/// Says whether a call failed before any server began it, because its connection was going away: the
/// call can be made again on a fresh lease, whatever it does.
///
/// A [`PooledChannel`](super::PooledChannel) makes such calls again by itself, except streams of
/// which a part was sent. This is for calls on leases.
///
/// A server that is about to close a connection says GOAWAY, and the pool gives no new leases on it
/// from then on. A call that was given its lease just before may still come too late. This tells such
/// a call from one that a server has, or may have, worked on. It is so for
///
/// - a call on a connection that had ended, or that ended before any message of the call was sent,
/// - a call that the server's GOAWAY says was not looked at,
/// - a call that the server refused unprocessed (`REFUSED_STREAM`).
///
/// No for everything else, also where nobody can know. A server that is overloaded may refuse the call
/// again and again: bound the tries where that can be.
///
/// # Examples
///
/// ```
/// # use tonic_health::pb::health_client::HealthClient;
/// # use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
/// use http::Uri;
/// use tonic::{Response, Status};
/// use wharf::SharedPool;
/// use wharf::grpc::{GrpcConnector, is_unprocessed};
///
/// # type Failure = Box<dyn std::error::Error>;
/// async fn check(
///     pool: &SharedPool<GrpcConnector>,
///     server: &Uri,
/// ) -> Result<Response<HealthCheckResponse>, Failure> {
///     loop {
///         let lease = pool.acquire(server).await?;
///         match HealthClient::new(lease.clone()).check(HealthCheckRequest::default()).await {
///             Err(status) if is_unprocessed(&status) => {}
///             result => return Ok(result?),
///         }
///     }
/// }
/// ```
pub fn is_unprocessed(status: &Status) -> bool {
    let mut causes = successors(status.source(), |error| (*error).source());
    causes.any(|cause| cause.is::<Gone>() || cause.is::<Unprocessed>())
}

/// The status of a call that no server began.
pub(super) fn status(cause: impl Error + Send + Sync + 'static) -> Status {
    let mut status = Status::unavailable(cause.to_string());
    status.set_source(Arc::new(cause));
    status
}

/// The connection of a pooled channel has ended.
#[derive(Debug)]
pub(super) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the connection has ended, and a channel on it does not dial again; acquire another",
        )
    }
}

impl Error for Gone {}

/// The server did not begin the call.
#[derive(Debug)]
pub(super) struct Unprocessed(pub(super) hyper::Error);

impl fmt::Display for Unprocessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection went away, or refused the call, before it was begun")
    }
}

impl Error for Unprocessed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
