//! Writes to peers that have closed the connection.

use std::io;
use std::task::Poll;

/// Takes a write to a peer that has closed the connection for done.
///
/// A server that has answered everything closes the socket, and the next write fails, while all that
/// lies here unread. HTTP would end the connection over the write, and fail requests that were
/// answered. The end comes when everything is read.
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
