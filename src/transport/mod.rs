//! The one hook through which streams are made (feature `tcp`): proxies, tests in memory, and
//! transports of your own.
//!
//! A [`Transport`] makes a [`Stream`] to a [`Place`]. The clients for HTTP, gRPC and WebSocket take
//! one in their builders, and [`StreamConnector`] pools the streams of any. The default is
//! [`TcpTransport`](crate::tcp::TcpTransport), which dials TCP and Unix sockets.
//!
//! # Examples
//!
//! A transport that connects to servers in memory, for tests:
//!
//! ```
//! use std::io;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use wharf::transport::{Place, Stream, StreamConnector, Transport};
//! use wharf::{Pool, async_trait};
//!
//! struct InMemory;
//!
//! #[async_trait]
//! impl Transport for InMemory {
//!     async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
//!         let Place::Host(host) = to else { return Err(io::ErrorKind::Unsupported.into()) };
//!         let greeting = format!("this is {}", host.name);
//!         let (client, mut server) = tokio::io::duplex(1024);
//!         tokio::spawn(async move {
//!             let _ = server.read_u8().await;
//!             server.write_all(greeting.as_bytes()).await
//!         });
//!         Ok(Stream::new(client))
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder().build(StreamConnector::new(InMemory))?;
//! let stream = pool.acquire("cache:6379").await?;
//! let answer = stream.exchange(async |stream| {
//!     stream.write_u8(1).await?;
//!     let mut answer = [0; 13];
//!     stream.read_exact(&mut answer).await?;
//!     io::Result::Ok(answer)
//! });
//! assert_eq!(&answer.await?, b"this is cache");
//! # Ok(()) }
//! ```
//!
//! A proxy is a transport around another one: it connects to the proxy's own place, speaks the
//! proxy's protocol on the stream, and returns that stream. [wharf-proxy](https://docs.rs/wharf-proxy)
//! does so for HTTP and SOCKS5.

mod connector;
pub(crate) mod failure;
pub(crate) mod noted;
mod place;
mod stream;
mod trial;
mod unix_uri;

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

pub use connector::StreamConnector;
pub use failure::is_retryable;
pub use place::{Host, Place};
pub use stream::Stream;
pub use trial::Trial;
pub use unix_uri::unix_socket;

/// Makes byte streams. See [the module](crate::transport) for an example.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Makes a stream to this place.
    ///
    /// It runs inside a dial of the pool, in a task of its own, and once for each dial.
    /// [`dial_deadline`](crate::connector::dial_deadline) tells how long it may take.
    ///
    /// # Errors
    ///
    /// Any error fails the dial. The kinds `InvalidInput` and `Unsupported` mean that another dial
    /// is pointless.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the dial is cut off, for example by
    /// [`connect_timeout`](crate::Builder::connect_timeout).
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        (**self).connect(to).await
    }
}
