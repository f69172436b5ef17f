//! State that a connection and its driver share: the messages in transit, and how the
//! connection ended.
//!
//! A waker is registered before the state is checked, and woken after the state has changed and
//! outside the lock. Therefore no change is missed, and no user code runs under the lock.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::error::Error;
use super::heartbeat::Record;

/// How many messages may wait for the socket. Beyond that the sender waits.
const MAX_OUTGOING: usize = 16;

pub(super) struct Channel {
    state: Mutex<State>,
    max_unread: usize,
    driver: AtomicWaker,
    reader: AtomicWaker,
    writer: AtomicWaker,
}

struct State {
    unread: VecDeque<Message>,
    outgoing: VecDeque<Message>,
    /// Whether the system has taken everything that was ever in `outgoing`.
    flushed: bool,
    ping: Option<oneshot::Sender<()>>,
    /// The frame to close with. Once set, it stays.
    farewell: Option<Message>,
    borrower: Borrower,
    /// The connection was dropped.
    abandoned: bool,
    end: Option<Error>,
    record: Record,
}

/// Whether somebody uses the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Borrower {
    /// Nobody has used it yet: it was dialed ahead, or lent this moment.
    NotYet,
    /// It was found clean, and nobody has used it since: it is idle in its pool, or was lent this
    /// moment.
    NotNow,
    There,
}

impl State {
    /// How many messages are stored. A connection that was dialed ahead is not lent once it has any.
    fn max_unread(&self, set: usize) -> usize {
        if self.borrower == Borrower::There { set } else { 1 }
    }
}

impl Channel {
    pub(super) fn new(max_unread: usize) -> Self {
        let state = State {
            unread: VecDeque::new(),
            outgoing: VecDeque::new(),
            flushed: true,
            ping: None,
            farewell: None,
            borrower: Borrower::NotYet,
            abandoned: false,
            end: None,
            record: Record::new(Instant::now()),
        };
        Channel {
            state: Mutex::new(state),
            max_unread,
            driver: AtomicWaker::new(),
            reader: AtomicWaker::new(),
            writer: AtomicWaker::new(),
        }
    }

    pub(super) fn record(&self) -> Record {
        self.state.lock().record
    }
}

/// # The connection's side
impl Channel {
    pub(super) fn unread(&self) -> usize {
        self.state.lock().unread.len()
    }

    pub(super) fn is_open(&self) -> bool {
        let state = self.state.lock();
        state.end.is_none() && state.farewell.is_none()
    }

    pub(super) fn end(&self) -> Option<Error> {
        self.state.lock().end.clone()
    }

    /// The connection can be lent. From now on a message is one that nobody asked for, until the
    /// connection is used.
    pub(super) fn rest(&self) {
        self.state.lock().borrower = Borrower::NotNow;
    }

    /// Returns the next message. Messages that arrived before the end come before it.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<Result<Message, Error>> {
        self.reader.register(cx.waker());
        let (message, was_full) = {
            let mut state = self.state.lock();
            let was_full = state.unread.len() >= state.max_unread(self.max_unread);
            state.borrower = Borrower::There;
            match (state.unread.pop_front(), &state.end) {
                (Some(message), _) => (message, was_full),
                (None, Some(end)) => return Poll::Ready(Err(end.clone())),
                (None, None) => return Poll::Pending,
            }
        };
        if was_full {
            self.driver.wake();
        }
        Poll::Ready(Ok(message))
    }

    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.writer.register(cx.waker());
        let state = self.state.lock();
        match &state.end {
            Some(end) => Poll::Ready(Err(end.clone())),
            None if state.farewell.is_some() => Poll::Ready(Err(Error::Closed(None))),
            None if state.outgoing.len() < MAX_OUTGOING => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }

    pub(super) fn write(&self, message: Message) -> Result<(), Error> {
        let mut state = self.state.lock();
        match &state.end {
            Some(end) => return Err(end.clone()),
            None if state.farewell.is_some() => return Err(Error::Closed(None)),
            None => {}
        }
        state.borrower = Borrower::There;
        state.outgoing.push_back(message);
        state.flushed = false;
        drop(state);
        self.driver.wake();
        Ok(())
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.writer.register(cx.waker());
        let state = self.state.lock();
        match &state.end {
            _ if state.flushed => Poll::Ready(Ok(())),
            Some(end) => Poll::Ready(Err(end.clone())),
            None => Poll::Pending,
        }
    }

    /// Requests a Ping. The sender is dropped if its Pong will never arrive.
    pub(super) fn ping(&self) -> oneshot::Receiver<()> {
        let (answered, answer) = oneshot::channel();
        let mut state = self.state.lock();
        if state.end.is_none() {
            state.ping = Some(answered);
        }
        drop(state);
        self.driver.wake();
        answer
    }

    /// Requests the end, unless that was done before.
    pub(super) fn close(&self, frame: Option<CloseFrame>) {
        self.state.lock().farewell.get_or_insert(Message::Close(frame));
        self.driver.wake();
    }

    pub(super) fn poll_end(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.writer.register(cx.waker());
        if self.state.lock().end.is_some() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The connection was dropped: nothing reads or writes any more.
    pub(super) fn abandon(&self) {
        self.state.lock().abandoned = true;
        self.driver.wake();
    }
}

/// # The driver's side
impl Channel {
    pub(super) fn register_driver(&self, cx: &Context<'_>) {
        self.driver.register(cx.waker());
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.state.lock().abandoned
    }

    /// Returns whether another message may be read: there is room, or the connection was dropped.
    pub(super) fn has_room(&self) -> bool {
        let state = self.state.lock();
        state.unread.len() < state.max_unread(self.max_unread) || state.farewell.is_some()
    }

    /// Returns whether there is no borrower who could read a message.
    pub(super) fn rests(&self) -> bool {
        self.state.lock().borrower == Borrower::NotNow
    }

    /// Adds a message for the borrower. Messages after the close frame are discarded.
    ///
    /// # Errors
    ///
    /// There is no borrower.
    pub(super) fn deliver(&self, message: Message) -> Result<(), Error> {
        let mut state = self.state.lock();
        if state.farewell.is_some() {
            return Ok(());
        }
        if state.borrower == Borrower::NotNow {
            return Err(Error::Unasked);
        }
        state.unread.push_back(message);
        drop(state);
        self.reader.wake();
        Ok(())
    }

    pub(super) fn take_ping(&self) -> Option<oneshot::Sender<()>> {
        self.state.lock().ping.take()
    }

    /// Returns the next message to write; the close frame comes last, once.
    pub(super) fn next_outgoing(&self, said_farewell: &mut bool) -> Option<Message> {
        let (message, was_full) = {
            let mut state = self.state.lock();
            let was_full = state.outgoing.len() >= MAX_OUTGOING;
            match (state.outgoing.pop_front(), &state.farewell) {
                (Some(message), _) => (message, was_full),
                (None, Some(farewell)) if !*said_farewell => {
                    *said_farewell = true;
                    return Some(farewell.clone());
                }
                _ => return None,
            }
        };
        if was_full {
            self.writer.wake();
        }
        Some(message)
    }

    /// The system has taken everything that was written.
    pub(super) fn flushed(&self) {
        {
            let mut state = self.state.lock();
            if !state.outgoing.is_empty() || state.flushed {
                return;
            }
            state.flushed = true;
        }
        self.writer.wake();
    }

    pub(super) fn set_record(&self, record: Record) {
        self.state.lock().record = record;
    }

    /// Sets the end, unless there was one before.
    pub(super) fn finish(&self, end: Error) {
        let mut state = self.state.lock();
        state.end.get_or_insert(end);
        let ping = state.ping.take();
        drop(state);
        // Dropping it wakes the caller that waits for the Pong.
        drop(ping);
        self.reader.wake();
        self.writer.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    /// Locks the channel when it is woken, as a caller's executor may.
    struct Looker(Arc<Channel>, AtomicU32);

    impl Wake for Looker {
        fn wake(self: Arc<Self>) {
            assert!(self.0.state.try_lock().is_some(), "woken under the lock");
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn nobody_is_woken_under_the_lock() {
        let channel = Arc::new(Channel::new(1));
        let looker = Arc::new(Looker(channel.clone(), AtomicU32::new(0)));
        let waker = Waker::from(looker.clone());
        let mut pong = pin!(channel.ping());
        assert!(pong.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        channel.finish(Error::RuntimeEnded);
        assert_eq!(looker.1.load(Ordering::Relaxed), 1);
    }
}
