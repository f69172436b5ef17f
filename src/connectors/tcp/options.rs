//! The socket settings.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpSocket;

use super::addresses::AddressChoice;
use super::failure;
use super::keepalive::Keepalive;
use super::ping::Ping;
use super::resolve::{Resolve, Resolver};
use crate::policy::build_error::BuildError;

/// Options of TCP connections: for [`TcpConnector`](super::TcpConnector) and
/// [`TcpHostConnector`](super::TcpHostConnector), and for the clients of HTTP, gRPC and WebSocket.
///
/// The options are checked when a connector takes them. Invalid ones are rejected; none is adjusted
/// silently.
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::tcp::{TcpConnector, TcpOptions};
///
/// let options = TcpOptions::new()
///     .keepalive(Duration::from_secs(60), Duration::from_secs(10), 3)
///     .local_address("192.0.2.7".parse::<std::net::IpAddr>().unwrap());
/// let connector = TcpConnector::with_options(options)?;
///
/// let idle = Duration::from_millis(1500);
/// let options = TcpOptions::new().keepalive(idle, Duration::from_secs(10), 3);
/// let error = TcpConnector::with_options(options).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "keepalive idle is 1.5s: it must be a whole number of seconds, from 1 to 32767"
/// );
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a connector takes them"]
pub struct TcpOptions {
    nodelay: bool,
    keepalive: Option<Keepalive>,
    local_address: Option<IpAddr>,
    pub(super) address_choice: AddressChoice,
    pub(super) resolver: Resolver,
    ping: Option<Ping>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        TcpOptions {
            nodelay: true,
            keepalive: None,
            local_address: None,
            address_choice: AddressChoice::default(),
            resolver: Resolver::default(),
            ping: None,
        }
    }
}

/// # Setting
impl TcpOptions {
    /// Makes options with every value at its default.
    pub fn new() -> Self {
        TcpOptions::default()
    }

    /// Sends small writes at once (`TCP_NODELAY`) instead of waiting until the peer has
    /// acknowledged the previous ones.
    ///
    /// Defaults to true: a request that waits for its answer gains nothing from the delay, and
    /// loses up to 40 ms where the peer delays its acknowledgements.
    pub fn nodelay(mut self, on: bool) -> Self {
        self.nodelay = on;
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
        self.keepalive = Some(Keepalive { idle, interval, retries });
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
        self.local_address = address.into();
        self
    }

    /// Selects the address that a dial tries first when a name has several.
    ///
    /// Defaults to [`AddressChoice::Spread`]: when one of several servers goes down, only its share
    /// of the connections is lost, the replacements go to the other servers at once, and a server
    /// that comes back gets its share again. Set [`SystemOrder`](AddressChoice::SystemOrder) where
    /// the first address is the nearest and the others are for emergencies.
    ///
    /// It has no effect on [`TcpConnector`](super::TcpConnector), whose keys are addresses.
    pub fn address_choice(mut self, choice: AddressChoice) -> Self {
        self.address_choice = choice;
        self
    }

    /// Sets the resolver that finds the addresses of names.
    ///
    /// Defaults to the system's resolver (`getaddrinfo`) on one of tokio's blocking threads.
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Resolver(Some(Arc::new(resolver)));
        self
    }

    /// Sets a ping that sends `send` and expects `expect` as the answer: `PING\r\n` and `+PONG\r\n`
    /// for a Redis server. Any other answer is a failure, and so is the end of the connection.
    ///
    /// The pool decides when connections are pinged
    /// ([`health_check`](crate::Builder::health_check)). Defaults to no exchange: a ping then
    /// succeeds without asking the server. HTTP, gRPC and WebSocket have pings of their own and
    /// ignore this one.
    pub fn ping(mut self, send: impl Into<Vec<u8>>, expect: impl Into<Vec<u8>>) -> Self {
        self.ping = Some(Ping { send: send.into(), expect: expect.into() });
        self
    }
}

/// # Using
impl TcpOptions {
    pub(super) fn check(&self) -> Result<(), BuildError> {
        self.keepalive.as_ref().map_or(Ok(()), Keepalive::check)?;
        self.ping.as_ref().map_or(Ok(()), Ping::check)
    }

    pub(super) async fn ping_on<S>(&self, stream: &mut S) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match &self.ping {
            Some(ping) => ping.run(stream).await,
            None => Ok(()),
        }
    }

    /// Returns whether the peer is of a family that can be dialed from the local address.
    pub(super) fn reaches(&self, peer: SocketAddr) -> bool {
        self.local_address.is_none_or(|local| local.is_ipv4() == peer.is_ipv4())
    }

    /// Makes an unconnected socket for this peer, with all options set.
    pub(super) fn socket(&self, peer: SocketAddr) -> io::Result<TcpSocket> {
        let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_nodelay(self.nodelay)?;
        if let Some(keepalive) = &self.keepalive {
            let failed = |error| failure::of("keepalive could not be set".to_owned(), error);
            keepalive.set(&SockRef::from(&socket)).map_err(failed)?;
        }
        if let Some(local) = self.local_address {
            if !self.reaches(peer) {
                let message = format!(
                    "local_address is {local}: it cannot reach {peer}, which is of the other family"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
            let failed =
                |error| failure::of(format!("local_address {local} cannot be used"), error);
            socket.bind(SocketAddr::new(local, 0)).map_err(failed)?;
        }
        Ok(socket)
    }
}
