//! HTTP/2 connections for protocols on top of HTTP, such as gRPC: the low level of this crate.
//!
//! An [`Http2Dialer`] makes [`Http2Connection`]s, which a connector of a
//! [`SharedPool`](wharf::SharedPool) can lend. Each [`Exchange`] on one is a request and its
//! response. The [`Client`](crate::Client) is made of the same parts.
//!
//! # Examples
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use wharf::transport::{Host, Place};
//! use wharf_http::conn::{Http2Dialer, Http2Options};
//!
//! let dialer = Http2Dialer::new(wharf::tcp::TcpTransport::new(), Http2Options::default())?;
//! let server = Place::Host(Host { name: "localhost", port: 8080 });
//! let connection = dialer.dial(server, None).await?;
//!
//! let mut exchange = connection.begin().ok_or("it takes no more requests")?;
//! let request = http::Request::get("http://localhost:8080/").body(Full::<Bytes>::default())?;
//! exchange.waits(true);
//! let response = exchange.send(request).await.map_err(wharf_http::conn::Unanswered::into_error)?;
//! # Ok(()) }
//! ```

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use wharf::BuildError;
use wharf::connector::Signs;
use wharf::transport::{Place, Transport};

use crate::connection::{HttpConnection, Proto};
use crate::dial::{Dialer, Route};
use crate::error::BoxError;
use crate::http2::{self, Http2};
use crate::protocol::HTTP2;
use crate::request_body::RequestBody;
use crate::retry::{cause, is_untaken};
use crate::tls_or_none::Tls;
use crate::{ConnectError, peer};

pub use crate::http2::Http2Options;

/// Dials HTTP/2 servers. Clones share the transport and the TLS sessions.
#[derive(Clone)]
pub struct Http2Dialer {
    dialer: Dialer,
    options: Http2Options,
}

impl Http2Dialer {
    /// Makes a dialer on this transport. Its TLS trusts what the system trusts.
    ///
    /// # Errors
    ///
    /// An option that is invalid: a time that is zero or longer than a year, a window that is not from
    /// 16 KiB to 2 GiB - 1, or a size of heads that is not from 8 KiB to 64 MiB.
    pub fn new(transport: impl Transport, options: Http2Options) -> Result<Self, BuildError> {
        options.check([
            "keep_alive_interval",
            "keep_alive_timeout",
            "stream_window",
            "max_header_list_size",
        ])?;
        let tls = Tls::default().offering(&[HTTP2]);
        let dialer = Dialer { transport: Arc::new(transport), tls };
        Ok(Http2Dialer { dialer, options })
    }

    /// Sets TLS. HTTP/2 is always requested.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: impl Into<wharf_tls::Tls>) -> Self {
        self.dialer.tls = tls.into().offering(&[HTTP2]);
        self
    }

    /// Makes a connection, and waits until the server has sent its settings, so that the number of
    /// requests that it allows at once is known. It speaks TLS if there is a name that the server's
    /// certificate must have.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says which step failed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is.
    pub async fn dial(
        &self,
        to: Place<'_>,
        tls_name: Option<&str>,
    ) -> Result<Http2Connection, ConnectError> {
        let dialed = self.dialer.dial(Route::Direct(to), tls_name).await?;
        if tls_name.is_some() && !dialed.chose_http2 {
            return Err(ConnectError::NoHttp2);
        }
        let (http2, driver) = http2::greeted_handshake(dialed.stream, &self.options).await?;
        dialed.trial.passed();
        let connection =
            HttpConnection::start(Proto::Http2(http2), dialed.peer, dialed.signs, driver);
        Ok(Http2Connection(connection))
    }
}

impl fmt::Debug for Http2Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2Dialer").field("options", &self.options).finish_non_exhaustive()
    }
}

/// An HTTP/2 connection, driven by a task of its own. Clones are cheap and share it; the task ends
/// with the last one.
#[derive(Clone, Debug)]
pub struct Http2Connection(HttpConnection);

impl Http2Connection {
    fn http2(&self) -> &Http2 {
        match self.0.proto() {
            Proto::Http2(http2) => http2,
            Proto::Http1(_) => unreachable!("it was begun as HTTP/2"),
        }
    }

    /// Starts an exchange. It is not counted against anything: a connector does that by its leases.
    /// `None` if the connection takes no new ones: it has ended, or the server
    /// has sent GOAWAY.
    pub fn begin(&self) -> Option<Exchange> {
        let (sender, counted) = self.http2().begin().filter(|(sender, _)| !sender.is_closed())?;
        Some(Exchange { sender: Some(sender), counted })
    }

    /// Returns whether the connection takes new exchanges: for
    /// [`is_open`](wharf::Connector::is_open).
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Returns the address that was dialed. `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr()
    }

    /// Returns what is known of the server from its bytes: for
    /// [`last_heard`](wharf::Connector::last_heard) and
    /// [`has_failed`](wharf::Connector::has_failed).
    pub fn signs(&self) -> &Signs {
        self.0.signs()
    }

    /// Returns how many exchanges the server allows at once at the moment. `None` if it sets no
    /// limit.
    pub fn allowed_streams(&self) -> Option<u32> {
        self.http2().allowed_streams()
    }

    /// Returns whether an exchange has ended in silence since the last ping began.
    pub fn is_doubted(&self) -> bool {
        self.http2().is_doubted()
    }

    /// Sends a PING and waits until anything is heard. Returns whether that was before the
    /// connection ended. After an exchange that [ended in silence](Exchange::ends_in_silence) the
    /// server has one second.
    pub async fn ping(&self) -> bool {
        self.http2().ping().await
    }

    /// Notes that an exchange has ended with this error: it may mean that the connection has failed.
    pub fn note_error(&self, error: &hyper::Error) {
        self.0.note_error(error);
    }

    /// Ends the connection after the exchanges in progress, and waits for that.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection ends at once.
    pub async fn close(self) {
        self.0.close().await;
    }
}

/// One request and its response on an [`Http2Connection`]. Keep it until the end of the response's
/// body: when it is dropped, what is left of the request's body is not sent.
pub struct Exchange {
    /// `None` once the request is sent.
    sender: Option<http2::Sender>,
    counted: peer::Exchange,
}

impl Exchange {
    /// Sends the request, whose URI must be absolute, and waits for the head of its response.
    ///
    /// # Errors
    ///
    /// [`Unanswered`], which tells whether the request can be sent again.
    ///
    /// # Panics
    ///
    /// If it is called a second time.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the stream is reset, and other exchanges continue.
    pub fn send<B>(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, Unanswered>> + Send + use<B>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let sender = self.sender.take().expect("an exchange sends one request");
        let request =
            request.map(|body| RequestBody::streamed(body.map_err(Into::into).boxed_unsync()));
        let sent = sender.send(request, &mut self.counted);
        async move { sent.await.map_err(Unanswered::of) }
    }

    /// Notes that the exchange starts or stops waiting for the server.
    pub fn waits(&mut self, waits: bool) {
        self.counted.note(waits);
    }

    /// Returns whether the exchange ends while it waits for a server from which nothing was heard
    /// meanwhile. Then [suspect](wharf::Lease::suspect) its lease: the next ping asks the server.
    ///
    /// It does not if the last thing that was heard is the answer to a ping: gRPC servers treat a
    /// third ping in a row as abuse. Go's client has the same rule.
    pub fn ends_in_silence(&self) -> bool {
        self.counted.ends_in_silence()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("is_sent", &self.sender.is_none()).finish_non_exhaustive()
    }
}

/// The error of a request that got no response.
#[derive(Debug)]
pub struct Unanswered {
    error: hyper::Error,
    came_back: bool,
}

impl Unanswered {
    fn of(mut error: TrySendError<Request<RequestBody>>) -> Self {
        let came_back = error.take_message().is_some();
        Unanswered { error: error.into_error(), came_back }
    }

    /// Returns whether nothing of the request was sent.
    pub fn is_unsent(&self) -> bool {
        self.came_back
    }

    /// Returns whether the server says that it did not process the request: it refused it, or sent
    /// GOAWAY before.
    pub fn is_unprocessed(&self) -> bool {
        is_untaken(&self.error)
    }

    /// Returns the error.
    pub fn error(&self) -> &hyper::Error {
        &self.error
    }

    /// Returns the error.
    pub fn into_error(self) -> hyper::Error {
        self.error
    }
}

/// Returns the HTTP/2 error code with which a stream was reset, if this error means that.
pub fn reset_code(error: &hyper::Error) -> Option<u32> {
    let reset = cause::<h2::Error>(error).filter(|error| error.is_reset());
    reset.and_then(h2::Error::reason).map(Into::into)
}
