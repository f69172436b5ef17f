//! WebSocket: credentials in the URL, in headers and subprotocols, and the client's key.

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::accept_async;
use wharf::Pool;
use wharf_websocket::http::header::{AUTHORIZATION, HeaderValue};
use wharf_websocket::{WebSocketBuilder, WebSocketConnector, WebSocketHeartbeat};

use crate::told::Told;
use crate::{SECRET, refusing, server, tls_with_a_key};

#[tokio::test]
async fn urls_that_are_refused_or_cannot_be_reached() {
    let (_held, refused) = refusing();
    for url in [
        format!("ws://app:{SECRET}@{refused}/"),
        format!("wss://{SECRET}@{refused}/"),
        format!("http://app:{SECRET}@{refused}/"),
        format!("ws://app:a/{SECRET}@{refused}/"),
        format!("ws://app:a b{SECRET}@{refused}/"),
        format!("ws://{refused}/#token={SECRET}"),
        format!("ws://{refused}/?token={SECRET}"),
    ] {
        let mut told = Told::listen();
        let pool = told.talkative(Pool::builder()).build(WebSocketConnector::new()).unwrap();
        told.acquire(&pool, &url).await;
        told.holds_no_secret(&refused.to_string(), &[]);
    }
}

fn options() -> WebSocketBuilder {
    let token = HeaderValue::from_str(&format!("Bearer {SECRET}")).unwrap();
    WebSocketConnector::builder()
        .header(AUTHORIZATION, token)
        .subprotocols([format!("token.{SECRET}")])
}

#[tokio::test]
async fn upgrades_that_fail() {
    let refuses = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await?;
        stream.write_all(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await
    })
    .await;
    let is_silent = server(|_stream| std::future::pending()).await;
    let (config, key) = tls_with_a_key();
    for (scheme, address) in [("ws", refuses), ("ws", is_silent), ("wss", refuses)] {
        let mut told = Told::listen();
        let options = options().tls(config.clone());
        told.debug(&options);
        let connector = options.build().unwrap();
        told.debug(&connector);
        let pool = told.talkative(Pool::builder()).build(connector).unwrap();
        told.acquire(&pool, &format!("{scheme}://{address}/?token={SECRET}")).await;
        told.holds_no_secret(&address.to_string(), &key);
    }
}

#[tokio::test]
async fn connections_that_end_and_a_subprotocol_that_is_no_token() {
    let address = server(|stream| async move {
        let Ok(mut socket) = accept_async(stream).await else { return Ok(()) };
        // Reads, so that it pings back for a while, and says no goodbye.
        let limit = std::time::Duration::from_millis(50);
        let _ = tokio::time::timeout(limit, socket.next()).await;
        Ok(())
    })
    .await;
    let mut told = Told::listen();
    let bad = WebSocketConnector::builder().subprotocols([format!("no token {SECRET}")]);
    told.error(&bad.build().unwrap_err());
    let beat = WebSocketHeartbeat::every(std::time::Duration::from_millis(10));
    let token = HeaderValue::from_str(SECRET).unwrap();
    let options = WebSocketConnector::builder().header(AUTHORIZATION, token).heartbeat(beat);
    let connector = options.build().unwrap();
    let pool = told.talkative(Pool::builder()).build(connector).unwrap();
    let mut loan = pool.acquire(&format!("ws://{address}/?token={SECRET}")).await.unwrap();
    told.debug(&loan);
    told.debug(&*loan);
    told.error(&loan.next().await.unwrap().unwrap_err());
    drop(loan);
    told.acquire(&pool, &format!("ws://{address}/?token={SECRET}")).await;
    told.holds_no_secret(&address.to_string(), &[]);
}
