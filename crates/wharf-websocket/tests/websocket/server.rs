//! Servers: one whose connections a test holds in its hand, and one that echoes.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_tungstenite::{WebSocketStream, accept_async};
use wharf::{Pool, PooledConnection};
use wharf_websocket::{Message, WebSocketConnector};

pub(crate) type WebSocketPool = Pool<WebSocketConnector>;
pub(crate) type Loan = PooledConnection<WebSocketConnector>;
pub(crate) type Peer = WebSocketStream<TcpStream>;

pub(crate) struct Server(TcpListener);

impl Server {
    pub(crate) async fn start() -> Self {
        Server(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        url(self.address())
    }

    pub(crate) async fn accept_tcp(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }

    pub(crate) async fn accept(&self) -> Peer {
        accept_async(self.accept_tcp().await).await.unwrap()
    }

    /// A loan that had to be dialed, and the server's end of it.
    pub(crate) async fn lend_new(&self, pool: &WebSocketPool) -> (Loan, Peer) {
        let url = self.url();
        let (loan, peer) = soon(async { tokio::join!(pool.acquire(&url), self.accept()) }).await;
        (loan.unwrap(), peer)
    }

    /// Answers each message with itself, for as long as the result is held.
    pub(crate) fn echo(self) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = self.0.accept().await {
                connections.spawn(echo(stream));
            }
        });
        tasks
    }
}

pub(crate) fn url(address: SocketAddr) -> String {
    format!("ws://{address}/")
}

async fn echo(stream: TcpStream) {
    let Ok(mut socket) = accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let is_data = matches!(message, Message::Text(_) | Message::Binary(_));
        if is_data && socket.send(message).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("this should not hang")
}

pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) fn id(loan: &Loan) -> u64 {
    PooledConnection::info(loan).id
}

/// How many of the idle connections are as asked for.
pub(crate) fn count_idle(
    pool: &WebSocketPool,
    is_wanted: impl Fn(&wharf_websocket::WebSocketConnection) -> bool,
) -> usize {
    let mut wanted = 0;
    pool.retain(|_, connection, _| {
        wanted += usize::from(is_wanted(connection));
        true
    });
    wanted
}
