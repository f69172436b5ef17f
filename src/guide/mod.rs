//! How to use a pool well. Each page answers one question, with code that is compiled and run by the tests.
//!
//! # Start here
//!
//! | question | page |
//! | --- | --- |
//! | What does a whole program look like? | the page of your backend, below, or [`web_service`] |
//! | One borrower for each connection, or many? | [`pool_or_shared_pool`] |
//! | Which time limits should I set? | [`time_limits`] |
//! | Which errors can I get, and which are worth a retry? | [`errors`] |
//! | How do I read the settings from a file? | [`configuration`] |
//! | How do I test my code without a server? | [`testing`] |
//! | How do I keep a pool in a library, for its users? | [`for_libraries`] |
//!
//! # Backends
//!
//! | I connect to | page | add |
//! | --- | --- | --- |
//! | a TCP server with a protocol of its own | [`tcp`] | feature `tcp` |
//! | HTTP/1.1 and HTTP/2 servers | [its guide](https://docs.rs/wharf-http/latest/wharf_http/guide) | `wharf-http` |
//! | gRPC servers, with tonic | [its guide](https://docs.rs/wharf-grpc/latest/wharf_grpc/guide) | `wharf-grpc` |
//! | PostgreSQL | [its guide](https://docs.rs/wharf-postgres/latest/wharf_postgres/guide) | `wharf-postgres` |
//! | WebSocket servers | [its guide](https://docs.rs/wharf-websocket/latest/wharf_websocket/guide) | `wharf-websocket` |
//! | Redis | [`redis`] | nothing, or `wharf-bb8`, `wharf-deadpool` |
//! | another database, or anything else | [`connector`] | nothing |
//!
//! # Sizes and limits
//!
//! | question | page |
//! | --- | --- |
//! | How many connections should the pool have? | [`sizes`] |
//! | How many in all processes together, and behind PgBouncer or Envoy? | [`many_processes`] |
//! | One pool for many hosts, or one pool for each? | [`many_hosts`] |
//!
//! # Faults
//!
//! | question | page |
//! | --- | --- |
//! | I get "timed out", or a warning about a deadlock. Why? | [`timed_out`] |
//! | I get another error. What does it mean? | [`errors`] |
//! | How does the pool notice that a connection is dead? | [`health`] |
//! | What happens to a server that comes back, and when many processes start together? | [`storms`] |
//! | What happens when more ask than can be served? | [`overload`] |
//! | What happens to connections that live for hours, and behind load balancers? | [`long_lived`] |
//! | What does the pool promise, and what does it not promise? | [`trust`] |
//! | What may change in which version? | [`stability`] |
//!
//! # Operations
//!
//! | question | page |
//! | --- | --- |
//! | What does it log and measure, and which alerts should I set? | [`observability`] |
//! | How does my program shut down cleanly? | [`shutdown`] |
//!
//! # Other pools
//!
//! [`other_pools`] compares wharf with bb8, deadpool, mobc, r2d2, sqlx, qorb, hyper-util and pingora-pool.
//!
//! | I come from | page |
//! | --- | --- |
//! | bb8 | [the guide of `wharf-bb8`](https://docs.rs/wharf-bb8/latest/wharf_bb8/guide) |
//! | deadpool | [the guide of `wharf-deadpool`](https://docs.rs/wharf-deadpool/latest/wharf_deadpool/guide) |
//! | hyper-util's `Client`, as in a reverse proxy | [a page of `wharf-http`](https://docs.rs/wharf-http/latest/wharf_http/guide/from_hyper_util) |
//! | r2d2 | [`from_r2d2`] |
//! | Go's `net/http` | [`from_go`] |

#[cfg_attr(feature = "serde", doc = include_str!("configuration.md"))]
#[cfg_attr(
    not(feature = "serde"),
    doc = "Settings from files: shown in documentation with the feature `serde`."
)]
pub mod configuration {}

#[doc = include_str!("connector.md")]
pub mod connector {}

#[doc = include_str!("errors.md")]
pub mod errors {}

#[doc = include_str!("for_libraries.md")]
pub mod for_libraries {}

#[doc = include_str!("from_go.md")]
pub mod from_go {}

#[doc = include_str!("from_r2d2.md")]
pub mod from_r2d2 {}

#[doc = include_str!("health.md")]
pub mod health {}

#[doc = include_str!("long_lived.md")]
pub mod long_lived {}

#[doc = include_str!("many_hosts.md")]
pub mod many_hosts {}

#[doc = include_str!("many_processes.md")]
pub mod many_processes {}

#[doc = include_str!("other_pools.md")]
pub mod other_pools {}

#[doc = include_str!("overload.md")]
pub mod overload {}

#[doc = include_str!("observability.md")]
pub mod observability {}

#[doc = include_str!("pool_or_shared_pool.md")]
pub mod pool_or_shared_pool {}

#[cfg_attr(not(doctest), doc = include_str!("redis.md"))]
pub mod redis {}

#[doc = include_str!("shutdown.md")]
pub mod shutdown {}

#[doc = include_str!("sizes.md")]
pub mod sizes {}

#[doc = include_str!("stability.md")]
pub mod stability {}

#[doc = include_str!("storms.md")]
pub mod storms {}

#[cfg_attr(feature = "tcp", doc = include_str!("tcp.md"))]
#[cfg_attr(
    not(feature = "tcp"),
    doc = "TCP connections: shown in documentation with the feature `tcp`."
)]
pub mod tcp {}

#[cfg_attr(feature = "test-util", doc = include_str!("testing.md"))]
#[cfg_attr(
    not(feature = "test-util"),
    doc = "Testing without a server: shown in documentation with the feature `test-util`."
)]
pub mod testing {}

#[doc = include_str!("time_limits.md")]
pub mod time_limits {}

#[doc = include_str!("timed_out.md")]
pub mod timed_out {}

#[doc = include_str!("trust.md")]
pub mod trust {}

#[cfg_attr(not(doctest), doc = include_str!("web_service.md"))]
pub mod web_service {}
