//! Connectors around other connectors.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::time::Instant;

use crate::policy::connector::Connector;
use crate::policy::shared_connector::SharedConnector;

/// A connector that changes some methods of another one: it has those methods, and
/// [`inner`](Wrapper::inner), and forwards all others. All that implement it are a [`Connector`],
/// and a [`SharedConnector`] if the inner one is.
///
/// A method that is added to `Connector` later will be forwarded, too. A `Connector` written by
/// hand around another one forgets it, and gets its default: a pool may then lend what one borrower
/// left to the next, because nothing asks the inner connector whether a reset is needed.
///
/// A wrapper keeps the inner connector's types. Where the key, the connection or the error is to be
/// another, implement `Connector`.
///
/// A `ping` that is written here counts as a ping, even if the inner connector has none: by default, a
/// connector that is pinged and does not [notice](Connector::notices_close) a close is pinged before
/// each loan.
///
/// A wrapper has each method twice, as a `Wrapper` and as a `Connector`. So where its type is known,
/// name the trait: `Connector::connect(self.inner(), key)`.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wharf::{Connector, Pool, Wrapper, async_trait, connector_fn};
///
/// /// Tells what it dials.
/// struct Loud<C>(C);
///
/// #[async_trait]
/// impl<C: Connector> Wrapper for Loud<C> {
///     type Inner = C;
///
///     fn inner(&self) -> &C {
///         &self.0
///     }
///
///     async fn connect(&self, key: &C::Key) -> Result<C::Connection, C::Error> {
///         println!("dialing {key:?}");
///         Connector::connect(self.inner(), key).await
///     }
/// }
///
/// let connector = connector_fn(|host: String| async { Ok::<_, std::io::Error>(host) });
/// let pool = Pool::new(Loud(connector));
/// assert_eq!(*pool.acquire("db-1").await?, "db-1");
/// # Ok(()) }
/// ```
pub trait Wrapper: Send + Sync + 'static {
    /// The connector that is wrapped.
    type Inner: Connector;

    /// Returns the connector that is wrapped.
    fn inner(&self) -> &Self::Inner;

    /// See [`Connector::connect`].
    // Written out, like all that return a future: the inner one's is passed on as it is.
    fn connect<'life0, 'life1, 'async_trait>(
        &'life0 self,
        key: &'life1 KeyOf<Self>,
    ) -> Boxed<'async_trait, Result<ConnectionOf<Self>, ErrorOf<Self>>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        self.inner().connect(key)
    }

    /// See [`Connector::ping`].
    fn ping<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut ConnectionOf<Self>,
    ) -> Boxed<'async_trait, Result<(), ErrorOf<Self>>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        self.inner().ping(conn)
    }

    /// See [`Connector::reset`].
    fn reset<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut ConnectionOf<Self>,
    ) -> Boxed<'async_trait, Result<(), ErrorOf<Self>>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        self.inner().reset(conn)
    }

    /// See [`Connector::needs_reset`].
    #[inline]
    fn needs_reset(&self, conn: &ConnectionOf<Self>) -> bool {
        self.inner().needs_reset(conn)
    }

    /// See [`Connector::is_doubted`].
    #[inline]
    fn is_doubted(&self, conn: &ConnectionOf<Self>) -> bool {
        self.inner().is_doubted(conn)
    }

    /// See [`Connector::pings_each_loan`].
    fn pings_each_loan(&self) -> bool {
        self.inner().pings_each_loan()
    }

    /// See [`Connector::is_open`].
    #[inline]
    fn is_open(&self, conn: &mut ConnectionOf<Self>) -> bool {
        self.inner().is_open(conn)
    }

    /// See [`Connector::notices_close`].
    fn notices_close(&self) -> bool {
        self.inner().notices_close()
    }

    /// See [`Connector::has_failed`].
    fn has_failed(&self, conn: &mut ConnectionOf<Self>) -> bool {
        self.inner().has_failed(conn)
    }

    /// See [`Connector::last_heard`].
    fn last_heard(&self, conn: &ConnectionOf<Self>) -> Option<Instant> {
        self.inner().last_heard(conn)
    }

    /// See [`Connector::peer_addr`].
    fn peer_addr(&self, conn: &ConnectionOf<Self>) -> Option<SocketAddr> {
        self.inner().peer_addr(conn)
    }

    /// See [`Connector::is_retryable`].
    fn is_retryable(&self, error: &ErrorOf<Self>) -> bool {
        self.inner().is_retryable(error)
    }

    /// See [`Connector::fmt_key`].
    ///
    /// # Errors
    ///
    /// Only the formatter's own.
    fn fmt_key(&self, key: &KeyOf<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner().fmt_key(key, f)
    }

    /// See [`Connector::close`].
    fn close<'life0, 'async_trait>(
        &'life0 self,
        conn: ConnectionOf<Self>,
    ) -> Boxed<'async_trait, ()>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
    {
        self.inner().close(conn)
    }

    /// See [`SharedConnector::max_leases`].
    fn max_leases(&self, conn: &ConnectionOf<Self>) -> usize
    where
        Self::Inner: SharedConnector,
    {
        self.inner().max_leases(conn)
    }

    /// See [`SharedConnector::expected_leases`].
    fn expected_leases(&self, key: &KeyOf<Self>) -> usize
    where
        Self::Inner: SharedConnector,
    {
        self.inner().expected_leases(key)
    }
}

type KeyOf<W> = <<W as Wrapper>::Inner as Connector>::Key;
type ConnectionOf<W> = <<W as Wrapper>::Inner as Connector>::Connection;
type ErrorOf<W> = <<W as Wrapper>::Inner as Connector>::Error;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

#[diagnostic::do_not_recommend]
impl<W: Wrapper> Connector for W {
    type Key = KeyOf<W>;
    type Connection = ConnectionOf<W>;
    type Error = ErrorOf<W>;

    fn connect<'life0, 'life1, 'async_trait>(
        &'life0 self,
        key: &'life1 Self::Key,
    ) -> Boxed<'async_trait, Result<Self::Connection, Self::Error>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        Wrapper::connect(self, key)
    }

    fn ping<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut Self::Connection,
    ) -> Boxed<'async_trait, Result<(), Self::Error>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        Wrapper::ping(self, conn)
    }

    fn reset<'life0, 'life1, 'async_trait>(
        &'life0 self,
        conn: &'life1 mut Self::Connection,
    ) -> Boxed<'async_trait, Result<(), Self::Error>>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
        'life1: 'async_trait,
    {
        Wrapper::reset(self, conn)
    }

    #[inline]
    fn needs_reset(&self, conn: &Self::Connection) -> bool {
        Wrapper::needs_reset(self, conn)
    }

    #[inline]
    fn is_doubted(&self, conn: &Self::Connection) -> bool {
        Wrapper::is_doubted(self, conn)
    }

    fn pings_each_loan(&self) -> bool {
        Wrapper::pings_each_loan(self)
    }

    #[inline]
    fn is_open(&self, conn: &mut Self::Connection) -> bool {
        Wrapper::is_open(self, conn)
    }

    fn notices_close(&self) -> bool {
        Wrapper::notices_close(self)
    }

    fn has_failed(&self, conn: &mut Self::Connection) -> bool {
        Wrapper::has_failed(self, conn)
    }

    fn last_heard(&self, conn: &Self::Connection) -> Option<Instant> {
        Wrapper::last_heard(self, conn)
    }

    fn peer_addr(&self, conn: &Self::Connection) -> Option<SocketAddr> {
        Wrapper::peer_addr(self, conn)
    }

    fn is_retryable(&self, error: &Self::Error) -> bool {
        Wrapper::is_retryable(self, error)
    }

    fn fmt_key(&self, key: &Self::Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Wrapper::fmt_key(self, key, f)
    }

    fn close<'life0, 'async_trait>(&'life0 self, conn: Self::Connection) -> Boxed<'async_trait, ()>
    where
        Self: 'async_trait,
        'life0: 'async_trait,
    {
        Wrapper::close(self, conn)
    }
}

#[diagnostic::do_not_recommend]
impl<W: Wrapper<Inner: SharedConnector>> SharedConnector for W {
    fn max_leases(&self, conn: &Self::Connection) -> usize {
        Wrapper::max_leases(self, conn)
    }

    fn expected_leases(&self, key: &Self::Key) -> usize {
        Wrapper::expected_leases(self, key)
    }
}
