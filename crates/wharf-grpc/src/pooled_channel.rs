//! A channel on all connections of a host.

use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time;
use tonic::Status;
use tonic::body::Body;
use tower_service::Service;

use super::answer::Answer;
use super::call::Call;
use super::channel::Answering;
use super::connector::GrpcConnector;
use super::deadline::Deadline;
use super::error;
use super::in_flight::{Held, InFlight};
use wharf::SharedHost;

/// A channel on the pooled connections of one server: each call takes a lease and returns it after
/// the last message of its answer.
///
/// Pass it to a generated client, `EchoClient::new(PooledChannel::new(pool.host(&uri)))`. Clones
/// are cheap, and the calls of all clones run concurrently.
///
/// # Sending again
///
/// A call that no server has started is sent again automatically, on another connection (gRPC's
/// transparent retry). These are the calls that [`is_unprocessed`](super::is_unprocessed)
/// describes: their connection ended before a message was sent, or the server sent GOAWAY before it
/// looked at them, or refused them (`REFUSED_STREAM`). Every method is retried in these cases, but
/// never a call that a server may have started.
///
/// All messages of the call must be in memory. Those of unary calls are, up to 256 KiB; a stream
/// can be sent again while nothing of it was sent. The first retry is immediate, the second comes
/// after 10 ms, and each pause is twice as long as the last, up to eight retries.
///
/// # Deadlines
///
/// A call's `grpc-timeout` (`tonic::Request::set_timeout`), or the
/// [`timeout`](PooledChannel::timeout) set here if it is shorter, covers the whole call to its last
/// message: the wait for a lease, all retries, and the messages of the answer. After that the call
/// fails with `DEADLINE_EXCEEDED`.
///
/// # Cancel safety
///
/// Dropping a call, or its answer before the last message, cancels it: its stream is reset, and the
/// other calls continue.
///
/// # Errors
///
/// A server that cannot be reached, a full queue, and a lease that did not come in time give the
/// status `UNAVAILABLE`; the [`AcquireError`](wharf::AcquireError) is its `source()`.
///
/// # Panics
///
/// A call panics outside a tokio runtime with timers if it has a deadline, or has to wait before it is
/// sent again.
#[derive(Clone, Debug)]
pub struct PooledChannel {
    host: SharedHost<GrpcConnector>,
    timeout: Option<Duration>,
}

impl PooledChannel {
    /// Makes a channel to the server of this host. It does not dial.
    pub fn new(host: SharedHost<GrpcConnector>) -> Self {
        PooledChannel { host, timeout: None }
    }

    /// Limits the duration of a call. A shorter time of the call itself takes precedence.
    ///
    /// Defaults to `None`, because streams may last. Each clone has its own limit, so that long
    /// streams can use another clone. The limit is not sent to the server, which notices that the
    /// call is cancelled.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into();
        self
    }

    /// Returns the host of the pool, for its status and to warm it or to retire its connections.
    pub fn host(&self) -> &SharedHost<GrpcConnector> {
        &self.host
    }

    async fn run(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut deadline = Deadline::of(request.headers(), self.timeout)?;
        let begun = deadline.bound(self.begin(request)).await?;
        Ok(Answer::to(begun, deadline))
    }

    async fn begin(
        &self,
        request: Request<Body>,
    ) -> Result<(InFlight, Response<Incoming>), Status> {
        let mut call = Call::of(request).await?;
        for nth in 0.. {
            let lease = self.host.acquire().await.map_err(error::no_lease)?;
            let failure = match call.attempt(Held::Lease(lease)).await {
                Ok(begun) => return Ok(begun),
                Err(failure) => failure,
            };
            let Some(pause) = pause(nth).filter(|_| failure.may_be_sent_again) else {
                return Err(failure.status);
            };
            if !pause.is_zero() {
                time::sleep(pause).await;
            }
        }
        unreachable!("the pauses end")
    }
}

/// Returns the pause before the nth retry, counting from 0; `None` after the last one.
fn pause(nth: u32) -> Option<Duration> {
    match nth {
        0 => Some(Duration::ZERO),
        1..8 => Some(Duration::from_millis(10 << (nth - 1)).mul_f64(1.0 + 0.1 * fastrand::f64())),
        _ => None,
    }
}

impl Service<Request<Body>> for PooledChannel {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_double_and_end() {
        assert_eq!(pause(0), Some(Duration::ZERO));
        for nth in 1..8 {
            let millis = pause(nth).unwrap().as_secs_f64() * 1e3;
            let least = f64::from(10 << (nth - 1));
            assert!((least..=least * 1.1).contains(&millis), "{nth}: {millis}");
        }
        assert_eq!(pause(8), None);
    }
}
