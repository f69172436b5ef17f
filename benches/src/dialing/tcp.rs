//! An echo over TCP.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::tcp::TcpConnector;
use wharf::{Pool, PooledConnection};

use super::{BODY, Protocol, Serving, TASKS};
use crate::beside::Keeps;
use crate::proxy::echo_server;

pub(crate) struct Tcp {
    address: SocketAddr,
    pool: Pool<TcpConnector>,
}

impl Protocol for Tcp {
    const NAME: &'static str = "TCP";

    async fn serve() -> Serving {
        let (address, tasks) = echo_server().await;
        Some((address, Box::new(tasks)))
    }

    fn at(address: SocketAddr) -> Self {
        let pool = Pool::builder().max_per_host(TASKS).build(TcpConnector::new());
        Tcp { address, pool: pool.expect("valid settings") }
    }

    async fn dial_and_ask(&self) {
        let mut stream = dial(self.address).await.expect("a connection");
        echo(&mut stream).await;
    }

    async fn ask_through_pool(&self) {
        let mut stream = self.pool.acquire(&self.address).await.expect("a connection");
        echo(&mut *stream).await;
    }

    fn dials(&self) -> u64 {
        self.pool.status().dials
    }
}

impl Keeps for Tcp {
    type Connection = TcpStream;
    type Loan = PooledConnection<TcpConnector>;

    async fn dial(&self) -> TcpStream {
        dial(self.address).await.expect("a connection")
    }

    async fn ask(stream: &mut TcpStream) {
        echo(stream).await;
    }

    async fn borrow(&self) -> PooledConnection<TcpConnector> {
        self.pool.acquire(&self.address).await.expect("a connection")
    }

    async fn ask_on_loan(loan: &mut PooledConnection<TcpConnector>) {
        echo(&mut **loan).await;
    }
}

pub(crate) async fn dial(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    stream.write_all(&BODY).await.expect("it is sent");
    let mut answer = [0; BODY.len()];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, BODY);
}
