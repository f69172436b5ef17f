//! Pools of PostgreSQL connections, by tokio-postgres (feature `postgres`).
//!
//! A [`PostgresConnector`] dials one database; a pool of it has one host, whose key is `()`. What it
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
//! A query whose future is dropped goes on in the server. After one of [`PostgresClient`]'s own methods
//! the connection is closed at its return, and the server is asked to cancel the query; the pool may
//! dial another in its place. It is not waited for, since nobody knows how long it takes, and not
//! cancelled and kept, since a cancellation that comes late hits the next borrower's query.
//!
//! What was cut off in a [`Transaction`](tokio_postgres::Transaction), or by a method of `Client` that
//! `PostgresClient` does not have itself, is not seen, and holds the reset up. After a second (or
//! [`ping_timeout`](crate::Builder::ping_timeout), if that is shorter) the connection is closed, and the query is
//! cancelled; a caller that waits is served by a dial before that, if there is room. The same goes for a row stream or a
//! COPY that is kept, unread, beyond its loan.
//!
//! A COPY that was begun by another method than `copy_in` or `copy_out` fails, and costs the connection.
//! In a `Transaction` this is not seen either: the next borrower's first request fails.
//!
//! # What goes with which setting of the pool
//!
//! - [`max_per_host`](crate::Builder::max_per_host): all pools together must fit into the server's
//!   `max_connections`. Where they do not, callers share what the server takes, and get its "too many
//!   clients" only when nothing can serve them.
//! - [`retry`](crate::Builder::retry) bridges a restart of the server. What a retry does not mend (a
//!   wrong password, no such database) is told at once all the same.
//! - [`health_check`](crate::Builder::health_check): the end of a session is seen without a ping, as
//!   soon as the system knows. A ping is for what vanishes without a word (a firewall that forgets,
//!   a machine that lost its power), which `Config`'s keepalives find too, later; it also waits for what
//!   an earlier borrower left. [`HealthCheck::IdleFor`](crate::HealthCheck::IdleFor) some seconds pays
//!   for it only where it is likely to matter.
//! - [`connect_timeout`](crate::Builder::connect_timeout) is for a whole dial, with all its hosts.
//! - [`max_lifetime`](crate::Builder::max_lifetime) gives back the memory that a server's process
//!   gathers, and finds the new primary after a switch-over.
//! - [`close_timeout`](crate::Builder::close_timeout) includes the cancellation of what was cut off. What
//!   was not seen to be cut off is cancelled after a second: with less than that it goes on in the server.
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
//! The connection's task logs notices (by `log`, as tokio-postgres does) and drops notifications: for
//! `LISTEN`, use a connection of your own.

mod client;
mod connector;
mod driver;
mod failure;
mod requests;
mod reset;
mod statements;
mod transaction;

pub use tokio_postgres;

pub use client::PostgresClient;
pub use connector::PostgresConnector;
pub use reset::Reset;
pub use transaction::Transaction;
