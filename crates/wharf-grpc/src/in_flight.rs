//! One call's hold on its connection.

use std::future::Future;
use std::ops::Deref;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use wharf::Lease;
use wharf_http::conn::{Exchange, Unanswered};

use super::channel::GrpcChannel;
use super::connector::GrpcConnector;
use super::messages::{BoxError, OwnFailure};

/// A connection for one call, until its last message has arrived.
///
/// One that is dropped while it waits for a silent server makes the connection suspect, at once or
/// when the lease of its clone returns: the pool pings the server, and starts no new calls there until the server answers.
pub(super) struct InFlight {
    exchange: Exchange,
    channel: Held,
    pub(super) own_failure: OwnFailure,
}

/// What keeps the connection open.
pub(super) enum Held {
    Lease(Lease<GrpcConnector>),
    /// A clone of a lease that the caller holds.
    Clone(GrpcChannel),
}

impl InFlight {
    /// `None` if the connection takes no new calls.
    pub(super) fn begin(channel: Held) -> Option<Self> {
        let exchange = channel.connection().begin()?;
        Some(InFlight { exchange, channel, own_failure: OwnFailure::default() })
    }

    pub(super) fn send<B>(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + Send + use<B>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        self.exchange.send(request)
    }

    /// The call starts or stops waiting for the server.
    pub(super) fn note(&mut self, waits: bool) {
        self.exchange.waits(waits);
    }

    /// The call has ended with this error.
    pub(super) fn note_error(&self, error: &hyper::Error) {
        self.channel.connection().note_error(error);
    }

    pub(super) fn channel(&self) -> &GrpcChannel {
        &self.channel
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Of a clone it is noted, and the pool asks when the lease returns.
        let is_silent = self.exchange.ends_in_silence();
        match &self.channel {
            Held::Lease(lease) if is_silent => Lease::suspect(lease),
            _ => {}
        }
    }
}

impl Deref for Held {
    type Target = GrpcChannel;

    fn deref(&self) -> &GrpcChannel {
        match self {
            Held::Lease(lease) => lease,
            Held::Clone(channel) => channel,
        }
    }
}
