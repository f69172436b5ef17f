//! What borrowers do, and what they leave behind.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::task::JoinSet;
use tokio::time::timeout;
use wharf::Pool;
use wharf_websocket::{CloseCode, CloseFrame, Error, Message, WebSocketConnector};

use crate::server::{Server, WebSocketPool, id, soon, until};

fn pool() -> WebSocketPool {
    Pool::new(WebSocketConnector::new())
}

#[tokio::test]
async fn many_requests_share_a_few_connections() {
    let server = Server::start().await;
    let url = server.url();
    let _echo = server.echo();
    let pool = Pool::builder().max_per_host(3).build(WebSocketConnector::new()).unwrap();
    let mut callers = JoinSet::new();
    for n in 0..100 {
        let acquire = pool.acquire(&url);
        callers.spawn(async move {
            let question = Message::text(format!("question {n}"));
            let answer = acquire.await.unwrap().request(question.clone()).await.unwrap();
            assert_eq!(answer, question);
        });
    }
    soon(callers.join_all()).await;

    let status = pool.status();
    assert_eq!((status.dials, status.idle, status.closed), (3, 3, 0));
}

#[tokio::test]
async fn a_connection_is_a_stream_and_a_sink() {
    let server = Server::start().await;
    let url = server.url();
    let _echo = server.echo();
    let pool = pool();
    let mut loan = pool.acquire(&url).await.unwrap();
    let first = id(&loan);

    let answers: Vec<_> = {
        let questions = ["one", "two", "three"].map(|word| Ok(Message::text(word)));
        let (mut sink, stream) = (&mut *loan).split();
        sink.send_all(&mut futures_util::stream::iter(questions)).await.unwrap();
        soon(stream.take(3).map(Result::unwrap).collect()).await
    };
    assert_eq!(answers, ["one", "two", "three"].map(Message::text));

    // Its halves are gone, and it goes back as it came.
    drop(loan);
    assert_eq!(id(&pool.try_acquire(&url).unwrap()), first);
}

#[tokio::test]
async fn a_request_that_is_given_up_leaves_its_answer_to_nobody() {
    let server = Server::start().await;
    let pool = pool();
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    let given_up = timeout(Duration::from_millis(20), loan.request(Message::text("first"))).await;
    assert!(given_up.is_err());
    drop(loan);
    until(|| pool.status().idle + pool.status().in_use == 0).await;

    assert_eq!(peer.next().await.unwrap().unwrap(), Message::text("first"));
    peer.send(Message::text("answer to the first")).await.unwrap();
    let asking = async {
        let mut loan = pool.acquire(&server.url()).await.unwrap();
        loan.request(Message::text("second")).await.unwrap()
    };
    let serving = async {
        let mut fresh = server.accept().await;
        assert_eq!(fresh.next().await.unwrap().unwrap(), Message::text("second"));
        fresh.send(Message::text("answer to the second")).await.unwrap();
    };
    let (answer, ()) = soon(async { tokio::join!(asking, serving) }).await;
    assert_eq!(answer, Message::text("answer to the second"));
}

#[tokio::test]
async fn a_connection_that_returns_with_an_unread_message_is_closed() {
    let server = Server::start().await;
    let pool = pool();
    let (loan, mut peer) = server.lend_new(&pool).await;
    peer.send(Message::text("unread")).await.unwrap();
    until(|| loan.unread() == 1).await;
    drop(loan);
    assert_eq!(pool.status().idle, 0);
    assert_eq!(pool.status().closed, 1);
}

#[tokio::test]
async fn a_request_does_not_take_an_earlier_message_for_its_answer() {
    let server = Server::start().await;
    let pool = pool();
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    peer.send(Message::text("unasked")).await.unwrap();
    until(|| loan.unread() == 1).await;

    let error = loan.request(Message::text("question")).await.unwrap_err();
    assert!(matches!(error, Error::Unread), "{error}");
    assert_eq!(loan.next().await.unwrap().unwrap(), Message::text("unasked"));
    let answering = async {
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::text("question"));
        peer.send(Message::text("answer")).await.unwrap();
    };
    let asking = loan.request(Message::text("question"));
    let (answer, ()) = soon(async { tokio::join!(asking, answering) }).await;
    assert_eq!(answer.unwrap(), Message::text("answer"));
}

#[tokio::test]
async fn a_borrower_who_drops_in_the_middle_of_a_message_leaves_it_whole() {
    let server = Server::start().await;
    let pool = pool();
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    let first = id(&loan);
    // More than the system's buffers hold, while the peer does not read.
    let long = Message::binary(vec![7; 8 << 20]);
    let sending = loan.send(long.clone());
    assert!(timeout(Duration::from_millis(50), sending).await.is_err());
    drop(loan);

    let mut loan = pool.try_acquire(&server.url()).unwrap();
    assert_eq!(id(&loan), first);
    let sending = loan.send(Message::text("next"));
    let reading = async {
        assert_eq!(peer.next().await.unwrap().unwrap(), long);
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::text("next"));
    };
    let (sent, ()) = soon(async { tokio::join!(sending, reading) }).await;
    sent.unwrap();
}

#[tokio::test]
async fn a_close_frame_of_the_borrowers_own_arrives_and_the_connection_is_not_lent_again() {
    let server = Server::start().await;
    let pool = pool();
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    let frame = CloseFrame { code: CloseCode::Library(4001), reason: "my own reason".into() };
    let closing = loan.close(frame.clone());
    let reading = async {
        assert_eq!(peer.next().await.unwrap().unwrap(), Message::Close(Some(frame)));
        assert!(peer.next().await.is_none());
    };
    soon(async { tokio::join!(closing, reading) }).await;
    assert!(loan.next().await.is_none());
    drop(loan);
    assert!(pool.try_acquire(&server.url()).is_none());
}

#[tokio::test]
async fn a_message_larger_than_allowed_breaks_the_connection() {
    let server = Server::start().await;
    let config = wharf_websocket::WebSocketConfig::default().max_message_size(Some(1000));
    let options = wharf_websocket::WebSocketConnector::builder().config(config);
    let pool = Pool::new(options.build().unwrap());
    let (mut loan, mut peer) = server.lend_new(&pool).await;
    peer.send(Message::binary(vec![0; 1001])).await.unwrap();
    let error = soon(loan.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error}");
    drop(loan);
    assert!(pool.try_acquire(&server.url()).is_none());
}

#[tokio::test]
async fn a_connection_that_is_detached_lives_on_its_own() {
    let server = Server::start().await;
    let url = server.url();
    let _echo = server.echo();
    let pool = pool();
    let mut own = wharf::PooledConnection::detach(pool.acquire(&url).await.unwrap());
    soon(pool.close()).await;
    assert_eq!(
        own.request(Message::text("still here")).await.unwrap(),
        Message::text("still here")
    );
}
