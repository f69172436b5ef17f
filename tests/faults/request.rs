//! What a client does with a connection to the echo server.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf::tcp::TcpConnector;
use wharf::{Pool, PooledConnection};

pub(crate) type TcpPool = Pool<TcpConnector>;

pub(crate) async fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"hello").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    if &answer == b"hello" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// One request: what fails is discarded.
pub(crate) async fn request(
    pool: &TcpPool,
    host: SocketAddr,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut stream = pool.acquire(&host).await?;
    match echo(&mut stream).await {
        Ok(()) => Ok(()),
        Err(error) => {
            PooledConnection::discard(stream);
            Err(error.into())
        }
    }
}
