//! Who asks: acquires that are not over, and the order in which those of a host must be served.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wharf::{Acquire, AcquireError};

use crate::support::{TestConnector, TestError, TestLoan};

pub(crate) type Answer = Result<TestLoan, AcquireError<TestError>>;

/// Where an ask is in the queue's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody has looked yet.
    Nowhere,
    /// A connection is being pinged for it.
    Pinging,
    Queued,
}

pub(crate) struct Ask {
    pub(crate) id: usize,
    pub(crate) host: u32,
    pub(crate) place: Place,
    pub(crate) patience: Option<Duration>,
    /// The first look: when, and in which act.
    pub(crate) since: Option<(Instant, usize)>,
    acquire: Acquire<TestConnector>,
    bell: Arc<Bell>,
}

/// Woken: when, and in which act.
struct Bell {
    rang: Mutex<Option<(Instant, usize)>>,
    act: Arc<std::sync::atomic::AtomicUsize>,
    any: Arc<AnyBell>,
}

/// Whether any bell has rung since the last look at all.
#[derive(Default)]
pub(crate) struct AnyBell {
    pub(crate) rang: AtomicBool,
    pub(crate) notify: Notify,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        let act = self.act.load(SeqCst);
        self.rang.lock().unwrap().get_or_insert_with(|| (Instant::now(), act));
        self.any.rang.store(true, SeqCst);
        self.any.notify.notify_one();
    }
}

impl Ask {
    /// When it rang first since it was last looked at, and in which act.
    pub(crate) fn rang(&self) -> Option<(Instant, usize)> {
        *self.bell.rang.lock().unwrap()
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.rang().is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since?.0.checked_add(self.patience?)
    }

    pub(crate) fn look(&mut self) -> Poll<Answer> {
        let act = self.bell.act.load(SeqCst);
        self.since.get_or_insert_with(|| (Instant::now(), act));
        *self.bell.rang.lock().unwrap() = None;
        let waker = Waker::from(self.bell.clone());
        Pin::new(&mut self.acquire).poll(&mut Context::from_waker(&waker))
    }
}

/// Everybody who asks, in order of arrival, and each host's queue.
#[derive(Default)]
pub(crate) struct Asks {
    pub(crate) all: Vec<Ask>,
    pub(crate) queues: HashMap<u32, VecDeque<usize>>,
    pub(crate) any: Arc<AnyBell>,
    /// The number of the act under way.
    pub(crate) act: Arc<std::sync::atomic::AtomicUsize>,
    next: usize,
}

impl Asks {
    /// Somebody asks; says who.
    pub(crate) fn add(
        &mut self,
        host: u32,
        patience: Option<Duration>,
        acquire: Acquire<TestConnector>,
    ) -> usize {
        let id = self.next;
        self.next += 1;
        let (any, act) = (self.any.clone(), self.act.clone());
        let bell = Arc::new(Bell { rang: Mutex::default(), act, any });
        let (place, since) = (Place::Nowhere, None);
        self.all.push(Ask { id, host, place, patience, since, acquire, bell });
        id
    }

    pub(crate) fn position(&self, id: usize) -> Option<usize> {
        self.all.iter().position(|ask| ask.id == id)
    }

    /// Takes it out, of its queue too.
    pub(crate) fn remove(&mut self, at: usize) -> Ask {
        let ask = self.all.remove(at);
        if let Some(queue) = self.queues.get_mut(&ask.host) {
            queue.retain(|&other| other != ask.id);
        }
        ask
    }

    /// It waits from now on: last, or first when a ping for it has failed. So many of the queue had
    /// nothing in hand before.
    pub(crate) fn enqueue(&mut self, at: usize, waiting: usize) {
        let ask = &mut self.all[at];
        let queue = self.queues.entry(ask.host).or_default();
        match std::mem::replace(&mut ask.place, Place::Queued) {
            Place::Pinging => queue.insert(queue.len() - waiting, ask.id),
            _ => queue.push_back(ask.id),
        }
    }

    /// Those of a host's queue, from the head.
    pub(crate) fn queue(&self, host: u32) -> impl Iterator<Item = &Ask> {
        let ids = self.queues.get(&host).into_iter().flatten();
        ids.map(|&id| &self.all[self.position(id).expect("who is queued asks")])
    }

    /// Those of a host that have looked and are not over.
    pub(crate) fn pending(&self, host: u32) -> impl Iterator<Item = &Ask> {
        self.all.iter().filter(move |ask| ask.host == host && ask.place != Place::Nowhere)
    }

    /// The first in order of arrival that was woken and has not looked since.
    pub(crate) fn rung(&self) -> Option<usize> {
        self.all.iter().position(Ask::has_rung)
    }
}
