//! Proxies for wharf's clients: HTTP by CONNECT, and SOCKS5.
//!
//! [`ProxyTransport`] is a [`Transport`](wharf::transport::Transport) around another one. The
//! clients for gRPC and WebSocket take it in their builders (`.transport(…)`), that for HTTP takes
//! [`Proxies`] (`.proxies(…)`, feature `proxy`), and
//! [`StreamConnector`](wharf::transport::StreamConnector) pools its streams. Everything above the
//! stream, such as TLS, is spoken with the destination; the proxy passes on bytes.
//!
//! # Examples
//!
//! ```
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf::tcp::TcpTransport;
//! use wharf::transport::StreamConnector;
//! use wharf_proxy::{Proxies, Proxy, ProxyTransport};
//!
//! let proxy: Proxy = "socks5h://user:password@proxy.example".parse()?;
//! assert_eq!(proxy.to_string(), "socks5h://***@proxy.example:1080");
//!
//! // Everything through this one:
//! let transport = ProxyTransport::new(TcpTransport::new(), proxy.clone());
//! let pool = Pool::builder().build(StreamConnector::new(transport))?;
//!
//! // As HTTPS_PROXY, ALL_PROXY and NO_PROXY say:
//! let transport = ProxyTransport::new(TcpTransport::new(), Proxies::from_env()?);
//!
//! // As a function says:
//! let proxies = Proxies::by(move |to| {
//!     (!to.host.name.ends_with(".internal")).then(|| proxy.clone())
//! });
//! let transport = ProxyTransport::new(TcpTransport::new(), proxies);
//! # Ok(()) }
//! # run().unwrap();
//! ```
//!
//! # Which proxies
//!
//! | URL | protocol | names are resolved | default port |
//! | --- | --- | --- | --- |
//! | `http://` | HTTP/1.1, a tunnel by CONNECT | by the proxy | 80 |
//! | `socks5://` | SOCKS5 | here, by the system | 1080 |
//! | `socks5h://` | SOCKS5 | by the proxy | 1080 |
//!
//! User and password may stand in the URL, with `%` before what a URL cannot hold (`%40` for `@`).
//! HTTP proxies get them in the Basic scheme, SOCKS5 proxies by RFC 1929. A URL without a scheme is
//! that of an HTTP proxy.
//!
//! To a proxy that wants TLS (`https://`), let the inner transport speak it, and write its URL with
//! `http://` and its port: `ProxyTransport::new(TlsTransport::new(TcpTransport::new(), Tls::new()),
//! proxy)`, with [wharf-tls](https://docs.rs/wharf-tls). Such a transport leads everything through
//! proxies; what it dialed directly would speak TLS, too.
//!
//! # What goes directly
//!
//! A Unix socket is dialed directly: it is on this machine. So is a destination for which
//! [`Proxies`] name no proxy. No proxy is used unless you ask for one: the environment is read by
//! [`Proxies::from_env`], and by nothing else.
//!
//! # Time
//!
//! The pool's [`connect_timeout`](wharf::Builder::connect_timeout) covers the dial to the proxy and
//! the handshake with it; a proxy that hangs is cut off by it. Without a pool, nothing limits a dial.
//!
//! # What the pool sees
//!
//! The stream's [signs](wharf::transport::Stream::signs) are those of the stream to the proxy, and so
//! is its [address](wharf::transport::Stream::peer_addr). The
//! [trial](wharf::transport::Stream::trial) of a proxy with several addresses is over when it has
//! answered, even if it has refused the tunnel.
//!
//! # Errors
//!
//! An error names the proxy, without user and password, and the destination:
//!
//! ```text
//! the proxy http://***@proxy.example:3128 opened no tunnel to "db.example:5432": it answered 407 Proxy Authentication Required
//! ```
//!
//! A proxy that does not permit what is asked for will not do so at the next dial. So these have the
//! kind `InvalidInput`, with which the pool does not [`retry`](wharf::Builder::retry):
//!
//! - HTTP: statuses 300 to 499, such as 403 and 407, but 408 and 429; 501 and 505.
//! - SOCKS5: credentials that are wrong, missing or not accepted; a destination or a command that is
//!   not allowed.
//!
//! Every other failure is retried: 502, 503 and 504, a destination that refuses, a proxy that is
//! down, closes the connection or answers with something else.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod destination;
mod early;
mod environment;
mod failure;
mod http_tunnel;
mod proxies;
mod proxy;
mod socks;
mod transport;

pub use destination::Destination;
pub use proxies::Proxies;
pub use proxy::{InvalidProxy, Proxy};
pub use transport::ProxyTransport;

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
