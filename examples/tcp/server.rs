//! An echo server that can be stopped, and started again on the same port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub(crate) struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start() -> io::Result<Self> {
        Server::listen(bound((Ipv4Addr::LOCALHOST, 0).into())?)
    }

    fn listen(socket: TcpSocket) -> io::Result<Self> {
        let listener = socket.listen(1024)?;
        let (address, accepted) = (listener.local_addr()?, Arc::new(AtomicUsize::new(0)));
        let accepting = tokio::spawn(accept(listener, accepted.clone()));
        Ok(Server { address, accepted, accepting })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns how many connections it has accepted.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Closes its port, and cuts all its connections.
    pub(crate) async fn stop(self) -> io::Result<Stopped> {
        self.accepting.abort();
        let _ = self.accepting.await;
        // Bound, so that nobody else takes the port. It refuses connections until it is listened to.
        Ok(Stopped { socket: bound(self.address)? })
    }
}

pub(crate) struct Stopped {
    socket: TcpSocket,
}

impl Stopped {
    pub(crate) fn start_again(self) -> io::Result<Server> {
        Server::listen(self.socket)
    }
}

/// Binds an address, also if connections have been there a moment ago.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// When this ends, the set is dropped, and with it all connections.
async fn accept(listener: TcpListener, accepted: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // It passes, such as when too many files are open.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        accepted.fetch_add(1, Ordering::Relaxed);
        connections.spawn(echo(stream));
        while connections.try_join_next().is_some() {}
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}
