//! Calls that came too late for their connection.

use std::error::Error;
use std::fmt;
use std::iter::successors;
use std::sync::Arc;

use tonic::Status;

/// Returns whether a call failed before any server started it, because its connection was going
/// away. Such a call can be repeated on a new lease even if its method is not idempotent.
///
/// A [`PooledChannel`](super::PooledChannel) repeats such calls itself, except streams that were
/// partly sent. This function is for calls on leases.
///
/// A server that is about to close a connection sends GOAWAY, and the pool then gives no new leases
/// on it. A call that got its lease just before may still be too late. This function tells such a
/// call from one that a server has processed, or may have. It returns true for
///
/// - a call on a connection that had ended, or that ended before any message of the call was sent,
/// - a call that was not processed according to the server's GOAWAY,
/// - a call that the server refused unprocessed (`REFUSED_STREAM`).
///
/// It returns false for everything else, including cases that cannot be decided. An overloaded
/// server may refuse a call repeatedly: limit the number of attempts if that can happen.
///
/// # Examples
///
/// ```
/// # use tonic_health::pb::health_client::HealthClient;
/// # use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
/// use http::Uri;
/// use tonic::{Response, Status};
/// use wharf::SharedPool;
/// use wharf_grpc::{GrpcConnector, is_unprocessed};
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

/// The status of a call that no server started.
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

/// The server did not start the call.
#[derive(Debug)]
pub(super) struct Unprocessed(pub(super) hyper::Error);

impl fmt::Display for Unprocessed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection went away, or refused the call, before the call was started")
    }
}

impl Error for Unprocessed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}
