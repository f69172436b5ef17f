//! A live view of a pool under a load that misbehaves on schedule: what its hosts, waits and loans
//! look like when a task leaks, a host is slow, a host is dead, or a crowd comes.
//!
//! ```text
//! cargo run -p example-watch
//! cargo run -p example-watch -- --seconds 20 --prometheus 9100
//! ```
//!
//! Four servers are played inside this process: no network is used. Six tasks ask each of them for
//! one thing after the other, through one pool with 5 connections a server. Each of them waits
//! for at most a second. Every 4 seconds the trouble changes: none, a leak at `orders`, a slow `search`, a dead
//! `mail`, a burst at `cache`, and again. Each frame shows, server by server, where its connections
//! are (`#` in use, `=` idle, `~` dialing, `.` not made), who waits, what was counted, and how long
//! the last 200 callers waited; then the loans held longest with the place in the code that
//! acquired them, and the last error, which for a time-out says why.
//!
//! It runs until Ctrl-C, or for `--seconds`; then the pool is closed, and the last line says what
//! was still out. Where the output is no terminal it prints a frame each second, one after the
//! other. With `--prometheus` the metrics are at `http://127.0.0.1:PORT/metrics` meanwhile.

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::time::sleep;
use wharf::metrics::Metrics;
use wharf::{
    Acquired, Closed, Connector, DialDone, DialFailed, Host, HostStatus, Observer, PingFailed,
    Pool, Returned, TimedOut, async_trait,
};

const SERVERS: [Server; 4] = [Server("cache"), Server("mail"), Server("orders"), Server("search")];
const TASKS: usize = 6;
const MAX_PER_HOST: usize = 5;
const ACT: Duration = Duration::from_secs(4);
const REQUEST: Duration = Duration::from_millis(30);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    if let Some(port) = arguments.prometheus {
        let exporter = PrometheusBuilder::new().with_recommended_naming(true);
        let address = (Ipv4Addr::LOCALHOST, port);
        let installed = exporter.with_http_listener(address).install();
        installed.map_err(|error| format!("--prometheus {port}: {error}"))?;
    }
    let play = Play { began: Instant::now() };
    let watcher = Watcher { metrics: Metrics::new("watch").per_host(true), seen: Arc::default() };
    let pool = Pool::builder()
        .max_per_host(MAX_PER_HOST)
        .acquire_timeout(Duration::from_secs(1))
        .observer(watcher.clone())
        .build(play)?;
    tokio::spawn(watcher.metrics.report_every(Duration::from_secs(1), &pool));
    for server in SERVERS {
        for _ in 0..TASKS {
            tokio::spawn(ask_on_and_on(pool.host(&server), play, watcher.clone()));
        }
    }
    tokio::spawn(misbehave(pool.clone(), play, watcher.clone()));

    let mut screen = Screen::new();
    let hosts = SERVERS.map(|server| pool.host(&server));
    let is_over = || arguments.seconds.is_some_and(|limit| play.began.elapsed() >= limit);
    while !is_over() {
        screen.show(&frame(&pool, &hosts, play, &watcher))?;
        sleep(screen.pause).await;
    }
    let report = pool.close_within(2 * ACT).await;
    let status = pool.status();
    println!(
        "closed after {} loans and {} dials; still out: {} loans, {} dials, {} closes",
        status.acquired,
        status.dials,
        report.loans.len(),
        report.dialing,
        report.closing
    );
    Ok(())
}

#[derive(Default)]
struct Arguments {
    seconds: Option<Duration>,
    prometheus: Option<u16>,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut arguments = Arguments::default();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
            let bad = |error: &dyn fmt::Display| format!("{name} {value}: {error}");
            match name.as_str() {
                "--seconds" => {
                    let seconds = value.parse().map_err(|error| bad(&error))?;
                    arguments.seconds = Some(Duration::from_secs(seconds));
                }
                "--prometheus" => {
                    arguments.prometheus = Some(value.parse().map_err(|error| bad(&error))?);
                }
                _ => return Err(format!("{name}: there are --seconds and --prometheus").into()),
            }
        }
        Ok(arguments)
    }
}

/// The key of a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Server(&'static str);

impl Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What is going wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    AllIsWell,
    Leak,
    SlowHost,
    DeadHost,
    Burst,
}

/// The schedule, and the connector whose servers keep to it.
#[derive(Clone, Copy)]
struct Play {
    began: Instant,
}

impl Play {
    fn act(self) -> Act {
        let acts = [Act::AllIsWell, Act::Leak, Act::SlowHost, Act::DeadHost, Act::Burst];
        let nth = self.began.elapsed().as_secs() / ACT.as_secs();
        acts[usize::try_from(nth).unwrap_or(0) % acts.len()]
    }

    fn is_dead(self, server: Server) -> bool {
        server == Server("mail") && self.act() == Act::DeadHost
    }

    fn slowness(self, server: Server) -> u32 {
        if server == Server("search") && self.act() == Act::SlowHost { 10 } else { 1 }
    }
}

#[async_trait]
impl Connector for Play {
    type Key = Server;
    type Connection = Server;
    type Error = io::Error;

    async fn connect(&self, &server: &Server) -> io::Result<Server> {
        sleep(2 * REQUEST * self.slowness(server)).await;
        if self.is_dead(server) {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "connection refused"));
        }
        Ok(server)
    }

    fn is_open(&self, &mut server: &mut Server) -> bool {
        !self.is_dead(server)
    }
}

/// One task of the load.
async fn ask_on_and_on(host: Host<Play>, play: Play, watcher: Watcher) {
    while ask(&host, play, &watcher).await != Answer::Closed {
        sleep(REQUEST / 3).await;
    }
}

#[derive(PartialEq, Eq)]
enum Answer {
    Given,
    Failed,
    Closed,
}

async fn ask(host: &Host<Play>, play: Play, watcher: &Watcher) -> Answer {
    match host.acquire().await {
        Ok(connection) => {
            sleep(REQUEST * play.slowness(*connection)).await;
            Answer::Given
        }
        Err(wharf::AcquireError::Closed) => Answer::Closed,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            let at = play.began.elapsed().as_secs_f64();
            watcher.seen().last_error = format!("{at:.1} s, {:?}: {error}{cause}", host.key());
            sleep(10 * REQUEST).await;
            Answer::Failed
        }
    }
}

/// What the load does wrong, each in its act; what the servers do wrong is theirs.
async fn misbehave(pool: Pool<Play>, play: Play, watcher: Watcher) {
    let mut last = Act::AllIsWell;
    while !pool.is_closed() {
        let act = play.act();
        if act != last && act == Act::Leak {
            (0..MAX_PER_HOST).for_each(|_| drop(tokio::spawn(leak(pool.clone()))));
        }
        if act != last && act == Act::Burst {
            let host = pool.host(&Server("cache"));
            for _ in 0..100 {
                let (host, watcher) = (host.clone(), watcher.clone());
                tokio::spawn(async move { ask(&host, play, &watcher).await });
            }
        }
        last = act;
        sleep(REQUEST).await;
    }
}

/// Forgets for an act that it has a connection.
async fn leak(pool: Pool<Play>) {
    let leaked = pool.acquire(&Server("orders")).await;
    sleep(ACT * 3 / 4).await;
    drop(leaked);
}

/// Sees each event, and passes it on to the metrics.
#[derive(Clone)]
struct Watcher {
    metrics: Metrics,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// The last of each host.
    waits: HashMap<String, VecDeque<Duration>>,
    last_error: String,
}

impl Watcher {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics with it")
    }

    /// What 50, 95 and 100 in a hundred callers did not exceed.
    fn waits(&self, server: Server) -> [Duration; 3] {
        let seen = self.seen();
        let waits = seen.waits.get(server.0).into_iter().flatten();
        let mut waits: Vec<_> = waits.copied().collect();
        waits.sort_unstable();
        [50, 95, 100].map(|percent: usize| {
            let rank = (waits.len() * percent).div_ceil(100);
            waits.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        })
    }
}

impl Observer for Watcher {
    fn acquired(&self, event: &Acquired<'_>) {
        self.metrics.acquired(event);
        let mut seen = self.seen();
        let waits = seen.waits.entry(format!("{:?}", event.host)).or_default();
        waits.push_back(event.waited);
        if waits.len() > 200 {
            waits.pop_front();
        }
    }
    fn dial_done(&self, event: &DialDone<'_>) {
        self.metrics.dial_done(event);
    }
    fn dial_failed(&self, event: &DialFailed<'_>) {
        self.metrics.dial_failed(event);
    }
    fn timed_out(&self, event: &TimedOut<'_>) {
        self.metrics.timed_out(event);
    }
    fn returned(&self, event: &Returned<'_>) {
        self.metrics.returned(event);
    }
    fn ping_failed(&self, event: &PingFailed<'_>) {
        self.metrics.ping_failed(event);
    }
    fn closed(&self, event: &Closed<'_>) {
        self.metrics.closed(event);
    }
}

fn frame(pool: &Pool<Play>, hosts: &[Host<Play>], play: Play, watcher: &Watcher) -> String {
    let mut text = String::new();
    let seconds = play.began.elapsed().as_secs_f64();
    let trouble = match play.act() {
        Act::AllIsWell => "all is well",
        Act::Leak => "a task leaks what it has of orders",
        Act::SlowHost => "search is slow",
        Act::DeadHost => "mail is dead",
        Act::Burst => "a hundred callers at once want cache",
    };
    let mut line = |words: fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    line(format_args!("{seconds:6.1} s   {trouble}\n"));
    line(format_args!(
        "host            used idle dialing waiting  acquired dials failed timed out  wait p50  p95  \
         max"
    ));
    for host in hosts {
        let (server, status) = (*host.key(), host.status());
        let [p50, p95, max] = watcher.waits(server).map(|wait| wait.as_millis());
        line(format_args!(
            "{:<7} {} {:>4} {:>4} {:>7} {:>7} {:>9} {:>5} {:>6} {:>9} {p50:>6} ms {p95:>4} \
             {max:>4}",
            server.0,
            bar(&status),
            status.in_use,
            status.idle,
            status.dialing,
            status.waiting,
            status.acquired,
            status.dials,
            status.failed_dials,
            status.timed_out,
        ));
    }
    line(format_args!("\nheld longest"));
    for loan in pool.loans().iter().take(6) {
        let held = loan.held.as_secs_f64();
        line(format_args!("  {:<7} {held:5.2} s   by {}", loan.key, loan.place));
    }
    line(format_args!("\nthe last error\n  {}", watcher.seen().last_error));
    text
}

/// One sign for each place under the cap.
fn bar(status: &HostStatus) -> String {
    let signs = "#".repeat(status.in_use) + &"=".repeat(status.idle) + &"~".repeat(status.dialing);
    format!("[{signs:.<width$}]", width = status.max)
}

/// Shows frames in place, or where that cannot be, one after the other.
struct Screen {
    in_place: bool,
    pause: Duration,
}

impl Screen {
    fn new() -> Self {
        let in_place = io::stdout().is_terminal();
        Screen { in_place, pause: Duration::from_millis(if in_place { 200 } else { 1000 }) }
    }

    fn show(&mut self, frame: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.in_place {
            return writeln!(out, "{frame}");
        }
        // To the top; what is left of an old line, and below the last one, is cleared.
        let frame = frame.replace('\n', "\x1b[K\n");
        write!(out, "\x1b[H{frame}\x1b[J")?;
        out.flush()
    }
}
