//! Dials a PostgreSQL server.

use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};
use wharf::Connector;
use wharf::connector::Signs;

use super::builder::PostgresBuilder;
use super::cancel::Cancel;
use super::client::{Dialed, PostgresClient};
use super::dial::{Peer, dial};
use super::driver::Driver;
use super::error::{BoxError, Error};
use super::new_connection::{End, NewConnection};
use super::reset::Reset;
use super::servers::Servers;
use super::shown::Shown;
use super::slow::Slow;
use super::statements::Statements;

/// Makes connections to PostgreSQL databases.
///
/// [`new`](Self::new) and [`builder`](Self::builder) are for one database, with the key `()`.
/// [`builder_by_key`](Self::builder_by_key) is
/// for one database for each key, or for a password that changes between dials.
///
/// A [`Config`] describes each database: several hosts, Unix sockets, `target_session_attrs` and
/// its other settings work as in tokio-postgres. All hosts of one dial share the pool's
/// [`connect_timeout`](wharf::Builder::connect_timeout). If the first host may not respond at all,
/// set the `Config`'s own `connect_timeout`, which applies to each host.
///
/// # Errors
///
/// A dial fails with a [`Error`]. It is not retried
/// ([`is_retryable`](Connector::is_retryable)) after an answer of the SQLSTATE classes 0A, 22, 28,
/// 3D and 42 (a wrong user or password, an unknown database, a missing permission, a setting that
/// the server rejects), nor after a mistake in the settings: no host, no password, TLS that the
/// server does not speak, or an untrusted certificate. Errors of the closures of
/// [`builder_by_key`](Self::builder_by_key) and [`on_connect`](PostgresBuilder::on_connect) are retried, except for
/// such answers.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use wharf::Pool;
/// use wharf_postgres::PostgresConnector;
///
/// let connector: PostgresConnector = "postgres://app:secret@db.example/shop".parse()?;
/// let shop = Pool::builder().max_per_host(8).build(connector)?.host(&());
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone)]
pub struct PostgresConnector<T = NoTls, K = ()> {
    source: Source<K>,
    pub(super) name: Option<String>,
    pub(super) on_connect: Option<OnConnect>,
    tls: T,
    pub(super) reset: Reset,
    pub(super) transaction_pooling: bool,
    pub(super) statement_cache_capacity: usize,
    pub(super) slow_statement: Option<Duration>,
    servers: Servers,
}

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Ask<K> = Arc<dyn Fn(K) -> BoxFuture<Result<Config, BoxError>> + Send + Sync>;
pub(super) type OnConnect =
    Arc<dyn Fn(NewConnection) -> BoxFuture<Result<(), BoxError>> + Send + Sync>;

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

    /// Starts the set-up of a connector for this configuration. The key is `()`.
    pub fn builder(config: Config) -> PostgresBuilder {
        PostgresBuilder::of(PostgresConnector::new(config))
    }
}

/// Parses a URL (`postgres://user@host/database`) or pairs (`host=/run/postgresql user=app`), like
/// [`Config`].
impl FromStr for PostgresConnector {
    type Err = tokio_postgres::Error;

    fn from_str(config: &str) -> Result<Self, tokio_postgres::Error> {
        config.parse().map(PostgresConnector::new)
    }
}

impl<K> PostgresConnector<NoTls, K> {
    /// Starts the set-up of a connector that calls this closure for the configuration of each dial.
    ///
    /// You choose the type of the key: `()` for one database, or a tenant's name for a database for
    /// each tenant. Caps such as [`max_total`](wharf::Builder::max_total) apply to all of them
    /// together. The closure may wait, for example for a token that is valid for a few minutes. It
    /// runs in the dial's task, within its [`connect_timeout`](wharf::Builder::connect_timeout),
    /// and its error is the dial's: [`Error::Config`]. Open connections stay open when
    /// their password is no longer valid.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # async fn token() -> Result<String, Infallible> { Ok("secret".to_owned()) }
    /// # fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::Pool;
    /// use wharf_postgres::PostgresConnector;
    /// use wharf_postgres::tokio_postgres::Config;
    ///
    /// let connector = PostgresConnector::builder_by_key(async |tenant: String| {
    ///     let mut config = Config::new();
    ///     config.host("db.example").user("app").password(token().await?).dbname(tenant);
    ///     Ok::<_, Infallible>(config)
    /// })
    /// .build()?;
    /// let pool = Pool::builder().max_per_host(4).max_total(40).build(connector)?;
    /// let shop = pool.host("shop");
    /// # Ok(()) }
    /// # run().unwrap();
    /// ```
    pub fn builder_by_key<F, Fut, E>(config: F) -> PostgresBuilder<NoTls, K>
    where
        F: Fn(K) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Config, E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        PostgresBuilder::of(PostgresConnector::from_source(Source::Asked(Arc::new(move |key| {
            let config = config(key);
            Box::pin(async move { config.await.map_err(Into::into) })
        }))))
    }

    fn from_source(source: Source<K>) -> Self {
        PostgresConnector {
            source,
            name: None,
            on_connect: None,
            tls: NoTls,
            reset: Reset::default(),
            transaction_pooling: false,
            statement_cache_capacity: STATEMENTS,
            slow_statement: None,
            servers: Servers::default(),
        }
    }
}

impl<T, K> PostgresConnector<T, K> {
    pub(super) fn with_tls<U>(self, tls: U) -> PostgresConnector<U, K> {
        PostgresConnector {
            source: self.source,
            name: self.name,
            on_connect: self.on_connect,
            tls,
            reset: self.reset,
            transaction_pooling: self.transaction_pooling,
            statement_cache_capacity: self.statement_cache_capacity,
            slow_statement: self.slow_statement,
            servers: self.servers,
        }
    }
}

impl<T, K: fmt::Debug> PostgresConnector<T, K> {
    /// The database, as errors and logs show it.
    fn database(&self, key: &K) -> String {
        match (&self.name, &self.source) {
            (Some(name), _) => format!("{name:?}"),
            (None, Source::Fixed(config)) => format!("{:?}", Shown(config)),
            (None, Source::Asked(_)) => format!("{key:?}"),
        }
    }

    fn slow(&self, key: &K, statements: &Arc<Statements>) -> Option<Slow> {
        let slow = |limit| Slow {
            limit,
            database: self.database(key),
            statements: Arc::clone(statements),
        };
        self.slow_statement.map(slow)
    }
}

impl<T, K> PostgresConnector<T, K>
where
    T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    K: Clone + fmt::Debug,
{
    async fn dial(&self, key: &K, config: &Config) -> Result<PostgresClient, Error> {
        let is_never_encrypted = Cancel::is_never_encrypted::<T>();
        if is_never_encrypted && config.get_ssl_mode() == SslMode::Require {
            return Err(Error::NoTls);
        }
        let began = Instant::now();
        let (client, connection, peer) = dial(config, &self.tls).await?;
        let signs = Signs::new();
        let statements = Arc::new(Statements::new(self.statement_cache_capacity));
        let is_plain = is_never_encrypted
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
            slow: self.slow(key, &statements),
            statements,
            signs,
        }))
    }

    async fn set_up(&self, client: PostgresClient) -> Result<PostgresClient, Error> {
        let Some(on_connect) = &self.on_connect else { return Ok(client) };
        let tls = self.tls.clone();
        let end: End = Box::new(|client| Box::pin(client.end(tls)));
        let (new, back) = NewConnection::new(client, end);
        on_connect(new).await.map_err(Error::OnConnect)?;
        let mut client = back.set_up().await;
        let reset = self.reset.of_set_up();
        if client.needs_reset(reset) {
            client.reset(reset, &self.tls).await?;
            if client.is_held_up() {
                return Err(Error::OnConnect(HELD_UP.into()));
            }
        }
        client.is_set_up();
        Ok(client)
    }
}

/// How many statements a connection caches by default.
const STATEMENTS: usize = 256;

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
    type Error = Error;

    async fn connect(&self, key: &K) -> Result<PostgresClient, Error> {
        let client = match &self.source {
            Source::Fixed(config) => self.dial(key, config).await?,
            Source::Asked(ask) => {
                let config = ask(key.clone()).await.map_err(Error::Config)?;
                self.dial(key, &config).await?
            }
        };
        self.set_up(client).await
    }

    /// Shows a connector's one database by the builder's [`name`](PostgresBuilder::name), or else by its servers and
    /// its own name (`db-1:5432/shop`), without a user or a password. With
    /// [`builder_by_key`](PostgresConnector::builder_by_key), shows the key in its `Debug` form.
    fn fmt_key(&self, key: &K, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.database(key))
    }

    /// Makes one empty round trip after everything that a borrower has left. With
    /// `target_session_attrs=read-write`, it also asks the server whether it still accepts writes.
    async fn ping(&self, conn: &mut PostgresClient) -> Result<(), Error> {
        conn.ping().await
    }

    /// Returns whether the connection is fit. See [the module](crate) for what makes it
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
    async fn reset(&self, conn: &mut PostgresClient) -> Result<(), Error> {
        conn.reset(self.reset, &self.tls).await
    }

    fn is_retryable(&self, error: &Error) -> bool {
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
            .field("statement_cache_capacity", &self.statement_cache_capacity)
            .field("slow_statement", &self.slow_statement)
            .finish_non_exhaustive()
    }
}
