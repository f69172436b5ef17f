//! A connection as its borrower sees it.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use tokio::task::yield_now;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::channel::Channel;
use super::error::Error;
use super::heartbeat::HeartbeatStatus;
use wharf::connector::Signs;

/// How long the driver may take to read what has come.
const MOMENT: Duration = Duration::from_millis(50);

/// A WebSocket connection with a task of its own, which reads, answers Pings and sends heartbeats,
/// whether the connection is lent or idle.
///
/// [`request`](WebSocketConnection::request) fits most uses; [`send`](WebSocketConnection::send)
/// and [`next`](WebSocketConnection::next) are its halves. The connection is also a [`Stream`] and
/// a [`Sink`] of messages, so it can be split and forwarded. It yields only text and binary
/// messages. Sending a [`Message::Close`] closes the connection.
///
/// If it is dropped without [`close`](WebSocketConnection::close), it sends a close frame if that
/// is possible without waiting, and everything that was not flushed is lost.
pub struct WebSocketConnection {
    channel: Arc<Channel>,
    signs: Signs,
    peer: Option<SocketAddr>,
    response: Response,
    /// A request has no answer yet.
    is_in_request: bool,
    /// The stream has reported the end.
    has_ended: bool,
}

impl WebSocketConnection {
    pub(super) fn new(
        channel: Arc<Channel>,
        signs: Signs,
        peer: Option<SocketAddr>,
        response: Response,
    ) -> Self {
        let (is_in_request, has_ended) = (false, false);
        WebSocketConnection { channel, signs, peer, response, is_in_request, has_ended }
    }
}

/// # Messages
impl WebSocketConnection {
    /// Sends a message and waits for the next one that arrives. That is the answer if the peer
    /// answers each message with one and sends nothing else.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended; or [`Unread`](Error::Unread), with nothing
    /// sent, if an earlier message would be taken for the answer; or [`Unasked`](Error::Unasked), if one
    /// came while nobody used the connection.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before its end, an answer may still arrive, so the connection is
    /// not lent again.
    pub async fn request(&mut self, message: Message) -> Result<Message, Error> {
        self.hear_unasked().await;
        if self.unread() > 0 {
            return Err(Error::Unread);
        }
        self.is_in_request = true;
        self.send(message).await?;
        let answer = poll_fn(|cx| self.channel.poll_read(cx)).await?;
        self.is_in_request = false;
        Ok(answer)
    }

    /// Lets the driver read what came while the runtime was busy and nobody used the connection: it
    /// ends the connection if that is a message.
    async fn hear_unasked(&self) {
        let begun = Instant::now();
        while self.channel.rests() && self.is_open() && self.signs.has_unread() {
            if begun.elapsed() > MOMENT {
                return self.channel.finish(Error::Unasked);
            }
            yield_now().await;
        }
    }

    /// Sends a message. It waits until the system has taken it, so it blocks while the peer does
    /// not read.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before its end, the message is sent whole or not at all, never in
    /// part.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        poll_fn(|cx| self.channel.poll_ready(cx)).await?;
        self.put(message)?;
        poll_fn(|cx| self.channel.poll_flush(cx)).await
    }

    /// Returns the next message; `None` once the connection was closed with a close frame.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended otherwise. After the error comes `None`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before its end, no message is lost.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Sends a Ping, waits for its Pong, and returns the time between.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended; or [`Unread`](Error::Unread).
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any point; a late Pong is ignored.
    pub async fn ping(&mut self) -> Result<Duration, Error> {
        let begun = Instant::now();
        match self.channel.ping().await {
            Ok(()) => Ok(begun.elapsed()),
            Err(_) => Err(self.channel.end().unwrap_or(Error::Unread)),
        }
    }

    /// Sends a close frame after everything that was sent before, and waits for the peer's.
    /// Messages that arrive meanwhile are discarded. `None` closes with code 1000 (normal).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before its end, closing continues as long as the connection is
    /// held.
    pub async fn close(&mut self, frame: impl Into<Option<CloseFrame>>) {
        self.channel.close(Some(frame.into().unwrap_or_else(normal)));
        poll_fn(|cx| self.channel.poll_end(cx)).await;
    }

    fn put(&self, message: Message) -> Result<(), Error> {
        if let Message::Close(frame) = message {
            self.channel.close(frame);
            return Ok(());
        }
        self.channel.write(message)
    }
}

fn normal() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}

/// # State
impl WebSocketConnection {
    /// Returns whether the connection can still be used: neither side has closed it, and it has not
    /// failed.
    pub fn is_open(&self) -> bool {
        self.channel.is_open()
    }

    /// Returns the address that was dialed. `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns why the connection has ended, if it has.
    pub fn end(&self) -> Option<Error> {
        self.channel.end()
    }

    /// Returns the number of messages that have arrived and were not read.
    pub fn unread(&self) -> usize {
        self.channel.unread()
    }

    /// Returns the results of its heartbeats.
    pub fn heartbeat(&self) -> HeartbeatStatus {
        self.channel.record().status()
    }

    /// Returns the subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.response.headers().get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()
    }

    /// Returns the server's answer to the upgrade, with its headers.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// The time of the last sign of life, or of the dial if there was none.
    pub(super) fn last_heard(&self) -> Instant {
        self.channel.record().heard
    }

    /// Returns whether the connection can be lent again. If so, a message ends it until it is used.
    pub(super) fn is_clean(&self) -> bool {
        let unread = self.unread();
        if unread > 0 {
            tracing::debug!(target: "wharf::websocket", unread, "not lent: it has unread messages");
        }
        let is_clean = unread == 0 && !self.is_in_request && self.is_open();
        if is_clean {
            self.channel.rest();
        }
        is_clean
    }
}

impl Stream for WebSocketConnection {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let end = match ready!(self.channel.poll_read(cx)) {
            Ok(message) => return Poll::Ready(Some(Ok(message))),
            Err(end) => end,
        };
        self.has_ended = true;
        let is_proper = matches!(end, Error::Closed(_));
        Poll::Ready(if is_proper { None } else { Some(Err(end)) })
    }
}

impl Sink<Message> for WebSocketConnection {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        self.put(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.close(Some(normal()));
        self.channel.poll_end(cx).map(Ok)
    }
}

impl Drop for WebSocketConnection {
    fn drop(&mut self) {
        self.channel.abandon();
    }
}

impl fmt::Debug for WebSocketConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketConnection")
            .field("is_open", &self.is_open())
            .field("unread", &self.unread())
            .field("heartbeat", &self.heartbeat())
            .finish_non_exhaustive()
    }
}
