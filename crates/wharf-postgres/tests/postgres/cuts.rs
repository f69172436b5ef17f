//! Work that is cut off at random, on a server whose sessions are ended and which is killed and started again, and what
//! every borrower finds: its own answers, no transaction of another's, and no cancellation that comes late.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use wharf::{Backoff, Pool, PooledConnection};
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::error::SqlState;
use wharf_postgres::tokio_postgres::types::Type;
use wharf_postgres::tokio_postgres::{Client, Config, Error, NoTls};

use servers::Server;

const CAP: usize = 8;
const TASKS: u64 = 32;
/// Longer than anything takes that ends at all.
const AGES: Duration = Duration::from_secs(60);
const TABLES: &str = "CREATE TABLE drafts (number int8); CREATE TABLE kept (number int8)";
const DRAFT: &str = "INSERT INTO drafts VALUES ($1)";
const KEEP: &str = "INSERT INTO kept VALUES ($1)";

type Loan = PooledConnection<PostgresConnector>;

#[derive(Clone, Copy)]
pub(crate) struct Cuts {
    pub(crate) seed: u64,
    /// How many requests and transactions are cut off.
    pub(crate) number: u64,
    /// How often the server is killed or stopped meanwhile.
    pub(crate) restarts: u64,
}

/// What came of it.
#[derive(Default)]
pub(crate) struct Report {
    cancelled: AtomicU64,
    transactions: AtomicU64,
    killed: AtomicU64,
    restarts: AtomicU64,
    answered: AtomicU64,
    /// Requests that failed because the server had ended the session.
    lost: AtomicU64,
    dials: AtomicU64,
}

struct Stage {
    pool: Pool<PostgresConnector>,
    report: Report,
    /// What is cut off, killed and asked is told apart by its number.
    next: AtomicI64,
    wanted: u64,
    is_over: AtomicBool,
}

impl Cuts {
    /// Panics where a borrower found what is not its own, and where something was lost.
    pub(crate) async fn run(self) -> Report {
        let mut server = spawn_blocking(|| Server::start(&["max_connections=30"])).await.unwrap();
        let mut config: Config = server.url().parse().unwrap();
        config.application_name("cuts");
        let backoff =
            Backoff::default().initial(Duration::from_millis(5)).max(Duration::from_millis(50));
        let builder = Pool::builder().max_per_host(CAP).retry(backoff).acquire_timeout(AGES);
        let pool = builder.build(PostgresConnector::new(config.clone())).unwrap();
        look(&config).await.batch_execute(TABLES).await.unwrap();
        let stage = Arc::new(Stage {
            pool,
            report: Report::default(),
            next: AtomicI64::new(1),
            wanted: self.number,
            is_over: AtomicBool::new(false),
        });
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let random = fastrand::Rng::with_seed(self.seed.wrapping_add(task));
            tasks.spawn(work(stage.clone(), random));
        }
        let mut kills = JoinSet::new();
        kills.spawn(end_sessions(stage.clone(), config.clone()));
        for nth in 1..=self.restarts {
            let due = self.number * nth / (self.restarts + 1);
            while stage.report.cuts() < due {
                // One that ends now has found something.
                if let Some(found) = tasks.try_join_next() {
                    panic!("{:?}", found.err());
                }
                sleep(Duration::from_millis(1)).await;
            }
            server = spawn_blocking(move || {
                if nth % 2 == 0 {
                    server.stop();
                } else {
                    server.kill();
                }
                server.start_again();
                server
            })
            .await
            .unwrap();
            stage.report.restarts.fetch_add(1, Relaxed);
        }
        let kept = timeout(AGES * 10, tasks.join_all()).await.expect("it ends");
        stage.is_over.store(true, Relaxed);
        kills.join_all().await;
        account(&stage, &look(&config).await, kept.concat()).await;
        stage.report.dials.store(stage.pool.status().dials, Relaxed);
        let Ok(stage) = Arc::try_unwrap(stage) else { panic!("everybody is done") };
        stage.report
    }
}

/// A session that no pool knows.
async fn look(config: &Config) -> Client {
    let mut config = config.clone();
    config.application_name("looker");
    loop {
        if let Ok((client, connection)) = config.connect(NoTls).await {
            tokio::spawn(connection);
            return client;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// Ends sessions of the pool now and then, also in the middle of a request.
async fn end_sessions(stage: Arc<Stage>, config: Config) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'cuts' ORDER BY random() LIMIT 1";
    let mut looker = look(&config).await;
    while !stage.is_over.load(Relaxed) {
        match looker.execute(end, &[]).await {
            Ok(killed) => drop(stage.report.killed.fetch_add(killed, Relaxed)),
            Err(_) => looker = look(&config).await,
        }
        sleep(Duration::from_millis(40)).await;
    }
}

/// Gives the numbers that were committed.
async fn work(stage: Arc<Stage>, mut random: fastrand::Rng) -> Vec<i64> {
    let mut kept = Vec::new();
    while stage.report.cuts() < stage.wanted {
        let mut loan = stage.pool.acquire(&()).await.unwrap_or_else(|error| panic!("{error:?}"));
        let number = stage.next.fetch_add(1, Relaxed);
        let done = async {
            is_as_new(&loan, number).await?;
            match random.u8(..10) {
                0 => keep(&mut loan, number).await.map(|()| kept.push(number))?,
                1 | 2 => draft(&stage, &mut loan, number, &mut random).await?,
                _ => cut_off(&stage, &mut loan, number, &mut random).await,
            }
            Ok(())
        };
        stage.report.note(done.await);
    }
    kept
}

/// The answer is to this question, and no draft is seen: they are in no transaction but their own, and never kept.
async fn is_as_new(loan: &Loan, number: i64) -> Result<(), Error> {
    let sql = "SELECT $1::int8, (SELECT count(*) FROM drafts)";
    let row = loan.query_one_cached(sql, &[&number]).await?;
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (number, 0));
    Ok(())
}

async fn keep(loan: &mut Loan, number: i64) -> Result<(), Error> {
    let transaction = loan.begin().await?;
    transaction.query_typed(KEEP, &[(&number, Type::INT8)]).await?;
    transaction.commit().await
}

/// A transaction that is left open, in one way or another.
async fn draft(
    stage: &Stage,
    loan: &mut Loan,
    number: i64,
    random: &mut fastrand::Rng,
) -> Result<(), Error> {
    stage.report.transactions.fetch_add(1, Relaxed);
    match random.u8(..4) {
        0 => drop(loan.begin().await?.execute(DRAFT, &[&number]).await?),
        1 => drop(loan.transaction().await?.execute(DRAFT, &[&number]).await?),
        2 => {
            loan.batch_execute("BEGIN").await?;
            loan.execute_cached(DRAFT, &[&number]).await?;
        }
        _ => {
            loan.batch_execute(&format!("BEGIN; INSERT INTO drafts VALUES ({number})")).await?;
            assert!(loan.query("SELECT 1 / 0", &[]).await.is_err());
        }
    }
    Ok(())
}

/// A request that is dropped: before it is sent, before it is answered, or just then.
async fn cut_off(stage: &Stage, loan: &mut Loan, number: i64, random: &mut fastrand::Rng) {
    let after = Duration::from_micros(random.u64(..3000));
    let sleeps = if random.bool() { 0.0 } else { random.f64() * 0.05 };
    let sql = format!("SELECT {number}::int8, pg_sleep({sleeps})");
    let way = random.u8(..7);
    let asked = async {
        let found = match way {
            0 => loan.query_typed(&sql, &[]).await?[0].get(0),
            1 => loan.query_one(&*sql, &[]).await?.get(0),
            2 => loan.begin().await?.query_one(&*sql, &[]).await?.get(0),
            3 => loan.transaction().await?.query_one(&*sql, &[]).await?.get(0),
            4 => {
                let client: &Client = loan;
                client.query_one(&*sql, &[]).await?.get(0)
            }
            5 => {
                loan.batch_execute(&sql).await?;
                number
            }
            _ => {
                let draft = format!("BEGIN; INSERT INTO drafts VALUES ({number}); {sql}");
                loan.batch_execute(&draft).await?;
                number
            }
        };
        Ok::<i64, Error>(found)
    };
    match timeout(after, asked).await {
        Ok(answer) => {
            stage.report.note(answer.map(|found| assert_eq!(found, number, "another's answer")));
        }
        Err(_) => drop(stage.report.cancelled.fetch_add(1, Relaxed)),
    }
}

/// Nothing is under way, what was committed is there, and nothing else.
async fn account(stage: &Stage, looker: &Client, kept: Vec<i64>) {
    let is_idle = async {
        loop {
            let status = stage.pool.status();
            let under_way = status.in_use + status.pinging + status.dialing + status.closing;
            if under_way + status.waiting == 0 {
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(AGES, is_idle).await.expect("nothing is under way");
    let count = async |sql: &str| looker.query_one(sql, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(count("SELECT count(*) FROM drafts").await, 0);
    let missing = "SELECT count(*) FROM unnest($1::int8[]) AS n \
         WHERE NOT EXISTS (SELECT FROM kept WHERE number = n)";
    let missing: i64 = looker.query_one(missing, &[&kept]).await.unwrap().get(0);
    assert_eq!(missing, 0, "of {} that were committed", kept.len());
    assert!(stage.pool.status().idle <= CAP);
    timeout(AGES, stage.pool.close()).await.expect("the pool ends");
}

impl Report {
    fn cuts(&self) -> u64 {
        self.cancelled.load(Relaxed) + self.transactions.load(Relaxed)
    }

    /// A request that nobody cut off fails only with its session.
    fn note(&self, answer: Result<(), Error>) {
        let Err(error) = answer else {
            self.answered.fetch_add(1, Relaxed);
            return;
        };
        let ends = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN];
        let is_ended = error.code().is_none_or(|code| ends.contains(code));
        assert!(is_ended, "{error:?}");
        self.lost.fetch_add(1, Relaxed);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("requests cut off", &self.cancelled),
            ("transactions left open", &self.transactions),
            ("sessions ended", &self.killed),
            ("restarts of the server", &self.restarts),
            ("loans that ended well", &self.answered),
            ("requests lost with their session", &self.lost),
            ("dials", &self.dials),
        ];
        lines
            .iter()
            .try_for_each(|(name, count)| writeln!(f, "  {name:<46}{}", count.load(Relaxed)))
    }
}
