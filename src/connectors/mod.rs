//! Connectors for particular protocols. Their public paths are `wharf::tcp`, `wharf::http` and so
//! on.

#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
#[cfg(any(feature = "grpc", feature = "http"))]
mod late_write;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(any(feature = "grpc", feature = "tcp", feature = "websocket"))]
mod shown;
#[cfg(any(feature = "postgres", feature = "tcp"))]
mod signs;
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
mod stream;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
mod tls;
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
mod unix_uri;
#[cfg(feature = "websocket")]
pub mod websocket;
