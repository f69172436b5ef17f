//! Dials a PostgreSQL server.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, Error, NoTls, Socket};

use super::cancel::Cancel;
use super::client::{Dialed, PostgresClient};
use super::dial::{Peer, dial};
use super::driver::Driver;
use super::error::{BoxError, PostgresError};
use super::new_connection::{End, NewConnection};
use super::reset::Reset;
use super::servers::Servers;
use super::shown::Shown;
use crate::connectors::signs::Signs;
use crate::policy::connector::Connector;

/// Makes connections to PostgreSQL databases.
///
/// [`new`](Self::new) is for one database, with the key `()`. [`with_config`](Self::with_config) is
/// for one database for each key, or for a password that changes between dials.
///
/// A [`Config`] describes each database: several hosts, Unix sockets, `target_session_attrs` and
/// its other settings work as in tokio-postgres. All hosts of one dial share the pool's
/// [`connect_timeout`](crate::Builder::connect_timeout). If the first host may not respond at all,
/// set the `Config`'s own `connect_timeout`, which applies to each host.
///
/// # Errors
///
/// A dial fails with a [`PostgresError`]. It is not retried
/// ([`is_retryable`](Connector::is_retryable)) after an answer of the SQLSTATE classes 0A, 22, 28,
/// 3D and 42 (a wrong user or password, an unknown database, a missing permission, a setting that
/// the server rejects), nor after a mistake in the settings: no host, no password, TLS that the
/// server does not speak, or an untrusted certificate. Errors of the closures of
/// [`with_config`](Self::with_config) and [`on_connect`](Self::on_connect) are retried, except for
/// such answers.
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
pub struct PostgresConnector<T = NoTls, K = ()> {
    source: Source<K>,
    on_connect: Option<OnConnect>,
    tls: T,
    reset: Reset,
    transaction_pooling: bool,
    servers: Servers,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Ask<K> = Arc<dyn Fn(K) -> BoxFuture<Result<Config, BoxError>> + Send + Sync>;
type OnConnect = Arc<dyn Fn(NewConnection) -> BoxFuture<Result<(), BoxError>> + Send + Sync>;

/// The source of a dial's configuration.
#[derive(Clone)]
enum Source<K> {
    Fixed(Arc<Config>),
    Asked(Ask<K>),
}

impl PostgresConnector {
    /// Makes a connector for this configuration, without TLS. The key is `()`.
    pub fn new(config: Config) -> Self {
        PostgresConnector::from_source(Source::Fixed(Arc::new(config)))
    }
}

/// Parses a URL (`postgres://user@host/database`) or pairs (`host=/run/postgresql user=app`), like
/// [`Config`].
impl FromStr for PostgresConnector {
    type Err = Error;

    fn from_str(config: &str) -> Result<Self, Error> {
        config.parse().map(PostgresConnector::new)
    }
}

impl<K> PostgresConnector<NoTls, K> {
    /// Makes a connector that calls this closure for the configuration of each dial, without TLS.
    ///
    /// You choose the type of the key: `()` for one database, or a tenant's name for a database for
    /// each tenant. Caps such as [`max_total`](crate::Builder::max_total) apply to all of them
    /// together. The closure may wait, for example for a token that is valid for a few minutes. It
    /// runs in the dial's task, within its [`connect_timeout`](crate::Builder::connect_timeout),
    /// and its error is the dial's: [`PostgresError::Config`]. Open connections stay open when
    /// their password is no longer valid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # async fn token() -> Result<String, Infallible> { Ok("secret".to_owned()) }
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::Pool;
    /// use wharf::postgres::PostgresConnector;
    /// use wharf::postgres::tokio_postgres::Config;
    ///
    /// let connector = PostgresConnector::with_config(async |tenant: String| {
    ///     let mut config = Config::new();
    ///     config.host("db.example").user("app").password(token().await?).dbname(tenant);
    ///     Ok::<_, Infallible>(config)
    /// });
    /// let pool = Pool::builder().max_per_host(4).max_total(40).build(connector)?;
    /// let shop = pool.host("shop");
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn with_config<F, Fut, E>(config: F) -> Self
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Config, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        PostgresConnector::from_source(Source::Asked(Arc::new(move |key| {
            let config = config(key);
            Box::pin(async move { config.await.map_err(Into::into) })
        })))
    }

    fn from_source(source: Source<K>) -> Self {
        PostgresConnector {
            source,
            on_connect: None,
            tls: NoTls,
            reset: Reset::default(),
            transaction_pooling: false,
            servers: Servers::default(),
        }
    }
}

impl<T, K> PostgresConnector<T, K> {
    /// Sets the TLS implementation. It is used if the configuration's `sslmode` and the server
    /// agree to TLS.
    ///
    /// Defaults to [`NoTls`]. See [the module](crate::postgres#tls) for an example.
    pub fn tls<U>(self, tls: U) -> PostgresConnector<U, K> {
        let PostgresConnector { source, on_connect, reset, transaction_pooling, servers, .. } =
            self;
        PostgresConnector { source, on_connect, tls, reset, transaction_pooling, servers }
    }

    /// Sets what is undone when a connection has returned, before it is lent again.
    ///
    /// Defaults to [`Reset::Rollback`]: a transaction that passes from one borrower to another is
    /// always a mistake, and commits changes that nobody meant to commit.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Sets a closure that prepares each new connection before it is lent: settings, roles, cached
    /// statements.
    ///
    /// It runs in the dial's task, within its [`connect_timeout`](crate::Builder::connect_timeout).
    /// Its error is the dial's: [`PostgresError::OnConnect`]. Before the connection is lent, a
    /// transaction that the closure leaves open is rolled back (except with [`Reset::None`]), and a
    /// query that it drops is cancelled. [`Reset::Discard`] undoes the settings made here like any
    /// others; those in the `options` of a [`Config`] (`-c search_path=shop`) stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::postgres::{NewConnection, PostgresConnector};
    ///
    /// let connector: PostgresConnector = "host=/run/postgresql user=app dbname=shop".parse()?;
    /// let connector = connector.on_connect(async |client: NewConnection| {
    ///     client.batch_execute("SET statement_timeout = '30s'").await?;
    ///     client.prepare_cached("SELECT price FROM items WHERE id = $1").await.map(drop)
    /// });
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn on_connect<F, Fut, E>(mut self, set_up: F) -> Self
    where
        F: Fn(NewConnection) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        self.on_connect = Some(Arc::new(move |client| {
            let done = set_up(client);
            Box::pin(async move { done.await.map_err(Into::into) })
        }));
        self
    }

    /// Declares that the connections lead to a pooler that assigns a server session for one
    /// transaction at a time, such as PgBouncer with `pool_mode = transaction`.
    ///
    /// Methods whose names end in `_cached` then prepare nothing: they send the text with each
    /// request, and give each parameter the type of its value. See [the
    /// module](crate::postgres#behind-pgbouncer) for what else does not work there.
    ///
    /// Defaults to false. In combination with [`Reset::Discard`] every dial fails.
    pub fn transaction_pooling(mut self, is_on: bool) -> Self {
        self.transaction_pooling = is_on;
        self
    }
}

impl<T, K> PostgresConnector<T, K>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    K: Clone,
{
    async fn dial(&self, config: &Config) -> Result<PostgresClient, PostgresError> {
        let began = Instant::now();
        let (client, connection, peer) = dial(config, &self.tls).await?;
        let signs = Signs::default();
        let is_plain = Cancel::is_never_encrypted::<T>()
            || config.get_ssl_mode() == SslMode::Disable
            || peer.as_ref().is_some_and(Peer::is_local);
        let is_to_write = config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite;
        let writes = peer.as_ref().filter(|_| is_to_write).map(|peer| self.servers.writes(peer));
        Ok(PostgresClient::new(Dialed {
            client,
            driver: Driver::start(connection, signs.clone()),
            cancel: Cancel { peer, is_plain },
            took: began.elapsed(),
            writes,
            keeps_statements: !self.transaction_pooling,
            signs,
        }))
    }

    async fn set_up(&self, client: PostgresClient) -> Result<PostgresClient, PostgresError> {
        let Some(on_connect) = &self.on_connect else { return Ok(client) };
        let tls = self.tls.clone();
        let end: End = Box::new(|client| Box::pin(client.end(tls)));
        let (new, back) = NewConnection::new(client, end);
        on_connect(new).await.map_err(PostgresError::OnConnect)?;
        let mut client = back.set_up().await;
        let reset = self.reset.of_set_up();
        if client.needs_reset(reset) {
            client.reset(reset, &self.tls).await?;
            if client.is_held_up() {
                return Err(PostgresError::OnConnect(HELD_UP.into()));
            }
        }
        client.is_set_up();
        Ok(client)
    }
}

const HELD_UP: &str = "it left a request that cannot be cancelled";

#[async_trait]
impl<T, K> Connector for PostgresConnector<T, K>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
{
    type Key = K;
    type Connection = PostgresClient;
    type Error = PostgresError;

    async fn connect(&self, key: &K) -> Result<PostgresClient, PostgresError> {
        if self.transaction_pooling && self.reset == Reset::Discard {
            return Err(PostgresError::DiscardWithoutSession);
        }
        let client = match &self.source {
            Source::Fixed(config) => self.dial(config).await?,
            Source::Asked(ask) => {
                let config = ask(key.clone()).await.map_err(PostgresError::Config)?;
                self.dial(&config).await?
            }
        };
        self.set_up(client).await
    }

    /// Shows a connector's one database by its servers and its name (`db-1:5432/shop`), without a user or a password; with
    /// [`with_config`](PostgresConnector::with_config) the key in its `Debug` form.
    fn fmt_key(&self, key: &K, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Fixed(config) => write!(f, "{:?}", Shown(config)),
            Source::Asked(_) => write!(f, "{key:?}"),
        }
    }

    /// Makes one empty round trip after everything that a borrower has left. With
    /// `target_session_attrs=read-write`, it also asks the server whether it still accepts writes.
    async fn ping(&self, conn: &mut PostgresClient) -> Result<(), PostgresError> {
        conn.ping().await
    }

    /// Returns whether the connection is fit. See [the module](crate::postgres) for what makes it
    /// unfit.
    fn is_open(&self, conn: &mut PostgresClient) -> bool {
        conn.is_fit()
    }

    /// True: the connection's task reads at all times, and ends with the connection.
    fn notices_close(&self) -> bool {
        true
    }

    /// Returns whether the connection broke, or the server ended the session: it shuts down, it has
    /// crashed, an administrator has said so. Not after the server's time-outs for idle sessions,
    /// and not for a connection that is unfit because of what its borrower did.
    fn has_failed(&self, conn: &mut PostgresClient) -> bool {
        conn.signs().has_failed()
    }

    /// Returns when the server last answered a request that is observed (see [`PostgresClient`]), a
    /// reset or a ping. The methods of [`tokio_postgres::Client`] itself are not observed, but
    /// with the default [`Reset`] they have one follow when the connection returns.
    fn last_heard(&self, conn: &PostgresClient) -> Option<Instant> {
        Some(conn.signs().last_heard())
    }

    /// Returns whether the borrower may have left something that the [`Reset`] undoes, or a dropped
    /// request.
    fn needs_reset(&self, conn: &PostgresClient) -> bool {
        conn.needs_reset(self.reset)
    }

    /// Cancels dropped requests and performs the [`Reset`], in one round trip, or in three after a
    /// failed transaction. If the answer is delayed, it waits for a query that a borrower left,
    /// which is then cancelled. After a second without success, the connection is not open any
    /// more.
    async fn reset(&self, conn: &mut PostgresClient) -> Result<(), PostgresError> {
        conn.reset(self.reset, &self.tls).await
    }

    fn is_retryable(&self, error: &PostgresError) -> bool {
        error.is_retryable()
    }

    /// Ends the session properly, and cancels what the server still executes for it: a request
    /// known to delay the end at once, anything else after a second.
    async fn close(&self, conn: PostgresClient) {
        conn.end(self.tls.clone()).await;
    }
}

impl<T, K> fmt::Debug for PostgresConnector<T, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config: &dyn fmt::Debug = match &self.source {
            Source::Fixed(config) => config,
            Source::Asked(_) => &"asked for",
        };
        f.debug_struct("PostgresConnector")
            .field("config", config)
            .field("on_connect", &self.on_connect.is_some())
            .field("reset", &self.reset)
            .field("transaction_pooling", &self.transaction_pooling)
            .finish_non_exhaustive()
    }
}
