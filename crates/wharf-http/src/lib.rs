//! An HTTP client on pooled connections: HTTP/1.1 and HTTP/2, plain and TLS.
//!
//! [`Client`] sends requests. The body of a response holds its connection until it has been read,
//! see [`PooledBody`]. The [builder](ClientBuilder) sets the protocol and the pool. The other types
//! (`Request`, `Body`) come from the crates `http`, `http-body` and hyper 1. For a whole program and what
//! happens in each fault, see [`guide`].
//!
//! # Examples
//!
//! The example also needs `http = "1"`, `http-body-util = "0.1"` and `bytes = "1"`.
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use bytes::Bytes;
//! use http_body_util::BodyExt;
//! use wharf_http::Client;
//!
//! let client = Client::new();
//! let request = http::Request::post("http://localhost:8080/words").body("hello".to_owned())?;
//! let response = client.request(request).await?;
//! assert!(response.status().is_success());
//! let body: Bytes = response.into_body().collect().await?.to_bytes();
//! # Ok(()) }
//! ```
//!
//! # One pool for both versions
//!
//! All connections are in one [`SharedPool`](wharf::SharedPool), keyed by scheme, host, port and proxy
//! ([`Origin`]). An HTTP/1.1 connection carries one request at a time; an HTTP/2 connection carries
//! as many as [`http2_max_streams`](ClientBuilder::http2_max_streams) and the peer allow. The
//! version need not be known before the dial (with `https` the server chooses it), and caps,
//! time-outs and the queue mean the same for both: `max_per_host(8)` allows at most eight
//! connections of either version.
//!
//! Many simultaneous requests to a host without a connection wait for one dial first. If it results
//! in HTTP/2, the connection carries them all. If it results in HTTP/1.1, the pool dials the other
//! connections that are still needed at once.
//!
//! # What ends a connection
//!
//! - The peer: by closing it, by `Connection: close`, by HTTP/1.0, by `GOAWAY` (requests in
//!   progress continue), or by an error.
//! - An unfinished HTTP/1.1 exchange: a request that was cancelled or timed out, a body that was
//!   dropped with more than 256 KiB (or 50 milliseconds) to come, or a request body still being
//!   sent 50 milliseconds after the response has ended.
//! - A request body that differs from its declared length, or too many interim responses.
//!   (A length that differs ends only the stream on HTTP/2.)
//! - The pool's limits: idle time, lifetime, and [`max_uses`](wharf::Builder::max_uses), which counts
//!   requests.
//!
//! On HTTP/2, a request body still being sent 50 milliseconds after the response has ended is cut off:
//! its stream is reset, so that a server that reads no more of it does not hold up others.
//!
//! Each connection has one task, on the runtime that dialed it, which ends with it. On HTTP/2 the
//! task also polls the request bodies, except those that are read into memory first: a body that
//! computes for long delays the other requests of its connection.
//!
//! # Pings
//!
//! A ping of the pool (for a health check or a heartbeat) sends an HTTP/2 peer a PING and waits
//! until anything is heard from it. HTTP/1.1 has no pings: the check is only whether the connection
//! was closed. Anything heard lately, on either version, makes the ping unnecessary: see
//! [`last_heard`](wharf::Connector::last_heard).
//!
//! hyper also pings on a timer: an HTTP/2 connection that carries requests and was silent for 20
//! seconds is pinged, and ended if it does not answer within 10 seconds. See
//! [`http2_keep_alive`](ClientBuilder::http2_keep_alive_interval) for other times, and for servers that
//! treat pings as abuse.
//!
//! # A peer that vanishes
//!
//! A peer may vanish silently: its machine loses power, a firewall forgets the connection, a proxy
//! hangs. Nothing is closed then, and the system may keep sending for a quarter of an hour. The
//! remedy is a time-out around the request or around the reading of its body:
//!
//! - On HTTP/1.1 a cancelled request closes its connection, so each connection fails only one
//!   request.
//! - On HTTP/2 the other requests continue. But if nothing was heard from the peer since the
//!   request was sent, or while its body was awaited, the connection is *suspect*: the peer is
//!   pinged at once, and the connection takes no new request until anything is heard. For requests
//!   that wait for longer than 250 milliseconds another connection is dialed, if
//!   [`max_per_host`](wharf::Builder::max_per_host) leaves room. A peer that stays silent for a
//!   second is given up: its connection makes room for another one, and is closed after the
//!   requests on it. New requests therefore succeed again 250 milliseconds after the first
//!   time-out, or after 1 second if there was no room.
//!
//! A peer that is only slow answers the ping and keeps its connection. It is not pinged again until
//! it has sent something else, because gRPC servers treat many pings in a row as abuse. A peer that
//! vanishes after such an answer is found by the timer; so is one whose requests have no time-out.
//!
//! # What it does not do, and what does it instead
//!
//! A [`Client`] and a `&Client` are a `tower_service::Service`, so the layers of tower and
//! tower-http work with it. `examples/http/src/bin/http_layers.rs` uses them to follow redirects and to
//! decompress responses.
//!
//! | it does not | what does |
//! | --- | --- |
//! | follow redirects | `tower_http::follow_redirect` |
//! | decompress responses, or ask for compressed ones | `tower_http::decompression` |
//! | compress the bodies of requests | the caller, with `content-encoding` |
//! | add headers to each request: credentials, a user agent | `tower_http::auth`, `tower_http::set_header` |
//! | keep cookies | a layer of your own, on a store such as the crate `cookie_store` |
//! | retry after a response (`503`, `429`), or send a `POST` again | `tower::retry`; the client itself [resends](Client::request) what was not processed |
//! | limit how many requests there are, or how often | `tower::limit`; the pool limits connections |
//! | write a span for each request | `tower_http::trace` |
//! | limit the length of a response | `http_body_util::Limited` around its body |
//! | read responses as text, JSON or forms | `http_body_util::BodyExt::collect`, and `serde_json` and its like |
//! | cache responses | a layer of your own, on a crate such as `http-cache` |
//! | speak through a proxy, or read `HTTP_PROXY` | the feature `proxy`, which adds `ClientBuilder::proxies` |
//! | send `CONNECT` | a [connector of your own](wharf::Connector) |
//! | send the trailers of a request on HTTP/1.1 | nothing, unless it has `transfer-encoding: chunked` and a `trailer` header that names them |
//! | hand out interim responses, or hear them on HTTP/2 | nothing: up to eight are skipped |
//! | wait for `100 Continue` on HTTP/2 | the flow control of HTTP/2 |
//! | push, pipelining, HTTP/3 | nothing |
//!
//! # Features
//!
//! | feature | on by default | what it brings |
//! | --- | --- | --- |
//! | `proxy` | no | HTTP and SOCKS5 proxies, as `ClientBuilder::proxies` |
//! | `tls` | yes | `https`, by rustls with the system's trust; needs a C compiler |
//!
//! # Versions
//!
//! It is made with hyper 1 and the crates `http` and `http-body` 1, whose types are public here. A new
//! major version of one of them is a breaking version of this crate. So is one of rustls, 0.23, whose
//! types are public in [`tls`] with the feature `tls`, and of `tower-service` 0.3.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod broken;
mod builder;
mod call;
mod client;
pub mod conn;
mod connection;
mod connector;
mod deadline;
mod dial;
mod due;
mod error;
mod framing;
mod heads;
mod http1;
mod http2;
mod http2_driver;
mod in_flight;
mod interim;
mod late_write;
mod limits;
mod measured;
mod observed_io;
mod origin;
mod panics;
mod peer;
mod ping_timer;
mod pooled_body;
mod protocol;
mod proxy_or_none;
mod request_body;
mod retry;
mod tls_or_none;
mod upload;
mod wire;

pub use builder::ClientBuilder;
pub use client::Client;
pub use connection::HttpConnection;
pub use connector::HttpConnector;
pub use error::{ConnectError, Error};
pub use origin::Origin;
pub use pooled_body::PooledBody;
pub use protocol::Protocol;
#[cfg(feature = "proxy")]
pub use wharf_proxy as proxy;
#[cfg(feature = "tls")]
pub use wharf_tls as tls;

#[doc = include_str!("guide.md")]
pub mod guide {
    #[doc = include_str!("from_hyper_util.md")]
    pub mod from_hyper_util {}
}

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
