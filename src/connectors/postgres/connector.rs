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
use crate::policy::connector::Connector;

/// Makes connections to PostgreSQL databases.
///
/// [`new`](Self::new) is for one database, whose key is `()`; [`with_config`](Self::with_config) for one for each key,
/// or for a password for each dial.
///
/// Everything about a database is said by its [`Config`]: several hosts, Unix sockets,
/// `target_session_attrs` and its other settings work as they do there. All hosts of one dial share
/// the pool's [`connect_timeout`](crate::Builder::connect_timeout): where the first may be a black
/// hole, set the `Config`'s own, which is for each.
///
/// # Errors
///
/// A dial fails with a [`PostgresError`]. No retry is made ([`is_retryable`](Connector::is_retryable)) after an answer
/// of the SQLSTATE classes 0A, 22, 28, 3D and 42 (a wrong user or password, no such database, no permission,
/// a setting that the server does not take), and after a mistake in the settings: no host, no
/// password, TLS that the server does not speak or whose certificate is not trusted. What the closures of
/// [`with_config`](Self::with_config) and [`on_connect`](Self::on_connect) say is retried, but for such answers.
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

/// Where a dial's configuration comes from.
#[derive(Clone)]
enum Source<K> {
    Fixed(Arc<Config>),
    Asked(Ask<K>),
}

impl PostgresConnector {
    /// Makes a connector for what the configuration says, without TLS. The key is `()`.
    pub fn new(config: Config) -> Self {
        PostgresConnector::from_source(Source::Fixed(Arc::new(config)))
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

impl<K> PostgresConnector<NoTls, K> {
    /// Makes a connector that asks this closure for the configuration of each dial, without TLS.
    ///
    /// The key is yours: `()` for one database, a tenant's name for one database each. Caps such as
    /// [`max_total`](crate::Builder::max_total) hold over all of them. The closure may wait, such as for a token that is
    /// valid for a few minutes; it runs in the dial's task, within its
    /// [`connect_timeout`](crate::Builder::connect_timeout), and its error is the dial's:
    /// [`PostgresError::Config`]. A connection that is open stays so when its password is no longer valid.
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
    /// Speaks TLS by these means, where the configuration's `sslmode` and the server agree to it.
    ///
    /// Defaults to [`NoTls`]. See [the module](crate::postgres#tls) for an example.
    pub fn tls<U>(self, tls: U) -> PostgresConnector<U, K> {
        let PostgresConnector { source, on_connect, reset, transaction_pooling, servers, .. } =
            self;
        PostgresConnector { source, on_connect, tls, reset, transaction_pooling, servers }
    }

    /// What is undone when a connection has come back, before anybody else gets it.
    ///
    /// Defaults to [`Reset::Rollback`]: a transaction that goes from one borrower to another is never
    /// meant, and commits what nobody wanted.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Sets each new connection up by this closure, before anybody gets it: settings, roles, statements that are kept.
    ///
    /// It runs in the dial's task, within its [`connect_timeout`](crate::Builder::connect_timeout). Its error is the
    /// dial's: [`PostgresError::OnConnect`]. A transaction that it leaves open is rolled back (but for
    /// [`Reset::None`]), and a query that it drops is cancelled, before anybody gets the connection. [`Reset::Discard`] undoes settings that were made here, as
    /// it does others; what the `options` of a [`Config`] set (`-c search_path=shop`) stays.
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

    /// In front of the database there is a pooler that lends its servers for a transaction at a time, such as PgBouncer
    /// with `pool_mode = transaction`.
    ///
    /// Calls whose names end in `_cached` prepare nothing then: they send the text with each request, and their
    /// parameters with the types that the values have. See [the module](crate::postgres#behind-pgbouncer) for what else
    /// does not work there.
    ///
    /// Defaults to false. With [`Reset::Discard`] every dial fails.
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
        let is_plain = Cancel::is_never_encrypted::<T>()
            || config.get_ssl_mode() == SslMode::Disable
            || peer.as_ref().is_some_and(Peer::is_local);
        let is_to_write = config.get_target_session_attrs() == TargetSessionAttrs::ReadWrite;
        let writes = peer.as_ref().filter(|_| is_to_write).map(|peer| self.servers.writes(peer));
        Ok(PostgresClient::new(Dialed {
            client,
            driver: Driver::start(connection),
            cancel: Cancel { peer, is_plain },
            took: began.elapsed(),
            writes,
            keeps_statements: !self.transaction_pooling,
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

    /// One empty round trip, behind all that a borrower has left. With `target_session_attrs=read-write`, the server is
    /// asked whether it still is.
    async fn ping(&self, conn: &mut PostgresClient) -> Result<(), PostgresError> {
        conn.ping().await
    }

    /// Whether nothing is wrong with it. See [the module](crate::postgres) for what makes a connection unfit.
    fn is_open(&self, conn: &mut PostgresClient) -> bool {
        conn.is_fit()
    }

    /// Whether its borrower may have left what the [`Reset`] undoes, or a request that was cut off.
    fn needs_reset(&self, conn: &PostgresClient) -> bool {
        conn.needs_reset(self.reset)
    }

    /// Cancels what was cut off, and undoes what the [`Reset`] says, in one round trip, or three after a transaction
    /// that failed. What is not answered soon is held up by a query that a borrower left, and that is cancelled.
    /// What takes longer than a second: the connection is not open then.
    async fn reset(&self, conn: &mut PostgresClient) -> Result<(), PostgresError> {
        conn.reset(self.reset, &self.tls).await
    }

    fn is_retryable(&self, error: &PostgresError) -> bool {
        error.is_retryable()
    }

    /// Says goodbye, and cancels what the server still does for it: at once what is known to be held
    /// up, anything else when the goodbye has taken a second.
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
