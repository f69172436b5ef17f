//! Writes to peers that have closed the connection.

use std::io;
use std::task::Poll;

/// Treats a write to a peer that has closed the connection as if it had succeeded.
///
/// A server may answer every request and then close the socket. The next write fails while the
/// responses are still unread, and HTTP would end the connection because of that write and fail
/// requests that have a response. The end of the connection is seen once everything has been read.
pub(crate) fn unless_the_peer_is_gone<T>(
    written: Poll<io::Result<T>>,
    all: T,
) -> Poll<io::Result<T>> {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match written {
        Poll::Ready(Err(error))
            if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset) =>
        {
            Poll::Ready(Ok(all))
        }
        written => written,
    }
}
