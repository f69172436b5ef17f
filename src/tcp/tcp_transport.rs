//! Makes connections: resolves the name, orders the addresses, races the attempts and sets the
//! options.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::addresses::{AddressChoice, Addresses, Seat, unique};
use super::builder::{Made, TcpBuilder};
use super::connection::TcpConnection;
use super::ping::Ping;
use super::race::{interleaved, race};
use super::settings::Settings;
use super::socket;
use crate::runtime::deadline::dial_deadline;
use crate::transport::{Host, Place, Stream, Transport, failure};

/// The longest time that an address may stay silent before the next is tried in parallel: the value
/// that RFC 8305 recommends.
const PACE: Duration = Duration::from_millis(250);

/// Dials TCP and Unix sockets: the default [`Transport`] of all clients. Clones share the counts of
/// their connections, by which [`AddressChoice::Spread`] chooses.
///
/// A name is resolved at every dial, and its addresses are tried as described in [the
/// module](crate::tcp#addresses).
///
/// # Examples
///
/// ```
/// # fn run() -> Result<(), wharf::BuildError> {
/// use std::time::Duration;
/// use wharf::tcp::TcpTransport;
///
/// let transport = TcpTransport::builder()
///     .keepalive(Duration::from_secs(60), Duration::from_secs(10), 3)
///     .build()?;
/// # Ok(()) }
/// # run().unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct TcpTransport {
    settings: Settings,
    addresses: Addresses,
}

impl Made for TcpTransport {
    #[allow(private_interfaces)]
    fn made(settings: Settings, _: Option<Ping>) -> Self {
        TcpTransport { settings, addresses: Addresses::default() }
    }
}

impl TcpTransport {
    /// Makes a transport with every setting at its default.
    pub fn new() -> Self {
        TcpTransport::default()
    }

    /// Starts the set-up of a transport.
    pub fn builder() -> TcpBuilder<TcpTransport> {
        TcpBuilder::new()
    }

    /// Connects to the first address of the host that accepts a connection. Its
    /// [`trial`](TcpConnection::on_trial) is passed once the server has answered.
    pub(super) async fn tcp(&self, host: Host<'_>) -> io::Result<TcpConnection> {
        let resolved = self.settings.resolver.resolve(host.bare_name(), host.port).await;
        let mut resolved = resolved
            .map_err(|error| failure::of(format!("\"{host}\" could not be resolved"), error))?;
        if resolved.iter().any(|address| self.settings.reaches(*address)) {
            resolved.retain(|address| self.settings.reaches(*address));
        }
        let (order, mut first) = self.order(resolved);
        let head_start = pace(order.len());
        let attempt = |address| {
            let seat = first.take().or_else(|| self.seat(address));
            Attempt { address, seat, began: Instant::now(), head_start }.run(&self.settings)
        };
        let outcome = race(order.iter().copied(), head_start, attempt).await;
        let connection = outcome.map_err(|errors| unreachable(&host, &order, errors))?;
        Ok(connection.balanced_among(&order))
    }

    fn order(&self, resolved: Vec<SocketAddr>) -> (Vec<SocketAddr>, Option<Seat>) {
        match self.settings.address_choice {
            AddressChoice::SystemOrder => (interleaved(unique(resolved)), None),
            AddressChoice::Spread => self.addresses.order(resolved),
        }
    }

    fn seat(&self, address: SocketAddr) -> Option<Seat> {
        let is_counted = self.settings.address_choice == AddressChoice::Spread;
        is_counted.then(|| self.addresses.seat(address))
    }
}

#[async_trait]
impl Transport for TcpTransport {
    async fn connect(&self, to: Place<'_>) -> io::Result<Stream> {
        match to {
            Place::Unix(path) => super::unix::connect(path).await,
            Place::Host(host) => self.tcp(host).await.map(TcpConnection::into_stream),
        }
    }
}

/// The time that one of this many addresses may delay the next: each gets an equal share of what is
/// left of the pool's `connect_timeout`.
fn pace(addresses: usize) -> Duration {
    let Some(deadline) = dial_deadline() else { return PACE };
    let shares = u32::try_from(addresses + 1).unwrap_or(u32::MAX);
    PACE.min(deadline.saturating_duration_since(Instant::now()) / shares)
}

fn unreachable(host: &Host<'_>, order: &[SocketAddr], mut errors: Vec<io::Error>) -> io::Error {
    let Some(last) = errors.pop() else {
        let reason = format!("\"{host}\" has no address");
        return io::Error::new(io::ErrorKind::NotFound, reason);
    };
    let tried: Vec<_> = order.iter().map(ToString::to_string).collect();
    failure::of(format!("\"{host}\" could not be reached at {}", tried.join(", ")), last)
}

/// One attempt at an address.
///
/// If it is dropped before it ends, it has lost to another address or was cut off. An address that
/// was silent for the whole pace counts as failed; one that had less time has not been tried in
/// earnest.
struct Attempt {
    address: SocketAddr,
    seat: Option<Seat>,
    began: Instant,
    head_start: Duration,
}

impl Attempt {
    async fn run(mut self, settings: &Settings) -> io::Result<TcpConnection> {
        let stream: TcpStream = socket::dial(self.address, settings).await.inspect_err(|_| {
            self.fail();
        })?;
        Ok(TcpConnection::new(stream, self.address, self.seat.take()))
    }

    fn fail(&mut self) {
        if let Some(seat) = self.seat.take() {
            seat.failed();
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.began.elapsed() >= self.head_start {
            self.fail();
        }
    }
}
