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
use crate::runtime::panics;

/// What the driver has learned of the connection.
pub(super) struct News {
    /// The streams that the peer allows.
    streams: AtomicUsize,
    /// It takes no more exchanges: the peer has said so, or is gone. Not where its runtime is.
    has_ended: AtomicBool,
}

impl News {
    pub(super) fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }
}

/// The parts of a connection, in one task.
///
/// hyper has a task for a connection's frames, which it starts before the handshake is over, one for
/// its exchanges, which does not hear that a peer goes away or allows another number of streams before
/// somebody begins an exchange, and one for each exchange, which wakes its caller. Here an exchange is
/// no task of the runtime's, and news is heard at once.
pub(super) struct Driver<T>
where
    T: Read + Write + Unpin + Send + 'static,
{
    /// Dropped before all the others.
    unfinished: Unfinished,
    due: Arc<Due>,
    frames: Task,
    frames_waker: Waker,
    /// Until there will be no more of them.
    exchanges: Option<Connection<T, RequestBody, Crew>>,
    /// Dropped after them.
    sender: LastSender,
    exchanges_waker: Waker,
    under_way: FuturesUnordered<CatchUnwind<AssertUnwindSafe<Task>>>,
    under_way_waker: Waker,
    crew: Crew,
    /// Callers that are about to run go first, once, and once more before anything is sent: what they
    /// begin shares a write. tokio would run this task, which the first of them has woken, before the
    /// second one.
    gives_way: bool,
    news: Arc<News>,
}

const FRAMES: Part = Part::nth(0);
const EXCHANGES: Part = Part::nth(1);
const UNDER_WAY: Part = Part::nth(2);

impl<T> Driver<T>
where
    T: Read + Write + Unpin + Send + 'static,
{
    pub(super) fn new(
        exchanges: Connection<T, RequestBody, Crew>,
        sender: Arc<Mutex<Option<Sender>>>,
        crew: Crew,
    ) -> Self {
        let due = Due::new(3);
        let streams = AtomicUsize::new(exchanges.current_max_send_streams());
        let news = Arc::new(News { streams, has_ended: AtomicBool::new(false) });
        Driver {
            unfinished: Unfinished(Some(news.clone())),
            frames: crew.take().pop().expect("hyper starts it before the handshake is over"),
            frames_waker: due.waker(FRAMES),
            exchanges: Some(exchanges),
            sender: LastSender(sender),
            exchanges_waker: due.waker(EXCHANGES),
            under_way: FuturesUnordered::new(),
            under_way_waker: due.waker(UNDER_WAY),
            crew,
            gives_way: false,
            news,
            due,
        }
    }

    pub(super) fn news(&self) -> Arc<News> {
        self.news.clone()
    }

    #[cfg(feature = "grpc")]
    /// Drives the connection until there is such news. False when it ended before.
    pub(super) async fn until(&mut self, is_there: impl Fn(&News) -> bool) -> bool {
        poll_fn(|cx| match self.poll(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending if is_there(&self.news) => Poll::Ready(true),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Drives the connection to its end.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
        self.end_exchanges();
        let Driver { frames, mut under_way, mut unfinished, .. } = self;
        // Now everything that is under way hears of the end.
        drop(frames);
        while under_way.next().await.is_some() {}
        unfinished.0 = None;
    }

    /// Ready when the frames are over.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.due.begin(cx);
        self.gives_way = !self.gives_way && self.due.is_only(EXCHANGES);
        // What begins here makes the frames due again, and is sent at the task's next turn.
        let are_over = !self.gives_way && self.poll_due();
        self.due.end(cx);
        if are_over { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Polls the parts that are due. The frames come first, so that no exchange is begun on a
    /// connection that has ended. Says whether they are over.
    fn poll_due(&mut self) -> bool {
        let may_have_heard = self.due.take(FRAMES);
        if may_have_heard && poll(&mut self.frames, &self.frames_waker).is_ready() {
            return true;
        }
        if self.due.take(EXCHANGES) || may_have_heard {
            self.poll_exchanges();
        }
        if self.due.take(UNDER_WAY) {
            // An end that is no panic has told its caller, and a panic is the end of one exchange.
            while let Poll::Ready(Some(_)) = poll(&mut self.under_way.next(), &self.under_way_waker)
            {
            }
        }
        false
    }

    fn poll_exchanges(&mut self) {
        let Some(exchanges) = &mut self.exchanges else { return };
        // The drop of a body may panic here. What was begun until then goes on, and nothing is begun any more.
        let begin = || poll(exchanges, &self.exchanges_waker).is_ready();
        let are_over = panics::catch("an exchange", begin).unwrap_or(true);
        self.news.streams.store(exchanges.current_max_send_streams(), Ordering::Relaxed);
        if are_over {
            self.end_exchanges();
        }
        for task in self.crew.take() {
            self.under_way.push(AssertUnwindSafe(task).catch_unwind());
            self.under_way_waker.wake_by_ref();
        }
    }

    /// There will be no more exchanges; those under way go on.
    fn end_exchanges(&mut self) {
        // Before those who wait are told.
        self.news.has_ended.store(true, Ordering::Release);
        self.exchanges = None;
        self.sender.lose();
    }
}

/// A driver, until its end. Dropped before, it went down with its runtime: exchanges that go on after the peer
/// has said that it takes no more are dropped then, and may have run. hyper fails them like those that it never sent.
struct Unfinished(Option<Arc<News>>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(news) = &self.0 {
            news.has_ended.store(false, Ordering::Release);
        }
    }
}

/// The sender of a connection, without which new exchanges cannot be begun.
///
/// A request that is handed over at the very moment when the exchanges end may lie in the channel between,
/// which is cleared when nobody can send any more.
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

/// Takes the tasks that hyper starts: a connection's frames first, then one or two for each exchange.
#[derive(Clone, Default)]
pub(super) struct Crew(Arc<Mutex<Started>>);

#[derive(Default)]
struct Started {
    tasks: Vec<Task>,
    /// What may end the next one early.
    end: Option<AbortRegistration>,
}

impl Crew {
    fn take(&self) -> Vec<Task> {
        mem::take(&mut self.0.lock().tasks)
    }
}

/// Finds the task that sends a body, so that the end of its exchange can end it.
///
/// While that task waits until the peer takes more, it asks nobody whether there is any need, and holds
/// the stream open. hyper asks a body for its beginning just before it starts the task. Where nothing is
/// left to be sent then, it starts the one that waits for the answer, which the exchange may end as well.
pub(super) struct Beginning {
    crew: Crew,
    end: AbortRegistration,
}

impl Beginning {
    pub(super) fn new(crew: Crew, end: AbortRegistration) -> Self {
        Beginning { crew, end }
    }

    /// The body is asked for the first time.
    pub(super) fn tell(self) {
        self.crew.0.lock().end = Some(self.end);
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Crew {
    fn execute(&self, task: F) {
        let mut started = self.0.lock();
        // The blocks drop it at their end, and with it perhaps a body, where a panic is caught.
        #[allow(clippy::redundant_async_block)]
        let task: Task = match started.end.take() {
            None => Box::pin(async { task.await }),
            Some(end) => Box::pin(async {
                let _ended_early = Abortable::new(task, end).await;
            }),
        };
        started.tasks.push(task);
    }
}
