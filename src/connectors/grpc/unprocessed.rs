//! Calls that came too late for their connection.

use std::error::Error;
use std::fmt;
use std::iter::successors;

use tonic::Status;

use super::call::Unsent;

/// Says whether a call failed before any server began it, because its connection was going away: the
/// call can be made again on a fresh lease, whatever it does.
///
/// A server that is about to close a connection says GOAWAY, and the pool gives no new leases on it
/// from then on. A call that was given its lease just before may still come too late. This tells such
/// a call from one that a server has, or may have, worked on. It is so for
///
/// - a call on a connection that had ended, or that ended before any message of the call was sent (a
///   client made of a plain `Channel` cannot always tell; make it of a
///   [`GrpcChannel`](super::GrpcChannel)),
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
/// use tonic::{Response, Status, transport::Uri};
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
    causes.any(|cause| {
        cause.is::<Gone>()
            || cause.is::<Unsent>()
            || cause.downcast_ref().is_some_and(hyper::Error::is_canceled)
            || cause.downcast_ref().is_some_and(was_refused)
    })
}

/// A stream fails by the peer's GOAWAY only if it lies above the last one that the peer looked at.
fn was_refused(error: &h2::Error) -> bool {
    let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (error.is_go_away() || (error.is_reset() && refused))
}

/// The connection of a pooled channel has ended.
#[derive(Debug)]
pub(super) struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the connection has ended, and a pooled channel does not dial again; acquire another",
        )
    }
}

impl Error for Gone {}
