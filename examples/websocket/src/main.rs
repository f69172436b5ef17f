//! A server that goes silent, how the pool's connection finds that out, and what happens then.
//!
//! ```text
//! cargo run -p example-websocket
//! ```
//!
//! The server is in this process. It answers each message with its own words, until it is told to
//! "hang": from then on that connection gets no answer of any kind, while its socket stays open, as
//! when a machine is gone. The connection idles in the pool and beats every 200 ms, waits 100 ms,
//! and is dead after 3 missed beats. Each is printed as it is counted. Then the next acquire dials,
//! and is served. It prints:
//!
//! ```text
//! "hello" was answered over a new connection
//! "still there?" was answered over a connection from the pool
//! the server hangs; the connection idles in the pool
//! 1 beat missed
//! 2 beats missed
//! 3 beats missed
//! the connection is dead: the peer is silent: 3 heartbeats in a row without an answer
//! "are you back?" was answered over a new connection
//! dials: 2, closed: 1, missed beats: 3
//! ```

use std::error::Error;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::accept_async;
use wharf::{Pool, PooledConnection};
use wharf_websocket::{
    Error as WebSocketError, HeartbeatStatus, Message, WebSocketConnector, WebSocketHeartbeat,
    tungstenite,
};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    tokio::spawn(serve(listener));

    let heartbeat = WebSocketHeartbeat::every(Duration::from_millis(200))
        .timeout(Duration::from_millis(100))
        .max_missed(3);
    let options = WebSocketConnector::builder().heartbeat(heartbeat);
    let connector = options.build()?;
    let pool = Pool::new(connector.clone());

    ask(&pool, &url, "hello").await?;
    ask(&pool, &url, "still there?").await?;
    pool.acquire(&url).await?.send(Message::text("hang")).await?;
    println!("the server hangs; the connection idles in the pool");

    println!("the connection is dead: {}", watch_it_die(&pool).await);
    ask(&pool, &url, "are you back?").await?;

    let (status, missed) = (pool.status(), connector.missed_beats());
    println!("dials: {}, closed: {}, missed beats: {missed}", status.dials, status.closed);
    pool.close().await;
    Ok(())
}

async fn ask(pool: &Pool<WebSocketConnector>, url: &str, question: &str) -> Result<(), Failure> {
    let mut connection = pool.acquire(url).await?;
    connection.request(Message::text(question)).await?;
    let is_reused = PooledConnection::info(&connection).reused;
    let which = if is_reused { "a connection from the pool" } else { "a new connection" };
    println!("{question:?} was answered over {which}");
    Ok(())
}

/// Prints each missed beat of the idle connection as it is counted, until the last.
async fn watch_it_die(pool: &Pool<WebSocketConnector>) -> WebSocketError {
    let mut printed = 0;
    loop {
        if let Some((heartbeat, end)) = look(pool) {
            while printed < heartbeat.missed {
                printed += 1;
                println!("{printed} beat{} missed", if printed == 1 { "" } else { "s" });
            }
            if let Some(end) = end {
                return end;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the idle connection knows of itself.
fn look(pool: &Pool<WebSocketConnector>) -> Option<(HeartbeatStatus, Option<WebSocketError>)> {
    let mut seen = None;
    pool.retain(|_, connection, _| {
        seen = Some((connection.heartbeat(), connection.end()));
        true
    });
    seen
}

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(echo(stream));
    }
}

async fn echo(stream: TcpStream) -> Result<(), tungstenite::Error> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message == Message::text("hang") {
            std::future::pending::<()>().await;
        }
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
