//! Scenes from outages on real sockets, again and again: a blip, a long loan through an outage, a rolling restart and
//! impatient callers. Each has a pool of its own, and ends when everybody has been served after the return.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wharf::tcp::TcpConnector;
use wharf::{Backoff, Connector, Pool, PooledConnection, async_trait};

use crate::proxy::{Fault, Proxy, echo_server};
use crate::request::echo;
use crate::{LATEST, ROUND};

const CAP: usize = 10;
/// Longer than everything takes that goes well.
const LONG: Duration = Duration::from_secs(30);
/// The limit of a dial, and of the pause between two.
const LONGEST_DIAL: Duration = Duration::from_secs(1);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Dials the server that the name leads to, and logs in: a request and its answer.
struct Login(Arc<Mutex<SocketAddr>>);

#[async_trait]
impl Connector for Login {
    type Key = ();
    type Connection = TcpStream;
    type Error = io::Error;

    async fn connect(&self, (): &()) -> io::Result<TcpStream> {
        let peer = *self.0.lock();
        let mut stream = TcpStream::connect(peer).await?;
        stream.set_nodelay(true)?;
        echo(&mut stream).await?;
        Ok(stream)
    }

    fn is_open(&self, stream: &mut TcpStream) -> bool {
        TcpConnector::new().is_open(stream)
    }
}

/// Two servers, and a name that leads to the first.
struct Stage {
    first: Proxy,
    second: Proxy,
    _server: Arc<JoinSet<()>>,
}

/// What plays before the stage: a pool, and its callers.
struct Play {
    pool: Pool<Login>,
    name: Arc<Mutex<SocketAddr>>,
    callers: JoinSet<()>,
    is_back: Arc<AtomicBool>,
}

pub(crate) async fn scenes(end: Instant) {
    let (began, stage) = (Instant::now(), Stage::new().await);
    let (mut rounds, mut longest, mut told) = (0, [Duration::ZERO; 4], began);
    while Instant::now() < end {
        let took = stage.round().await;
        rounds += 1;
        longest = std::array::from_fn(|nth| longest[nth].max(took[nth]));
        if told.elapsed() >= ROUND || Instant::now() >= end {
            told = Instant::now();
            let seconds = began.elapsed().as_secs();
            let [blip, loan, restart, callers] = longest;
            println!(
                "{seconds:>6} s  {rounds} times each: everybody served after a blip {blip:.1?}, a long loan {loan:.1?}, \
                 a restart {restart:.1?}, impatient callers {callers:.1?}: well"
            );
        }
    }
}

impl Stage {
    async fn new() -> Stage {
        let (server, tasks) = echo_server().await;
        let (first, second) = (Proxy::start(server).await, Proxy::start(server).await);
        Stage { first, second, _server: tasks }
    }

    /// Plays each scene. Says how long it took in each until everybody was served.
    async fn round(&self) -> [Duration; 4] {
        [self.blip().await, self.long_loan().await, self.restart().await, self.impatience().await]
    }

    async fn blip(&self) -> Duration {
        let mut play = self.play();
        self.first.set(Fault::Refuse).await;
        play.add(CAP, LONG);
        sleep(ms(50)).await;
        self.end(play).await
    }

    async fn long_loan(&self) -> Duration {
        let mut play = self.play();
        let mut loans = play.fill().await;
        let long = loans.pop();
        drop(loans);
        self.first.set(Fault::Refuse).await;
        self.first.cut();
        play.add(4 * CAP, ms(200));
        sleep(ms(500)).await;
        let took = self.end(play).await;
        drop(long);
        took
    }

    /// The first server hangs, the name leads to the second, and the pool is told.
    async fn restart(&self) -> Duration {
        let mut play = self.play();
        drop(play.fill().await);
        self.first.set(Fault::BlackHole).await;
        self.first.cut();
        play.add(CAP, LONG);
        sleep(ms(100)).await;
        *play.name.lock() = self.second.address();
        play.pool.retire(&());
        play.is_back.store(true, Relaxed);
        // A newcomer.
        play.add(1, LONG);
        let took = play.served().await;
        self.end(play).await;
        took
    }

    /// A login takes at least 40 ms, and a caller has 10 ms.
    async fn impatience(&self) -> Duration {
        self.first.set(Fault::Latency(ms(20), ms(25))).await;
        let mut play = self.play();
        play.is_back.store(true, Relaxed);
        play.add(CAP, ms(10));
        let took = play.served().await;
        let dials = play.pool.status().dials;
        assert!(dials <= CAP as u64, "{dials} dials for {CAP} callers");
        self.end(play).await;
        took
    }

    fn play(&self) -> Play {
        let name = Arc::new(Mutex::new(self.first.address()));
        let backoff = Backoff::default().initial(ms(10)).max(LONGEST_DIAL);
        let builder =
            Pool::builder().max_per_host(CAP).connect_timeout(LONGEST_DIAL).retry(backoff);
        let pool = builder.build(Login(name.clone())).unwrap();
        Play { pool, name, callers: JoinSet::new(), is_back: Arc::default() }
    }

    /// The first server is there again. Says how long it takes then until everybody is served; nothing is left.
    async fn end(&self, mut play: Play) -> Duration {
        self.first.set(Fault::Healthy).await;
        play.is_back.store(true, Relaxed);
        let took = play.served().await;
        // A loan that is still out dies with its server.
        self.first.cut();
        let closed = play.pool.close_within(ms(100)).await;
        assert!(closed.dialing + closed.closing == 0, "{closed:?}");
        took
    }
}

impl Play {
    /// Adds callers with so much time for a call, who ask until they are served after the return.
    fn add(&mut self, n: usize, time: Duration) {
        for _ in 0..n {
            let (pool, is_back) = (self.pool.clone(), self.is_back.clone());
            self.callers.spawn(async move {
                loop {
                    let was_back = is_back.load(Relaxed);
                    if ask(&pool, time).await && was_back {
                        return;
                    }
                    sleep(ms(5)).await;
                }
            });
        }
    }

    /// All connections that the pool may open.
    async fn fill(&self) -> Vec<PooledConnection<Login>> {
        let mut loans = Vec::new();
        for _ in 0..CAP {
            loans.push(self.pool.acquire(&()).await.unwrap());
        }
        loans
    }

    async fn served(&mut self) -> Duration {
        let began = Instant::now();
        let callers = std::mem::take(&mut self.callers);
        within(LATEST, "everybody is served after the return", callers.join_all()).await;
        began.elapsed()
    }
}

/// One request. Says whether it was answered.
async fn ask(pool: &Pool<Login>, time: Duration) -> bool {
    let began = Instant::now();
    let answer = pool.acquire_within(&(), time).await;
    let late = began.elapsed().saturating_sub(time);
    assert!(late < LATEST, "{late:?} late");
    let Ok(mut loan) = answer else { return false };
    let is_answered = echo(&mut loan).await.is_ok();
    if !is_answered {
        PooledConnection::discard(loan);
    }
    is_answered
}

async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    timeout(limit, work).await.unwrap_or_else(|_| panic!("{what}: not after {limit:?}"))
}
