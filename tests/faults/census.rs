//! A TCP connector that counts the slots that its pool takes.
//!
//! A slot is taken from the start of a dial until it has failed, or until its connection is dropped
//! or known to be dead: its end was seen, its ping failed or was cut off, or its borrower gave it
//! up. That is when the pool may dial another in its place, so the count may never be above the cap,
//! not for a moment.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use wharf::tcp::TcpConnector;
use wharf::{Connector, async_trait};

#[derive(Clone)]
pub(crate) struct Census {
    tcp: TcpConnector,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone, Default)]
pub(crate) struct Counts {
    /// Slots taken, in all and by host.
    pub(crate) total: Count,
    pub(crate) hosts: HashMap<SocketAddr, Count>,
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
struct Slot {
    host: SocketAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Slot {
    fn take(host: SocketAddr, counts: Arc<Mutex<Counts>>) -> Slot {
        let mut now = counts.lock();
        now.total.take();
        now.hosts.entry(host).or_default().take();
        drop(now);
        Slot { host, counts }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut now = self.counts.lock();
        now.total.give_up();
        now.hosts.entry(self.host).or_default().give_up();
    }
}

pub(crate) struct Socket {
    stream: TcpStream,
    /// Until it is known to be dead.
    slot: Option<Slot>,
    counts: Arc<Mutex<Counts>>,
}

impl Socket {
    /// It is known to be dead from now on.
    pub(crate) fn bury(&mut self) {
        self.slot = None;
    }
}

impl Deref for Socket {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl DerefMut for Socket {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.counts.lock().sockets -= 1;
    }
}

/// A socket whose ping is under way: it is dead if that does not end well.
struct Pinged<'a>(&'a mut Socket, bool);

impl Drop for Pinged<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.bury();
        }
    }
}

impl Census {
    pub(crate) fn new(tcp: TcpConnector) -> Census {
        Census { tcp, counts: Arc::default() }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().clone()
    }
}

#[async_trait]
impl Connector for Census {
    type Key = SocketAddr;
    type Connection = Socket;
    type Error = io::Error;

    async fn connect(&self, peer: &SocketAddr) -> io::Result<Socket> {
        let slot = Slot::take(*peer, self.counts.clone());
        let stream = self.tcp.connect(peer).await?;
        self.counts.lock().sockets += 1;
        Ok(Socket { stream, slot: Some(slot), counts: self.counts.clone() })
    }

    async fn ping(&self, socket: &mut Socket) -> io::Result<()> {
        let mut pinged = Pinged(socket, false);
        self.tcp.ping(&mut pinged.0.stream).await?;
        pinged.1 = true;
        Ok(())
    }

    fn is_open(&self, socket: &mut Socket) -> bool {
        let is_open = self.tcp.is_open(&mut socket.stream);
        if !is_open {
            socket.bury();
        }
        is_open
    }

    fn is_retryable(&self, error: &io::Error) -> bool {
        self.tcp.is_retryable(error)
    }
}
