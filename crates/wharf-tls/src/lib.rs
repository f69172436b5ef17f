//! TLS for wharf's clients: rustls with the system's trust.
//!
//! [`Tls`] says which authorities a client trusts, and which certificate it shows. The clients for
//! HTTP, gRPC, WebSocket and PostgreSQL take one in their builders, and need none to trust what the
//! system trusts. [`TlsTransport`] speaks TLS on plain streams, for everything else.
//!
//! # Versions
//!
//! It is made with rustls 0.23, whose types are public here, as [`rustls`]. A new version of rustls
//! that breaks them is a breaking version of this crate.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod stream;
mod tls;
mod transport;
mod trust;

pub use stream::TlsStream;
pub use tls::{Tls, is_retryable, is_server_name};
pub use tokio_rustls::rustls;
pub use transport::TlsTransport;

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
