//! A server that takes one dial after another, and the connections to it.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::sleep;

use crate::ms;

/// What the server does with a dial.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    /// Each takes this long, however many there are.
    Takes(Duration),
    /// One after the other: each is this much work, also if its caller has gone.
    Works(Duration),
    /// Each is refused after a millisecond.
    Refuses,
    /// None is ever answered, not even when the server is back.
    Hangs,
}

#[derive(Clone)]
pub(crate) struct Server(Arc<State>);

struct State {
    mode: Mutex<Mode>,
    changed: Notify,
    queue: Mutex<VecDeque<oneshot::Sender<()>>>,
    /// Connections that it takes at most; the next is refused.
    room: AtomicU64,
    open: AtomicU64,
    dials: AtomicU64,
    refused: AtomicU64,
    /// Dials that were worked on for nobody.
    wasted: AtomicU64,
    cuts: AtomicU64,
}

/// A connection.
pub(crate) struct Link {
    server: Server,
    cuts: u64,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.server.0.open.fetch_sub(1, Relaxed);
    }
}

#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection refused")
    }
}

impl std::error::Error for Refused {}

impl Server {
    /// Starts it. It works in a task of its own.
    pub(crate) fn start(mode: Mode) -> Server {
        let server = Server(Arc::new(State {
            mode: Mutex::new(mode),
            changed: Notify::new(),
            queue: Mutex::default(),
            room: AtomicU64::new(u64::MAX),
            open: AtomicU64::new(0),
            dials: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            wasted: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
        }));
        tokio::spawn(server.clone().work());
        server
    }

    /// It takes this many connections at most.
    pub(crate) fn limit(&self, connections: u64) {
        self.0.room.store(connections, Relaxed);
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.0.mode.lock() = mode;
        self.0.changed.notify_one();
    }

    /// Every open connection ends.
    pub(crate) fn cut(&self) {
        self.0.cuts.fetch_add(1, Relaxed);
    }

    pub(crate) fn dials(&self) -> u64 {
        self.0.dials.load(Relaxed)
    }

    pub(crate) fn wasted(&self) -> u64 {
        self.0.wasted.load(Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.0.refused.load(Relaxed)
    }

    fn refuse(&self) -> Refused {
        self.0.refused.fetch_add(1, Relaxed);
        Refused
    }

    fn mode(&self) -> Mode {
        *self.0.mode.lock()
    }

    async fn work(self) {
        loop {
            let Mode::Works(each) = self.mode() else {
                self.0.changed.notified().await;
                continue;
            };
            let next = self.0.queue.lock().pop_front();
            let Some(dial) = next else {
                self.0.changed.notified().await;
                continue;
            };
            sleep(each).await;
            if dial.send(()).is_err() {
                self.0.wasted.fetch_add(1, Relaxed);
            }
        }
    }

    pub(crate) async fn dial(&self) -> Result<Link, Refused> {
        self.0.dials.fetch_add(1, Relaxed);
        match self.mode() {
            Mode::Takes(each) => sleep(each).await,
            Mode::Works(_) => {
                let (worked, done) = oneshot::channel();
                self.0.queue.lock().push_back(worked);
                self.0.changed.notify_one();
                done.await.expect("the server runs until the end");
            }
            Mode::Refuses => {
                sleep(ms(1)).await;
                return Err(self.refuse());
            }
            Mode::Hangs => pending().await,
        }
        self.take()
    }

    fn take(&self) -> Result<Link, Refused> {
        if self.0.open.load(Relaxed) >= self.0.room.load(Relaxed) {
            return Err(self.refuse());
        }
        self.0.open.fetch_add(1, Relaxed);
        Ok(Link { server: self.clone(), cuts: self.cuts() })
    }

    fn cuts(&self) -> u64 {
        self.0.cuts.load(Relaxed)
    }
}

impl Link {
    pub(crate) fn is_open(&self) -> bool {
        self.cuts == self.server.cuts()
    }
}
