//! The way to a server, with a delay in each direction.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::listen;

/// Without a delay there is nothing in between. With one, everything arrives so much later, at the
/// precision of the runtime's timer (a millisecond), however much is on its way at once. What a new
/// connection sends first waits for a round trip more, which stands for TCP's handshake.
pub(crate) struct Link {
    address: SocketAddr,
    _tasks: Option<Box<dyn Send>>,
}

impl Link {
    pub(crate) async fn new(server: SocketAddr, delay: Duration) -> Link {
        if delay.is_zero() {
            return Link { address: server, _tasks: None };
        }
        let (address, tasks) =
            listen(move |client| carry(client, server, delay)).await.expect("a port");
        Link { address, _tasks: Some(tasks) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn carry(client: TcpStream, server: SocketAddr, delay: Duration) {
    sleep(2 * delay).await;
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(forward(from_client, to_server, delay), forward(from_server, to_client, delay));
}

/// One direction, until its end, which is late as well.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(n) = from.read(&mut buffer).await {
            let due = Instant::now() + delay;
            if sender.send((due, buffer[..n].to_vec())).is_err() || n == 0 {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            if bytes.is_empty() || to.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}
