//! Connections that carry several leases, made by the scripted connector, and what they have said.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::time::Instant;
use wharf::test_util::SharedTestConnector;
use wharf::{Connector, SharedConnector, async_trait};

use crate::support::*;

/// A connection. Borrowers have clones of its `Arc`.
pub(crate) struct Wire {
    pub(crate) number: usize,
    connection: Arc<TestConnection>,
}

/// What is known outside of one connection.
pub(crate) struct Record {
    pub(crate) host: u32,
    pub(crate) made: Instant,
    /// When it last answered a ping.
    pub(crate) answered: Instant,
    /// Leases that it carries, whether or not it has said so.
    pub(crate) room: usize,
    /// What it has told the pool, and at which moments.
    told: Vec<(usize, usize)>,
    /// The moment from which on it was not to be lent.
    pub(crate) doomed: Option<usize>,
    /// Its place is free, even if it has leases.
    pub(crate) is_buried: bool,
}

impl Record {
    /// The most leases that it may have been given at any time from this moment on.
    pub(crate) fn room_since(&self, moment: usize) -> usize {
        let before = self.told.iter().rfind(|(at, _)| *at <= moment);
        let after = self.told.iter().filter(|(at, _)| *at > moment);
        before.into_iter().chain(after).map(|(_, room)| *room).max().unwrap_or(0)
    }

    pub(crate) fn told(&self) -> usize {
        self.told.last().map_or(0, |(_, room)| *room)
    }
}

#[derive(Default)]
pub(crate) struct Book {
    pub(crate) wires: BTreeMap<usize, Record>,
    /// What new connections of a host carry, where that was changed.
    pub(crate) rooms: HashMap<u32, usize>,
    /// Pings under way, by host.
    pub(crate) pinging: HashMap<u32, usize>,
    /// Hosts of which a connection was found dead or late at some time: others may be suspect.
    pub(crate) doubted: HashSet<u32>,
    pub(crate) broken: Option<String>,
}

impl Book {
    /// The connections of these hosts that were made so far.
    pub(crate) fn numbers(&self, is_of: impl Fn(u32) -> bool) -> Vec<usize> {
        let of_these = self.wires.iter().filter(|(_, record)| is_of(record.host));
        of_these.map(|(number, _)| *number).collect()
    }

    /// It is not to be lent from this moment on.
    pub(crate) fn doom(&mut self, number: usize, moment: usize) {
        let record = self.wires.get_mut(&number).expect("it was made");
        record.doomed.get_or_insert(moment);
    }
}

/// The connector.
#[derive(Clone)]
pub(crate) struct Wires {
    pub(crate) script: TestConnector,
    /// What the script does to connections that are shared.
    shared: SharedTestConnector<u32, Held>,
    book: Arc<Mutex<Book>>,
    moment: Arc<AtomicUsize>,
    usual: usize,
}

impl Wires {
    /// Connections that carry `usual` leases, unless a host is told otherwise.
    pub(crate) fn new(usual: usize, moment: Arc<AtomicUsize>) -> Self {
        let script = TestConnector::new();
        let shared = SharedTestConnector::new(script.clone(), usual);
        Wires { script, shared, book: Arc::default(), moment, usual }
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    /// One that was made elsewhere.
    pub(crate) fn make(&self, host: u32) -> Arc<Wire> {
        self.wire(host, self.script.make(host))
    }

    fn wire(&self, host: u32, connection: TestConnection) -> Arc<Wire> {
        let number = connection.number;
        let mut book = self.book();
        let room = book.rooms.get(&host).copied().unwrap_or(self.usual);
        let (made, told) = (Instant::now(), Vec::new());
        let (answered, doomed, is_buried) = (made, None, false);
        book.wires.insert(number, Record { host, made, answered, room, told, doomed, is_buried });
        Arc::new(Wire { number, connection: Arc::new(connection) })
    }

    /// What a connection says comes at a moment of its own.
    fn tick(&self) -> usize {
        self.moment.fetch_add(1, SeqCst) + 1
    }

    fn doom(&self, wire: &Wire) {
        self.book().doom(wire.number, self.tick());
    }

    /// It is dead, and the pool knows: its place is free from now on.
    pub(crate) fn bury(&self, wire: &Wire) {
        wire.connection.bury();
        self.doom(wire);
        self.book().wires.get_mut(&wire.number).expect("it was made").is_buried = true;
    }

    /// It dies, and the pool may find out.
    pub(crate) fn kill(&self, number: usize) {
        self.script.kill(number);
        self.book().doom(number, self.moment.load(SeqCst));
    }

    pub(crate) fn set_room(&self, number: usize, room: usize) {
        self.book().wires.get_mut(&number).expect("it was made").room = room;
    }

    /// Each connection that the host has or gets carries `room` leases.
    pub(crate) fn set_room_of(&self, host: u32, room: usize) {
        let mut book = self.book();
        book.rooms.insert(host, room);
        let of_host = book.wires.values_mut().filter(|record| record.host == host);
        of_host.for_each(|record| record.room = room);
    }

    /// From now on connections are as they were meant to be.
    pub(crate) fn behave(&self) {
        self.script.behave();
        let mut book = self.book();
        book.rooms.clear();
        book.wires.values_mut().for_each(|record| record.room = self.usual);
    }
}

/// A ping under way. Without an answer the connection is dead.
struct Pinged<'a> {
    wires: &'a Wires,
    host: u32,
    wire: &'a Wire,
    began: Instant,
    has_answered: bool,
}

impl<'a> Pinged<'a> {
    fn begin(wires: &'a Wires, wire: &'a Wire) -> Self {
        let mut book = wires.book();
        let host = book.wires[&wire.number].host;
        *book.pinging.entry(host).or_default() += 1;
        Pinged { wires, host, wire, began: Instant::now(), has_answered: false }
    }
}

impl Drop for Pinged<'_> {
    fn drop(&mut self) {
        let mut book = self.wires.book();
        *book.pinging.entry(self.host).or_default() -= 1;
        if !self.has_answered || self.began.elapsed() > ms(0) {
            book.doubted.insert(self.host);
        }
        drop(book);
        if !self.has_answered {
            self.wires.bury(self.wire);
            self.wires.kill(self.wire.number);
        }
    }
}

#[async_trait]
impl Connector for Wires {
    type Key = u32;
    type Connection = Arc<Wire>;
    type Error = TestError;

    async fn connect(&self, host: &u32) -> Result<Arc<Wire>, TestError> {
        self.script.connect(host).await.map(|connection| self.wire(*host, connection))
    }

    async fn ping(&self, wire: &mut Arc<Wire>) -> Result<(), TestError> {
        let mut pinged = Pinged::begin(self, wire);
        self.shared.ping(&mut wire.connection.clone()).await?;
        pinged.has_answered = true;
        self.book().wires.get_mut(&wire.number).expect("it was made").answered = Instant::now();
        Ok(())
    }

    fn is_open(&self, wire: &mut Arc<Wire>) -> bool {
        let is_open = self.shared.is_open(&mut wire.connection.clone());
        if !is_open {
            self.bury(wire);
        }
        is_open
    }

    fn notices_close(&self) -> bool {
        true
    }

    async fn close(&self, wire: Arc<Wire>) {
        self.doom(&wire);
        let number = wire.number;
        if let Some(wire) = Arc::into_inner(wire) {
            return self.shared.close(wire.connection).await;
        }
        let broken = format!("connection {number} is closed while it is used");
        self.book().broken.get_or_insert(broken);
    }
}

impl SharedConnector for Wires {
    fn max_leases(&self, wire: &Arc<Wire>) -> usize {
        let moment = self.tick();
        let mut book = self.book();
        let record = book.wires.get_mut(&wire.number).expect("it was made");
        // A new one carries one at least.
        let least = usize::from(record.told.is_empty());
        let room = record.room.max(least);
        record.told.push((moment, room));
        drop(book);
        if room == 0 {
            self.bury(wire);
        }
        room
    }
}
