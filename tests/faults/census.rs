//! A connector that counts the slots that its pool takes, around one that makes connections.
//!
//! A slot is taken from the start of a dial until it has failed, or until its connection is dropped
//! or known to be dead: its end was seen, its ping failed or was cut off, or its borrower gave it
//! up. That is when the pool may dial another in its place, so the count may never be above the cap,
//! not for a moment.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;
use wharf::{Connector, async_trait};

pub(crate) struct Census<C: Connector> {
    connector: Arc<C>,
    counts: SharedCounts<C::Key>,
}

type SharedCounts<K> = Arc<Mutex<Counts<K>>>;

#[derive(Clone)]
pub(crate) struct Counts<K> {
    /// Slots taken, in all and by host.
    pub(crate) total: Count,
    pub(crate) hosts: HashMap<K, Count>,
    /// Sockets that are not closed, dead ones included.
    pub(crate) sockets: usize,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) now: usize,
    pub(crate) peak: usize,
    /// Slots that were taken once, and are not any more.
    pub(crate) given_up: usize,
}

impl Count {
    fn take(&mut self) {
        self.now += 1;
        self.peak = self.peak.max(self.now);
    }

    fn give_up(&mut self) {
        self.now -= 1;
        self.given_up += 1;
    }
}

/// The slot of a dial or of a connection. Gives itself up when dropped.
struct Slot<C: Connector> {
    host: C::Key,
    counts: SharedCounts<C::Key>,
}

impl<C: Connector> Slot<C> {
    fn take(host: C::Key, counts: SharedCounts<C::Key>) -> Self {
        let mut now = counts.lock();
        now.total.take();
        now.hosts.entry(host.clone()).or_default().take();
        drop(now);
        Slot { host, counts }
    }
}

impl<C: Connector> Drop for Slot<C> {
    fn drop(&mut self) {
        let mut now = self.counts.lock();
        now.total.give_up();
        now.hosts.entry(self.host.clone()).or_default().give_up();
    }
}

pub(crate) struct Socket<C: Connector> {
    stream: C::Connection,
    /// Until it is known to be dead.
    slot: Option<Slot<C>>,
    counts: SharedCounts<C::Key>,
}

impl<C: Connector> Socket<C> {
    /// It is known to be dead from now on.
    pub(crate) fn bury(&mut self) {
        self.slot = None;
    }
}

impl<C: Connector> Deref for Socket<C> {
    type Target = C::Connection;

    fn deref(&self) -> &C::Connection {
        &self.stream
    }
}

impl<C: Connector> DerefMut for Socket<C> {
    fn deref_mut(&mut self) -> &mut C::Connection {
        &mut self.stream
    }
}

impl<C: Connector> Drop for Socket<C> {
    fn drop(&mut self) {
        self.counts.lock().sockets -= 1;
    }
}

/// A socket whose ping is under way: it is dead if that does not end well.
struct Pinged<'a, C: Connector>(&'a mut Socket<C>, bool);

impl<C: Connector> Drop for Pinged<'_, C> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.bury();
        }
    }
}

impl<C: Connector> Census<C> {
    pub(crate) fn new(connector: C) -> Self {
        let counts = Counts { total: Count::default(), hosts: HashMap::new(), sockets: 0 };
        Census { connector: Arc::new(connector), counts: Arc::new(Mutex::new(counts)) }
    }

    pub(crate) fn counts(&self) -> Counts<C::Key> {
        self.counts.lock().clone()
    }
}

impl<C: Connector> Clone for Census<C> {
    fn clone(&self) -> Self {
        Census { connector: self.connector.clone(), counts: self.counts.clone() }
    }
}

#[async_trait]
impl<C: Connector> Connector for Census<C> {
    type Key = C::Key;
    type Connection = Socket<C>;
    type Error = C::Error;

    async fn connect(&self, host: &C::Key) -> Result<Socket<C>, C::Error> {
        let slot = Slot::take(host.clone(), self.counts.clone());
        let stream = self.connector.connect(host).await?;
        self.counts.lock().sockets += 1;
        Ok(Socket { stream, slot: Some(slot), counts: self.counts.clone() })
    }

    async fn ping(&self, socket: &mut Socket<C>) -> Result<(), C::Error> {
        let mut pinged = Pinged(socket, false);
        self.connector.ping(&mut pinged.0.stream).await?;
        pinged.1 = true;
        Ok(())
    }

    fn is_open(&self, socket: &mut Socket<C>) -> bool {
        let is_open = self.connector.is_open(&mut socket.stream);
        if !is_open {
            socket.bury();
        }
        is_open
    }

    fn notices_close(&self) -> bool {
        self.connector.notices_close()
    }

    fn has_failed(&self, socket: &mut Socket<C>) -> bool {
        self.connector.has_failed(&mut socket.stream)
    }

    fn last_heard(&self, socket: &Socket<C>) -> Option<Instant> {
        self.connector.last_heard(&socket.stream)
    }

    fn is_retryable(&self, error: &C::Error) -> bool {
        self.connector.is_retryable(error)
    }
}
