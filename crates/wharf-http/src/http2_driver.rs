//! The task that drives an HTTP/2 connection.

use std::future::{Future, poll_fn};
use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::future::{AbortRegistration, Abortable, CatchUnwind};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use hyper::client::conn::http2::Connection;
use hyper::rt::{Executor, Read, Write};
use parking_lot::Mutex;

use super::due::{Due, Part};
use super::http2::Sender;
use super::request_body::RequestBody;
use crate::panics;

/// What the driver has learned about the connection.
pub(super) struct PeerState {
    /// The number of streams that the peer allows.
    streams: AtomicUsize,
    /// The connection takes no more exchanges, because the peer has said so or is gone. It stays
    /// false when the runtime has ended.
    has_ended: AtomicBool,
}

impl PeerState {
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

/// The parts of a connection, in one task.
///
/// hyper would use one task for the frames, started before the handshake is over; one for the
/// exchanges, which does not notice that a peer goes away or changes its stream limit before the
/// next exchange is started; and one for each exchange, which wakes its caller. Here all of them
/// run in one task, and changes of the peer are noticed at once.
pub(super) struct Driver<T>
where
    T: Read + Write + Unpin + Send + 'static,
{
    /// Declared first, so that it is dropped before all the others.
    unfinished: Unfinished,
    due: Arc<Due>,
    frames: Task,
    frames_waker: Waker,
    /// `None` when no more exchanges can start.
    exchanges: Option<Connection<T, RequestBody, SpawnedTasks>>,
    /// Dropped after the exchanges.
    sender: LastSender,
    exchanges_waker: Waker,
    under_way: FuturesUnordered<CatchUnwind<AssertUnwindSafe<Task>>>,
    under_way_waker: Waker,
    spawned: SpawnedTasks,
    /// Lets callers that are ready to run go first: once before the exchanges are started, and once
    /// before anything is sent, so that their requests share a write. Otherwise tokio would run
    /// this task, which the first of them has woken, before the second one.
    gives_way: bool,
    peer_state: Arc<PeerState>,
}

const FRAMES: Part = Part::nth(0);
const EXCHANGES: Part = Part::nth(1);
const UNDER_WAY: Part = Part::nth(2);

impl<T> Driver<T>
where
    T: Read + Write + Unpin + Send + 'static,
{
    pub(super) fn new(
        exchanges: Connection<T, RequestBody, SpawnedTasks>,
        sender: Arc<Mutex<Option<Sender>>>,
        spawned: SpawnedTasks,
    ) -> Self {
        let due = Due::new(3);
        let streams = AtomicUsize::new(exchanges.current_max_send_streams());
        let peer_state = Arc::new(PeerState { streams, has_ended: AtomicBool::new(false) });
        Driver {
            unfinished: Unfinished(Some(peer_state.clone())),
            frames: spawned.take().pop().expect("hyper starts it before the handshake is over"),
            frames_waker: due.waker(FRAMES),
            exchanges: Some(exchanges),
            sender: LastSender(sender),
            exchanges_waker: due.waker(EXCHANGES),
            under_way: FuturesUnordered::new(),
            under_way_waker: due.waker(UNDER_WAY),
            spawned,
            gives_way: false,
            peer_state,
            due,
        }
    }

    pub(super) fn peer_state(&self) -> Arc<PeerState> {
        self.peer_state.clone()
    }

    /// Drives the connection until the condition holds. Returns false if the connection ended
    /// before.
    pub(super) async fn until(&mut self, is_there: impl Fn(&PeerState) -> bool) -> bool {
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending if is_there(&self.peer_state) => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Drives the connection to its end.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
        self.end_exchanges();
        let Driver { frames, mut under_way, mut unfinished, .. } = self;
        // This tells every exchange in progress about the end.
        drop(frames);
        while under_way.next().await.is_some() {}
        unfinished.0 = None;
    }

    /// Ready when the frames have ended.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.due.begin(cx);
        self.gives_way = !self.gives_way && self.due.is_only(EXCHANGES);
        // What starts here makes the frames due again, and is sent the next time the task runs.
        let are_over = !self.gives_way && self.poll_due();
        self.due.end(cx);
        if are_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Polls the parts that are due. The frames come first, so that no exchange is started on a
    /// connection that has ended. Returns whether the frames have ended.
    fn poll_due(&mut self) -> bool {
        let may_have_heard = self.due.take(FRAMES);
        if may_have_heard && poll(&mut self.frames, &self.frames_waker).is_ready() {
            return true;
        }
        if self.due.take(EXCHANGES) || may_have_heard {
            self.poll_exchanges();
        }
        if self.due.take(UNDER_WAY) {
            // An exchange that ends without a panic has told its caller, and a panic ends one
            // exchange only.
            while let Poll::Ready(Some(_)) = poll(&mut self.under_way.next(), &self.under_way_waker)
            {
            }
        }
        false
    }

    fn poll_exchanges(&mut self) {
        let Some(exchanges) = &mut self.exchanges else { return };
        // Dropping a body may panic here. Exchanges that have started continue, and no new one is
        // started.
        let begin = || poll(exchanges, &self.exchanges_waker).is_ready();
        let are_over = panics::catch("an exchange", begin).unwrap_or(true);
        self.peer_state.streams.store(exchanges.current_max_send_streams(), Ordering::Relaxed);
        if are_over {
            self.end_exchanges();
        }
        for task in self.spawned.take() {
            self.under_way.push(AssertUnwindSafe(task).catch_unwind());
            self.under_way_waker.wake_by_ref();
        }
    }

    /// Stops new exchanges; those in progress continue.
    fn end_exchanges(&mut self) {
        // Stored before the waiting callers are told.
        self.peer_state.has_ended.store(true, Ordering::Release);
        self.exchanges = None;
        self.sender.lose();
    }
}

/// Armed until the driver ends. If it is dropped armed, the driver went down with its runtime.
/// Exchanges that were still running after the peer had sent GOAWAY are then dropped, and the peer
/// may have processed them, but hyper fails them like those that it never sent.
struct Unfinished(Option<Arc<PeerState>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(peer_state) = &self.0 {
            peer_state.has_ended.store(false, Ordering::Release);
        }
    }
}

/// The sender of a connection, without which new exchanges cannot be started.
///
/// A request that is sent just as the exchanges end may remain in the channel, which is cleared
/// when the last sender is dropped.
struct LastSender(Arc<Mutex<Option<Sender>>>);

impl LastSender {
    fn lose(&self) {
        let sender = self.0.lock().take();
        drop(sender);
    }
}

impl Drop for LastSender {
    fn drop(&mut self) {
        self.lose();
    }
}

fn poll<F: Future + Unpin>(part: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(part).poll(&mut Context::from_waker(waker))
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Receives the tasks that hyper spawns: the connection's frames first, then one or two for each
/// exchange.
#[derive(Clone, Default)]
pub(super) struct SpawnedTasks(Arc<Mutex<Started>>);

#[derive(Default)]
struct Started {
    tasks: Vec<Task>,
    /// Aborts the next task early.
    end: Option<AbortRegistration>,
}

impl SpawnedTasks {
    fn take(&self) -> Vec<Task> {
        mem::take(&mut self.0.lock().tasks)
    }
}

/// Finds the task that sends a body, so that the end of the exchange can abort it.
///
/// While that task waits for the peer's flow control, it does not check whether the exchange still
/// exists, and holds the stream open. hyper polls a body for the first time just before it spawns
/// the task. If nothing is left to be sent by then, hyper spawns the task that waits for the response
/// instead, which the exchange may abort as well.
pub(super) struct Beginning {
    spawned: SpawnedTasks,
    end: AbortRegistration,
}

impl Beginning {
    pub(super) fn new(spawned: SpawnedTasks, end: AbortRegistration) -> Self {
        Beginning { spawned, end }
    }

    /// The body is polled for the first time.
    pub(super) fn tell(self) {
        self.spawned.0.lock().end = Some(self.end);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for SpawnedTasks {
    fn execute(&self, task: F) {
        let mut started = self.0.lock();
        // Dropping the tasks at their end may drop a body. Fused ones are dropped where a panic is caught,
        // and are half as large as blocks that await them.
        let task: Task = match started.end.take() {
            None => Box::pin(task.fuse()),
            Some(end) => Box::pin(Abortable::new(task, end).map(|_ended_early| ())),
        };
        started.tasks.push(task);
    }
}
