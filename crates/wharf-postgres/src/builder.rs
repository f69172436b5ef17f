//! The settings of a connector.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::NoTls;
use wharf::BuildError;

use super::connector::PostgresConnector;
use super::error::BoxError;
use super::new_connection::NewConnection;
use super::reset::Reset;

/// Sets up a [`PostgresConnector`]. Made by [`PostgresConnector::builder`] and
/// [`PostgresConnector::builder_by_key`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PostgresBuilder<T = NoTls, K = ()> {
    connector: PostgresConnector<T, K>,
}

impl<K> PostgresBuilder<NoTls, K> {
    pub(super) fn of(connector: PostgresConnector<NoTls, K>) -> Self {
        PostgresBuilder { connector }
    }
}

impl<T> PostgresBuilder<T> {
    /// Sets the name of the one database, as errors, logs, metrics and observers show it: `no connection to
    /// "orders-db": …`.
    ///
    /// Defaults to its servers and its own name, such as `"db-1:5432/shop"`, without a user or a password. A
    /// connector of [`builder_by_key`](PostgresConnector::builder_by_key) with the key `()` does not know them:
    /// its errors say `no connection: …`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.connector.name = Some(name.into());
        self
    }
}

impl<T, K> PostgresBuilder<T, K> {
    /// Sets TLS: a [`Tls`](wharf_tls::Tls), or the `ClientConfig` of rustls. It is used if the
    /// configuration's `sslmode` and the server agree to it: set `sslmode=require`.
    ///
    /// Defaults to no TLS.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf_postgres::PostgresConnector;
    /// use wharf_postgres::tls::Tls;
    ///
    /// let config = "host=db.example user=app dbname=shop sslmode=require".parse()?;
    /// let connector = PostgresConnector::builder(config).tls(Tls::new()).build()?;
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: impl Into<wharf_tls::Tls>) -> PostgresBuilder<super::PostgresTls, K> {
        self.tls_by(super::PostgresTls::new(tls.into()))
    }

    /// Sets another implementation of TLS, such as that of `postgres-native-tls`.
    ///
    /// Defaults to [`NoTls`].
    pub fn tls_by<U>(self, tls: U) -> PostgresBuilder<U, K> {
        PostgresBuilder { connector: self.connector.with_tls(tls) }
    }

    /// Sets what is undone when a connection has returned, before it is lent again.
    ///
    /// Defaults to [`Reset::Rollback`]: a transaction that passes from one borrower to another is
    /// always a mistake, and commits changes that nobody meant to commit.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.connector.reset = reset;
        self
    }

    /// Sets a closure that prepares each new connection before it is lent: settings, roles, cached
    /// statements.
    ///
    /// It runs in the dial's task, within its [`connect_timeout`](wharf::Builder::connect_timeout).
    /// Its error is the dial's: [`Error::OnConnect`](super::Error::OnConnect). Before the connection is lent, a
    /// transaction that the closure leaves open is rolled back (except with [`Reset::None`]), and a
    /// query that it drops is cancelled. [`Reset::Discard`] undoes the settings made here like any
    /// others; those in the `options` of a [`Config`](tokio_postgres::Config) (`-c search_path=shop`) stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf_postgres::{NewConnection, PostgresConnector};
    ///
    /// let config = "host=/run/postgresql user=app dbname=shop".parse()?;
    /// let connector = PostgresConnector::builder(config)
    ///     .on_connect(async |client: NewConnection| {
    ///         client.batch_execute("SET statement_timeout = '30s'").await?;
    ///         client.prepare_cached("SELECT price FROM items WHERE id = $1").await.map(drop)
    ///     })
    ///     .build()?;
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn on_connect<F, Fut, E>(mut self, set_up: F) -> Self
    where
        F: Fn(NewConnection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.connector.on_connect = Some(Arc::new(move |client| {
            let done = set_up(client);
            Box::pin(async move { done.await.map_err(Into::into) })
        }));
        self
    }

    /// Declares that the connections lead to a pooler that assigns a server session for one
    /// transaction at a time and keeps no prepared statements, such as PgBouncer with `pool_mode =
    /// transaction` and `max_prepared_statements = 0`.
    ///
    /// Methods whose names end in `_cached` then prepare nothing: they send the text with each
    /// request, and give each parameter the type of its value. See [the
    /// module](crate#behind-pgbouncer) for what else does not work there.
    ///
    /// Defaults to false. It cannot be combined with [`Reset::Discard`].
    pub fn transaction_pooling(mut self, is_on: bool) -> Self {
        self.connector.transaction_pooling = is_on;
        self
    }

    /// Sets how many prepared statements each connection caches for the methods whose names end in
    /// `_cached`. When there is one more, the least recently used statement is evicted: the server
    /// closes it once the requests that use it have ended, and the next call with its text prepares
    /// it again. A text that is prepared with other parameter types counts as another statement.
    ///
    /// With 0 nothing is cached: each call prepares its statement, which costs a round trip, and the
    /// server closes it after the call.
    ///
    /// Defaults to 256, because few programs have more texts on their busy paths, and a simple
    /// statement takes about 10 KB of its server process. Set a higher one if more texts take turns: a cache that
    /// is smaller than their number may evict each before it is used again. It has no effect with
    /// [`transaction_pooling`](Self::transaction_pooling), where nothing is prepared.
    pub fn statement_cache_capacity(mut self, statements: usize) -> Self {
        self.connector.statement_cache_capacity = statements;
        self
    }

    /// Logs a warning for each statement that takes this long or longer (`tracing` target
    /// `wharf::postgres`), with the database as errors show it, the statement, how long it took and
    /// its outcome: `answered`, `failed`, or `dropped` if the caller dropped its future before the
    /// answer.
    ///
    /// The time is that from the call to its answer, with the network and what was asked before on
    /// the same connection. Only [`PostgresClient`](super::PostgresClient)'s and
    /// [`Transaction`](super::Transaction)'s own methods are measured, `commit` and `rollback` among
    /// them; a `_cached` method measures the preparation and the execution separately.
    ///
    /// The statement is the text that was passed or that is cached, up to 1,000 bytes of it; a
    /// prepared statement that is not cached is shown by its types and columns. Parameters are never
    /// logged, nor are errors, which may contain them. Values that are written into a text are.
    ///
    /// Defaults to `None`: no warning.
    pub fn slow_statement(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.connector.slow_statement = limit.into();
        self
    }

    /// Makes the connector. It does no I/O and needs no runtime.
    ///
    /// # Errors
    ///
    /// [`Reset::Discard`] together with
    /// [`transaction_pooling`](PostgresBuilder::transaction_pooling), where there is no session to
    /// discard; a [`slow_statement`](PostgresBuilder::slow_statement) of zero.
    pub fn build(self) -> Result<PostgresConnector<T, K>, BuildError> {
        let PostgresConnector { reset, transaction_pooling, slow_statement, .. } = self.connector;
        if transaction_pooling && reset == Reset::Discard {
            let reason =
                "must leave sessions alone with `transaction_pooling`, where there are none";
            return Err(BuildError::new("reset", "Reset::Discard", reason));
        }
        if slow_statement == Some(Duration::ZERO) {
            let reason = "must be longer than zero; `None` means not to warn";
            return Err(BuildError::new("slow_statement", "0s", reason));
        }
        Ok(self.connector)
    }
}
