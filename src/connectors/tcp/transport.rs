//! Makes connections: resolves the name, orders the addresses, races the attempts and sets the
//! options.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::addresses::{AddressChoice, Addresses, Seat, unique};
use super::connection::TcpConnection;
use super::options::TcpOptions;
use super::place::Host;
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
use super::place::Place;
use super::race::{interleaved, race};
use super::{failure, socket};
#[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
use crate::connectors::stream::Dialed;
use crate::policy::build_error::BuildError;
use crate::runtime::deadline;

/// The longest time that an address may stay silent before the next is tried in parallel: the value
/// that RFC 8305 recommends.
const PACE: Duration = Duration::from_millis(250);

/// Dials for one connector. Clones share the counts of their connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transport {
    options: TcpOptions,
    addresses: Addresses,
}

impl Transport {
    pub(crate) fn new(options: TcpOptions) -> Result<Self, BuildError> {
        options.check()?;
        Ok(Transport { options, addresses: Addresses::default() })
    }

    pub(super) fn options(&self) -> &TcpOptions {
        &self.options
    }

    #[cfg(any(feature = "grpc", feature = "http", feature = "websocket"))]
    pub(crate) async fn connect(&self, place: Place<'_>) -> io::Result<Dialed> {
        match place {
            Place::Unix(path) => super::unix::connect(path).await,
            Place::Host(host) => {
                let connection = self.tcp(host).await?;
                let (peer, trial) = (Some(connection.peer()), connection.trial());
                let signs = connection.signs().clone();
                Ok(Dialed { stream: Box::new(connection), peer, signs, trial })
            }
        }
    }

    /// Connects to the first address of the host that accepts a connection. Its
    /// [`trial`](TcpConnection::trial) is passed once the server has answered.
    pub(super) async fn tcp(&self, host: Host<'_>) -> io::Result<TcpConnection> {
        let resolved = self.options.resolver.resolve(host.bare_name(), host.port).await;
        let mut resolved = resolved
            .map_err(|error| failure::of(format!("\"{host}\" could not be resolved"), error))?;
        if resolved.iter().any(|address| self.options.reaches(*address)) {
            resolved.retain(|address| self.options.reaches(*address));
        }
        let (order, mut first) = self.order(resolved);
        let turn = pace(order.len());
        let attempt = |address| {
            let seat = first.take().or_else(|| self.seat(address));
            Attempt { address, seat, began: Instant::now(), turn }.run(&self.options)
        };
        let outcome = race(order.iter().copied(), turn, attempt).await;
        outcome.map_err(|errors| unreachable(&host, &order, errors))
    }

    fn order(&self, resolved: Vec<SocketAddr>) -> (Vec<SocketAddr>, Option<Seat>) {
        match self.options.address_choice {
            AddressChoice::SystemOrder => (interleaved(unique(resolved)), None),
            AddressChoice::Spread => self.addresses.order(resolved),
        }
    }

    fn seat(&self, address: SocketAddr) -> Option<Seat> {
        let is_counted = self.options.address_choice == AddressChoice::Spread;
        is_counted.then(|| self.addresses.seat(address))
    }
}

/// The time that one of this many addresses may delay the next: each gets an equal share of what is
/// left of the pool's `connect_timeout`.
fn pace(addresses: usize) -> Duration {
    let Some(deadline) = deadline::of_this_dial() else { return PACE };
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
    turn: Duration,
}

impl Attempt {
    async fn run(mut self, options: &TcpOptions) -> io::Result<TcpConnection> {
        let stream: TcpStream = socket::dial(self.address, options).await.inspect_err(|_| {
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
        if self.began.elapsed() >= self.turn {
            self.fail();
        }
    }
}
