//! Who asks: acquires that are not over, and the order in which those of a host must be served.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use wharf::AcquireError;

use crate::support::{TestError, ms};
use crate::{Verdict, holds};

pub(crate) type Answer<L> = Result<L, AcquireError<TestError>>;

/// What the clocks of a runtime leave open: its timers count milliseconds.
pub(crate) const TICK: Duration = ms(1);

/// Where an ask is in the queue's eyes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody has looked yet.
    Nowhere,
    /// A connection is being pinged for it.
    Pinging,
    Queued,
}

/// An ask, and the future that it waits for.
pub(crate) struct Ask<F> {
    pub(crate) id: usize,
    pub(crate) host: u32,
    pub(crate) place: Place,
    pub(crate) patience: Option<Duration>,
    /// The first look: when, and at which moment.
    pub(crate) since: Option<(Instant, usize)>,
    /// From which moment to which it was woken before it looked last, if it was.
    was_rung: Option<(usize, usize)>,
    acquire: F,
    bell: Arc<Bell>,
}

/// Woken: when, and at which moment.
struct Bell {
    rang: Mutex<Option<(Instant, usize)>>,
    moment: Arc<AtomicUsize>,
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
        let moment = self.moment.load(SeqCst);
        self.rang.lock().unwrap().get_or_insert_with(|| (Instant::now(), moment));
        self.any.rang.store(true, SeqCst);
        self.any.notify.notify_one();
    }
}

impl<F> Ask<F> {
    /// When it rang first since it was last looked at, and at which moment.
    pub(crate) fn rang(&self) -> Option<(Instant, usize)> {
        *self.bell.rang.lock().unwrap()
    }

    pub(crate) fn has_rung(&self) -> bool {
        self.rang().is_some()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since?.0.checked_add(self.patience?)
    }

    /// Whether it was woken at this moment, and had not looked yet.
    pub(crate) fn was_rung_at(&self, moment: usize) -> bool {
        let is_rung = self.rang().is_some_and(|(_, from)| from <= moment);
        is_rung || self.was_rung.is_some_and(|(from, to)| (from..=to).contains(&moment))
    }

    /// Whether it was woken at or after this moment, or had not looked by then.
    pub(crate) fn was_rung_since(&self, moment: usize) -> bool {
        self.has_rung() || self.was_rung.is_some_and(|(_, to)| to >= moment)
    }

    /// No answer comes after its time, where callers that are woken look; and no time-out before it. Says by
    /// how much it came after, where there was a time.
    pub(crate) fn check_time<L>(
        &self,
        answer: &Answer<L>,
        now: Instant,
        is_eager: bool,
    ) -> Verdict<Option<Duration>> {
        let Some(deadline) = self.deadline() else { return Ok(None) };
        let late = now.saturating_duration_since(deadline);
        holds!(
            !is_eager || late <= TICK || self.place == Place::Nowhere,
            "ask {} is over {late:?} after its time",
            self.id
        );
        let timed_out = matches!(answer, Err(AcquireError::Timeout(_)));
        let early = deadline.saturating_duration_since(now);
        holds!(!timed_out || early.is_zero(), "ask {} timed out {early:?} early", self.id);
        Ok(Some(late))
    }
}

impl<F: Future + Unpin> Ask<F> {
    pub(crate) fn look(&mut self) -> Poll<F::Output> {
        let moment = self.bell.moment.load(SeqCst);
        self.since.get_or_insert_with(|| (Instant::now(), moment));
        let rang = self.bell.rang.lock().unwrap().take();
        self.was_rung = rang.map(|(_, from)| (from, moment)).or(self.was_rung);
        let waker = Waker::from(self.bell.clone());
        Pin::new(&mut self.acquire).poll(&mut Context::from_waker(&waker))
    }
}

/// Everybody who asks, in order of arrival, and each host's queue.
pub(crate) struct Asks<F> {
    pub(crate) all: Vec<Ask<F>>,
    pub(crate) queues: HashMap<u32, VecDeque<usize>>,
    pub(crate) any: Arc<AnyBell>,
    /// Counts acts; and between them, where that is told, what connections say.
    pub(crate) moment: Arc<AtomicUsize>,
    next: usize,
}

impl<F> Default for Asks<F> {
    fn default() -> Self {
        Asks {
            all: Vec::new(),
            queues: HashMap::new(),
            any: Arc::default(),
            moment: Arc::default(),
            next: 0,
        }
    }
}

impl<F> Asks<F> {
    pub(crate) fn now(&self) -> usize {
        self.moment.load(SeqCst)
    }

    /// Somebody asks; says who.
    pub(crate) fn add(&mut self, host: u32, patience: Option<Duration>, acquire: F) -> usize {
        let id = self.next;
        self.next += 1;
        let (any, moment) = (self.any.clone(), self.moment.clone());
        let bell = Arc::new(Bell { rang: Mutex::default(), moment, any });
        let (place, since, was_rung) = (Place::Nowhere, None, None);
        self.all.push(Ask { id, host, place, patience, since, was_rung, acquire, bell });
        id
    }

    pub(crate) fn position(&self, id: usize) -> Option<usize> {
        self.all.iter().position(|ask| ask.id == id)
    }

    /// Takes it out, of its queue too.
    pub(crate) fn remove(&mut self, at: usize) -> Ask<F> {
        let ask = self.all.remove(at);
        if let Some(queue) = self.queues.get_mut(&ask.host) {
            queue.retain(|&other| other != ask.id);
        }
        ask
    }

    /// It waits from now on: last, or first when a ping for it has failed. This many of the queue had
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
    pub(crate) fn queue(&self, host: u32) -> impl Iterator<Item = &Ask<F>> {
        let ids = self.queues.get(&host).into_iter().flatten();
        ids.map(|&id| &self.all[self.position(id).expect("who is queued asks")])
    }

    /// Those of a host that have looked and are not over.
    pub(crate) fn pending(&self, host: u32) -> impl Iterator<Item = &Ask<F>> {
        self.all.iter().filter(move |ask| ask.host == host && ask.place != Place::Nowhere)
    }

    /// The first in order of arrival that was woken and has not looked since.
    pub(crate) fn rung(&self) -> Option<usize> {
        self.all.iter().position(Ask::has_rung)
    }

    /// The chosen one, round and round.
    pub(crate) fn which(&self, which: usize) -> Option<usize> {
        which.checked_rem(self.all.len())
    }

    /// Every caller whose time is over was woken.
    pub(crate) fn check_deadlines(&self) -> Verdict {
        for ask in &self.all {
            let late = ask.deadline().map(|deadline| deadline.elapsed());
            let is_late = ask.place != Place::Nowhere && late.is_some_and(|late| late > TICK);
            holds!(!is_late || ask.has_rung(), "ask {}'s time is over: it sleeps on", ask.id);
        }
        Ok(())
    }
}
