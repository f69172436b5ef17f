//! Unix domain sockets.

use std::io;

use super::addresses::Trial;
use crate::connectors::stream::Dialed;

#[cfg(unix)]
pub(super) async fn connect(path: &str) -> io::Result<Dialed> {
    let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| {
        super::failure::of(format!("\"unix:{path}\" could not be reached"), error)
    })?;
    Ok(Dialed { stream: Box::new(stream), peer: None, trial: Trial::default() })
}

#[cfg(not(unix))]
#[allow(clippy::unused_async)] // As where there are such sockets.
pub(super) async fn connect(path: &str) -> io::Result<Dialed> {
    let message = format!("\"unix:{path}\" cannot be reached: this system has no Unix sockets");
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}
