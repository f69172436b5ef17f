//! A message that lies in the socket while the runtime's thread is busy.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use wharf::{Pool, PooledConnection};
use wharf_websocket::{Error, Message, WebSocketConnector};

use crate::server::soon;

/// Answers each message with itself, and a moment later once more. On a thread of its own.
fn elsewhere() -> String {
    let (told, url) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(async move {
                    let mut socket = accept_async(stream).await.ok()?;
                    while let Some(Ok(message)) = socket.next().await {
                        if !matches!(message, Message::Text(_)) {
                            continue;
                        }
                        let text = message.to_text().unwrap().to_owned();
                        socket.send(message).await.ok()?;
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        socket.send(Message::text(format!("{text}, once more"))).await.ok()?;
                    }
                    Some(())
                });
            }
        });
    });
    url.recv().unwrap()
}

#[tokio::test]
async fn a_message_that_lies_in_the_socket_is_not_the_answer_of_the_next_borrower() {
    let url = elsewhere();
    let pool = Pool::new(WebSocketConnector::new());
    for nth in 0..10 {
        let mut socket = soon(pool.acquire(&url)).await.unwrap();
        let asked = format!("of borrower {nth}");
        match soon(socket.request(Message::text(&*asked))).await {
            Ok(answer) => assert_eq!(answer.to_text().unwrap(), asked, "borrower {nth}"),
            Err(error) => assert!(matches!(error, Error::Unasked), "{error:?}"),
        }
        drop(socket);
        // The runtime's only thread is busy while the second one comes.
        thread::sleep(Duration::from_millis(10));
    }
}

/// A server that greets everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_is_for_the_first_borrower() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(stream).await.ok()?;
                socket.send(Message::text("welcome")).await.ok()?;
                while let Some(Ok(_)) = socket.next().await {}
                Some(())
            });
        }
    });
    let pool = Pool::new(WebSocketConnector::new());
    let mut failed = Vec::new();
    for nth in 0..300 {
        let mut socket = soon(pool.acquire(&url)).await.unwrap();
        if nth % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        match soon(socket.next()).await {
            Some(Ok(message)) => assert_eq!(message.to_text().unwrap(), "welcome"),
            other => failed.push((nth, format!("{other:?}"))),
        }
        PooledConnection::discard(socket);
    }
    assert!(failed.is_empty(), "{} of 300: {:?}", failed.len(), &failed[..failed.len().min(3)]);
}
