//! Messages that nobody asked for, which arrive at about the time at which the connection is lent.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use wharf::Pool;
use wharf_websocket::{CloseCode, Error, Message, WebSocketConnector};

use crate::server::{Peer, Server, soon};

#[derive(Debug, Default)]
struct Outcomes {
    /// The message arrived while nobody used the connection, and ended it.
    refused: u32,
    /// The connection was used already: the message was for its borrower.
    delivered: u32,
}

/// What the server reads after a message that nobody asked for.
async fn read(mut peer: Peer) -> Option<Message> {
    soon(peer.next()).await.and_then(Result::ok)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_for_a_borrower_who_uses_the_connection_or_ends_it() {
    let server = Server::start().await;
    let url = server.url();
    let pool = Pool::new(WebSocketConnector::new());
    let mut outcomes = Outcomes::default();
    for round in 0..400 {
        let (loan, mut peer) = server.lend_new(&pool).await;
        drop(loan);
        let stray = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(fastrand::u64(0..200))).await;
            peer.send(Message::text("stray")).await.unwrap();
            read(peer).await
        });
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..200))).await;
        let Some(mut loan) = pool.try_acquire(&url) else {
            outcomes.refused += 1;
            assert_policy(stray.await.unwrap(), round);
            continue;
        };
        match soon(loan.next()).await {
            Some(Ok(message)) => {
                outcomes.delivered += 1;
                assert_eq!(message, Message::text("stray"), "{round}");
                loan.send(Message::text("thanks")).await.unwrap();
                assert_eq!(stray.await.unwrap(), Some(Message::text("thanks")), "{round}");
            }
            Some(Err(error)) => {
                outcomes.refused += 1;
                assert!(matches!(error, Error::Unasked), "{round}: {error}");
                assert_policy(stray.await.unwrap(), round);
            }
            None => panic!("{round}: the message is lost"),
        }
        wharf::PooledConnection::discard(loan);
    }
    println!("{outcomes:?}");
    assert_eq!(pool.status().idle, 0);
}

fn assert_policy(read: Option<Message>, round: u32) {
    let Some(Message::Close(Some(frame))) = read else { panic!("{round}: {read:?}") };
    assert_eq!(frame.code, CloseCode::Policy, "{round}");
}
