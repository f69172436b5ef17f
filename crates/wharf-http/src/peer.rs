//! What is known about the peer of an HTTP/2 connection: when it was last heard, and whether it
//! should be pinged.

use std::pin::pin;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::task::Context;
use std::time::Duration;

use futures_util::future::AbortHandle;
use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time;

use super::heads::Unacceptable;

/// State that the connection, its exchanges and its timer share.
pub(super) struct Peer {
    /// How often something was read from the connection.
    heard: AtomicU64,
    /// The value of `heard` when the last ping was answered.
    proved: AtomicU64,
    /// An exchange has ended in silence since the last ping started.
    doubted: AtomicBool,
    /// A ping waits until something is heard.
    listened: AtomicBool,
    /// Notified of what is heard while a ping waits, and of the end.
    told: Notify,
    has_ended: AtomicBool,
    /// hyper should send a PING.
    asked: AtomicBool,
    /// Wakes hyper's timer for that.
    timer: AtomicWaker,
    /// Exchanges in progress.
    streams: AtomicUsize,
    /// The peer has begun to speak HTTP/2.
    has_greeted: AtomicBool,
    /// Why the connection was given up, if it was.
    fault: OnceLock<Unacceptable>,
}

/// How long a peer has to answer a ping after an exchange that ended in silence. Silence and a
/// caller's time-out are evidence already, and giving up a connection by mistake costs only a dial.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

impl Peer {
    pub(super) fn new() -> Arc<Peer> {
        Arc::new(Peer {
            heard: AtomicU64::new(0),
            proved: AtomicU64::new(u64::MAX),
            doubted: AtomicBool::new(false),
            listened: AtomicBool::new(false),
            told: Notify::new(),
            has_ended: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            timer: AtomicWaker::new(),
            streams: AtomicUsize::new(0),
            has_greeted: AtomicBool::new(false),
            fault: OnceLock::new(),
        })
    }

    /// Returns whether an exchange has ended in silence since the last ping started.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted.load(Acquire)
    }

    /// Pings the peer. Returns whether anything was heard from it in time and before the connection
    /// ended.
    pub(super) async fn ping(&self) -> bool {
        if self.doubted.swap(false, AcqRel) {
            time::timeout(ANSWERS_WITHIN, self.ask()).await.unwrap_or(false)
        } else {
            self.ask().await
        }
    }

    async fn ask(&self) -> bool {
        let before = self.heard.load(Acquire);
        self.listened.store(true, Release);
        self.asked.store(true, Release);
        self.timer.wake();
        loop {
            // Subscribe before checking, so that no notification is missed.
            let mut told = pin!(self.told.notified());
            told.as_mut().enable();
            if self.heard.load(Acquire) != before || self.has_ended.load(Acquire) {
                break;
            }
            // A wake-up may be late and concern something heard earlier, hence the loop.
            told.await;
        }
        self.listened.store(false, Release);
        self.asked.store(false, Release);
        let now = self.heard.load(Acquire);
        self.proved.store(now, Release);
        now != before
    }

    pub(super) fn hear(&self) {
        self.heard.fetch_add(1, AcqRel);
        self.tell();
    }

    fn tell(&self) {
        if self.listened.load(Acquire) {
            self.told.notify_waiters();
        }
    }

    pub(super) fn end(&self) {
        self.has_ended.store(true, Release);
        self.told.notify_waiters();
    }
}

/// # For what reads its frames
impl Peer {
    pub(super) fn has_greeted(&self) -> bool {
        self.has_greeted.load(Relaxed)
    }

    pub(super) fn greet(&self) {
        self.has_greeted.store(true, Relaxed);
    }

    /// Returns what it did that no peer may do.
    pub(super) fn fault(&self) -> Option<Unacceptable> {
        self.fault.get().copied()
    }

    pub(super) fn note_fault(&self, fault: Unacceptable) {
        let _ = self.fault.set(fault);
    }

    pub(super) fn streams(&self) -> usize {
        self.streams.load(Relaxed)
    }
}

/// # For hyper's timer
impl Peer {
    /// Returns whether a PING should be sent now. If not, the task of this context is woken when
    /// one should.
    pub(super) fn is_asked(&self, cx: &Context<'_>) -> bool {
        self.timer.register(cx.waker());
        self.asked.load(Acquire)
    }

    /// The PING has been sent.
    pub(super) fn was_asked(&self) {
        self.asked.store(false, Release);
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams() > 0
    }
}

/// One exchange, counted as long as it lives.
pub(crate) struct Exchange {
    peer: Arc<Peer>,
    /// The value of `heard` when it started to wait for the peer, while it waits.
    waits_since: Option<u64>,
    /// Aborts the sending of its body.
    upload: Option<AbortHandle>,
}

impl Exchange {
    pub(super) fn begin(peer: Arc<Peer>) -> Self {
        peer.streams.fetch_add(1, Relaxed);
        Exchange { peer, waits_since: None, upload: None }
    }

    /// Lets the end of the exchange abort its upload.
    pub(super) fn ends_upload(&mut self, by: AbortHandle) {
        self.upload = Some(by);
    }

    /// The exchange starts or stops waiting for the peer.
    pub(crate) fn note(&mut self, waits: bool) {
        self.waits_since = match self.waits_since {
            _ if !waits => None,
            None => Some(self.peer.heard.load(Acquire)),
            since => since,
        };
    }

    /// Returns whether the exchange ends while it waits for a peer from which nothing was heard
    /// meanwhile. The peer is then pinged.
    ///
    /// It is not if the last thing heard was the answer to a ping: gRPC servers treat a third ping
    /// in a row as abuse, and a slow server would be pinged each time one of its callers gives up.
    /// Go's client has the same rule.
    pub(crate) fn ends_in_silence(&self) -> bool {
        let heard = self.peer.heard.load(Acquire);
        let is_silent = self.waits_since == Some(heard) && self.peer.proved.load(Acquire) != heard;
        if is_silent {
            self.peer.doubted.store(true, Release);
        }
        is_silent
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
        self.peer.streams.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Poll, Waker};

    use super::*;

    #[test]
    fn a_sign_of_life_just_before_a_ping_is_neither_its_answer_nor_silence() {
        let peer = Peer::new();
        let mut cx = Context::from_waker(Waker::noop());
        let mut ask = pin!(peer.ask());
        // Interleaves `hear` on another thread with the start of a ping.
        peer.heard.fetch_add(1, AcqRel);
        assert_eq!(ask.as_mut().poll(&mut cx), Poll::Pending);
        peer.tell();
        assert_eq!(ask.as_mut().poll(&mut cx), Poll::Pending);
        peer.hear();
        assert_eq!(ask.as_mut().poll(&mut cx), Poll::Ready(true));
    }
}
