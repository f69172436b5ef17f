//! A connector that a model controls. It counts the ends of its connections.

use super::*;

/// The result of a dial or a ping.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Works,
    Fails,
    /// Never ends: it is dropped before.
    Hangs,
}

/// What a pool did with its connections. It is not part of the race: an operation on the locks of
/// `std` is one step.
pub(super) struct Ledger {
    dial: Mutex<Step>,
    ping: Mutex<Step>,
    pub(super) made: AtomicUsize,
    pub(super) closed: AtomicUsize,
    dropped: AtomicUsize,
}

impl Ledger {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Ledger {
            dial: Mutex::new(Step::Works),
            ping: Mutex::new(Step::Works),
            made: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
            dropped: AtomicUsize::new(0),
        })
    }

    /// Sets the result of dials from now on.
    pub(super) fn dials(&self, step: Step) {
        *self.dial.lock().expect("nobody panics here") = step;
    }

    /// Sets the result of pings from now on.
    pub(super) fn pings(&self, step: Step) {
        *self.ping.lock().expect("nobody panics here") = step;
    }

    pub(super) async fn answer(&self) -> Result<(), fmt::Error> {
        step(&self.ping).await
    }

    /// Checks that every connection was closed and dropped.
    pub(super) fn is_settled(&self) {
        let made = self.made.load(SeqCst);
        assert_eq!(self.closed.load(SeqCst), made, "every connection was closed, once");
        assert_eq!(self.dropped.load(SeqCst), made, "every connection was dropped, once");
    }
}

async fn step(script: &Mutex<Step>) -> Result<(), fmt::Error> {
    let step = *script.lock().expect("nobody panics here");
    match step {
        Step::Works => Ok(()),
        Step::Fails => Err(fmt::Error),
        Step::Hangs => pending().await,
    }
}

pub(super) struct Scripted(pub(super) Arc<Ledger>);

pub(super) struct Connection {
    pub(super) id: usize,
    ledger: Arc<Ledger>,
}

impl Connection {
    pub(super) fn new(ledger: &Arc<Ledger>) -> Self {
        Connection { id: ledger.made.fetch_add(1, SeqCst), ledger: ledger.clone() }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.ledger.dropped.fetch_add(1, SeqCst);
    }
}

#[async_trait]
impl Connector for Scripted {
    type Key = u8;
    type Connection = Connection;
    type Error = fmt::Error;

    async fn connect(&self, _: &u8) -> Result<Connection, fmt::Error> {
        step(&self.0.dial).await?;
        Ok(Connection::new(&self.0))
    }

    async fn ping(&self, _: &mut Connection) -> Result<(), fmt::Error> {
        self.0.answer().await
    }

    fn notices_close(&self) -> bool {
        true
    }

    async fn close(&self, conn: Connection) {
        self.0.closed.fetch_add(1, SeqCst);
        drop(conn);
    }
}
