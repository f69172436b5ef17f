//! Work on a PostgreSQL server that is killed, or shut down, and started again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use wharf::{Backoff, Pool};
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::{Client, Config, NoTls};

use servers::Server;

const CAP: usize = 8;
const TASKS: usize = 32;
/// How long the server is left alone.
const QUIET: Duration = Duration::from_secs(10);
/// Longer than anything takes that ends at all.
const AGES: Duration = Duration::from_secs(60);
const NAME: &str = "soak";

#[derive(Default)]
struct Work {
    is_over: AtomicBool,
    answered: AtomicUsize,
    unanswered: AtomicUsize,
}

pub(crate) async fn outages(end: Instant) {
    let began = Instant::now();
    let mut server = blocking(|| Server::start(&["max_connections=20"])).await;
    let mut config: Config = server.url().parse().unwrap();
    config.application_name(NAME);
    let backoff = Backoff::default().initial(Duration::from_millis(10));
    let backoff = backoff.max(Duration::from_millis(200));
    let builder = Pool::builder().max_per_host(CAP).retry(backoff).acquire_timeout(AGES);
    let pool = builder.build(PostgresConnector::new(config)).unwrap();
    let work = Arc::new(Work::default());
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(query(pool.clone(), work.clone()));
    }
    let mut outages = 0;
    while Instant::now() < end {
        sleep(QUIET.min(end.saturating_duration_since(Instant::now()))).await;
        let kills = outages % 2 == 0;
        server = blocking(move || {
            if kills {
                server.kill();
            } else {
                server.stop();
            }
            server.start_again();
            server
        })
        .await;
        outages += 1;
        let before = work.answered.load(Relaxed);
        until("answers after an outage", || async { work.answered.load(Relaxed) > before }).await;
        // At most what was on its way: one request for each connection, each time.
        let unanswered = work.unanswered.load(Relaxed);
        assert!(unanswered <= outages * CAP, "{unanswered} unanswered in {outages} outages");
        let answered = work.answered.load(Relaxed);
        println!(
            "{:>6} s  PostgreSQL: {outages} outages, {answered} answers, {unanswered} unanswered: well",
            began.elapsed().as_secs()
        );
    }
    work.is_over.store(true, Relaxed);
    // Nobody waits for longer than that, unless it sleeps on.
    within_ages("every caller has its answer", tasks.join_all()).await;
    account(&pool, &server).await;
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn query(pool: Pool<PostgresConnector>, work: Arc<Work>) {
    while !work.is_over.load(Relaxed) {
        let loan = pool.acquire(&()).await.unwrap_or_else(|error| panic!("{error}"));
        let answer = loan.query_one_cached("SELECT 1", &[]).await;
        let count = if answer.is_ok() { &work.answered } else { &work.unanswered };
        count.fetch_add(1, Relaxed);
    }
}

/// The server has as many sessions as the pool has connections, and none after the close.
async fn account(pool: &Pool<PostgresConnector>, server: &Server) {
    until("nothing is under way", || async {
        let status = pool.status();
        status.in_use + status.dialing + status.closing + status.waiting == 0
    })
    .await;
    let config: Config = server.url().parse().unwrap();
    let (looker, driver) = config.connect(NoTls).await.unwrap();
    let driver = tokio::spawn(driver);
    let idle = pool.status().idle;
    until("a session for each", || async { sessions(&looker).await == idle }).await;
    let closed = pool.close_within(AGES).await;
    assert!(closed.complete, "{closed:?}");
    until("no session is left", || async { sessions(&looker).await == 0 }).await;
    driver.abort();
}

async fn sessions(looker: &Client) -> usize {
    let of_pool = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1";
    let count = looker.query_one(of_pool, &[&NAME]).await.unwrap().get::<_, i64>(0);
    usize::try_from(count).unwrap()
}

async fn until<F: Future<Output = bool>>(what: &str, is_so: impl Fn() -> F) {
    let wait = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    within_ages(what, wait).await;
}

async fn within_ages<T>(what: &str, work: impl Future<Output = T>) -> T {
    let ages = AGES + Duration::from_secs(5);
    tokio::time::timeout(ages, work).await.unwrap_or_else(|_| panic!("{what}: not after {ages:?}"))
}
