//! A connection of either version, and the task that drives it.

use std::fmt;
use std::future::Future;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, yield_now};

use super::broken;
use super::http1::Http1;
use super::http2::Http2;
use wharf::connector::Signs;
use wharf::transport::Trial;

/// A connection of a [`Client`](super::Client)'s pool. Only the client can use it.
#[derive(Clone)]
pub struct HttpConnection(Arc<Wire>);

struct Wire {
    proto: Proto,
    /// The driver task. It ends at the latest when the last clone is dropped.
    driver: Mutex<JoinSet<()>>,
    /// The runtime of the driver.
    runtime: Handle,
    peer: Option<SocketAddr>,
    signs: Signs,
    /// The trial of the server, until it is over.
    trial: Mutex<Option<Trial>>,
}

/// How long the driver may take to read what has come.
const MOMENT: Duration = Duration::from_millis(50);

/// How long a server is waited for before its silence counts against it: as long as a dial waits before
/// it tries the next address.
const PATIENCE: Duration = Duration::from_millis(250);

impl Drop for Wire {
    /// A connection that was never asked for anything proves nothing.
    fn drop(&mut self) {
        if let Some(trial) = self.trial.get_mut().take() {
            if self.signs.has_heard() { trial.passed() } else { trial.withdraw() }
        }
    }
}

pub(super) enum Proto {
    Http1(Http1),
    Http2(Http2),
}

impl HttpConnection {
    /// Returns the address that was dialed. `None` for a Unix socket.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer
    }

    /// Starts the driver on this runtime.
    pub(super) fn start(
        proto: Proto,
        peer: Option<SocketAddr>,
        signs: Signs,
        driver: impl Future<Output = ()> + Send + 'static,
    ) -> HttpConnection {
        let mut drivers = JoinSet::new();
        drivers.spawn(driver);
        let (driver, runtime) = (Mutex::new(drivers), Handle::current());
        HttpConnection(Arc::new(Wire {
            proto,
            driver,
            runtime,
            peer,
            signs,
            trial: Mutex::new(None),
        }))
    }

    /// Puts the server on trial until it has said something.
    pub(super) fn on_trial(self, trial: Trial) -> Self {
        *self.0.trial.lock() = Some(trial);
        self
    }

    /// An exchange has got its response, or has ended without one.
    pub(super) fn judge(&self) {
        let Some(trial) = self.0.trial.lock().take() else { return };
        if self.0.signs.has_heard() {
            trial.passed();
        } else if self.0.signs.last_heard().elapsed() < PATIENCE {
            trial.withdraw();
        }
    }

    /// Lets the driver read what an HTTP/1.1 peer has sent unasked, so that nobody takes it for the
    /// response to the next request. The driver has not seen it yet if the thread was busy since.
    ///
    /// Where that is a response, the connection ends. Under TLS it may also be a session ticket.
    pub(super) async fn hear_unasked(&self) {
        let Proto::Http1(http1) = self.proto() else { return };
        if !self.signs().has_unread() {
            return;
        }
        let begun = Instant::now();
        while self.signs().has_unread() && http1.is_open() {
            if begun.elapsed() > MOMENT {
                return http1.lose();
            }
            yield_now().await;
        }
    }

    pub(super) fn proto(&self) -> &Proto {
        &self.0.proto
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    pub(crate) fn is_open(&self) -> bool {
        match self.proto() {
            Proto::Http1(http1) => http1.is_open(),
            Proto::Http2(http2) => http2.is_open(),
        }
    }

    /// What is known of the peer from its bytes.
    pub(crate) fn signs(&self) -> &Signs {
        &self.0.signs
    }

    /// An exchange has ended with this error.
    pub(crate) fn note_error(&self, error: &hyper::Error) {
        if broken::is_failure(error) {
            self.0.signs.fail();
        }
    }

    /// Returns how many exchanges the connection carries at once.
    pub(super) fn max_exchanges(&self) -> usize {
        match self.proto() {
            Proto::Http1(_) => 1,
            Proto::Http2(http2) => http2.max_streams(),
        }
    }

    /// Lets the driver shut the connection down, and waits for it. Dropping the future aborts the
    /// driver.
    pub(crate) async fn close(self) {
        match self.proto() {
            Proto::Http1(http1) => http1.lose(),
            Proto::Http2(http2) => http2.lose(),
        }
        let mut driver = mem::take(&mut *self.0.driver.lock());
        driver.join_next().await;
    }
}

impl fmt::Debug for HttpConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.proto() {
            Proto::Http1(_) => "HTTP/1.1",
            Proto::Http2(_) => "HTTP/2",
        };
        f.debug_tuple("HttpConnection").field(&version).finish()
    }
}
