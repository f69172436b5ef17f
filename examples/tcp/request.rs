//! One request and its answer, the same in all scenes.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const MESSAGE: [u8; 64] = [b'w'; 64];

/// How long an answer may take. A server that hangs would otherwise keep its callers, and their connections, for ever.
const LIMIT: Duration = Duration::from_secs(5);

/// Sends a message to the echo server, and reads it back.
pub(crate) async fn request(stream: &mut TcpStream) -> io::Result<()> {
    timeout(LIMIT, echo(stream)).await?
}

async fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(&MESSAGE).await?;
    let mut answer = [0; MESSAGE.len()];
    stream.read_exact(&mut answer).await?;
    if answer == MESSAGE { Ok(()) } else { Err(io::Error::other("the server did not echo")) }
}
