//! A server in simulated time, which can be away, and the connections to it.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::ms;

/// When a server answers the first packet of a dial: until then nobody knows whether it is there.
const ROUND_TRIP: Duration = ms(1);
/// How long a borrower uses a connection.
const USE: Duration = ms(5);

/// How a dial ends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Condition {
    Up,
    /// The dial fails after one round trip.
    Refuses,
    /// The dial gets no answer, even if the server is up again later.
    Hangs,
}

#[derive(Clone)]
pub(crate) struct Server(Arc<State>);

struct State {
    condition: Mutex<Condition>,
    dial: Duration,
    dials: AtomicUsize,
    /// Counts the cuts: a connection made before the last one is dead.
    cuts: AtomicUsize,
}

/// A connection.
pub(crate) struct Link {
    server: Server,
    cuts: usize,
}

/// The server said no, or the connection is dead.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl std::error::Error for Refused {}

impl Server {
    /// A dial to it takes this long while it is up.
    pub(crate) fn new(dial: Duration) -> Server {
        let condition = Mutex::new(Condition::Up);
        Server(Arc::new(State {
            condition,
            dial,
            dials: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
        }))
    }

    pub(crate) fn set(&self, condition: Condition) {
        *self.0.condition.lock() = condition;
    }

    /// Every connection that is open dies, and its peer can see that.
    pub(crate) fn cut(&self) {
        self.0.cuts.fetch_add(1, Relaxed);
    }

    /// The dials begun so far.
    pub(crate) fn dials(&self) -> usize {
        self.0.dials.load(Relaxed)
    }

    pub(crate) async fn dial(&self) -> Result<Link, Refused> {
        self.0.dials.fetch_add(1, Relaxed);
        let began = Instant::now();
        sleep(ROUND_TRIP).await;
        let condition = *self.0.condition.lock();
        match condition {
            Condition::Up => sleep_until(began + self.0.dial).await,
            Condition::Refuses => return Err(Refused),
            Condition::Hangs => pending().await,
        }
        Ok(Link { server: self.clone(), cuts: self.cuts() })
    }

    fn cuts(&self) -> usize {
        self.0.cuts.load(Relaxed)
    }
}

impl Link {
    pub(crate) fn is_open(&self) -> bool {
        self.cuts == self.server.cuts()
    }

    /// A request and its answer.
    pub(crate) async fn request(&self) -> Result<(), Refused> {
        sleep(USE).await;
        self.check()
    }

    pub(crate) fn check(&self) -> Result<(), Refused> {
        if self.is_open() { Ok(()) } else { Err(Refused) }
    }
}
