//! A request that the server answers, as the ping of plain TCP connections.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::policy::build_error::BuildError;

/// The bytes to send and the bytes to expect.
#[derive(Clone, Debug)]
pub(super) struct Ping {
    pub(super) send: Vec<u8>,
    pub(super) expect: Vec<u8>,
}

impl Ping {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        for (field, bytes) in [("ping send", &self.send), ("ping expect", &self.expect)] {
            if bytes.is_empty() {
                return Err(BuildError::new(field, "empty", "must have at least one byte"));
            }
        }
        Ok(())
    }

    /// Makes one round trip if there is a ping.
    pub(super) async fn on<S>(ping: Option<&Self>, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match ping {
            Some(ping) => ping.run(stream).await,
            None => Ok(()),
        }
    }

    /// Makes one round trip. It fails at the first byte that differs.
    async fn run<S>(&self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        stream.write_all(&self.send).await?;
        let mut answer = vec![0; self.expect.len()];
        let mut read = 0;
        while read < answer.len() {
            let n = stream.read(&mut answer[read..]).await?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            read += n;
            if answer[..read] != self.expect[..read] {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "unexpected answer to a ping",
                ));
            }
        }
        Ok(())
    }
}
