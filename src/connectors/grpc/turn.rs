//! One call's hold on its connection.

use std::future::Future;
use std::ops::Deref;

use http::Request;

use super::channel::GrpcChannel;
use super::connector::GrpcConnector;
use super::messages::OwnFailure;
use crate::connectors::http::http1::Answer;
use crate::connectors::http::http2;
use crate::connectors::http::peer::Exchange;
use crate::connectors::http::request_body::RequestBody;
use crate::pool::shared::Lease;

/// A connection for one call, until its last message has arrived.
///
/// A turn that is dropped while it waits for a silent server makes the connection suspect: the pool
/// pings the server, and starts no new calls there until the server answers.
pub(super) struct Turn {
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

impl Turn {
    /// Returns also the sender of the call's request. `None` if the connection takes no new calls.
    pub(super) fn begin(channel: Held) -> Option<(Self, http2::Sender)> {
        let (sender, exchange) = channel.begin()?;
        Some((Turn { exchange, channel, own_failure: OwnFailure::default() }, sender))
    }

    pub(super) fn send(
        &mut self,
        sender: http2::Sender,
        request: Request<RequestBody>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        sender.send(request, &mut self.exchange)
    }

    /// The call starts or stops waiting for the server.
    pub(super) fn note(&mut self, waits: bool) {
        self.exchange.note(waits);
    }

    /// The call has ended with this error.
    pub(super) fn note_error(&self, error: &hyper::Error) {
        self.channel.connection().note_error(error);
    }

    pub(super) fn channel(&self) -> &GrpcChannel {
        &self.channel
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Held::Lease(lease) = &self.channel
            && self.exchange.ends_in_silence()
        {
            Lease::suspect(lease);
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
