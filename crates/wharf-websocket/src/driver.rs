//! The task that owns one connection's socket: it reads at all times, answers Pings, sends messages
//! and heartbeats. Nothing else touches the socket.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Bytes, Message};

use super::channel::Channel;
use super::error::Error;
use super::heartbeat::{Record, WebSocketHeartbeat};
use super::heartbeat_timer::{HeartbeatEvent, HeartbeatTimer};
use super::meter::Meter;
use wharf::connector::Redacted;

/// The most bytes of a control frame from a server: they may arrive in parts, at any time.
const MAX_CONTROL: u64 = CONTROL_HEAD + 125;

const CONTROL_HEAD: u64 = 2;

pub(super) struct Driver<S> {
    socket: WebSocketStream<Meter<S>>,
    channel: Arc<Channel>,
    /// The URL as logs show it.
    url: String,
    heartbeat_timer: Option<HeartbeatTimer>,
    record: Record,
    /// The missed heartbeats of all connections of a connector.
    all_missed: Arc<AtomicU64>,
    /// The bytes that had been read when the status was last updated.
    read: u64,
    /// Of the bytes that were read, those of messages that are complete.
    complete: u64,
    /// The number of the last Ping, which is its payload.
    last_ping: u64,
    /// The number of a Ping to send, and that of a Ping whose Pong a caller awaits.
    due: Option<u64>,
    asked: Option<(u64, oneshot::Sender<()>)>,
    unflushed: bool,
    said_farewell: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(
        socket: WebSocketStream<Meter<S>>,
        channel: Arc<Channel>,
        url: &str,
        heartbeat: Option<WebSocketHeartbeat>,
        all_missed: Arc<AtomicU64>,
    ) -> Self {
        let record = channel.record();
        Driver {
            read: socket.get_ref().read,
            complete: socket.get_ref().read,
            heartbeat_timer: heartbeat
                .map(|heartbeat| HeartbeatTimer::new(heartbeat, record.heard)),
            socket,
            channel,
            url: Redacted(url).to_string(),
            record,
            all_missed,
            last_ping: 0,
            due: None,
            asked: None,
            unflushed: false,
            said_farewell: false,
        }
    }

    pub(super) async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        tracing::debug!(target: "wharf::websocket", url = &*self.url, %end, "a connection ended");
        let is_polite = matches!(end, Error::Closed(_));
        self.channel.finish(end);
        self.asked = None;
        if is_polite {
            poll_fn(|cx| self.poll_part(cx)).await;
        }
    }

    /// Makes as much progress as possible, until the end. Reading comes first: the data that has
    /// arrived decides whether a heartbeat was missed, and the peer's reason for closing takes
    /// precedence over an error of writing to it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        self.channel.register_driver(cx);
        if self.channel.is_abandoned() {
            self.leave(cx, CloseCode::Away, "");
            return Poll::Ready(Error::Closed(None));
        }
        if let Poll::Ready(end) = self.receive(cx) {
            if matches!(end, Error::Unasked) {
                self.leave(cx, CloseCode::Policy, "nobody asked for a message");
            }
            return Poll::Ready(end);
        }
        if let Poll::Ready(end) = self.beat(cx) {
            return Poll::Ready(end);
        }
        self.transmit(cx)
    }

    /// Tells the peer, as far as that is possible without waiting.
    fn leave(&mut self, cx: &mut Context<'_>, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let mut socket = Pin::new(&mut self.socket);
        if !self.said_farewell && socket.as_mut().poll_ready(cx).is_ready() {
            let _ = socket.as_mut().start_send(Message::Close(Some(frame)));
        }
        let _ = socket.poll_flush(cx);
    }

    /// After the end, answers the peer's close frame and ends the stream. If the peer does not take
    /// it, the driver stops as soon as the connection is dropped.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.channel.register_driver(cx);
        let flushed = Pin::new(&mut self.socket).poll_flush(cx).map(Result::ok);
        if flushed.is_ready() && Pin::new(self.socket.get_mut()).poll_shutdown(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.channel.is_abandoned() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// # Reading
impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    /// Reads until nothing is left, or until the borrower has to read first. TCP's flow control
    /// then holds the peer back.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let polled = loop {
            if !self.channel.has_room() {
                break Poll::Pending;
            }
            match Pin::new(&mut self.socket).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => {
                    if let Some(end) = self.sort(message) {
                        break Poll::Ready(end);
                    }
                }
                Poll::Ready(Some(Err(error))) => break Poll::Ready(Error::broken(error)),
                Poll::Ready(None) => break Poll::Ready(Error::Closed(None)),
                Poll::Pending => break self.look_for_unasked(),
            }
        };
        self.note_life();
        polled
    }

    /// Ready when a message has begun that nobody asked for: it is not stored until it is whole.
    fn look_for_unasked(&self) -> Poll<Error> {
        let begun = self.socket.get_ref().read - self.complete;
        if begun > MAX_CONTROL && self.channel.rests() {
            return Poll::Ready(Error::Unasked);
        }
        Poll::Pending
    }

    fn sort(&mut self, message: Message) -> Option<Error> {
        let read = self.socket.get_ref().read;
        self.complete = match &message {
            Message::Ping(payload) | Message::Pong(payload) => {
                read.min(self.complete + CONTROL_HEAD + payload.len() as u64)
            }
            // What was read behind it counts as well: how many bytes its frames had is not known.
            _ => read,
        };
        match message {
            Message::Text(_) | Message::Binary(_) => return self.channel.deliver(message).err(),
            Message::Pong(payload) => self.answer(&payload),
            Message::Close(frame) => return Some(Error::Closed(frame)),
            // The next read, which always follows, writes the Pong for a Ping. Raw frames are only
            // ever written.
            Message::Ping(_) | Message::Frame(_) => {}
        }
        None
    }

    /// A Pong also answers the Pings before it: a peer may answer only the last of several.
    fn answer(&mut self, payload: &[u8]) {
        let Ok(number) = payload.try_into().map(u64::from_be_bytes) else { return };
        if number > self.last_ping {
            return;
        }
        if let Some((_, answered)) = self.asked.take_if(|(asked, _)| *asked <= number) {
            let _ = answered.send(());
        }
    }

    fn note_life(&mut self) {
        let read = self.socket.get_ref().read;
        if read == self.read {
            return;
        }
        self.read = read;
        let missed = self.record.missed_in_a_row;
        if missed > 0 {
            let url = &*self.url;
            tracing::info!(target: "wharf::websocket", url, missed, "the peer is back");
        }
        self.record.heard = Instant::now();
        self.record.missed_in_a_row = 0;
        self.channel.set_record(self.record);
        if let Some(heartbeat_timer) = &mut self.heartbeat_timer {
            heartbeat_timer.heard(self.record.heard);
        }
    }
}

/// # Heartbeats
impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn beat(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let asked = self.channel.take_ping();
        if !self.channel.has_room() {
            // The answer would be behind the unread messages.
            self.asked = None;
            if let Some(heartbeat_timer) = &mut self.heartbeat_timer {
                heartbeat_timer.restart(Instant::now());
            }
        } else if let Some(asked) = asked {
            self.asked = Some((self.next_ping(), asked));
        }
        while let Poll::Ready(event) = self.poll_timer(cx) {
            self.channel.set_record(self.record);
            match event {
                HeartbeatEvent::Due => {
                    self.next_ping();
                }
                HeartbeatEvent::Missed(missed) => self.report(missed, "a heartbeat was missed"),
                HeartbeatEvent::Dead(missed) => {
                    self.report(missed, "the peer is silent: the connection is dead");
                    return Poll::Ready(Error::Silent { missed });
                }
            }
        }
        Poll::Pending
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<HeartbeatEvent> {
        let Some(heartbeat_timer) = &mut self.heartbeat_timer else { return Poll::Pending };
        heartbeat_timer.poll(cx, &mut self.record, self.socket.get_ref().written)
    }

    fn next_ping(&mut self) -> u64 {
        self.last_ping += 1;
        self.due = Some(self.last_ping);
        self.last_ping
    }

    fn report(&self, missed: u32, what: &'static str) {
        self.all_missed.fetch_add(1, Ordering::Relaxed);
        let silent_for = self.record.heard.elapsed();
        tracing::warn!(target: "wharf::websocket", url = &*self.url, missed, ?silent_for, "{what}");
    }
}

/// # Writing
impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn transmit(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        match self.poll_transmit(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Error::broken(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tungstenite::Error>> {
        loop {
            ready!(Pin::new(&mut self.socket).poll_ready(cx))?;
            let Some(message) = self.next_outgoing() else { break };
            self.unflushed = true;
            Pin::new(&mut self.socket).start_send(message)?;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.socket).poll_flush(cx))?;
            self.unflushed = false;
            self.channel.flushed();
            if self.heartbeat_timer.as_mut().is_some_and(HeartbeatTimer::sent) {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// A Ping goes before the messages. After the close frame nothing may be sent.
    fn next_outgoing(&mut self) -> Option<Message> {
        let ping = self.due.take().filter(|_| !self.said_farewell);
        if let Some(number) = ping {
            return Some(Message::Ping(Bytes::copy_from_slice(&number.to_be_bytes())));
        }
        self.channel.next_outgoing(&mut self.said_farewell)
    }
}

/// Also needed where the task ends otherwise: with its runtime.
impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        self.channel.finish(Error::RuntimeEnded);
    }
}
