//! Unix domain sockets.

use std::io;

#[cfg(unix)]
use super::looked_into::{LookedInto, has_unread};
#[cfg(unix)]
use crate::policy::signs::Signs;
use crate::transport::Stream;
#[cfg(unix)]
use crate::transport::noted::Noted;

#[cfg(unix)]
pub(super) async fn connect(path: &str) -> io::Result<Stream> {
    let stream = tokio::net::UnixStream::connect(path).await.map_err(|error| {
        crate::transport::failure::of(format!("\"unix:{path}\" could not be reached"), error)
    })?;
    let signs = Signs::new();
    let shared = LookedInto::new(Noted { io: stream, signs: signs.clone() }, &signs, |noted| {
        has_unread(&noted.io)
    });
    Ok(Stream::with_signs(shared, signs))
}

#[cfg(not(unix))]
#[allow(clippy::unused_async)] // As where there are such sockets.
pub(super) async fn connect(path: &str) -> io::Result<Stream> {
    let message = format!("\"unix:{path}\" cannot be reached: this system has no Unix sockets");
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}
