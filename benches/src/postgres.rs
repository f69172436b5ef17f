//! PostgreSQL through pools of eight connections: a cheap query, and a small transaction.
//!
//! The server is one of our own, on the client's core. Every way keeps its connections from turn to turn, and
//! prepares as its users do: `wharf` and deadpool-postgres keep statements, and bb8-postgres, which keeps none, sends the
//! text along.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bb8_postgres::{PostgresConnectionManager, bb8};
use deadpool_postgres::RecyclingMethod;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use wharf::Pool;
use wharf_postgres::tokio_postgres::types::Type;
use wharf_postgres::tokio_postgres::{Client, Config, NoTls, Row, Statement};
use wharf_postgres::{PostgresConnector, Reset};

use crate::contestants::Kind;
use crate::cores;
use crate::drive::pinned_threads;
use crate::form::Form;
use crate::measure::{Rounds, median};
use crate::table::{Better, Bound, Part, Row as Line};

const CAP: usize = 8;
const TASKS: [usize; 3] = [1, 8, 64];
const QUERY: &str = "SELECT $1::int8";
const TABLE: &str = "CREATE UNLOGGED TABLE notes (number int8)";
const INSERT: &str = "INSERT INTO notes VALUES ($1)";

// Rows that aims are about.
const OWN: &str = "wharf, its own methods";
const SAME: &str = "wharf, Client's methods";
const FAST: &str = "deadpool-postgres, Fast";
const CLEAN: &str = "deadpool-postgres, Clean";

/// Measures it: a part for each number of tasks, first of queries, then of transactions. None where PostgreSQL is not
/// installed.
///
/// # Panics
///
/// When a request fails.
pub fn run(form: Form) -> Vec<Part> {
    if !is_installed() {
        eprintln!("PostgreSQL: left out, its programs are not here");
        return Vec::new();
    }
    // The server's processes and the runtime's thread inherit it. Where they may use two cores, the system has them share
    // one or not, from burst to burst: what two do is nearly twice what one does.
    cores::pin(0);
    let runtime = pinned_threads(1);
    let server = servers::Server::start(&["max_connections=200"]);
    let config: Config = server.url().parse().expect("a URL");
    let entrants = runtime.block_on(entrants(&config));
    let jobs = [Job::Query, Job::Transaction].into_iter();
    let loads = jobs.flat_map(|job| TASKS.map(|tasks| Load { job, tasks }));
    loads.map(|load| compare(&runtime, &entrants, load, form)).collect()
}

/// Whether the programs are where distributions put them.
pub(crate) fn is_installed() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |directory: &Path| directory.join("initdb").exists();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    std::env::split_paths(&path).any(|directory| has(&directory))
        || debian.flatten().any(|version| has(&version.path().join("bin")))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Query,
    Transaction,
}

#[derive(Clone, Copy)]
struct Load {
    job: Job,
    tasks: usize,
}

struct Entrant {
    name: &'static str,
    kind: Kind,
    way: Way,
}

fn compare(runtime: &Runtime, entrants: &[Entrant], load: Load, form: Form) -> Part {
    let Load { job, tasks } = load;
    let what = if job == Job::Query { "a cheap query" } else { "BEGIN, INSERT, COMMIT" };
    let title = format!("PostgreSQL: {what}, {tasks} tasks, {CAP} connections");
    let includes = "Getting a connection, the requests, their answers, letting go; the server, which shares one \
                    core with the client's thread: all bursts count";
    let mut part = Part::new(&title, includes, vec!["per second", "most / least"]);
    let mut spreads = vec![Vec::new(); entrants.len()];
    let burst = Duration::from_millis(80);
    // The connections are made, and everything is in the caches.
    for entrant in entrants {
        runtime.block_on(work(&entrant.way, load, burst));
    }
    let rounds =
        Rounds::alternate(&title, entrants.len(), form.either(9, 31), |nth| {
            let (rate, spread) = runtime.block_on(work(&entrants[nth].way, load, burst));
            let is_hungry = !spread.is_finite();
            part.add_fault(is_hungry.then(|| {
                format!("{}: some tasks got nothing in a whole burst", entrants[nth].name)
            }));
            spreads[nth].push(spread);
            rate
        });
    for (nth, (Entrant { name, kind, .. }, spreads)) in entrants.iter().zip(spreads).enumerate() {
        part.rows.push(Line::new(*name, *kind, vec![rounds.median(nth), median(spreads)]));
    }
    part.compare(Better::More);
    if job == Job::Query {
        aim(&mut part, tasks);
    }
    part
}

fn aim(part: &mut Part, tasks: usize) {
    let what = format!("PostgreSQL, a cheap query, {tasks} tasks: rate");
    part.aim(format!("{what} / {FAST}"), (OWN, FAST), Bound::AtLeast(1.0));
    let same = format!("{what}, by the same calls / {FAST}");
    part.aim(same, (SAME, FAST), Bound::AtLeast(1.0));
    part.aim(format!("{what} / {CLEAN}"), (OWN, CLEAN), Bound::AtLeast(2.0));
}

/// Jobs done in a second, and how many times as many the busiest task did as the idlest.
async fn work(way: &Way, load: Load, burst: Duration) -> (f64, f64) {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for _ in 0..load.tasks {
        let (way, is_over) = (way.clone(), is_over.clone());
        tasks.spawn(async move {
            let mut served = 0_u32;
            while !is_over.load(Relaxed) {
                way.do_once(load.job, i64::from(served)).await;
                served += 1;
            }
            served
        });
    }
    tokio::time::sleep(burst).await;
    is_over.store(true, Relaxed);
    let served = tasks.join_all().await;
    let took = began.elapsed();
    let (most, least) = (served.iter().max(), served.iter().min());
    let [most, least] = [most, least].map(|n| f64::from(*n.expect("a task")));
    (f64::from(served.iter().sum::<u32>()) / took.as_secs_f64(), most / least)
}

type Bb8 = bb8::Pool<PostgresConnectionManager<NoTls>>;

/// How a job gets its connection.
#[derive(Clone)]
enum Way {
    ByHand(Arc<ByHand>),
    /// By `query_one_cached` and `begin`.
    WharfCached(Pool<PostgresConnector>),
    /// As with deadpool: `prepare_cached`, then `query_one`; and `transaction`.
    Wharf(Pool<PostgresConnector>),
    Deadpool(deadpool_postgres::Pool),
    Bb8(Bb8),
}

/// What can hardly be done for less: nothing is checked, and nothing undone.
struct ByHand {
    permits: Semaphore,
    idle: Mutex<Vec<Bare>>,
}

struct Bare {
    client: Client,
    query: Statement,
    insert: Statement,
}

async fn entrants(config: &Config) -> Vec<Entrant> {
    let by_hand = Arc::new(ByHand::new(config).await);
    let entrant = |name, kind, way| Entrant { name, kind, way };
    vec![
        entrant("by hand", Kind::Floor, Way::ByHand(by_hand)),
        entrant(OWN, Kind::Wharf, Way::WharfCached(wharf(config, Reset::Rollback))),
        entrant(SAME, Kind::Wharf, Way::Wharf(wharf(config, Reset::Rollback))),
        entrant("wharf, Reset::Discard", Kind::Wharf, Way::Wharf(wharf(config, Reset::Discard))),
        entrant(FAST, Kind::Peer, deadpool(config, RecyclingMethod::Fast)),
        entrant(
            "deadpool-postgres, Verified",
            Kind::Peer,
            deadpool(config, RecyclingMethod::Verified),
        ),
        entrant(CLEAN, Kind::Peer, deadpool(config, RecyclingMethod::Clean)),
        entrant("bb8-postgres", Kind::AsItComes, bb8(config, true).await),
        entrant("bb8-postgres, no ping", Kind::Peer, bb8(config, false).await),
    ]
}

fn wharf(config: &Config, reset: Reset) -> Pool<PostgresConnector> {
    let connector = PostgresConnector::builder(config.clone()).reset(reset).build().unwrap();
    Pool::builder().max_per_host(CAP).build(connector).expect("it can be meant")
}

fn deadpool(config: &Config, recycling_method: RecyclingMethod) -> Way {
    let settings = deadpool_postgres::ManagerConfig { recycling_method };
    let manager = deadpool_postgres::Manager::from_config(config.clone(), NoTls, settings);
    let pool = deadpool_postgres::Pool::builder(manager).max_size(CAP).build();
    Way::Deadpool(pool.expect("it can be meant"))
}

async fn bb8(config: &Config, ping: bool) -> Way {
    const { assert!(CAP == 8) };
    let manager = PostgresConnectionManager::new(config.clone(), NoTls);
    let builder = bb8::Pool::builder().max_size(8).test_on_check_out(ping);
    Way::Bb8(builder.build(manager).await.expect("a connection"))
}

impl ByHand {
    async fn new(config: &Config) -> ByHand {
        let mut idle = Vec::new();
        for nth in 0..CAP {
            let (client, connection) = config.connect(NoTls).await.expect("a connection");
            tokio::spawn(connection);
            if nth == 0 {
                client.batch_execute(TABLE).await.expect("a table");
            }
            let query = client.prepare(QUERY).await.expect("a statement");
            let insert = client.prepare(INSERT).await.expect("a statement");
            idle.push(Bare { client, query, insert });
        }
        ByHand { permits: Semaphore::new(CAP), idle: Mutex::new(idle) }
    }

    async fn do_once(&self, job: Job, number: i64) {
        let _permit = self.permits.acquire().await.expect("it is not closed");
        let mut bare = self.idle.lock().pop().expect("as many as permits");
        match job {
            Job::Query => {
                let row = bare.client.query_one(&bare.query, &[&number]).await;
                check(&row.expect("an answer"), number);
            }
            Job::Transaction => {
                let transaction = bare.client.transaction().await.expect("BEGIN");
                transaction.execute(&bare.insert, &[&number]).await.expect("INSERT");
                transaction.commit().await.expect("COMMIT");
            }
        }
        self.idle.lock().push(bare);
    }
}

impl Way {
    async fn do_once(&self, job: Job, number: i64) {
        match (self, job) {
            (Way::ByHand(bare), job) => bare.do_once(job, number).await,
            (_, Job::Query) => check(&self.query(number).await, number),
            (_, Job::Transaction) => self.insert(number).await,
        }
    }

    async fn query(&self, number: i64) -> Row {
        let row = match self {
            Way::ByHand(_) => unreachable!("it does this itself"),
            Way::WharfCached(pool) => {
                let connection = pool.acquire(&()).await.expect("a connection");
                connection.query_one_cached(QUERY, &[&number]).await
            }
            Way::Wharf(pool) => {
                let connection = pool.acquire(&()).await.expect("a connection");
                let statement = connection.prepare_cached(QUERY).await.expect("a statement");
                connection.query_one(&statement, &[&number]).await
            }
            Way::Deadpool(pool) => {
                let connection = pool.get().await.expect("a connection");
                let statement = connection.prepare_cached(QUERY).await.expect("a statement");
                connection.query_one(&statement, &[&number]).await
            }
            Way::Bb8(pool) => {
                let connection = pool.get().await.expect("a connection");
                connection.query_typed_one(QUERY, &[(&number, Type::INT8)]).await
            }
        };
        row.expect("an answer")
    }

    async fn insert(&self, number: i64) {
        match self {
            Way::ByHand(_) => unreachable!("it does this itself"),
            Way::WharfCached(pool) => {
                let mut connection = pool.acquire(&()).await.expect("a connection");
                let insert = connection.prepare_cached(INSERT).await.expect("a statement");
                let transaction = connection.begin().await.expect("BEGIN");
                transaction.execute(&insert, &[&number]).await.expect("INSERT");
                transaction.commit().await.expect("COMMIT");
            }
            Way::Wharf(pool) => {
                let mut connection = pool.acquire(&()).await.expect("a connection");
                let insert = connection.prepare_cached(INSERT).await.expect("a statement");
                let transaction = connection.transaction().await.expect("BEGIN");
                transaction.execute(&insert, &[&number]).await.expect("INSERT");
                transaction.commit().await.expect("COMMIT");
            }
            Way::Deadpool(pool) => {
                let mut connection = pool.get().await.expect("a connection");
                let insert = connection.prepare_cached(INSERT).await.expect("a statement");
                let transaction = connection.transaction().await.expect("BEGIN");
                transaction.execute(&insert, &[&number]).await.expect("INSERT");
                transaction.commit().await.expect("COMMIT");
            }
            Way::Bb8(pool) => {
                let mut connection = pool.get().await.expect("a connection");
                let transaction = connection.transaction().await.expect("BEGIN");
                transaction.execute_typed(INSERT, &[(&number, Type::INT8)]).await.expect("INSERT");
                transaction.commit().await.expect("COMMIT");
            }
        }
    }
}

fn check(row: &Row, number: i64) {
    assert_eq!(row.get::<_, i64>(0), number, "another's answer");
}
