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
use super::turn::{Held, Turn};
use crate::pool::shared::SharedHost;

/// A channel on the pooled connections of one server: each call takes a lease, and gives it back
/// after the last message of its answer.
///
/// It is what a generated client is made of, `EchoClient::new(PooledChannel::new(pool.host(&uri)))`.
/// Clones are cheap, and calls of all clones run at once.
///
/// # Sending again
///
/// A call that is known to have been begun by no server is sent again by itself, on another connection
/// (gRPC's transparent retry). These are the calls of which [`is_unprocessed`](super::is_unprocessed)
/// speaks: their connection ended before a message was sent, or the server said GOAWAY before it looked
/// at them, or refused them (`REFUSED_STREAM`). It is done for every call, and never with a call
/// that a server may have begun.
///
/// All of its messages must be in memory: those of unary calls are, up to 256 KiB; a stream can be
/// sent again while nothing of it was sent. The first time it is done at once, then after 10 ms, and
/// twice as long each time, up to eight times in all.
///
/// # Deadlines
///
/// A call's `grpc-timeout` (`tonic::Request::set_timeout`), or the shorter [`timeout`](PooledChannel::timeout)
/// set here, holds from the beginning of the call to its last message: for the wait for a lease, for all
/// its sendings and for the messages of the answer. Then the call fails with `DEADLINE_EXCEEDED`.
///
/// # Cancel safety
///
/// A call that is dropped, or its answer before the last message, is cancelled: its stream is reset and
/// the other calls go on.
///
/// # Errors
///
/// A server that cannot be reached, a full queue, and a lease that did not come in time are `UNAVAILABLE`;
/// the [`AcquireError`](crate::AcquireError) is the status' `source()`.
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
    /// Makes a channel to the server that this host of a pool stands for. Does not dial.
    pub fn new(host: SharedHost<GrpcConnector>) -> Self {
        PooledChannel { host, timeout: None }
    }

    /// The longest that a call may take. A call's own shorter time holds before it.
    ///
    /// Defaults to `None`, because streams may last. Clones have their own: long streams can be called through
    /// another one. It is not sent to the server, which notices that the call was cancelled.
    pub fn timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.timeout = limit.into();
        self
    }

    /// The host of the pool: for its status, to warm it, to retire its connections.
    pub fn host(&self) -> &SharedHost<GrpcConnector> {
        &self.host
    }

    async fn run(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut deadline = Deadline::of(request.headers(), self.timeout)?;
        let begun = deadline.bound(self.begin(request)).await?;
        Ok(Answer::to(begun, deadline))
    }

    async fn begin(&self, request: Request<Body>) -> Result<(Turn, Response<Incoming>), Status> {
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

/// How long to wait before a call is sent again for the nth time, from 0 on. None when that was often
/// enough.
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
