//! A pool in the simulation, and those who ask it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Waker};
use std::time::Duration;

use fastrand::Rng;
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use turmoil::net::TcpStream;
use wharf::{Backoff, Connector, HealthCheck, Pool, PooledConnection, async_trait};

use crate::census::Census;
use crate::network::{HOSTS, PORT, TICK};
use crate::{ms, secs};

const CAP: usize = 5;
const TOTAL_CAP: usize = 8;
const TASKS: usize = 24;
pub(crate) const CONNECT_TIMEOUT: Duration = secs(2);
pub(crate) const SHORTEST_PAUSE: Duration = ms(50);
pub(crate) const LONGEST_PAUSE: Duration = secs(1);
/// How long a client waits for an answer.
const ANSWER_TIMEOUT: Duration = secs(3);

pub(crate) type SimPool = Pool<Census<Streams>>;

/// Connections to the simulated servers, by name.
#[derive(Default)]
pub(crate) struct Streams {
    /// The name of the first server leads to the second one.
    moved: Arc<AtomicBool>,
}

/// A connection, which knows when its server was last heard.
pub(crate) struct Stream {
    stream: TcpStream,
    heard: Instant,
}

#[async_trait]
impl Connector for Streams {
    type Key = &'static str;
    type Connection = Stream;
    type Error = io::Error;

    async fn connect(&self, host: &&'static str) -> io::Result<Stream> {
        let host = if self.moved.load(SeqCst) { HOSTS[1] } else { *host };
        let stream = TcpStream::connect((host, PORT)).await?;
        Ok(Stream { stream, heard: Instant::now() })
    }

    async fn ping(&self, stream: &mut Stream) -> io::Result<()> {
        echo(stream, b"ping").await
    }

    /// Nothing has come, not even the end.
    fn is_open(&self, stream: &mut Stream) -> bool {
        let mut byte = [0];
        let mut buffer = ReadBuf::new(&mut byte);
        let cx = &mut Context::from_waker(Waker::noop());
        stream.stream.poll_peek(cx, &mut buffer).is_pending()
    }

    fn notices_close(&self) -> bool {
        true
    }

    fn last_heard(&self, stream: &Stream) -> Option<Instant> {
        Some(stream.heard)
    }
}

async fn echo(Stream { stream, heard }: &mut Stream, words: &[u8]) -> io::Result<()> {
    stream.write_all(words).await?;
    let mut answer = vec![0; words.len()];
    stream.read_exact(&mut answer).await?;
    *heard = Instant::now();
    if answer == words { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

pub(crate) fn pool() -> (SimPool, Census<Streams>) {
    pool_that_moves(Arc::default())
}

/// Nothing is left to the pool's own chance: no jitter, and one lock for all hosts.
pub(crate) fn pool_that_moves(moved: Arc<AtomicBool>) -> (SimPool, Census<Streams>) {
    let census = Census::new(Streams { moved });
    let builder = Pool::builder()
        .max_per_host(CAP)
        .max_total(TOTAL_CAP)
        .connect_timeout(CONNECT_TIMEOUT)
        .ping_timeout(secs(1))
        .close_timeout(secs(1))
        .health_check(HealthCheck::IdleFor(secs(1)))
        .idle_timeout(secs(10))
        .lifetime_jitter(0.0)
        .retry(Backoff::default().initial(SHORTEST_PAUSE).max(LONGEST_PAUSE).jitter(0.0))
        .acquire_timeout(secs(5));
    (builder.build(census.clone()).unwrap(), census)
}

/// What came of requests.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Requests {
    pub(crate) answered: usize,
    pub(crate) failed: usize,
    /// Of those that were answered.
    pub(crate) longest: Duration,
}

/// A loan in the middle of a conversation: dropped there, it is of no use to anybody.
struct InTalk(Option<PooledConnection<Census<Streams>>>);

impl Drop for InTalk {
    fn drop(&mut self) {
        if let Some(mut loan) = self.0.take() {
            loan.bury();
            PooledConnection::discard(loan);
        }
    }
}

/// One request. Says whether it was answered.
pub(crate) async fn request(pool: &SimPool, host: &'static str, limit: Duration) -> bool {
    let began = Instant::now();
    let answer = pool.acquire_within(&host, limit).await;
    let took = began.elapsed();
    assert!(took <= limit + TICK, "back after {took:?} instead of {limit:?}");
    let Ok(loan) = answer else { return false };
    let mut talk = InTalk(Some(loan));
    let Some(loan) = &mut talk.0 else { return false };
    let answered = matches!(timeout(ANSWER_TIMEOUT, echo(loan, b"hello")).await, Ok(Ok(())));
    if answered {
        drop(talk.0.take());
    }
    answered
}

/// `n` requests, one after the other.
pub(crate) async fn ask_on(pool: &SimPool, host: &'static str, n: usize) -> Requests {
    let mut requests = Requests::default();
    for _ in 0..n {
        let began = Instant::now();
        if request(pool, host, secs(5)).await {
            requests.answered += 1;
            requests.longest = requests.longest.max(began.elapsed());
        } else {
            requests.failed += 1;
        }
    }
    requests
}

/// What many tasks saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) answered: usize,
    pub(crate) failed: usize,
    pub(crate) cancelled: usize,
}

/// Tasks ask any host, with any time-out, and some go on the way, until it is over.
pub(crate) async fn work(pool: &SimPool, is_over: Arc<AtomicBool>, mut rng: Rng) -> Report {
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(work_on(pool.clone(), is_over.clone(), rng.fork()));
    }
    let mut all = Report::default();
    for report in tasks.join_all().await {
        all.answered += report.answered;
        all.failed += report.failed;
        all.cancelled += report.cancelled;
    }
    all
}

async fn work_on(pool: SimPool, is_over: Arc<AtomicBool>, mut rng: Rng) -> Report {
    let mut report = Report::default();
    while !is_over.load(SeqCst) {
        let host = HOSTS[rng.usize(..HOSTS.len())];
        let request = request(&pool, host, ms(rng.u64(1..3000)));
        let stays = if rng.u32(..8) == 0 { ms(rng.u64(..500)) } else { secs(60) };
        match timeout(stays, request).await {
            Ok(true) => report.answered += 1,
            Ok(false) => report.failed += 1,
            Err(_) => report.cancelled += 1,
        }
        sleep(ms(rng.u64(1..300))).await;
    }
    report
}

/// When all is calm: nothing is out, no cap was ever exceeded, and the full capacity is there.
pub(crate) async fn account(pool: &SimPool, census: &Census<Streams>) {
    // Longer than every time-out and backoff.
    sleep(secs(30)).await;
    let (status, counts) = (pool.status(), census.counts());
    let out = [status.in_use, status.dialing, status.closing, status.waiting];
    assert_eq!(out, [0; 4], "{status:?}");
    assert_eq!([counts.total.now, counts.sockets], [status.idle; 2], "slots, sockets: {status:?}");
    assert!(counts.total.peak <= TOTAL_CAP, "{} at once", counts.total.peak);
    assert!(counts.hosts.values().all(|count| count.peak <= CAP), "a host's cap");
    for host in HOSTS {
        let mut loans = Vec::new();
        while loans.len() < CAP {
            let mut loan = pool.acquire(&host).await.unwrap();
            echo(&mut loan, b"hello").await.unwrap();
            loans.push(loan);
        }
    }
    assert_eq!(pool.status().waiting, 0);
}
