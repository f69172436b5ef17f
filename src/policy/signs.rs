//! What the bytes of a connection tell about its peer.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// When the peer of a connection was last heard, and whether the connection has failed: what a
/// connector answers with in [`last_heard`](crate::Connector::last_heard) and
/// [`has_failed`](crate::Connector::has_failed).
///
/// Clones share it. One is kept with the connection, another goes with what reads from the socket,
/// which may be a task of its own.
///
/// # Examples
///
/// ```
/// use wharf::connector::Signs;
///
/// let signs = Signs::new();
/// let of_reader = signs.clone();
/// of_reader.hear(); // each time that bytes have come
/// of_reader.fail(); // after a reset, or an end in the middle of an exchange
/// assert!(signs.has_failed());
/// ```
// It orders nothing else, so its atomics need no order among each other.
#[derive(Clone, Debug)]
pub struct Signs(Arc<Noted>);

struct Noted {
    dialed: Instant,
    /// Nanoseconds after the dial: enough for 584 years.
    heard: AtomicU64,
    has_failed: AtomicBool,
    /// Looks for what lies unread.
    look: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    /// Tells whether the connection should make room for one to another address.
    moves: OnceLock<Box<dyn Fn() -> bool + Send + Sync>>,
    is_moved: AtomicBool,
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Noted")
            .field("dialed", &self.dialed)
            .field("heard", &self.heard)
            .field("has_failed", &self.has_failed)
            .finish_non_exhaustive()
    }
}

impl Default for Signs {
    fn default() -> Self {
        Signs::new()
    }
}

impl Signs {
    /// Makes the signs of a connection that was dialed just now.
    pub fn new() -> Self {
        let (heard, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
        Signs(Arc::new(Noted {
            dialed: Instant::now(),
            heard,
            has_failed,
            look: OnceLock::new(),
            moves: OnceLock::new(),
            is_moved: AtomicBool::new(false),
        }))
    }

    /// Returns when something was heard last: the time of the dial if nothing was since.
    pub fn last_heard(&self) -> Instant {
        self.0.dialed + Duration::from_nanos(self.0.heard.load(Ordering::Relaxed))
    }

    /// Returns whether anything was heard since the dial.
    pub fn has_heard(&self) -> bool {
        self.0.heard.load(Ordering::Relaxed) > 0
    }

    /// Returns whether the connection did not end as it should.
    pub fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::Relaxed)
    }

    /// Returns whether bytes of the peer, or its end, lie in the socket and nobody has read them yet, at the
    /// moment of the call. False if that cannot be looked for.
    ///
    /// On the connections of [`tcp`](crate::tcp) it is one system call. It finds what the runtime has not
    /// noticed yet, because its thread was busy.
    pub fn has_unread(&self) -> bool {
        self.0.look.get().is_some_and(|look| look())
    }

    /// Sets how to look for what lies in the socket unread. A second call changes nothing.
    pub fn look_by(&self, has_unread: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.0.look.set(Box::new(has_unread));
    }

    /// Returns whether the connection should make room for one to another address of its host: where it is one
    /// of several to its own address, and another address has none. Once true, it
    /// stays so.
    ///
    /// A shared connection should not be [open](crate::Connector::is_open) then: it takes no more
    /// leases, and those that it has go on.
    pub fn should_move(&self) -> bool {
        let is_moved = &self.0.is_moved;
        if !is_moved.load(Ordering::Relaxed) && self.0.moves.get().is_some_and(|moves| moves()) {
            is_moved.store(true, Ordering::Relaxed);
        }
        is_moved.load(Ordering::Relaxed)
    }

    /// Sets how to find out whether the connection [should move](Signs::should_move). A second call
    /// changes nothing.
    pub fn move_by(&self, should_move: impl Fn() -> bool + Send + Sync + 'static) {
        let _ = self.0.moves.set(Box::new(should_move));
    }

    /// Notes that something has come from the peer. It reads the clock.
    pub fn hear(&self) {
        let after = u64::try_from(self.0.dialed.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // Not zero, which stands for nothing heard.
        self.0.heard.store(after.max(1), Ordering::Relaxed);
    }

    /// Notes that the connection did not end as it should.
    pub fn fail(&self) {
        self.0.has_failed.store(true, Ordering::Relaxed);
    }

    /// Reads from the connection's socket, and notes what that tells: bytes that came, or an error.
    /// It reads the clock only where bytes came.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn poll_read<S: AsyncRead>(
        &self,
        stream: Pin<&mut S>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = stream.poll_read(cx, buffer);
        match &read {
            Poll::Ready(Err(_)) => self.fail(),
            _ if buffer.filled().len() > before => self.hear(),
            _ => {}
        }
        read
    }
}

#[cfg(all(test, not(wharf_loom)))]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;

    use tokio::io::AsyncWriteExt;
    use tokio::time;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn read<S: AsyncRead>(signs: &Signs, stream: S) {
        let mut bytes = [0; 8];
        let mut buffer = ReadBuf::new(&mut bytes);
        let mut stream = pin!(stream);
        let read = poll_fn(|cx| signs.poll_read(stream.as_mut(), cx, &mut buffer));
        let _ = time::timeout(SECOND, read).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_moves_the_time_only_when_it_gives_bytes() {
        let signs = Signs::new();
        let dialed = Instant::now();
        let (mut peer, mut stream) = tokio::io::duplex(8);
        time::advance(SECOND).await;
        assert_eq!(signs.last_heard(), dialed);

        read(&signs, &mut stream).await;
        assert_eq!((signs.last_heard(), signs.has_heard()), (dialed, false), "nothing came");
        peer.write_all(b"byte").await.unwrap();
        read(&signs, &mut stream).await;
        assert_eq!(signs.last_heard(), Instant::now());
        time::advance(SECOND).await;
        drop(peer);
        read(&signs, &mut stream).await;
        assert_eq!(signs.last_heard() + SECOND, Instant::now(), "an end is not a word");
        assert!(!signs.has_failed());
    }
}
