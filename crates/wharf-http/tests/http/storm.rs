//! Exchanges that are cut, cancelled and broken off at random, and that still never mix.
//!
//! Each request has a number of its own, which its bytes and those of its answer are made of. A
//! borrower that gets anything of another's exchange gets wrong bytes; so does the server.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time;
use wharf_http::{Client, Error, Protocol};

use crate::cutter::Cutter;

/// The same seed has the same faults; when they happen is the machine's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    pub(crate) seed: u64,
    pub(crate) exchanges: u64,
    pub(crate) protocol: Protocol,
}

const TASKS: u64 = 8;
/// The most bytes that a connection carries each way.
const MOST: u64 = 400_000;
/// So that nobody waits for a pause between attempts.
const LIMIT: Duration = Duration::from_millis(500);

/// What has happened.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) given_up: u64,
    pub(crate) cuts: usize,
    /// POSTs that reached the server.
    pub(crate) posts: usize,
    pub(crate) dials: u64,
    /// What should not have happened.
    pub(crate) wrong: Vec<String>,
}

impl Report {
    pub(crate) fn check(&self, storm: Storm) {
        assert!(self.wrong.is_empty(), "{storm:?}: {:#?}", self.wrong);
        let all = self.answered + self.failed + self.given_up;
        assert_eq!(all, storm.exchanges, "{storm:?}: {self}");
        // It was a storm, and not the end of the world.
        let rarest = self.answered.min(self.failed).min(self.cuts as u64);
        assert!(rarest > storm.exchanges / 200, "{storm:?}: {self}");
        // How many are too slow for their callers is the machine's doing.
        assert!(self.given_up > 0, "{storm:?}: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { answered, failed, given_up, cuts, posts, dials, wrong } = self;
        let wrong = wrong.len();
        write!(f, "{answered} answered, {failed} failed, {given_up} given up; {cuts} cuts, ")?;
        write!(f, "{dials} dials, {posts} POSTs that arrived; {wrong} that went wrong")
    }
}

impl Storm {
    /// Returns when nothing of it is left: no connection, and no task but the caller's.
    pub(crate) async fn run(self) -> Report {
        let before = Handle::current().metrics().num_alive_tasks();
        let server = Server::start(self.protocol == Protocol::Http2).await;
        let cutter = Cutter::start(server.address, self.seed, MOST).await;
        let client = Client::builder()
            .max_per_host(4)
            .protocol(self.protocol)
            .timeout(LIMIT)
            .build()
            .unwrap();
        let mut tasks = JoinSet::new();
        for nth in 0..TASKS {
            let url = format!("http://{}", cutter.address);
            let caller =
                Caller { client: client.clone(), url, random: Rng::with_seed(self.seed + nth) };
            let share = self.exchanges / TASKS + u64::from(nth < self.exchanges % TASKS);
            tasks.spawn(caller.ask((1..=share).map(move |n| n * TASKS + nth)));
        }
        let mut report = Report::default();
        for part in tasks.join_all().await {
            report.answered += part.answered;
            report.failed += part.failed;
            report.given_up += part.given_up;
            report.wrong.extend(part.wrong);
        }
        report.dials = client.pool().status().dials;
        client.pool().close().await;
        drop(client);
        report.cuts = cutter.cuts();
        drop(cutter);
        server.report(&mut report);
        drop(server);
        if let Some(left) = tasks_left(before).await {
            report.wrong.push(format!("{left} tasks are left"));
        }
        report
    }
}

/// How many tasks there are beyond those before, if there are any after a while.
async fn tasks_left(before: usize) -> Option<usize> {
    let alive = || Handle::current().metrics().num_alive_tasks();
    for _ in 0..10_000 {
        if alive() <= before {
            return None;
        }
        time::sleep(Duration::from_millis(1)).await;
    }
    Some(alive() - before)
}

/// Asks for one thing after the other.
struct Caller {
    client: Client,
    url: String,
    random: Rng,
}

impl Caller {
    async fn ask(mut self, numbers: impl Iterator<Item = u64>) -> Report {
        let mut report = Report::default();
        for number in numbers {
            let answer_length = self.length();
            let exchange = self.exchange(number, answer_length);
            let limit = match self.random.u8(..) {
                0..80 => Duration::from_micros(self.random.u64(0..1000)),
                _ => 2 * LIMIT,
            };
            match time::timeout(limit, exchange).await {
                Err(_) => report.given_up += 1,
                Ok(Ok(())) => report.answered += 1,
                Ok(Err(Failure::Expected)) => report.failed += 1,
                Ok(Err(Failure::Wrong(what))) => report.wrong.push(format!("{number}: {what}")),
            }
        }
        report
    }

    /// Mostly short.
    fn length(&mut self) -> usize {
        let most = 200_000 >> self.random.u32(0..12);
        self.random.usize(0..=most)
    }

    fn exchange(
        &mut self,
        number: u64,
        length: usize,
    ) -> impl Future<Output = Result<(), Failure>> + Send + use<> {
        let (method, body, body_length) = self.body(number);
        let uri = format!("{}/{number}/{length}/{body_length}", self.url);
        // A length that was copied from elsewhere: the peer would take another request for the body.
        let lies = body.size_hint().exact().is_some() && self.random.u8(..) < 16;
        let mut request = Request::new(body);
        *request.uri_mut() = uri.parse().unwrap();
        *request.method_mut() = method;
        if lies {
            let other = body_length + self.random.usize(1..200);
            request.headers_mut().insert("content-length", other.into());
        } else if self.random.u8(..) < 64 && body_length > 0 {
            request.headers_mut().insert("content-length", body_length.into());
        }
        // Some leave before the end of the answer.
        let frames = if self.random.u8(..) < 24 { self.random.usize(0..4) } else { usize::MAX };
        let answer = self.client.request(request);
        async move {
            let response = match answer.await {
                Err(Error::Request(_)) if lies => return Err(Failure::Expected),
                answer if lies => return Err(Failure::Wrong(format!("it was sent: {answer:?}"))),
                answer => answer.map_err(|_| Failure::Expected)?,
            };
            if response.status() != 200 || response.headers()["x-number"] != number.to_string() {
                return Err(Failure::Wrong(format!(
                    "{:?} {:?}",
                    response.status(),
                    response.headers()
                )));
            }
            read(response.into_body(), number, length, frames).await
        }
    }

    /// A method, a body for it, and how long it is said to be.
    fn body(&mut self, number: u64) -> (Method, AnyBody, usize) {
        let length = self.length();
        let random = self.random.fork();
        let mut pieces = Pieces { number, left: length, fails: false, random };
        match self.random.u8(0..8) {
            0..3 => return (Method::GET, Full::default().map_err(never).boxed_unsync(), 0),
            3..5 => {
                let data = vec![byte(number); length];
                return (Method::POST, Full::from(data).map_err(never).boxed_unsync(), length);
            }
            5 => {}
            // Breaks off, or turns out longer or shorter than it is said to be.
            6 => {
                pieces.left = self.random.usize(0..=length);
                pieces.fails = true;
            }
            _ => pieces.left = self.length(),
        }
        (Method::POST, pieces.boxed_unsync(), length)
    }
}

type AnyBody = UnsyncBoxBody<Bytes, io::Error>;

fn never<T>(never: Infallible) -> T {
    match never {}
}

enum Failure {
    /// As it may be in a storm.
    Expected,
    Wrong(String),
}

async fn read<B>(mut body: B, number: u64, length: usize, frames: usize) -> Result<(), Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut come = 0;
    for _ in 0..frames {
        let Some(frame) = body.frame().await else {
            let is_whole = come == length;
            let wrong = || Failure::Wrong(format!("{come} bytes instead of {length}"));
            return if is_whole { Ok(()) } else { Err(wrong()) };
        };
        let data = frame.map_err(|_| Failure::Expected)?.into_data().unwrap_or_default();
        if data.iter().any(|found| *found != byte(number)) {
            return Err(Failure::Wrong("another's bytes".to_owned()));
        }
        come += data.len();
    }
    Ok(())
}

/// What the bytes of an exchange are made of: prime, so that neighbours differ.
fn byte(number: u64) -> u8 {
    u8::try_from(number % 251).unwrap()
}

/// A body that comes in pieces, now and then a moment later.
struct Pieces {
    number: u64,
    left: usize,
    fails: bool,
    random: Rng,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.random.u8(..) < 64 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.left == 0 {
            let failure = self.fails.then(|| Err(io::Error::other("it broke off")));
            return Poll::Ready(failure);
        }
        let piece = self.random.usize(1..=8000).min(self.left);
        self.left -= piece;
        Poll::Ready(Some(Ok(Frame::data(vec![byte(self.number); piece].into()))))
    }
}

/// Checks what it gets, and answers with the bytes that are asked for.
struct Server {
    address: SocketAddr,
    log: Arc<Log>,
    accepting: AbortHandle,
}

#[derive(Default)]
struct Log {
    /// How often each POST has come.
    posts: Mutex<HashMap<u64, u32>>,
    wrong: Mutex<Vec<String>>,
    connections: AtomicU64,
}

impl Server {
    async fn start(is_http2: bool) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, log) = (listener.local_addr().unwrap(), Arc::new(Log::default()));
        let of_task = log.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = of_task.clone();
                log.connections.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(move |request| answer(log.clone(), request));
                let io = TokioIo::new(stream);
                tokio::spawn(async move {
                    // That a connection fails is what this is about.
                    if is_http2 {
                        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        drop(http2.serve_connection(io, service).await);
                    } else {
                        let http1 = hyper::server::conn::http1::Builder::new();
                        drop(http1.serve_connection(io, service).await);
                    }
                });
            }
        });
        Server { address, log, accepting: accepting.abort_handle() }
    }

    fn report(&self, report: &mut Report) {
        let posts = self.log.posts.lock();
        report.posts = posts.len();
        report.wrong.append(&mut self.log.wrong.lock());
        let twice = posts.iter().filter(|(_, times)| **times > 1);
        report
            .wrong
            .extend(twice.map(|(number, times)| format!("POST {number} ran {times} times")));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    log: Arc<Log>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let numbers: Vec<u64> = path.split('/').skip(1).filter_map(|part| part.parse().ok()).collect();
    let &[number, length, body_length] = &numbers[..] else {
        log.wrong.lock().push(format!("the server got {path}"));
        return Ok(Response::new(Full::default()));
    };
    if request.method() == Method::POST {
        *log.posts.lock().entry(number).or_default() += 1;
    }
    let is_told = request.headers().contains_key("content-length");
    let body = request.into_body().collect().await?.to_bytes();
    let has_length = body.len() as u64 == body_length;
    if body.iter().any(|found| *found != byte(number)) || (is_told && !has_length) {
        log.wrong.lock().push(format!("the server got {} bytes with {path}", body.len()));
    }
    let data = vec![byte(number); usize::try_from(length).unwrap()];
    let mut response = Response::new(Full::from(data));
    response.headers_mut().insert("x-number", number.into());
    Ok(response)
}
