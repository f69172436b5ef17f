//! One connection, as its borrower has it.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::{Sink, Stream};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::error::WebSocketError;
use super::heartbeat::HeartbeatStatus;
use super::mailbox::Mailbox;

/// A WebSocket that takes care of itself: a task of its own reads, answers Pings and beats, whether
/// it is lent or idle.
///
/// [`request`](WebSocketConnection::request) suits most; [`send`](WebSocketConnection::send) and
/// [`next`](WebSocketConnection::next) are its halves; and it is a [`Stream`] and a [`Sink`] of messages,
/// so that it can be split and forwarded. Only text and binary messages come out. A [`Message::Close`]
/// that is sent closes the connection.
///
/// Dropped without [`close`](WebSocketConnection::close), it sends a close frame, if that takes no
/// waiting, and is gone, with whatever was not flushed.
pub struct WebSocketConnection {
    mailbox: Arc<Mailbox>,
    peer: Option<SocketAddr>,
    response: Response,
    /// Whether a request has no answer yet.
    is_in_request: bool,
    /// Whether the stream has told of the end.
    has_ended: bool,
}

impl WebSocketConnection {
    pub(super) fn new(mailbox: Arc<Mailbox>, peer: Option<SocketAddr>, response: Response) -> Self {
        WebSocketConnection { mailbox, peer, response, is_in_request: false, has_ended: false }
    }
}

/// # Talking
impl WebSocketConnection {
    /// Sends a message and waits for the next one that comes, which is its answer where the peer
    /// answers each message with one and says nothing else.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended; or [`Unread`](WebSocketError::Unread), with nothing
    /// sent, when an earlier message would be taken for the answer.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end it leaves an answer on its way: the connection is not lent again.
    pub async fn request(&mut self, message: Message) -> Result<Message, WebSocketError> {
        if self.unread() > 0 {
            return Err(WebSocketError::Unread);
        }
        self.is_in_request = true;
        self.send(message).await?;
        let answer = poll_fn(|cx| self.mailbox.poll_read(cx)).await?;
        self.is_in_request = false;
        Ok(answer)
    }

    /// Sends a message: gives it to the system, and so waits where the peer does not read.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the message is sent whole or not at all, never in part.
    pub async fn send(&mut self, message: Message) -> Result<(), WebSocketError> {
        poll_fn(|cx| self.mailbox.poll_ready(cx)).await?;
        self.put(message)?;
        poll_fn(|cx| self.mailbox.poll_flush(cx)).await
    }

    /// The next message; `None` once the connection was closed in the proper way.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended otherwise. After it comes `None`.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end it has taken no message.
    pub async fn next(&mut self) -> Option<Result<Message, WebSocketError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Sends a Ping and waits for its Pong. Gives the time between.
    ///
    /// # Errors
    ///
    /// The reason why the connection has ended; or [`Unread`](WebSocketError::Unread).
    ///
    /// # Cancel safety
    ///
    /// Dropped at any point it leaves nothing behind that disturbs.
    pub async fn ping(&mut self) -> Result<Duration, WebSocketError> {
        let begun = Instant::now();
        match self.mailbox.ping().await {
            Ok(()) => Ok(begun.elapsed()),
            Err(_) => Err(self.mailbox.end().unwrap_or(WebSocketError::Unread)),
        }
    }

    /// Sends a close frame after all that was sent before, and waits for the peer's. Messages that
    /// arrive meanwhile are thrown away. `None` closes with code 1000 (normal).
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the closing goes on for as long as the connection is held.
    pub async fn close(&mut self, frame: impl Into<Option<CloseFrame>>) {
        self.mailbox.close(Some(frame.into().unwrap_or_else(normal)));
        poll_fn(|cx| self.mailbox.poll_end(cx)).await;
    }

    fn put(&self, message: Message) -> Result<(), WebSocketError> {
        if let Message::Close(frame) = message {
            self.mailbox.close(frame);
            return Ok(());
        }
        self.mailbox.write(message)
    }
}

fn normal() -> CloseFrame {
    CloseFrame { code: CloseCode::Normal, reason: "".into() }
}

/// # Looking
impl WebSocketConnection {
    /// Whether it can still be used: neither side has closed it, and it has not failed.
    pub fn is_open(&self) -> bool {
        self.mailbox.is_open()
    }

    /// The address that was dialed. `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Why it has ended, if it has.
    pub fn end(&self) -> Option<WebSocketError> {
        self.mailbox.end()
    }

    /// The messages that have arrived and that nobody has read.
    pub fn unread(&self) -> usize {
        self.mailbox.unread()
    }

    /// What its beats came to.
    pub fn heartbeat(&self) -> HeartbeatStatus {
        self.mailbox.record().status()
    }

    /// The subprotocol that the server chose.
    pub fn subprotocol(&self) -> Option<&str> {
        self.response.headers().get(SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()
    }

    /// The server's answer to the upgrade, with its headers.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// Whether the next borrower may have it.
    pub(super) fn is_clean(&self) -> bool {
        let unread = self.unread();
        if unread > 0 {
            tracing::debug!(target: "wharf::websocket", unread, "not lent: nobody read these");
        }
        unread == 0 && !self.is_in_request && self.is_open()
    }
}

impl Stream for WebSocketConnection {
    type Item = Result<Message, WebSocketError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let end = match ready!(self.mailbox.poll_read(cx)) {
            Ok(message) => return Poll::Ready(Some(Ok(message))),
            Err(end) => end,
        };
        self.has_ended = true;
        let is_proper = matches!(end, WebSocketError::Closed(_));
        Poll::Ready(if is_proper { None } else { Some(Err(end)) })
    }
}

impl Sink<Message> for WebSocketConnection {
    type Error = WebSocketError;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.mailbox.poll_ready(cx)
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Self::Error> {
        self.put(message)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.mailbox.poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.mailbox.close(Some(normal()));
        self.mailbox.poll_end(cx).map(Ok)
    }
}

impl Drop for WebSocketConnection {
    fn drop(&mut self) {
        self.mailbox.forsake();
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
