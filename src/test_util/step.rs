//! What a test tells a connector to do.

use std::time::Duration;

use super::gate::Gate;

/// Where a [`TestConnector`](super::TestConnector) does as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// [`Connector::connect`](crate::Connector::connect): a dial.
    Connect,
    /// [`Connector::ping`](crate::Connector::ping).
    Ping,
    /// [`Connector::close`](crate::Connector::close).
    Close,
}

/// What a stage does when it is reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// Succeeds at once.
    Ok,
    /// Fails at once, with [`TestError`](super::TestError). A close has no error: it just ends.
    Error,
    /// Takes so long, then succeeds.
    Slow(Duration),
    /// Never ends by itself.
    Never,
    /// Panics.
    Panic,
    /// Waits until the gate lets it through, then succeeds; or fails, when the gate says so.
    Gate(Gate),
}
