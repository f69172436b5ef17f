//! A message and its echo over a WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};
use wharf::{Pool, PooledConnection};
use wharf_websocket::{Message, WebSocketConnector, tungstenite};

use super::tcp::dial;
use super::{Protocol, Serving, TASKS, listen};
use crate::beside::Keeps;

const WORDS: &str = "sixty-four letters, which is as much as the others send in a packet";

pub(crate) struct WebSocket {
    address: SocketAddr,
    url: String,
    pool: Pool<WebSocketConnector>,
}

impl Protocol for WebSocket {
    const NAME: &'static str = "WebSocket";

    async fn serve() -> Serving {
        listen(echo).await
    }

    fn at(address: SocketAddr) -> Self {
        let pool = Pool::builder().max_per_host(TASKS).build(WebSocketConnector::new());
        WebSocket { address, url: format!("ws://{address}/"), pool: pool.expect("valid settings") }
    }

    async fn dial_and_ask(&self) {
        WebSocket::ask(&mut self.dial().await).await;
    }

    async fn ask_through_pool(&self) {
        WebSocket::ask_on_loan(&mut self.borrow().await).await;
    }

    fn dials(&self) -> u64 {
        self.pool.status().dials
    }
}

impl Keeps for WebSocket {
    type Connection = WebSocketStream<TcpStream>;
    type Loan = PooledConnection<WebSocketConnector>;

    async fn dial(&self) -> WebSocketStream<TcpStream> {
        let stream = dial(self.address).await.expect("a connection");
        client_async(&self.url, stream).await.expect("a handshake").0
    }

    async fn ask(socket: &mut WebSocketStream<TcpStream>) {
        socket.send(Message::text(WORDS)).await.expect("it is sent");
        let answer = socket.next().await.expect("an answer").expect("an answer");
        assert_eq!(answer, Message::text(WORDS));
    }

    async fn borrow(&self) -> PooledConnection<WebSocketConnector> {
        self.pool.acquire(&self.url).await.expect("a connection")
    }

    async fn ask_on_loan(socket: &mut PooledConnection<WebSocketConnector>) {
        let answer = socket.request(Message::text(WORDS)).await.expect("an answer");
        assert_eq!(answer, Message::text(WORDS));
    }
}

async fn echo(stream: TcpStream) -> Result<(), tungstenite::Error> {
    let mut socket = accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
