//! Unix domain sockets.

use std::io;

use crate::transport::Stream;

#[cfg(unix)]
pub(super) async fn connect(path: &str) -> io::Result<Stream> {
    let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| {
        crate::transport::failure::of(format!("\"unix:{path}\" could not be reached"), error)
    })?;
    Ok(Stream::new(stream))
}

#[cfg(not(unix))]
#[allow(clippy::unused_async)] // As where there are such sockets.
pub(super) async fn connect(path: &str) -> io::Result<Stream> {
    let message = format!("\"unix:{path}\" cannot be reached: this system has no Unix sockets");
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}
