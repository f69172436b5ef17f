//! The settings of TCP connections.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Duration;

use super::addresses::AddressChoice;
use super::keepalive::Keepalive;
use super::ping::Ping;
use super::resolve::{Resolve, Resolver};
use super::settings::Settings;
use super::{TcpHostConnector, TcpTransport};
use crate::policy::build_error::BuildError;
use crate::policy::connector::Connector;

/// Sets up TCP connections: a [`TcpConnector`](super::TcpConnector), a [`TcpHostConnector`], or a [`TcpTransport`] for the
/// clients of HTTP, gRPC and WebSocket. Made by the `builder` of each.
///
/// Settings are checked by [`build`](TcpBuilder::build). Invalid ones are rejected; none is adjusted
/// silently.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::tcp::TcpConnector;
///
/// let connector = TcpConnector::builder()
///     .keepalive(Duration::from_secs(60), Duration::from_secs(10), 3)
///     .local_address("192.0.2.7".parse::<std::net::IpAddr>().unwrap())
///     .build()?;
///
/// let idle = Duration::from_millis(1500);
/// let builder = TcpConnector::builder().keepalive(idle, Duration::from_secs(10), 3);
/// assert_eq!(
///     builder.build().unwrap_err().to_string(),
///     "keepalive idle is 1.5s: it must be a whole number of seconds, from 1 to 32767"
/// );
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TcpBuilder<T> {
    settings: Settings,
    ping: Option<Ping>,
    makes: PhantomData<fn() -> T>,
}

impl<T> TcpBuilder<T> {
    pub(super) fn new() -> Self {
        TcpBuilder { settings: Settings::default(), ping: None, makes: PhantomData }
    }
}

/// What the builder can make. Closed: nobody else can name it.
pub trait Made: Sized {
    #[allow(private_interfaces)]
    fn made(settings: Settings, ping: Option<Ping>) -> Self;
}

/// What dials by name. Closed, too.
pub trait ByName {}

impl ByName for TcpHostConnector {}
impl ByName for TcpTransport {}

impl<T: Made> TcpBuilder<T> {
    /// Makes it with these settings.
    ///
    /// # Errors
    ///
    /// An invalid setting: the error names it and its value.
    pub fn build(self) -> Result<T, BuildError> {
        self.settings.check()?;
        self.ping.as_ref().map_or(Ok(()), Ping::check)?;
        Ok(T::made(self.settings, self.ping))
    }
}

/// # Sockets
impl<T> TcpBuilder<T> {
    /// Sends small writes at once (`TCP_NODELAY`) instead of waiting until the peer has
    /// acknowledged the previous ones.
    ///
    /// Defaults to true: a request that waits for its answer gains nothing from the delay, and
    /// loses up to 40 ms where the peer delays its acknowledgements.
    pub fn nodelay(mut self, on: bool) -> Self {
        self.settings.nodelay = on;
        self
    }

    /// Lets the system probe a peer from which it has heard nothing for `idle`. It probes every
    /// `interval` until the peer answers or `retries` probes went unanswered. Then the connection
    /// has failed and is not lent any more, so a vanished peer is detected after `idle + interval *
    /// retries`.
    ///
    /// The durations are whole seconds from 1 to 32,767, the retries from 1 to 127; these are the
    /// limits of Linux. An answer proves that the peer's system is up, not that its program
    /// responds.
    ///
    /// Defaults to off: the pool's idle time-out of 90 seconds closes most of the connections that
    /// this would find, and each probe may wake a sleeping peer. Turn it on where connections stay
    /// idle longer than the firewalls on the way remember them.
    ///
    /// On systems without these socket settings (OpenBSD, Solaris) every dial fails with
    /// `Unsupported`.
    pub fn keepalive(mut self, idle: Duration, interval: Duration, retries: u32) -> Self {
        self.settings.keepalive = Some(Keepalive { idle, interval, retries });
        self
    }

    /// Sets the local address to connect from. The system picks a port for each connection.
    ///
    /// Peers of the other family cannot be reached: a dial to one fails with `InvalidInput`, and
    /// addresses of that family are skipped when a name is resolved. Connections from a fixed
    /// address share the ports of that address, whichever peer they lead to: about 28,000 at once
    /// on Linux.
    ///
    /// Defaults to `None`: the system picks the address that fits the route.
    pub fn local_address(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.settings.local_address = address.into();
        self
    }
}

/// # Names
impl<T: ByName> TcpBuilder<T> {
    /// Selects the address that a dial tries first when a name has several.
    ///
    /// Defaults to [`AddressChoice::Spread`]: when one of several servers goes down, only its share
    /// of the connections is lost, the replacements go to the other servers at once, and a server
    /// that comes back gets its share again. Set [`SystemOrder`](AddressChoice::SystemOrder) where
    /// the first address is the nearest and the others are for emergencies.
    pub fn address_choice(mut self, choice: AddressChoice) -> Self {
        self.settings.address_choice = choice;
        self
    }

    /// Sets the resolver that finds the addresses of names.
    ///
    /// Defaults to the system's resolver (`getaddrinfo`) on one of tokio's blocking threads.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.settings.resolver = Resolver::own(resolver);
        self
    }
}

/// # Pings
impl<T: Connector> TcpBuilder<T> {
    /// Sets a ping that sends `send` and expects `expect` as the answer: `PING\r\n` and `+PONG\r\n`
    /// for a Redis server. Any other answer is a failure, and so is the end of the connection.
    ///
    /// The pool decides when connections are pinged
    /// ([`health_check`](crate::Builder::health_check)). Defaults to no exchange: a ping then
    /// succeeds without asking the server.
    pub fn ping(mut self, send: impl Into<Vec<u8>>, expect: impl Into<Vec<u8>>) -> Self {
        self.ping = Some(Ping { send: send.into(), expect: expect.into() });
        self
    }
}
