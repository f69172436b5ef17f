//! An HTTP/2 connection: many exchanges at once.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::AbortHandle;
use http::Request;
use http_body::Body;
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ConnectError;
use super::heads::Unacceptable;
use super::http1::HeadResult;
use super::http2_driver::{Beginning, Driver, PeerState, SpawnedTasks};
use super::observed_io::ObservedIo;
use super::peer::{Exchange, Peer};
use super::ping_timer::PingTimer;
use super::request_body::RequestBody;
use wharf::BuildError;

/// Sends requests.
#[derive(Clone)]
pub(crate) struct Sender {
    hyper: http2::SendRequest<RequestBody>,
    spawned: SpawnedTasks,
}

impl Sender {
    pub(crate) fn is_closed(&self) -> bool {
        self.hyper.is_closed()
    }

    /// Sends the request as this exchange. When the exchange is dropped, the rest of the body is
    /// not sent, and the stream is reset even if the peer reads nothing of it.
    pub(crate) fn send(
        mut self,
        mut request: Request<RequestBody>,
        exchange: &mut Exchange,
    ) -> impl Future<Output = HeadResult> + Send + use<> {
        let body = request.body_mut();
        if !body.is_end_stream() {
            let (handle, registration) = AbortHandle::new_pair();
            exchange.ends_upload(handle);
            body.tell_begin(Beginning::new(self.spawned, registration));
        }
        self.hyper.try_send_request(request)
    }
}

/// The options of HTTP/2 connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Http2Options {
    /// The silence after which the server is pinged; `None` turns that off. Defaults to 20 seconds.
    pub keep_alive_interval: Option<Duration>,
    /// The time for the answer to such a ping, after which the connection ends. Defaults to 10
    /// seconds.
    pub keep_alive_timeout: Duration,
    /// Whether connections without an exchange are pinged, too. Defaults to false.
    pub keep_alive_while_idle: bool,
    /// The most bytes of one response's body that are stored while nobody reads them. Defaults to 2
    /// MiB.
    ///
    /// Each stream has its own window, and that of the connection, 1 GiB, does not matter: a
    /// response that nobody reads holds up no other.
    pub stream_window: u32,
    /// The largest head of a response that is received, in bytes: names, values, and 32 for each
    /// field. Defaults to 1 MiB. A larger one ends its exchange, or, if it is much larger, the
    /// connection.
    pub max_header_list_size: u32,
}

/// As in Go: responses that nobody reads never fill it.
const CONNECTION_WINDOW: u32 = 1 << 30;

impl Default for Http2Options {
    fn default() -> Self {
        Http2Options {
            keep_alive_interval: Some(Duration::from_secs(20)),
            keep_alive_timeout: Duration::from_secs(10),
            keep_alive_while_idle: false,
            stream_window: 2 * 1024 * 1024,
            max_header_list_size: 1024 * 1024,
        }
    }
}

/// The longest interval: a later ping is beyond the range of the clock.
pub(super) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Http2Options {
    /// Checks the options, for a builder whose settings have these names: those of
    /// `keep_alive_interval`, `keep_alive_timeout`, `stream_window` and `max_header_list_size`.
    pub(crate) fn check(&self, names: [&'static str; 4]) -> Result<(), BuildError> {
        let [interval, timeout, window, head] = names;
        check_bytes(window, self.stream_window, 16 * 1024, i32::MAX.unsigned_abs())?;
        check_bytes(head, self.max_header_list_size, 8 * 1024, 64 * 1024 * 1024)?;
        let times =
            [(interval, self.keep_alive_interval), (timeout, Some(self.keep_alive_timeout))];
        for (field, time) in times {
            let Some(time) = time else { continue };
            if time.is_zero() {
                return Err(BuildError::new(field, "0s", "must be longer than zero"));
            }
            if time > LONGEST {
                let reason = format!("must be at most {LONGEST:?}");
                return Err(BuildError::new(field, format!("{time:?}"), reason));
            }
        }
        Ok(())
    }
}

fn check_bytes(field: &'static str, value: u32, min: u32, max: u32) -> Result<(), BuildError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(BuildError::new(field, value, format!("must be from {min} to {max} bytes")))
}

/// The handle from which exchanges are started.
pub(crate) struct Http2 {
    /// `None` when the connection takes no more exchanges. A caller that waits for a response must
    /// not keep a clone: see the driver.
    sender: Arc<Mutex<Option<Sender>>>,
    peer_state: Arc<PeerState>,
    peer: Arc<Peer>,
    max_streams: usize,
}

impl Http2 {
    /// Starts an exchange, unless the connection takes no new ones.
    pub(crate) fn begin(&self) -> Option<(Sender, Exchange)> {
        let sender = self.sender.lock().clone()?;
        Some((sender, Exchange::begin(self.peer.clone())))
    }

    /// Returns whether an exchange has ended in silence since the last ping.
    pub(crate) fn is_doubted(&self) -> bool {
        self.peer.is_doubted()
    }

    /// Pings the peer. Returns whether it answered.
    pub(crate) async fn ping(&self) -> bool {
        self.is_open() && self.peer.ping().await
    }

    pub(crate) fn is_open(&self) -> bool {
        self.sender.lock().as_ref().is_some_and(|sender| !sender.is_closed())
    }

    /// Returns how many streams the peer allows. `None` if it sets no limit, or its settings have
    /// not arrived.
    pub(crate) fn allowed_streams(&self) -> Option<u32> {
        u32::try_from(self.peer_state.streams()).ok()
    }

    /// Returns at least 1: a peer that allows no stream at the moment gets one request, which
    /// waits. If the connection were given up instead, the next one would be as well.
    pub(super) fn max_streams(&self) -> usize {
        self.peer_state.streams().min(self.max_streams).max(1)
    }

    /// Returns what the peer did that no peer may do.
    pub(super) fn fault(&self) -> Option<Unacceptable> {
        let is_ungreeted = self.has_ended() && !self.peer.has_greeted();
        self.peer.fault().or(is_ungreeted.then_some(Unacceptable::NoHttp2))
    }

    /// Returns whether the connection has ended by itself, not with its runtime.
    pub(super) fn has_ended(&self) -> bool {
        self.peer_state.has_ended()
    }

    /// Stops new exchanges: the connection ends after those in progress.
    pub(crate) fn lose(&self) {
        let sender = self.sender.lock().take();
        drop(sender);
    }
}

/// Makes a connection and the future that drives it.
pub(super) async fn handshake<T>(
    io: T,
    options: &Http2Options,
    max_streams: usize,
) -> hyper::Result<(Http2, impl Future<Output = ()> + Send + 'static)>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (http2, driver) = begin(io, options, max_streams).await?;
    Ok((http2, driver.run()))
}

/// Does the same, and waits until the peer's settings have arrived.
pub(crate) async fn greeted_handshake<T>(
    io: T,
    options: &Http2Options,
) -> Result<(Http2, impl Future<Output = ()> + Send + 'static), ConnectError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = begin(io, options, UNTOLD).await;
    let (http2, mut driver) = begun.map_err(ConnectError::Handshake)?;
    let is_greeted = driver.until(|peer_state| peer_state.streams() != UNTOLD).await;
    match is_greeted {
        true => Ok((http2, driver.run())),
        false if http2.peer.fault() == Some(Unacceptable::NoHttp2) => Err(ConnectError::NoHttp2),
        false => Err(ConnectError::NoSettings),
    }
}

/// Stands for "not told yet": more streams than a peer can allow, and not the value for "no limit".
const UNTOLD: usize = usize::MAX - 1;

async fn begin<T>(
    io: T,
    options: &Http2Options,
    assumed_streams: usize,
) -> hyper::Result<(Http2, Driver<TokioIo<ObservedIo<T>>>)>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let spawned = SpawnedTasks::default();
    let mut builder = http2::Builder::new(spawned.clone());
    let peer = Peer::new();
    let (timer, interval, timeout) = PingTimer::new(peer.clone(), options);
    builder.timer(timer).initial_max_send_streams(assumed_streams);
    builder.initial_stream_window_size(options.stream_window);
    builder.initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_header_list_size(options.max_header_list_size);
    // Always on: the timer decides which idle connections are pinged.
    builder.keep_alive_interval(interval).keep_alive_timeout(timeout).keep_alive_while_idle(true);
    let (hyper, exchanges) =
        builder.handshake(TokioIo::new(ObservedIo::new(io, peer.clone()))).await?;
    let sender = Arc::new(Mutex::new(Some(Sender { hyper, spawned: spawned.clone() })));
    let driver = Driver::new(exchanges, sender.clone(), spawned);
    let peer_state = driver.peer_state();
    Ok((Http2 { sender, peer_state, peer, max_streams: assumed_streams }, driver))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::pin::pin;
    use std::task::{Context, Waker};

    use http::{Request, Uri};
    use http_body_util::Empty;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;
    use crate::connection::Proto;
    use crate::{Client, HttpConnector, Origin, Protocol};
    use wharf::Lease;

    /// A server that answers nothing, accepts one connection, and sends GOAWAY on request.
    struct Server {
        address: SocketAddr,
        has_request: Arc<Notify>,
        goes_away: Arc<Notify>,
    }

    impl Server {
        async fn start() -> Self {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = Server { address, has_request: Arc::default(), goes_away: Arc::default() };
            let (has_request, goes_away) = (server.has_request.clone(), server.goes_away.clone());
            tokio::spawn(async move {
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                let mut unanswered = Vec::new();
                loop {
                    tokio::select! {
                        request = connection.accept() => match request {
                            Some(Ok(request)) => unanswered.push(request),
                            _ => return,
                        },
                        () = goes_away.notified() => connection.graceful_shutdown(),
                    }
                    has_request.notify_one();
                }
            });
            server
        }

        /// Returns a connection on which a request waits for its response, with a lease of its own.
        async fn asked(&self) -> Lease<HttpConnector> {
            let client = Client::builder().protocol(Protocol::Http2).build().unwrap();
            let uri: Uri = format!("http://{}/", self.address).parse().unwrap();
            let origin = Origin::try_from(&uri).unwrap();
            let request = Request::get(uri).body(Empty::<&[u8]>::new()).unwrap();
            let of_task = client.clone();
            tokio::spawn(async move { of_task.request(request).await });
            self.has_request.notified().await;
            client.pool().acquire(&origin).await.unwrap()
        }
    }

    fn http2(lease: &Lease<HttpConnector>) -> &Http2 {
        match lease.proto() {
            Proto::Http2(http2) => http2,
            Proto::Http1(_) => unreachable!("nothing else is spoken"),
        }
    }

    // hyper drops the receiver of its channel when the exchanges end. A message that is sent at
    // that moment stays in tokio's channel until the last sender is dropped, and its caller waits
    // until then.

    #[tokio::test]
    async fn a_pending_response_keeps_no_sender() {
        let server = Server::start().await;
        let lease = server.asked().await;
        // hyper ends the exchanges when there is no other sender.
        http2(&lease).lose();
        for _ in 0..100 {
            yield_now().await;
        }
        assert!(http2(&lease).has_ended());
    }

    #[tokio::test]
    async fn a_connection_whose_exchanges_have_ended_keeps_no_sender() {
        let server = Server::start().await;
        let lease = server.asked().await;
        assert!(http2(&lease).begin().is_some());
        server.goes_away.notify_one();
        while !http2(&lease).has_ended() {
            yield_now().await;
        }
        assert!(http2(&lease).begin().is_none());
    }

    /// Nothing of it was written, so it may be sent again, whatever its method.
    #[tokio::test]
    async fn a_request_on_a_connection_that_has_ended_is_given_back_though_another_waits_to_be_sent()
     {
        let (io, mut server) = tokio::io::duplex(1 << 16);
        let (http2, driver) = handshake(io, &Http2Options::default(), 100).await.unwrap();
        server.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let mut driver = pin!(driver);
        let mut cx = Context::from_waker(Waker::noop());
        let ask = || {
            let (sender, mut exchange) = http2.begin().unwrap();
            let request = Request::post("http://localhost/").body(RequestBody::default()).unwrap();
            (sender.send(request, &mut exchange), exchange)
        };
        for _ in 0..10 {
            assert!(driver.as_mut().poll(&mut cx).is_pending());
        }
        let _first = ask();
        // It gives way once, and starts the exchange.
        for _ in 0..2 {
            assert!(driver.as_mut().poll(&mut cx).is_pending());
        }
        drop(server);
        let (second, _exchange) = ask();
        assert!((0..10).any(|_| driver.as_mut().poll(&mut cx).is_ready()));
        assert!(second.await.unwrap_err().take_message().is_some());
    }
}
