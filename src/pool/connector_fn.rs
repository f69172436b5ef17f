//! A connector made from closures.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::pin::Pin;

use async_trait::async_trait;

use crate::policy::connector::{Connector, PingFuture, no_ping};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Connect<K, T, E> = Box<dyn Fn(K) -> BoxFuture<'static, Result<T, E>> + Send + Sync>;
type Ping<T, E> = Box<dyn for<'a> Fn(&'a mut T) -> BoxFuture<'a, Result<(), E>> + Send + Sync>;
type NeedsReset<T> = Box<dyn Fn(&T) -> bool + Send + Sync>;
type IsOpen<T> = Box<dyn Fn(&mut T) -> bool + Send + Sync>;
type FmtKey<K> = Box<dyn Fn(&K, &mut fmt::Formatter<'_>) -> fmt::Result + Send + Sync>;
type Close<T> = Box<dyn Fn(T) -> BoxFuture<'static, ()> + Send + Sync>;

/// Makes a [`Connector`] from a closure that connects. The closure gets its own copy of the key.
///
/// Its other methods are optional: [`with_is_open`](ConnectorFn::with_is_open),
/// [`with_ping`](ConnectorFn::with_ping), [`with_reset`](ConnectorFn::with_reset),
/// [`with_close`](ConnectorFn::with_close), [`with_fmt_key`](ConnectorFn::with_fmt_key). Without the
/// first two nothing is checked, and a connection that its peer has closed is lent like any other.
///
/// The type names the key, the connection and the error, and no closure, so that a struct can have a
/// field for the pool.
///
/// # Examples
///
/// ```
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::ErrorKind::WouldBlock;
///
/// use tokio::net::TcpStream;
/// use wharf::{Pool, connector_fn};
///
/// let connector = connector_fn(|host: String| TcpStream::connect(host))
///     // Nothing should arrive unasked: data is a protocol error, and the end a close.
///     .with_is_open(|stream| stream.try_read(&mut [0]).is_err_and(|e| e.kind() == WouldBlock));
/// let pool = Pool::new(connector);
/// let stream = pool.acquire("localhost:6379").await?;
/// # Ok(()) }
/// ```
///
/// In a struct:
///
/// ```
/// use std::io;
///
/// use tokio::net::TcpStream;
/// use wharf::{ConnectorFn, Pool, connector_fn};
///
/// struct Cache {
///     pool: Pool<ConnectorFn<String, TcpStream, io::Error>>,
/// }
///
/// impl Cache {
///     fn new() -> Self {
///         Cache { pool: Pool::new(connector_fn(|host: String| TcpStream::connect(host))) }
///     }
/// }
/// # Cache::new();
/// ```
pub fn connector_fn<K, T, E, F, Fut>(connect: F) -> ConnectorFn<K, T, E>
where
    K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
    T: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + fmt::Debug + Send + 'static,
    F: Fn(K) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
{
    ConnectorFn {
        connect: Box::new(move |key| Box::pin(connect(key))),
        is_open: None,
        ping: None,
        needs_reset: None,
        reset: None,
        close: None,
        fmt_key: None,
    }
}

/// A [`Connector`] made by [`connector_fn`].
pub struct ConnectorFn<K, T, E> {
    connect: Connect<K, T, E>,
    is_open: Option<IsOpen<T>>,
    ping: Option<Ping<T, E>>,
    needs_reset: Option<NeedsReset<T>>,
    reset: Option<Ping<T, E>>,
    close: Option<Close<T>>,
    fmt_key: Option<FmtKey<K>>,
}

impl<K, T, E> ConnectorFn<K, T, E> {
    /// Sets the closure that tells whether a connection is still open. It is called each time a
    /// connection is lent or returns, and must not block. It should notice that the peer has closed
    /// the connection: with it, the default [health check](crate::HealthCheck::AsNeeded) sends no
    /// pings.
    pub fn with_is_open<O>(mut self, is_open: O) -> Self
    where
        O: Fn(&mut T) -> bool + Send + Sync + 'static,
    {
        self.is_open = Some(Box::new(is_open));
        self
    }

    /// Sets the closure that checks a connection with one round trip. Without
    /// [`with_is_open`](ConnectorFn::with_is_open), each connection is checked before it is lent,
    /// unless another [`health_check`](crate::Builder::health_check) is set. It returns a boxed future
    /// because the future borrows the connection: `|conn| Box::pin(async move { … })`.
    pub fn with_ping<P>(mut self, ping: P) -> Self
    where
        P: for<'a> Fn(&'a mut T) -> Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>
            + Send
            + Sync
            + 'static,
    {
        self.ping = Some(Box::new(ping));
        self
    }

    /// Sets the closures that reset connections: the first tells after each loan whether a reset is
    /// needed, the second performs it. See [`Connector::reset`]. It returns a boxed future because
    /// the future borrows the connection.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wharf::{Pool, connector_fn};
    ///
    /// let connector = connector_fn(|(): ()| async { Ok::<_, std::io::Error>(Vec::<&str>::new()) })
    ///     .with_reset(
    ///         |settings| !settings.is_empty(),
    ///         |settings| {
    ///             Box::pin(async move {
    ///                 settings.clear(); // a round trip, as a rule
    ///                 Ok(())
    ///             })
    ///         },
    ///     );
    /// let pool = Pool::new(connector);
    /// pool.acquire(&()).await?.push("time zone");
    /// assert!(pool.acquire(&()).await?.is_empty());
    /// assert_eq!(pool.status().dials, 1);
    /// # Ok(()) }
    /// ```
    pub fn with_reset<N, R>(mut self, needs_reset: N, reset: R) -> Self
    where
        N: Fn(&T) -> bool + Send + Sync + 'static,
        R: for<'a> Fn(&'a mut T) -> Pin<Box<dyn Future<Output = Result<(), E>> + Send + 'a>>
            + Send
            + Sync
            + 'static,
    {
        self.needs_reset = Some(Box::new(needs_reset));
        self.reset = Some(Box::new(reset));
        self
    }

    /// Sets the closure that closes connections; by default they are dropped.
    pub fn with_close<C, Fut>(mut self, close: C) -> Self
    where
        C: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.close = Some(Box::new(move |conn| Box::pin(close(conn))));
        self
    }

    /// Sets the closure that writes a key as errors, logs and metrics show it; by default that is its
    /// `Debug` form. For keys with secrets, and for pools of one server, whose key `()` says nothing.
    /// See [`Connector::fmt_key`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::io;
    /// use wharf::{Pool, connector_fn};
    ///
    /// let connector = connector_fn(|(): ()| async { Err::<(), _>(io::Error::other("disk full")) })
    ///     .with_fmt_key(|(), f| f.write_str("the cache"));
    /// let error = Pool::new(connector).acquire(&()).await.unwrap_err();
    /// assert_eq!(error.to_string(), "no connection to the cache: disk full");
    /// # Ok(()) }
    /// ```
    pub fn with_fmt_key<W>(mut self, fmt_key: W) -> Self
    where
        W: Fn(&K, &mut fmt::Formatter<'_>) -> fmt::Result + Send + Sync + 'static,
    {
        self.fmt_key = Some(Box::new(fmt_key));
        self
    }
}

impl<K, T, E> fmt::Debug for ConnectorFn<K, T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectorFn")
            .field("is_open", &self.is_open.is_some())
            .field("ping", &self.ping.is_some())
            .field("reset", &self.reset.is_some())
            .field("close", &self.close.is_some())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl<K, T, E> Connector for ConnectorFn<K, T, E>
where
    K: Clone + Eq + Hash + fmt::Debug + Send + Sync + 'static,
    T: Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + fmt::Debug + Send + 'static,
{
    type Key = K;
    type Connection = T;
    type Error = E;

    // Written out, so that the closure's future is boxed once.
    fn connect<'life0, 'life1, 'async_trait>(
        &'life0 self,
        key: &'life1 K,
    ) -> BoxFuture<'async_trait, Result<T, E>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        (self.connect)(key.clone())
    }

    fn is_open(&self, conn: &mut T) -> bool {
        self.is_open.as_ref().is_none_or(|is_open| is_open(conn))
    }

    fn notices_close(&self) -> bool {
        self.is_open.is_some()
    }

    fn ping<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut T,
    ) -> PingFuture<'async_trait, E>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        match &self.ping {
            Some(ping) => ping(conn),
            None => no_ping(),
        }
    }

    fn needs_reset(&self, conn: &T) -> bool {
        self.needs_reset.as_ref().is_some_and(|needs_reset| needs_reset(conn))
    }

    async fn reset(&self, conn: &mut T) -> Result<(), E> {
        match &self.reset {
            Some(reset) => reset(conn).await,
            None => Ok(()),
        }
    }

    async fn close(&self, conn: T) {
        match &self.close {
            Some(close) => close(conn).await,
            None => drop(conn),
        }
    }

    fn fmt_key(&self, key: &K, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fmt_key {
            Some(fmt_key) => fmt_key(key, f),
            None => key.fmt(f),
        }
    }
}
