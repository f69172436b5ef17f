//! What happens to a connection while nobody has it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use wharf::Pool;
use wharf_websocket::tungstenite::Bytes;
use wharf_websocket::{CloseCode, CloseFrame, Error, Message, WebSocketConnector};

use crate::server::{Server, WebSocketPool, count_idle, id, soon, until};

fn pool() -> WebSocketPool {
    Pool::new(WebSocketConnector::new())
}

async fn until_one_has_ended(pool: &WebSocketPool) {
    until(|| count_idle(pool, |connection| connection.end().is_some()) == 1).await;
}

#[tokio::test]
async fn a_ping_of_the_peer_is_answered() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    let first = id(&loan);
    drop(loan);

    for payload in [&b"one"[..], b"two"] {
        peer.send(Message::Ping(Bytes::from_static(payload))).await.unwrap();
        let answer = soon(peer.next()).await.unwrap().unwrap();
        assert_eq!(answer, Message::Pong(Bytes::from_static(payload)));
    }

    assert_eq!(id(&pool.try_acquire(&server.url()).unwrap()), first);
}

#[tokio::test]
async fn a_connection_that_the_peer_closes_is_not_lent() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    let first = id(&loan);
    drop(loan);

    let frame = CloseFrame { code: CloseCode::Away, reason: "going home".into() };
    peer.send(Message::Close(Some(frame.clone()))).await.unwrap();
    // It is answered without anybody's doing.
    assert_eq!(soon(peer.next()).await.unwrap().unwrap(), Message::Close(Some(frame)));
    assert!(soon(peer.next()).await.is_none());
    until_one_has_ended(&pool).await;

    assert!(pool.try_acquire(&server.url()).is_none());
    let (loan, _peer) = server.lend_new(&pool).await;
    assert_ne!(id(&loan), first);
    let status = pool.status();
    assert_eq!((status.dials, status.closed), (2, 1));
}

#[tokio::test]
async fn a_connection_whose_stream_ended_is_not_lent() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, peer) = server.lend_new(&pool).await;
    drop(loan);
    drop(peer);
    until_one_has_ended(&pool).await;

    assert!(pool.try_acquire(&server.url()).is_none());
    assert_eq!(pool.status().closed, 1);
}

#[tokio::test]
async fn a_connection_that_was_reset_is_not_lent() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, peer) = server.lend_new(&pool).await;
    drop(loan);
    socket2::SockRef::from(peer.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    until_one_has_ended(&pool).await;

    assert!(pool.try_acquire(&server.url()).is_none());
}

#[tokio::test]
async fn one_that_died_is_passed_over_for_one_that_lives() {
    let server = Server::start().await;
    let pool = pool();
    let (older, _older_peer) = server.lend_new(&pool).await;
    let (newer, newer_peer) = server.lend_new(&pool).await;
    let alive = id(&older);
    drop(older);
    drop(newer);
    drop(newer_peer);
    until_one_has_ended(&pool).await;

    // The one that died was used last, so it is looked at first.
    assert_eq!(id(&pool.try_acquire(&server.url()).unwrap()), alive);
}

#[tokio::test]
async fn a_message_that_nobody_asked_for_is_nobodys_answer() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    let first = id(&loan);
    drop(loan);

    peer.send(Message::text("nobody asked")).await.unwrap();
    until_one_has_ended(&pool).await;

    // It has ended, with a close frame.
    let url = server.url();
    let asking = async {
        let mut loan = pool.acquire(&url).await.unwrap();
        assert_ne!(id(&loan), first);
        loan.request(Message::text("question")).await.unwrap()
    };
    let serving = async {
        let mut fresh = server.accept().await;
        assert_eq!(fresh.next().await.unwrap().unwrap(), Message::text("question"));
        fresh.send(Message::text("answer")).await.unwrap();
    };
    let (answer, ()) = soon(async { tokio::join!(asking, serving) }).await;
    assert_eq!(answer, Message::text("answer"));
    assert!(matches!(soon(peer.next()).await.unwrap().unwrap(), Message::Close(Some(_))));
}

#[tokio::test]
async fn a_borrower_that_reads_nothing_holds_a_flood_back() {
    let server = Server::start().await;
    let options = WebSocketConnector::builder().max_unread(3);
    let pool = Pool::new(options.build().unwrap());
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    loan.send(Message::text("subscribe")).await.unwrap();

    // More than the system's buffers hold.
    let chunk = Message::binary(vec![0; 1 << 20]);
    let flood = async {
        for _ in 0..256 {
            peer.send(chunk.clone()).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(1), flood).await.is_err());
    assert_eq!(loan.unread(), 3);
}

#[tokio::test]
async fn the_end_of_the_pool_is_a_close_frame_for_the_peer() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    drop(loan);

    let closing = pool.close();
    let Message::Close(Some(frame)) = soon(peer.next()).await.unwrap().unwrap() else {
        panic!("no close frame")
    };
    assert_eq!(frame.code, CloseCode::Normal);
    // The peer's answer is waited for.
    assert_eq!(pool.status().closing, 1);
    assert!(soon(peer.next()).await.is_none());
    soon(closing).await;
}

#[tokio::test]
async fn a_peer_that_does_not_answer_the_close_frame_is_left_after_the_close_timeout() {
    let server = Server::start().await;
    let pool = Pool::builder()
        .close_timeout(Duration::from_millis(50))
        .build(WebSocketConnector::new())
        .unwrap();
    let (loan, peer) = server.lend_new(&pool).await;
    drop(loan);
    soon(pool.close()).await;
    drop(peer);
}

#[test]
fn a_connection_of_a_runtime_that_has_ended_is_not_lent() {
    let build =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let pool = pool();
    let (serving, dialing) = (build().unwrap(), build().unwrap());
    let server = serving.block_on(Server::start());
    let url = server.url();
    let _echo = serving.block_on(async { server.echo() });
    drop(dialing.block_on(pool.acquire(&url)).unwrap());
    drop(dialing);

    let mut end = None;
    pool.retain(|_, connection, _| {
        end = connection.end();
        true
    });
    assert!(matches!(end, Some(Error::RuntimeEnded)), "{end:?}");
    let answer = serving.block_on(async {
        pool.acquire(&url).await.unwrap().request(Message::text("hello")).await
    });
    assert_eq!(answer.unwrap(), Message::text("hello"));
    assert_eq!(pool.status().dials, 2);
}

#[tokio::test]
async fn a_message_that_nobody_asked_for_ends_an_idle_connection_at_once() {
    let server = Server::start().await;
    let pool = pool();
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    // Not while it is lent.
    loan.send(Message::text("subscribe")).await.unwrap();
    assert_eq!(soon(peer.next()).await.unwrap().unwrap(), Message::text("subscribe"));
    peer.send(Message::text("news")).await.unwrap();
    assert_eq!(soon(loan.next()).await.unwrap().unwrap(), Message::text("news"));
    drop(loan);

    peer.send(Message::text("more news")).await.unwrap();
    let Message::Close(Some(frame)) = soon(peer.next()).await.unwrap().unwrap() else {
        panic!("no close frame");
    };
    assert_eq!(
        (frame.code, frame.reason.as_str()),
        (CloseCode::Policy, "nobody asked for a message")
    );
    until_one_has_ended(&pool).await;
    assert_eq!(count_idle(&pool, |connection| connection.unread() > 0), 0, "nothing is stored");

    assert!(pool.try_acquire(&server.url()).is_none());
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    peer.send(Message::text("for the next borrower")).await.unwrap();
    assert_eq!(soon(loan.next()).await.unwrap().unwrap(), Message::text("for the next borrower"));
}

#[tokio::test]
async fn a_borrower_that_finds_a_message_nobody_asked_for_is_told() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    drop(loan);
    let mut loan = pool.acquire(&server.url()).await.unwrap();
    peer.send(Message::text("news")).await.unwrap();
    until(|| loan.end().is_some()).await;
    let error = loan.request(Message::text("question")).await.unwrap_err();
    assert!(matches!(error, Error::Unasked), "{error:?}");
}

/// A frame of a server.
fn frame(first: u8, payload: usize) -> Vec<u8> {
    let mut frame = vec![first, u8::try_from(payload).unwrap()];
    frame.resize(2 + payload, b'.');
    frame
}

const BEGINS: u8 = 2;
const GOES_ON: u8 = 0;
const PING: u8 = 0x89;

#[tokio::test]
async fn a_message_that_nobody_asked_for_ends_an_idle_connection_before_it_is_whole() {
    let large = [&[0x82, 127, 0, 0, 0, 0, 1, 0, 0, 0][..], &[b'.'; 200]].concat();
    let pieces = [frame(BEGINS, 60), frame(PING, 125), frame(GOES_ON, 60), frame(GOES_ON, 60)];
    for begun in [large, pieces.concat()] {
        let server = Server::start().await;
        let pool = pool();
        let (mut loan, mut peer) = server.lend_new(&pool).await;
        loan.send(Message::text("hello")).await.unwrap();
        drop(loan);
        peer.get_mut().write_all(&begun).await.unwrap();
        until_one_has_ended(&pool).await;
        assert!(pool.try_acquire(&server.url()).is_none());
    }
}

#[tokio::test]
async fn control_frames_do_not_end_an_idle_connection_however_they_arrive() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    let first = id(&loan);
    drop(loan);
    for size in [0, 1, 125] {
        for piece in frame(PING, size).repeat(20).chunks(50) {
            peer.get_mut().write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
    }
    for _ in 0..60 {
        assert!(matches!(soon(peer.next()).await.unwrap().unwrap(), Message::Pong(_)));
    }
    assert_eq!(id(&pool.try_acquire(&server.url()).unwrap()), first);
}

#[tokio::test]
async fn a_borrower_is_not_cut_off_by_a_message_that_arrives_in_parts() {
    let server = Server::start().await;
    let pool = pool();
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    loan.send(Message::text("hello")).await.unwrap();
    for first in [BEGINS, GOES_ON, GOES_ON] {
        peer.get_mut().write_all(&frame(first, 100)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    peer.get_mut().write_all(&frame(0x80, 100)).await.unwrap();
    let message = soon(loan.next()).await.unwrap().unwrap();
    assert_eq!(message.len(), 400);
}

#[tokio::test]
async fn a_connection_that_was_dialed_ahead_stores_one_message() {
    let server = Server::start().await;
    let pool = pool();
    let url = server.url();
    let (warmed, mut peer) =
        soon(async { tokio::join!(pool.warm(&url, 1), server.accept()) }).await;
    warmed.unwrap();
    let flood = async {
        for _ in 0..64 {
            peer.send(Message::binary(vec![0; 1 << 20])).await.unwrap();
        }
    };
    assert!(timeout(Duration::from_secs(1), flood).await.is_err());
    assert_eq!(count_idle(&pool, |connection| connection.unread() == 1), 1);
    assert!(pool.try_acquire(&url).is_none(), "somebody else's answer is not lent");
}
