//! Dials a PostgreSQL server.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Error, NoTls, Socket};

use super::client::PostgresClient;
use super::driver::Driver;
use super::failure;
use super::reset::Reset;
use crate::policy::connector::Connector;

/// Makes connections to one PostgreSQL database: the key is `()`.
///
/// Everything about the database is said by the [`Config`]: several hosts, Unix sockets,
/// `target_session_attrs` and its other settings work as they do there. All hosts of one dial share
/// the pool's [`connect_timeout`](crate::Builder::connect_timeout): where the first may be a black
/// hole, set the `Config`'s own, which is for each.
///
/// # Errors
///
/// A dial fails with tokio-postgres' own error, whose `source()` is the server's answer or the
/// system's error. No retry is made ([`is_retryable`](Connector::is_retryable)) after an answer of the
/// SQLSTATE classes 0A, 22, 28, 3D and 42 (a wrong user or password, no such database, no permission,
/// a setting that the server does not take), and after a mistake in the settings: no host, no
/// password, TLS that the server does not speak or whose certificate is not trusted.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use wharf::Pool;
/// use wharf::postgres::PostgresConnector;
///
/// let connector: PostgresConnector = "postgres://app:secret@db.example/shop".parse()?;
/// let shop = Pool::builder().max_per_host(8).build(connector)?.host(&());
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
pub struct PostgresConnector<T = NoTls> {
    config: Config,
    tls: T,
    reset: Reset,
}

impl PostgresConnector {
    /// Makes a connector for what the configuration says, without TLS.
    pub fn new(config: Config) -> Self {
        PostgresConnector { config, tls: NoTls, reset: Reset::default() }
    }
}

/// From a URL (`postgres://user@host/database`) or from pairs (`host=/run/postgresql user=app`), as
/// [`Config`] reads them.
impl FromStr for PostgresConnector {
    type Err = Error;

    fn from_str(config: &str) -> Result<Self, Error> {
        config.parse().map(PostgresConnector::new)
    }
}

impl<T> PostgresConnector<T> {
    /// Speaks TLS by these means, where the configuration's `sslmode` and the server agree to it.
    ///
    /// Defaults to [`NoTls`].
    pub fn tls<U>(self, tls: U) -> PostgresConnector<U> {
        PostgresConnector { config: self.config, tls, reset: self.reset }
    }

    /// What is undone when a connection has come back, before anybody else gets it.
    ///
    /// Defaults to [`Reset::Rollback`]: a transaction that goes from one borrower to another is never
    /// meant, and commits what nobody wanted.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }
}

#[async_trait]
impl<T> Connector for PostgresConnector<T>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    type Key = ();
    type Connection = PostgresClient;
    type Error = Error;

    async fn connect(&self, (): &()) -> Result<PostgresClient, Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        Ok(PostgresClient::new(client, Driver::start(connection)))
    }

    /// One empty round trip, behind all that a borrower has left.
    async fn ping(&self, conn: &mut PostgresClient) -> Result<(), Error> {
        conn.ping().await
    }

    /// Whether nothing is wrong with it. See [the module](crate::postgres) for what makes a connection unfit.
    fn is_open(&self, conn: &mut PostgresClient) -> bool {
        conn.is_fit()
    }

    /// Whether its borrower may have left what the [`Reset`] undoes.
    fn needs_reset(&self, conn: &PostgresClient) -> bool {
        conn.needs_reset(self.reset)
    }

    /// Undoes what the [`Reset`] says, in one round trip, or three after a transaction that failed. What takes longer than a second is held up by a query that a
    /// borrower left: the connection is not open then.
    async fn reset(&self, conn: &mut PostgresClient) -> Result<(), Error> {
        conn.reset(self.reset).await
    }

    fn is_retryable(&self, error: &Error) -> bool {
        failure::is_retryable(error)
    }

    /// Says goodbye, and cancels what the server still does for it: at once what is known to be held
    /// up, anything else when the goodbye has taken a second.
    async fn close(&self, conn: PostgresClient) {
        conn.end(self.tls.clone()).await;
    }
}

impl<T> fmt::Debug for PostgresConnector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConnector")
            .field("config", &self.config)
            .field("reset", &self.reset)
            .finish_non_exhaustive()
    }
}
