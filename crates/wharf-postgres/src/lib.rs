//! Pools of PostgreSQL connections, based on tokio-postgres 0.7.
//!
//! A [`PostgresConnector`] dials one database, whose key is `()`, or one for each key. Its pool
//! lends [`PostgresClient`]s, which deref to [`tokio_postgres::Client`]. For a whole program and what
//! happens in each fault, see [`guide`].
//!
//! # Examples
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf_postgres::PostgresConnector;
//!
//! let connector: PostgresConnector = "host=/run/postgresql user=app dbname=shop".parse()?;
//! let shop = Pool::builder().max_per_host(8).build(connector)?.host(&());
//!
//! let connection = shop.acquire().await?;
//! let price = connection.query_one_cached("SELECT price FROM items WHERE id = $1", &[&7]).await?;
//! let price: i64 = price.get("price");
//! drop(connection);
//!
//! let mut connection = shop.acquire().await?;
//! let transaction = connection.begin().await?;
//! transaction.execute("UPDATE items SET price = $2 WHERE id = $1", &[&7, &(price + 1)]).await?;
//! transaction.commit().await?;
//! # Ok(()) }
//! ```
//!
//! # Between borrowers
//!
//! A transaction never passes from one borrower to the next, no matter how the first one left it:
//! dropped, aborted, begun by hand and forgotten, or failed. Neither does a COPY. If a transaction
//! may be open when a connection returns, a task of the pool sends `BEGIN; ROLLBACK` (the `BEGIN`
//! prevents a warning of the server) and lends the connection when that is answered: see
//! [`Connector::reset`](wharf::Connector::reset). [`Reset`] selects what else is undone, or that
//! nothing is.
//!
//! A reset costs a round trip between two borrowers, and costs the server about as much as an empty
//! query. No reset is needed after a loan that used only these methods of [`PostgresClient`]:
//!
//! - a statement whose answer contains or counts rows (`query`, `query_one`, `query_opt`,
//!   `execute`): a statement that begins a transaction never has such an answer;
//! - a statement whose text is passed to the call and is plain
//!   ([`query_cached`](PostgresClient::query_cached) and its variants, `query_typed`), with any
//!   answer;
//! - a transaction by [`begin`](PostgresClient::begin) whose COMMIT or ROLLBACK was answered;
//! - preparing a statement.
//!
//! Everything else may have left a transaction open: an empty answer to a statement that was
//! prepared elsewhere, an error (except the server's error for a plain text), `batch_execute`,
//! `simple_query`, [`transaction`](PostgresClient::transaction), and everything done through
//! [`tokio_postgres::Client`], including the methods that `PostgresClient` does not have. With
//! [`Reset::Discard`] every loan that sent a request is reset, since a function in a plain query
//! can change settings and take locks.
//!
//! # Dropped requests
//!
//! A query whose future is dropped continues on the server. When its connection returns, it is held
//! back: the server is told to cancel the query, over a connection of the same kind (TLS or not),
//! and the connection is lent when the server has done so and a reset is answered. Nothing of the
//! query, its answer, its transaction or its cancellation reaches the next borrower.
//!
//! A request of [`PostgresClient`]'s or [`Transaction`]'s own methods is cancelled at once. A
//! request made through [`tokio_postgres::Client`] or [`tokio_postgres::Transaction`] is not
//! observed and delays the reset; it is cancelled after 50 milliseconds (or after the time of the
//! connection's dial, if that is longer, but at most half a second). A query that is only slow to
//! roll back loses nothing by that.
//!
//! After a second (or [`ping_timeout`](wharf::Builder::ping_timeout), if that is shorter) the
//! connection is closed: either the request cannot be cancelled, or the cancellation does not get
//! through, or a row stream or a COPY was kept unread beyond its loan. The connection is also
//! closed if its cancellation may still be in progress, which happens where `sslmode` is `prefer`
//! and the server does not speak TLS. If there is room, a waiting caller gets a new connection
//! before that.
//!
//! A connection whose [`cancel_token`](PostgresClient::cancel_token) was taken is closed at its
//! return, because such a cancellation may arrive at any time. A token taken through
//! [`tokio_postgres::Client`] is not observed.
//!
//! A COPY that is started by another method than `copy_in` or `copy_out` fails and costs the
//! connection.
//!
//! # Many databases, and passwords that change
//!
//! [`PostgresConnector::builder_by_key`] calls your closure for the configuration of each dial. The
//! key can be any type: one pool for all tenants, with one
//! [`max_total`](wharf::Builder::max_total), or two keys for a primary and its replicas.
//! [`on_connect`](PostgresBuilder::on_connect) prepares each new connection.
//!
//! ```
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf_postgres::PostgresConnector;
//! use wharf_postgres::tokio_postgres::{Config, Error};
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Role {
//!     Writes,
//!     Reads,
//! }
//!
//! let connector = PostgresConnector::builder_by_key(async |role: Role| {
//!     let of_role = match role {
//!         Role::Writes => "host=a,b target_session_attrs=read-write",
//!         Role::Reads => "host=a,b target_session_attrs=read-only load_balance_hosts=random",
//!     };
//!     let mut config: Config = of_role.parse()?;
//!     config.user("app").dbname("shop");
//!     Ok::<_, Error>(config)
//! })
//! .build()?;
//! let pool = Pool::builder().max_per_host(8).build(connector)?;
//! let (primary, replicas) = (pool.host(&Role::Writes), pool.host(&Role::Reads));
//! # Ok(()) }
//! # run().unwrap();
//! ```
//!
//! # TLS
//!
//! Give the builder a [`Tls`](tls::Tls), which trusts what the system trusts, or the `ClientConfig`
//! of rustls (feature `tls`, on by default):
//!
//! ```
//! # #[cfg(feature = "tls")]
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf_postgres::PostgresConnector;
//! use wharf_postgres::tls::Tls;
//!
//! let config = "host=db.example user=app sslmode=require".parse()?;
//! let connector = PostgresConnector::builder(config).tls(Tls::new()).build()?;
//! # Ok(()) }
//! ```
//!
//! Another implementation for tokio-postgres, such as `postgres-native-tls`, is given to
//! [`tls_by`](PostgresBuilder::tls_by).
//!
//! Set `sslmode=require`: with `prefer`, tokio-postgres' default, the connection is not encrypted if
//! the server has no TLS, or if the connector has none. With `require`, a connector without TLS fails
//! before it dials ([`Error::NoTls`]).
//!
//! # Failover
//!
//! Name all hosts and set `target_session_attrs=read-write`, even if there is only one name: each
//! dial takes the first host that accepts writes. A connection that the server has ended (SQLSTATE
//! 57P01, 57P02, 57P03) is closed at its return. An answer that the server or a transaction is
//! read-only (25006) shows that the server is the wrong one: the connection is closed at its
//! return, and all other connections to the same address are closed instead of being lent again. A
//! failover therefore costs the current borrowers their requests, and a dial. A write in a
//! transaction that was begun `READ ONLY` looks the same.
//!
//! Only the answers to [`PostgresClient`]'s and [`Transaction`]'s own methods are observed. After
//! other requests there is a reset, which asks the server whether it still accepts writes, as a
//! ping does. Without `target_session_attrs`, an answer of 25006 costs only its own connection.
//!
//! # Behind PgBouncer
//!
//! With `pool_mode = session` nothing changes. With `pool_mode = transaction`, each transaction may
//! run in another session, and everything that belongs to a session does not work: `SET` (except
//! `SET LOCAL` in a transaction), `LISTEN`, advisory locks other than a transaction's, temporary
//! tables, [`Reset::Discard`], and settings made by [`on_connect`](PostgresBuilder::on_connect).
//! Nor do options in the `Config` that PgBouncer does not know: it rejects them, unless its
//! `ignore_startup_parameters` allows them.
//!
//! Prepared statements depend on PgBouncer's setting `max_prepared_statements`, which is known from
//! version 1.21 on, and is 200 by default from version 1.24 on (before: 0).
//!
//! Where it is above 0, PgBouncer keeps prepared statements for each connection. All methods work,
//! and the connector needs no setting.
//!
//! Where it is 0, or the version is older, set
//! [`transaction_pooling`](PostgresBuilder::transaction_pooling) on the connector. These methods
//! then work:
//!
//! - methods whose names end in `_cached`, `query_typed` and its variants, `batch_execute`,
//!   `simple_query`;
//! - transactions, by [`begin`](PostgresClient::begin) and `transaction`, with `query_typed` and
//!   its variants inside;
//! - resets, cancellations, pings.
//!
//! These do not:
//!
//! - prepared statements: `prepare`, `prepare_cached`, and `query`, `query_one`, `query_opt` and
//!   `execute`, which prepare a text passed to them;
//! - values of types that the server defines (enums, composites, types of extensions), which
//!   tokio-postgres looks up with statements; cast them to `text`;
//! - parameters of another type than their value's: a `String` is sent as `text`, so write
//!   `$1::text::jsonb`.
//!
//! # Settings of the pool
//!
//! - [`max_per_host`](wharf::Builder::max_per_host): all pools together must fit into the server's
//!   `max_connections`. If they do not, callers share the connections that the server accepts, and
//!   get its "too many clients" only if no connection can serve them.
//! - [`retry`](wharf::Builder::retry) bridges a restart of the server, which is found again within
//!   the longest pause of its [`Backoff`](wharf::Backoff): 400 milliseconds do not hurt a server,
//!   and the default is 10 seconds. Errors that a retry cannot fix (a wrong password, an unknown
//!   database) are still reported at once.
//! - [`health_check`](wharf::Builder::health_check): the end of a session is detected without a
//!   ping, as soon as the system knows it. A ping detects a peer that vanishes silently (a firewall
//!   that forgets, a machine that loses power), which `Config`'s keepalives find too, but later; it
//!   also waits for requests that an earlier borrower left.
//!   [`HealthCheck::IdleFor`](wharf::HealthCheck::IdleFor) a few seconds pays for it only where it
//!   is likely to matter, and a heartbeat does so ahead of the loans. Only the server proves that a
//!   connection lives, by its answer to a request that is observed (not one of `Client`'s own
//!   methods), to a reset or to a ping.
//! - [`connect_timeout`](wharf::Builder::connect_timeout) covers a whole dial, with all its hosts.
//! - [`max_lifetime`](wharf::Builder::max_lifetime) releases the memory that a server process
//!   accumulates, and finds the new primary after a failover.
//! - [`close_timeout`](wharf::Builder::close_timeout) includes the cancellation of dropped requests
//!   when a connection is closed at its return. Requests that are not observed are cancelled after
//!   a second; with a shorter time-out they continue on the server.
//!
//! # Race window
//!
//! A session that the server ended a moment ago may still be lent, before its end is known here.
//! The first request then fails, and the connection is closed. Requests that must not fail because
//! of this have to be safe to send twice.
//!
//! # Runtimes
//!
//! A connection's task runs in the runtime that dialed it, whose timers must be enabled. While that
//! runtime is not driven, its connections make no progress; when it has ended, they are not lent
//! any more.
//!
//! # Notifications
//!
//! The connection's task logs notices (with `log`, like tokio-postgres) except those about a reset,
//! and drops notifications: for `LISTEN`, use a connection outside the pool. The server's own log
//! has a warning when a reset has found an open transaction.
//!
//! # Versions
//!
//! It is made with tokio-postgres 0.7, whose types are public here. A new version of it that breaks them
//! is a breaking version of this crate. The feature `tls`, on by default, brings TLS; `serde`, off by default,
//! brings `Settings`, which are read from a file.
//! With `tls` the types of rustls 0.23 are public, too.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod builder;
mod cached;
mod cancel;
mod client;
mod connector;
mod dial;
mod driver;
mod error;
mod failure;
mod new_connection;
mod parameters;
mod requests;
mod reset;
mod servers;
#[cfg(feature = "serde")]
mod settings;
mod shown;
mod slow;
mod statements;
#[cfg(feature = "tls")]
mod tls_by_rustls;
mod transaction;
#[cfg(feature = "serde")]
mod value;

pub use tokio_postgres;

pub use builder::PostgresBuilder;
pub use client::PostgresClient;
pub use connector::PostgresConnector;
pub use error::Error;
pub use new_connection::NewConnection;
pub use reset::Reset;
#[cfg(feature = "serde")]
pub use settings::Settings;
#[cfg(feature = "tls")]
pub use tls_by_rustls::PostgresTls;
pub use transaction::Transaction;
#[cfg(feature = "tls")]
pub use wharf_tls as tls;

#[doc = include_str!("guide.md")]
pub mod guide {}

/// Runs the README's example as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
