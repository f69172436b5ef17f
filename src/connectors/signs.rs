//! What the bytes of a connection tell about its peer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::Instant;

/// When the peer of a connection was last heard, and whether the connection has failed. Clones
/// share it.
///
/// It orders nothing else, so its atomics need no order among each other.
#[derive(Clone, Debug)]
pub(crate) struct Signs(Arc<Noted>);

#[derive(Debug)]
struct Noted {
    dialed: Instant,
    /// Nanoseconds after the dial: enough for 584 years.
    heard: AtomicU64,
    has_failed: AtomicBool,
}

impl Default for Signs {
    /// Those of a connection that was dialed just now.
    fn default() -> Self {
        let (heard, has_failed) = (AtomicU64::new(0), AtomicBool::new(false));
        Signs(Arc::new(Noted { dialed: Instant::now(), heard, has_failed }))
    }
}

impl Signs {
    /// The time of the dial if nothing was heard since.
    pub(crate) fn last_heard(&self) -> Instant {
        self.0.dialed + Duration::from_nanos(self.0.heard.load(Ordering::Relaxed))
    }

    #[cfg_attr(not(any(feature = "http", feature = "postgres")), allow(dead_code))]
    pub(crate) fn has_failed(&self) -> bool {
        self.0.has_failed.load(Ordering::Relaxed)
    }

    /// Something has come from the peer.
    pub(crate) fn hear(&self) {
        let after = u64::try_from(self.0.dialed.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.0.heard.store(after, Ordering::Relaxed);
    }

    /// The connection did not end as it should.
    pub(crate) fn fail(&self) {
        self.0.has_failed.store(true, Ordering::Relaxed);
    }

    /// Reads from the connection's socket, and notes what that tells. It asks the clock only where
    /// bytes came.
    #[cfg_attr(not(feature = "tcp"), allow(dead_code))]
    pub(crate) fn read<S: AsyncRead>(
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

#[cfg(test)]
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
        let read = poll_fn(|cx| signs.read(stream.as_mut(), cx, &mut buffer));
        let _ = time::timeout(SECOND, read).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_moves_the_time_only_when_it_gives_bytes() {
        let signs = Signs::default();
        let dialed = Instant::now();
        let (mut peer, mut stream) = tokio::io::duplex(8);
        time::advance(SECOND).await;
        assert_eq!(signs.last_heard(), dialed);

        read(&signs, &mut stream).await;
        assert_eq!(signs.last_heard(), dialed, "nothing came");
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
