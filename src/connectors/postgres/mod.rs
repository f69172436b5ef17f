//! Pools of PostgreSQL connections, by tokio-postgres 0.7 (feature `postgres`).
//!
//! A [`PostgresConnector`] dials one database, whose key is `()`, or one for each key. What a pool of it
//! lends is a [`PostgresClient`], which derefs to [`tokio_postgres::Client`].
//!
//! # Examples
//!
//! ```
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf::postgres::PostgresConnector;
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
//! No transaction goes from one borrower to the next, however the first one left it: dropped,
//! aborted, begun by hand and forgotten, failed. Nor does a COPY. Where a transaction may be open when a
//! connection comes back, a task of the pool sends `BEGIN; ROLLBACK` (the `BEGIN` so that the server does not
//! warn), and lends the connection when that is answered: see [`Connector::reset`](crate::Connector::reset).
//! [`Reset`] says what else is undone, or that nothing is.
//!
//! A reset costs a round trip between two borrowers, and the server about as much as an empty query. No reset
//! is needed after a loan that did nothing but these, by [`PostgresClient`]'s own methods:
//!
//! - a statement whose answer has a row or counts one (`query`, `query_one`, `query_opt`, `execute`): what
//!   begins a transaction is never answered so;
//! - a statement whose text is known to the call and plain
//!   ([`query_cached`](PostgresClient::query_cached) and its kin, `query_typed`), with any answer;
//! - a transaction by [`begin`](PostgresClient::begin) whose COMMIT or ROLLBACK was answered;
//! - preparing a statement.
//!
//! Everything else may have left a transaction open: an empty answer to a statement that was prepared
//! elsewhere, an error (but for the server's, to a plain text), `batch_execute`, `simple_query`,
//! [`transaction`](PostgresClient::transaction), and all that is done through [`tokio_postgres::Client`], such
//! as by its methods that `PostgresClient` does not have. With [`Reset::Discard`] every loan that asked anything
//! is reset, since a function in a plain query can change settings and take locks.
//!
//! # What was cut off
//!
//! A query whose future is dropped goes on in the server. The connection is kept back at its return: the server is told
//! to cancel the query, by the same means (TLS or not) as the connection was made, and the connection is lent when the
//! server has done so and a reset is answered. Nothing of the query, its answer, its transaction or its cancellation
//! reaches the next borrower.
//!
//! What was asked by one of [`PostgresClient`]'s or [`Transaction`]'s own methods is cancelled at once. What was asked
//! by [`tokio_postgres::Client`] or [`tokio_postgres::Transaction`] is not seen, and holds the reset up: after 50
//! milliseconds (after as long as the connection's dial took, if that is longer, but at most half a second) it is
//! cancelled as well. A query that is just slow to be rolled back loses nothing by that.
//!
//! After a second (or [`ping_timeout`](crate::Builder::ping_timeout), if that is shorter) the connection is closed: what
//! goes on does not let itself be cancelled, or the cancellation does not get through, or it is a row stream or a COPY
//! that is kept, unread, beyond its loan. So is a connection whose cancellation may still be under way, which is where
//! `sslmode` is `prefer` and the server speaks no TLS. A caller that waits is served by a dial before that, if there is
//! room.
//!
//! A connection whose [`cancel_token`](PostgresClient::cancel_token) somebody has taken is closed at its return: such a
//! cancellation may come at any time. One that was taken through [`tokio_postgres::Client`] is not seen.
//!
//! A COPY that was begun by another method than `copy_in` or `copy_out` fails, and costs the connection.
//!
//! # Many databases, and passwords that change
//!
//! [`PostgresConnector::with_config`] asks a closure of yours for the configuration of each dial. The key is of your type:
//! one pool for all tenants, with one [`max_total`](crate::Builder::max_total), or two keys for a primary and its
//! replicas. [`on_connect`](PostgresConnector::on_connect) sets each new connection up.
//!
//! ```
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use wharf::Pool;
//! use wharf::postgres::PostgresConnector;
//! use wharf::postgres::tokio_postgres::{Config, Error};
//!
//! #[derive(Clone, Debug, PartialEq, Eq, Hash)]
//! enum Role {
//!     Writes,
//!     Reads,
//! }
//!
//! let connector = PostgresConnector::with_config(async |role: Role| {
//!     let of_role = match role {
//!         Role::Writes => "host=a,b target_session_attrs=read-write",
//!         Role::Reads => "host=a,b target_session_attrs=read-only load_balance_hosts=random",
//!     };
//!     let mut config: Config = of_role.parse()?;
//!     config.user("app").dbname("shop");
//!     Ok::<_, Error>(config)
//! });
//! let pool = Pool::builder().max_per_host(8).build(connector)?;
//! let (primary, replicas) = (pool.host(&Role::Writes), pool.host(&Role::Reads));
//! # Ok(()) }
//! # run().unwrap();
//! ```
//!
//! # TLS
//!
//! By the crate `tokio-postgres-rustls`, or another one for tokio-postgres, such as `postgres-native-tls`:
//!
#![cfg_attr(not(doctest), doc = include_str!("tls.md"))]
//!
//! Say `sslmode=require`: with `prefer`, which is tokio-postgres' default, a server that speaks no TLS is spoken to
//! without.
//!
//! # Failover
//!
//! Name all hosts and say `target_session_attrs=read-write`, also where there is only one name: each dial takes the first
//! host that writes. A connection that the server has ended (SQLSTATE 57P01, 57P02, 57P03) is closed at its return. An
//! answer that the server, or a transaction, is read-only (25006) shows that the server is the wrong one: the connection
//! is closed at its return, and all others to the same address instead of being lent again. So a switch-over costs the
//! borrowers of that moment their requests, and a dial. A write in a transaction that was begun `READ ONLY` looks the same.
//!
//! Seen are the answers to [`PostgresClient`]'s and [`Transaction`]'s own methods. After others there is a reset, which
//! asks the server whether it still writes, as a ping does. Without `target_session_attrs`, an answer of 25006 costs its
//! connection, and the others are lent on.
//!
//! # Behind PgBouncer
//!
//! With `pool_mode = session` nothing is different. With `pool_mode = transaction`, each transaction may run in another
//! session: tell the connector, by [`transaction_pooling`](PostgresConnector::transaction_pooling). What works then:
//!
//! - calls whose names end in `_cached`, `query_typed` and its kin, `batch_execute`, `simple_query`;
//! - transactions, by [`begin`](PostgresClient::begin) and `transaction`, with `query_typed` and its kin inside;
//! - resets, cancellations, pings.
//!
//! What does not:
//!
//! - statements that are prepared: `prepare`, `prepare_cached`, and `query`, `query_one`, `query_opt` and `execute`, which
//!   prepare a text that they are given;
//! - values of types that the server defines (enums, composites, extensions' types), which tokio-postgres looks up by
//!   statements; cast them to `text`;
//! - parameters in another type than their value's own: a `String` is sent as `text`, so write `$1::text::jsonb`;
//! - what belongs to a session: `SET` (but for `SET LOCAL` in a transaction), `LISTEN`, advisory locks that are not a
//!   transaction's, temporary tables, [`Reset::Discard`], and settings made by
//!   [`on_connect`](PostgresConnector::on_connect);
//! - options in the `Config` that PgBouncer does not know: it refuses them, unless its `ignore_startup_parameters` says
//!   otherwise.
//!
//! # What goes with which setting of the pool
//!
//! - [`max_per_host`](crate::Builder::max_per_host): all pools together must fit into the server's
//!   `max_connections`. Where they do not, callers share what the server takes, and get its "too many
//!   clients" only when nothing can serve them.
//! - [`retry`](crate::Builder::retry) bridges a restart of the server, which is found again within the longest wait of its
//!   [`Backoff`](crate::Backoff): 400 milliseconds do no harm to a server, and the default is 10 seconds. What a retry does not help against (a
//!   wrong password, no such database) is told at once all the same.
//! - [`health_check`](crate::Builder::health_check): the end of a session is seen without a ping, as
//!   soon as the system knows. A ping is for what vanishes without a word (a firewall that forgets,
//!   a machine that lost its power), which `Config`'s keepalives find too, later; it also waits for what
//!   an earlier borrower left. [`HealthCheck::IdleFor`](crate::HealthCheck::IdleFor) some seconds pays
//!   for it only where it is likely to matter.
//! - [`connect_timeout`](crate::Builder::connect_timeout) is for a whole dial, with all its hosts.
//! - [`max_lifetime`](crate::Builder::max_lifetime) gives back the memory that a server's process
//!   gathers, and finds the new primary after a switch-over.
//! - [`close_timeout`](crate::Builder::close_timeout) includes the cancellation of what was cut off, where a connection is
//!   closed at its return. What was not seen to be cut off is cancelled after a second: with less than that it goes on in
//!   the server.
//!
//! # Race window
//!
//! A session that the server ended a moment ago may still be lent, before its end is known here: the
//! first request fails then, with a connection that is closed. What must not fail because of this has
//! to be safe to send twice.
//!
//! # Runtimes
//!
//! A connection's task runs in the runtime that dialed it, whose timers must be enabled. Where that runtime
//! is not driven for a while, its connections wait; when it has ended, they are not lent any more.
//!
//! # Notifications
//!
//! The connection's task logs notices (by `log`, as tokio-postgres does), but for what the server remarks about a reset,
//! and drops notifications: for `LISTEN`, use a connection of your own. The server's own log has a warning where a reset
//! has found a transaction open.

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
mod statements;
mod transaction;

pub use tokio_postgres;

pub use client::PostgresClient;
pub use connector::PostgresConnector;
pub use error::PostgresError;
pub use new_connection::NewConnection;
pub use reset::Reset;
pub use transaction::Transaction;
