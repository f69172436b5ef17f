//! An HTTP client on pooled connections: HTTP/1.1 and HTTP/2, plain and TLS (feature `http`).
//!
//! [`Client`] sends requests; the body of an answer holds its connection until it has been read, see
//! [`PooledBody`]. What it speaks and how its pool is set is said to its [builder](ClientBuilder).
//! The parts around it (`Request`, `Body`) are those of the crates `http`, `http-body` and hyper 1.
//!
//! # Examples
//!
//! Beside this crate it needs `http = "1"`, `http-body-util = "0.1"` and `bytes = "1"`.
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use bytes::Bytes;
//! use http_body_util::BodyExt;
//! use wharf::http::Client;
//!
//! let client = Client::new();
//! let request = http::Request::post("http://localhost:8080/words").body("hello".to_owned())?;
//! let response = client.request(request).await?;
//! assert!(response.status().is_success());
//! let answer: Bytes = response.into_body().collect().await?.to_bytes();
//! # Ok(()) }
//! ```
//!
//! # One pool for both versions
//!
//! All connections are in one [`SharedPool`](crate::SharedPool), keyed by scheme, host and port
//! ([`Origin`]). An HTTP/1.1 connection carries one request at a time, which makes it an exclusive
//! one; an HTTP/2 connection carries as many as [`http2_max_streams`](ClientBuilder::http2_max_streams)
//! and the peer allow. So the version need not be known before the dial (with `https` the server
//! chooses it), and caps, time-outs and the queue mean the same for both: `max_per_host(8)` is at
//! most eight connections, whatever they speak.
//!
//! Many requests at once to a host without a connection wait for one dial first. If what it makes
//! speaks HTTP/2, it carries them; if it speaks HTTP/1.1, those that are still wanted are dialed at
//! once.
//!
//! # What ends a connection
//!
//! - The peer: by closing it, by `Connection: close`, by HTTP/1.0, by `GOAWAY` (requests under way go
//!   on), or by an error.
//! - An HTTP/1.1 exchange that was not finished: a request that was cancelled or ran out of time, a body
//!   that was dropped with more than 256 KiB (or 50 milliseconds) to come, a request body still being
//!   sent 50 milliseconds after the answer has ended.
//! - A request body that is not as long as it was declared, and interim answers without end (HTTP/1.1).
//! - The pool's limits: idle time, lifetime, and [`max_uses`](crate::Builder::max_uses), which counts
//!   requests.
//!
//! Each connection has one task, on the runtime that dialed it, which ends with it. On HTTP/2 it also
//! polls the bodies of the requests that it sends, except those that are read into memory first: a body
//! that computes for long holds up the other requests of its connection.
//!
//! # Pings
//!
//! A ping of the pool (a health check, a heartbeat) sends an HTTP/2 peer a PING and waits until anything
//! is heard from it. HTTP/1.1 has no pings: there it asks only whether the connection was closed.
//!
//! hyper pings on a timer: an HTTP/2 connection that carries requests and was silent for 20 seconds is
//! pinged, and ended when it does not answer within 10 seconds. See
//! [`http2_keep_alive`](ClientBuilder::http2_keep_alive) for other times, and for servers that take
//! pings for abuse.
//!
//! # A peer that vanishes
//!
//! A peer may vanish without a word: its machine loses power, a firewall forgets the connection, a proxy
//! hangs. Nothing is closed then, and the system may go on sending for a quarter of an hour. What helps is
//! a time-out of the caller's, around the request or the reading of its body:
//!
//! - On HTTP/1.1 a request that is cancelled closes its connection: each connection fails one request.
//! - On HTTP/2 the other requests go on. But if nothing was heard from the peer since the request was
//!   sent, or while its body was waited for, the connection is *suspect*: the peer is pinged at once, and
//!   the connection takes no new request before anything is heard. Requests that wait for longer than
//!   250 milliseconds have another one dialed, if
//!   [`max_per_host`](crate::Builder::max_per_host) leaves room. A peer that is silent for a second is
//!   given up: its connection makes room for another one, and is closed after the requests on it. So all
//!   is well again 250 milliseconds after the first time-out, or 1 second where there was no room.
//!
//! A peer that is only slow answers the ping, and keeps its connection. It is not pinged again before it
//! has said something else, since servers of gRPC take many pings in a row for abuse; a peer that
//! vanishes after such an answer is found by the timer, as is one that is asked without a time-out.
//!
//! # What it does not do, and what does
//!
//! A [`Client`] and a `&Client` are a `tower_service::Service`, so that the layers of tower and
//! tower-http fit around it. `examples/http/src/bin/http_layers.rs` follows redirects and decompresses so.
//!
//! | it does not | what does |
//! | --- | --- |
//! | follow redirects | `tower_http::follow_redirect` |
//! | decompress answers, or ask for compressed ones | `tower_http::decompression` |
//! | compress the bodies of requests | the caller, with `content-encoding` |
//! | add headers to each request: credentials, a user agent | `tower_http::auth`, `tower_http::set_header` |
//! | keep cookies | a layer of your own, on a store such as the crate `cookie_store` |
//! | retry after an answer (`503`, `429`), or send a `POST` again | `tower::retry`; what was not processed it does [send again](Client::request) |
//! | limit how many requests there are, or how often | `tower::limit`; connections it does limit |
//! | write a span for each request | `tower_http::trace` |
//! | limit the length of an answer | `http_body_util::Limited` around its body |
//! | read answers as text, JSON or forms | `http_body_util::BodyExt::collect`, and `serde_json` and its like |
//! | cache answers | a layer of your own, on a crate such as `http-cache` |
//! | speak through a proxy, or send `CONNECT` | a [connector of your own](crate::Connector) |
//! | send the trailers of a request on HTTP/1.1 | nothing, unless it has `transfer-encoding: chunked` and a `trailer` header that names them |
//! | hand out interim answers, or hear them on HTTP/2 | nothing: eight are passed over |
//! | wait for `100 Continue` on HTTP/2 | the flow control of HTTP/2 |
//! | push, pipelining, HTTP/3 | nothing |

mod builder;
mod call;
mod client;
pub(crate) mod connection;
mod connector;
mod deadline;
mod due;
mod error;
mod framing;
pub(crate) mod http1;
pub(crate) mod http2;
mod http2_driver;
mod interim;
mod measured;
mod origin;
pub(crate) mod peer;
mod ping_timer;
mod pooled_body;
mod protocol;
pub(crate) mod request_body;
pub(crate) mod retry;
mod turn;
mod upload;
pub(crate) mod wire;

pub use builder::ClientBuilder;
pub use client::Client;
pub use connection::HttpConnection;
pub use connector::HttpConnector;
pub use error::{ConnectError, Error};
pub use origin::Origin;
pub use pooled_body::PooledBody;
pub use protocol::Protocol;
pub use tokio_rustls::rustls;
