//! Dials one socket and checks it.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Waker};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::coop;

use super::looked_into::has_unread;
use super::settings::Settings;

pub(super) async fn dial(peer: SocketAddr, settings: &Settings) -> io::Result<TcpStream> {
    let stream = settings.socket(peer)?.connect(peer).await?;
    if has_met_itself(&stream, peer) {
        let message =
            "nothing listens there: the socket was given the peer's port and connected to itself";
        return Err(io::Error::new(io::ErrorKind::ConnectionRefused, message));
    }
    Ok(stream)
}

/// Returns whether the socket is connected to itself. TCP allows that, and it happens: a client
/// that dials a local server that is down, on a port from the ephemeral range, is given that very
/// port about once in 28,000 dials. The "connection" would echo what it is sent and keep the server
/// from starting.
fn has_met_itself(stream: &TcpStream, peer: SocketAddr) -> bool {
    stream.local_addr().is_ok_and(|local| local == peer)
}

/// Returns whether nothing at all is to be read: no end, no error, no byte.
///
/// This polls a peek once. The peek asks tokio's readiness of the socket first, and makes a system
/// call only if the socket counts as readable. If the system then reports that nothing is there,
/// the readiness is cleared and the next check is free again. `try_read` would do the same but does
/// not notice a runtime that has ended: it would find the socket not readable forever, and a dead
/// socket would look healthy.
///
/// The peek leaves a waker behind that wakes no task; the borrower's next read replaces it.
pub(super) fn is_open(stream: &TcpStream) -> bool {
    let mut byte = [0];
    let mut byte = ReadBuf::new(&mut byte);
    let peek = poll_fn(|cx| stream.poll_peek(cx, &mut byte));
    // Without this, a task that has used up its coop budget would get `Pending` regardless of the
    // socket.
    let peek = pin!(coop::unconstrained(peek));
    // Where its runtime was busy meanwhile, tokio has not noticed yet what the system knows.
    peek.poll(&mut Context::from_waker(Waker::noop())).is_pending() && !has_unread(stream)
}

/// Returns whether a socket that is not open has failed: it was reset, or the peer did not answer
/// for too long. The system then has given the connection up and does not know the peer any more.
/// One whose peer has only closed its half still has a peer, until its own half is shut down, too.
///
/// The error itself is reported once only, to the borrower or to the check above.
pub(super) fn has_failed(stream: &TcpStream) -> bool {
    stream.peer_addr().is_err()
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_socket_that_met_itself_is_told_from_one_that_met_a_server() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        assert!(has_met_itself(&stream, own));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = listener.local_addr().unwrap();
        let stream = TcpStream::connect(peer).await.unwrap();
        assert!(!has_met_itself(&stream, peer));
    }

    #[tokio::test]
    async fn a_task_without_budget_still_sees_that_the_peer_has_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert!(is_open(&stream));
        drop(listener.accept().await.unwrap());
        stream.readable().await.unwrap();
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        assert!(!is_open(&stream));
    }
}
