//! Random faults while many tasks work, and the account at the end.
//!
//! Four hosts, each behind a proxy of its own, a cap for each and a lower one for all together, and
//! 64 tasks that ask for a random host with a random time-out. A fault is a proxy that changes what it
//! does, a cut or a freeze of one connection or of all, a request whose task is dropped wherever it
//! is, or a healthy connection that is discarded. It counts when it has happened: a cut of nothing is
//! none. The seed fixes which faults come, and not how they meet the tasks: real sockets keep no time.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};
use wharf::tcp::TcpConnector;
use wharf::{AcquireError, Backoff, HealthCheck, Pool, PoolStatus, PooledConnection};

use crate::census::Count;
use crate::proxy::{Fate, Fault, Proxy, echo_server};
use crate::request::echo;

type Counted = crate::census::Census<TcpConnector>;

const HOSTS: usize = 4;
const TASKS: usize = 64;
const CAP: usize = 8;
const TOTAL_CAP: usize = 24;
const PING_TIMEOUT: Duration = ms(50);
/// How long a client waits for an answer.
const ANSWER_TIMEOUT: Duration = ms(60);
const LONGEST_PATIENCE: u64 = 250;
/// Longer than anything takes that ends at all.
const AGES: Duration = Duration::from_secs(20);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Storm {
    pub(crate) seed: u64,
    pub(crate) faults: usize,
}

/// Faults that have happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Happened {
    pub(crate) switches: usize,
    pub(crate) cuts: usize,
    pub(crate) freezes: usize,
    pub(crate) cancels: usize,
    pub(crate) discards: usize,
}

impl Happened {
    pub(crate) fn all(&self) -> usize {
        self.switches + self.cuts + self.freezes + self.cancels + self.discards
    }
}

/// What the tasks saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) happened: Happened,
    pub(crate) answered: usize,
    /// Requests whose connection was lent and gave no right answer.
    pub(crate) unanswered: usize,
    pub(crate) failed_acquires: usize,
    pub(crate) timed_out_acquires: usize,
    /// By how much an acquire came back after its deadline, at worst.
    pub(crate) overshoot: Duration,
}

/// The account.
#[derive(Debug)]
pub(crate) struct Report {
    /// From the first fault to the last.
    pub(crate) took: Duration,
    pub(crate) seen: Seen,
    /// Most slots taken at any moment by one host, and by all.
    pub(crate) peak: usize,
    pub(crate) total_peak: usize,
    /// Most connections that one proxy had accepted, less those that the pool had given up.
    pub(crate) accepted_peak: usize,
    pub(crate) at_rest: PoolStatus,
    /// When nothing was under way: what the connector still counted, and what the proxies did.
    pub(crate) slots_at_rest: usize,
    pub(crate) sockets_at_rest: usize,
    pub(crate) accepted_at_rest: usize,
    /// Connections that could be had at once: the least of any host, and of all.
    pub(crate) capacity: usize,
    pub(crate) total_capacity: usize,
}

/// What is left after the close.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) closed: PoolStatus,
    pub(crate) sockets: usize,
}

impl Report {
    /// Panics unless this many faults have happened, every cap was kept and everything is accounted for.
    pub(crate) fn check(&self, storm: Storm) {
        let Storm { seed, faults } = storm;
        assert!(self.seen.happened.all() >= faults, "seed {seed}: {:?}", self.seen.happened);
        assert!(self.seen.answered > 0, "seed {seed}: no request was answered");
        assert!(self.peak <= CAP, "seed {seed}: {} slots of one host", self.peak);
        assert!(self.total_peak <= TOTAL_CAP, "seed {seed}: {} slots", self.total_peak);
        assert!(self.accepted_peak <= CAP, "seed {seed}: {} accepted", self.accepted_peak);
        let idle = self.at_rest.idle;
        assert_eq!(under_way(&self.at_rest), 0, "seed {seed}: {:?}", self.at_rest);
        let counted = [self.slots_at_rest, self.sockets_at_rest];
        assert_eq!(counted, [idle; 2], "seed {seed}: slots, sockets; {idle} idle");
        // One that was cut while it was idle is found when it is to be lent, and not before.
        assert!(self.accepted_at_rest <= idle, "seed {seed}: {} accepted", self.accepted_at_rest);
        let capacity = (self.capacity, self.total_capacity);
        assert_eq!(capacity, (CAP, TOTAL_CAP), "seed {seed}: the full capacity is there");
    }
}

impl End {
    /// Panics unless there is nothing.
    pub(crate) fn check(&self, seed: u64) {
        let left = (self.closed.idle, under_way(&self.closed), self.sockets);
        assert_eq!(left, (0, 0, 0), "seed {seed}: {:?}", self.closed);
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "after the close idle, sockets", &format!("{}, {}", self.closed.idle, self.sockets))
    }
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, figures: &dyn fmt::Display) -> fmt::Result {
    writeln!(f, "  {name:<46}{figures}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, figures: fmt::Arguments<'_>| line(f, name, &figures);
        let Seen { happened, answered, unanswered, .. } = self.seen;
        let Happened { switches, cuts, freezes, cancels, discards } = happened;
        line("faults", format_args!("{} in {:.1?}", happened.all(), self.took))?;
        line("", format_args!("{switches} changes of what a proxy does"))?;
        line("", format_args!("{cuts} cuts, {freezes} freezes"))?;
        line("", format_args!("{cancels} requests dropped, {discards} discards"))?;
        line("requests answered, not answered", format_args!("{answered}, {unanswered}"))?;
        let Seen { timed_out_acquires, failed_acquires, overshoot, .. } = self.seen;
        line(
            "acquires timed out, failed otherwise",
            format_args!("{timed_out_acquires}, {failed_acquires}"),
        )?;
        line("an acquire after its deadline, at most", format_args!("{overshoot:.2?}"))?;
        let Report { peak, total_peak, accepted_peak, at_rest, .. } = self;
        line("slots taken at most, by one host, by all", format_args!("{peak}, {total_peak}"))?;
        line("accepted and not given up, at most, of one", format_args!("{accepted_peak}"))?;
        let out = [at_rest.in_use, at_rest.dialing, at_rest.closing, at_rest.waiting];
        line("then in use, dialing, closing, waiting", format_args!("{out:?}"))?;
        let counted = [self.slots_at_rest, self.sockets_at_rest, self.accepted_at_rest];
        line(
            "idle, and counted: slots, sockets, accepted",
            format_args!("{}, {counted:?}", at_rest.idle),
        )?;
        line(
            "then to be had at once, of one host, of all",
            format_args!("{}, {}", self.capacity, self.total_capacity),
        )
    }
}

fn under_way(status: &PoolStatus) -> usize {
    status.in_use + status.dialing + status.closing + status.waiting
}

/// When faults end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// This many more have happened.
    Faults(usize),
    #[allow(dead_code)] // The soak's.
    Time(Instant),
}

/// A pool, the proxies that it meets, and who works with it. It may see several storms.
pub(crate) struct Scene {
    pool: Pool<Counted>,
    census: Counted,
    proxies: Vec<Proxy>,
    seen: Mutex<Seen>,
    is_over: AtomicBool,
    /// Connections that are still to be discarded.
    discards: AtomicUsize,
    /// The request of each task.
    requests: Mutex<HashMap<usize, AbortHandle>>,
    _server: Arc<JoinSet<()>>,
}

impl Storm {
    pub(crate) async fn run(self) -> (Report, End) {
        let scene = Scene::new().await;
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let report = scene.clone().storm(Until::Faults(self.faults), &mut rng).await;
        (report, scene.end().await)
    }
}

impl Scene {
    pub(crate) async fn new() -> Arc<Scene> {
        let (server, tasks) = echo_server().await;
        let mut proxies = Vec::new();
        for _ in 0..HOSTS {
            proxies.push(Proxy::start(server).await);
        }
        let options = TcpConnector::builder().ping("ping", "ping");
        let census = Counted::new(options.build().unwrap());
        Arc::new(Scene {
            pool: pool(&census),
            census,
            proxies,
            seen: Mutex::default(),
            is_over: AtomicBool::new(false),
            discards: AtomicUsize::new(0),
            requests: Mutex::default(),
            _server: tasks,
        })
    }

    /// Faults while tasks work, then calm, and the account. What was seen, and the peaks, are of all
    /// storms so far.
    pub(crate) async fn storm(self: Arc<Self>, until: Until, rng: &mut fastrand::Rng) -> Report {
        self.is_over.store(false, SeqCst);
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            tasks.spawn(self.clone().work(task, rng.fork()));
        }
        let began = Instant::now();
        let accepted_peak = self.rage(until, rng.fork()).await;
        let took = began.elapsed();
        within_ages("the tasks end", tasks.join_all()).await;
        self.account(took, accepted_peak).await
    }

    pub(crate) async fn end(&self) -> End {
        within_ages("the pool closes", self.pool.close()).await;
        End { closed: self.pool.status(), sockets: self.census.counts().sockets }
    }
}

fn pool(census: &Counted) -> Pool<Counted> {
    Pool::builder()
        .max_per_host(CAP)
        .max_total(TOTAL_CAP)
        .max_uses(50)
        .health_check(HealthCheck::IdleFor(ms(5)))
        .ping_timeout(PING_TIMEOUT)
        .connect_timeout(ms(100))
        .retry(Backoff::default().initial(ms(5)).max(ms(40)))
        .build(census.clone())
        .unwrap()
}

/// # The faults
impl Scene {
    /// Says how many connections one proxy had accepted at most that the pool had not given up.
    async fn rage(&self, until: Until, mut rng: fastrand::Rng) -> usize {
        let mut accepted_peak = 0;
        let before = self.seen.lock().happened.all();
        let is_over = || match until {
            Until::Faults(faults) => self.seen.lock().happened.all() >= before + faults,
            Until::Time(end) => Instant::now() >= end,
        };
        while !is_over() {
            self.strike(&mut rng).await;
            accepted_peak = accepted_peak.max(self.accepted());
            tokio::time::sleep(ms(1)).await;
        }
        self.is_over.store(true, SeqCst);
        for proxy in &self.proxies {
            proxy.set(Fault::Healthy).await;
        }
        accepted_peak
    }

    async fn strike(&self, rng: &mut fastrand::Rng) {
        let proxy = &self.proxies[rng.usize(..HOSTS)];
        let chance = rng.usize(..);
        let kind = rng.u32(..100);
        let happened = match kind {
            0..30 => proxy.set(any_fault(rng)).await,
            30..35 => proxy.cut() > 0,
            35..50 => proxy.one_becomes(Fate::Cut, chance),
            50..55 => proxy.freeze() > 0,
            55..70 => proxy.one_becomes(Fate::Frozen, chance),
            // What these ask for counts when it is done.
            70..85 => self.cancel(rng.usize(..TASKS)),
            _ => self.owe_discard(),
        };
        let happened = usize::from(happened);
        let counts = &mut self.seen.lock().happened;
        match kind {
            0..30 => counts.switches += happened,
            30..50 => counts.cuts += happened,
            _ => counts.freezes += happened,
        }
    }

    /// Asks for a request to be dropped, which has not happened yet.
    fn cancel(&self, task: usize) -> bool {
        if let Some(request) = self.requests.lock().get(&task) {
            request.abort();
        }
        false
    }

    /// Asks for a discard, which has not happened yet.
    fn owe_discard(&self) -> bool {
        self.discards.fetch_add(1, SeqCst);
        false
    }

    fn accepted(&self) -> usize {
        let of_one = |proxy: &Proxy| {
            // In this order: what is given up meanwhile must not count as there.
            let accepted = proxy.accepted();
            let count = self.census.counts().hosts.get(&proxy.address()).copied();
            accepted.saturating_sub(count.map_or(0, |count| count.given_up))
        };
        self.proxies.iter().map(of_one).max().unwrap()
    }
}

fn any_fault(rng: &mut fastrand::Rng) -> Fault {
    match rng.u32(..14) {
        0 => Fault::Refuse,
        1 => Fault::Reset,
        2 => Fault::BlackHole,
        3 => Fault::HalfOpen,
        4 => Fault::Latency(ms(1), ms(rng.u64(1..100))),
        5 => Fault::Drip(ms(2)),
        6 => Fault::Garbage,
        _ => Fault::Healthy,
    }
}

/// A loan in the middle of a conversation: dropped there, it is of no use to anybody.
struct InTalk(Option<PooledConnection<Counted>>);

impl Drop for InTalk {
    fn drop(&mut self) {
        if let Some(mut loan) = self.0.take() {
            loan.bury();
            PooledConnection::discard(loan);
        }
    }
}

/// # The work
impl Scene {
    async fn work(self: Arc<Self>, task: usize, mut rng: fastrand::Rng) {
        while !self.is_over.load(SeqCst) {
            let host = self.proxies[rng.usize(..HOSTS)].address();
            let patience = ms(rng.u64(1..=LONGEST_PATIENCE));
            let request = tokio::spawn(self.clone().request(host, patience));
            self.requests.lock().insert(task, request.abort_handle());
            match request.await {
                Ok(true) => {}
                Ok(false) => tokio::time::sleep(ms(rng.u64(1..10))).await,
                Err(error) => {
                    assert!(error.is_cancelled(), "{error}");
                    self.seen.lock().happened.cancels += 1;
                }
            }
        }
    }

    /// One request. Says whether it was answered.
    async fn request(self: Arc<Self>, host: SocketAddr, patience: Duration) -> bool {
        let began = Instant::now();
        let answer = self.pool.acquire_within(&host, patience).await;
        let overshoot = began.elapsed().saturating_sub(patience);
        self.note(overshoot, answer.as_ref().err());
        let Ok(loan) = answer else { return false };
        let mut talk = InTalk(Some(loan));
        let Some(loan) = &mut talk.0 else { return false };
        let answered = tokio::time::timeout(ANSWER_TIMEOUT, echo(loan)).await;
        let answered = matches!(answered, Ok(Ok(())));
        let discards = answered && self.is_to_discard();
        if answered && !discards {
            drop(talk.0.take());
        }
        drop(talk);
        let mut seen = self.seen.lock();
        seen.happened.discards += usize::from(discards);
        seen.answered += usize::from(answered);
        seen.unanswered += usize::from(!answered);
        answered
    }

    fn is_to_discard(&self) -> bool {
        self.discards.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn note(&self, overshoot: Duration, error: Option<&AcquireError<std::io::Error>>) {
        let mut seen = self.seen.lock();
        seen.overshoot = seen.overshoot.max(overshoot);
        let timed_out = matches!(error, Some(AcquireError::Timeout(_)));
        seen.timed_out_acquires += usize::from(timed_out);
        seen.failed_acquires += usize::from(error.is_some() && !timed_out);
    }
}

/// # The end
impl Scene {
    async fn account(&self, took: Duration, accepted_peak: usize) -> Report {
        within_ages("nothing is under way", until(|| under_way(&self.pool.status()) == 0)).await;
        // Suspects count as idle while they are pinged.
        tokio::time::sleep(PING_TIMEOUT * 2).await;
        let at_rest = self.pool.status();
        let counts = self.census.counts();
        let accepted = || self.proxies.iter().map(Proxy::open).sum::<usize>();
        // The proxies learn of an end from the network.
        let _ = tokio::time::timeout(AGES, until(|| accepted() == at_rest.idle)).await;
        let accepted_at_rest = accepted();
        let (capacity, total_capacity) = self.fill().await;
        let peaks = self.census.counts();
        Report {
            took,
            seen: *self.seen.lock(),
            peak: peaks.hosts.values().map(|count: &Count| count.peak).max().unwrap(),
            total_peak: peaks.total.peak,
            accepted_peak,
            at_rest,
            slots_at_rest: counts.total.now,
            sockets_at_rest: counts.sockets,
            accepted_at_rest,
            capacity,
            total_capacity,
        }
    }

    /// How many connections can be had at once: the least of any host, and of all.
    async fn fill(&self) -> (usize, usize) {
        let mut least = usize::MAX;
        for proxy in &self.proxies {
            least = least.min(self.take(proxy, CAP).await.len());
        }
        let mut all = Vec::new();
        for proxy in &self.proxies {
            let left = TOTAL_CAP - all.len();
            all.extend(self.take(proxy, CAP.min(left)).await);
        }
        (least, all.len())
    }

    async fn take(&self, from: &Proxy, n: usize) -> Vec<PooledConnection<Counted>> {
        let mut taken = Vec::new();
        while taken.len() < n {
            let Ok(mut loan) = self.pool.acquire_within(&from.address(), AGES).await else {
                break;
            };
            if echo(&mut loan).await.is_err() {
                break;
            }
            taken.push(loan);
        }
        taken
    }
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(ms(5)).await;
    }
}

async fn within_ages<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(AGES, future).await;
    done.unwrap_or_else(|_| panic!("{what}: not after {AGES:?}"))
}
