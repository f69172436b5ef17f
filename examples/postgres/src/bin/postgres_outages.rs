//! What goes wrong with PostgreSQL, through three pools of eight connections: handlers whose time is over while their
//! transaction sleeps, and a restart of the server in mid-load. The server is one of our own.
//!
//! Run: `cargo run --release -p example-postgres --bin postgres_outages`, with `-- handlers` or `-- restart` for one
//! of them. It prints, for each pool:
//!
//! - the small queries of 16 tasks in four seconds, each with a pause of 30 ms, without and with ten handlers a second
//!   that ask for five seconds of sleep in a transaction and are given up after 100 ms;
//! - the time from the server's being up again, after three seconds, until the first answer, and the errors that 32
//!   tasks were told until then, by kind.
//!
//! It fails if afterwards this crate's pool does not lend eight connections at once.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bb8_postgres::{PostgresConnectionManager, bb8};
use deadpool_postgres::{ManagerConfig, RecyclingMethod};
use servers::Server;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use wharf::{Backoff, Pool};
use wharf_postgres::PostgresConnector;
use wharf_postgres::tokio_postgres::{Config, NoTls};

const CAP: u32 = 8;
const WINDOW: Duration = Duration::from_secs(4);
const AWAY: Duration = Duration::from_secs(3);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let scene = std::env::args().nth(1);
    let plays = |name: &str| scene.as_deref().is_none_or(|scene| scene == name);
    let mut server = spawn_blocking(|| Server::start(&["max_connections=100"])).await?;
    let config: Config = server.url().parse()?;
    if plays("handlers") {
        println!("{:<34}{:>10}{:>16}", "small queries in 4 s", "alone", "with handlers");
        for (name, pool) in pools(&config).await? {
            let alone = small_queries(&pool, false).await;
            let disturbed = small_queries(&pool, true).await;
            println!("{name:<34}{alone:>10}{disturbed:>16}");
        }
    }
    if plays("restart") {
        println!("{:<34}{:>14}  errors until then", "after a restart", "first answer");
        for (name, pool) in pools(&config).await? {
            let (back, errors) = restart(&pool, &mut server).await?;
            if let Way::Wharf(pool) = &pool {
                has_all_slots(pool).await?;
            }
            println!("{name:<34}{:>11.0} ms  {errors:?}", back.as_secs_f64() * 1e3);
        }
    }
    Ok(())
}

#[derive(Clone)]
enum Way {
    Wharf(Pool<PostgresConnector>),
    Deadpool(deadpool_postgres::Pool),
    Bb8(bb8::Pool<PostgresConnectionManager<NoTls>>),
}

async fn pools(config: &Config) -> Result<Vec<(&'static str, Way)>, Failure> {
    let wharf = |backoff: Option<Backoff>| {
        let builder = Pool::builder().max_per_host(CAP as usize);
        let builder = match backoff {
            Some(backoff) => builder.retry(backoff),
            None => builder,
        };
        builder.build(PostgresConnector::new(config.clone())).map(Way::Wharf)
    };
    let deadpool = |recycling_method| {
        let settings = ManagerConfig { recycling_method };
        let manager = deadpool_postgres::Manager::from_config(config.clone(), NoTls, settings);
        deadpool_postgres::Pool::builder(manager).max_size(CAP as usize).build().map(Way::Deadpool)
    };
    let manager = PostgresConnectionManager::new(config.clone(), NoTls);
    let short = Backoff::default().max(Duration::from_millis(400));
    Ok(vec![
        ("wharf", wharf(None)?),
        ("wharf, retry", wharf(Some(Backoff::default()))?),
        ("wharf, retry of at most 400 ms", wharf(Some(short))?),
        ("deadpool-postgres, Fast", deadpool(RecyclingMethod::Fast)?),
        ("deadpool-postgres, Clean", deadpool(RecyclingMethod::Clean)?),
        ("bb8-postgres", Way::Bb8(bb8::Pool::builder().max_size(CAP).build(manager).await?)),
    ])
}

impl Way {
    /// One round trip, or where getting a connection has failed.
    async fn query(&self) -> Result<(), (&'static str, Failure)> {
        let get = |error: Failure| ("no connection", error);
        let answer = match self {
            Way::Wharf(pool) => {
                let connection = pool.acquire(&()).await.map_err(|error| get(error.into()))?;
                connection.batch_execute("SELECT 1").await
            }
            Way::Deadpool(pool) => {
                let connection = pool.get().await.map_err(|error| get(error.into()))?;
                connection.batch_execute("SELECT 1").await
            }
            Way::Bb8(pool) => {
                let connection = pool.get().await.map_err(|error| get(error.into()))?;
                connection.batch_execute("SELECT 1").await
            }
        };
        answer.map_err(|error| ("no answer", error.into()))
    }

    async fn sleep_in_transaction(&self) -> Result<(), Failure> {
        const SLEEP: &str = "SELECT pg_sleep(5)";
        match self {
            Way::Wharf(pool) => {
                let mut connection = pool.acquire(&()).await?;
                connection.transaction().await?.batch_execute(SLEEP).await?;
            }
            Way::Deadpool(pool) => {
                let mut connection = pool.get().await?;
                connection.transaction().await?.batch_execute(SLEEP).await?;
            }
            Way::Bb8(pool) => {
                let mut connection = pool.get().await?;
                connection.transaction().await?.batch_execute(SLEEP).await?;
            }
        }
        Ok(())
    }
}

async fn small_queries(pool: &Way, with_handlers: bool) -> usize {
    let answered = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (pool, answered) = (pool.clone(), answered.clone());
        tasks.spawn(async move {
            loop {
                answered.fetch_add(usize::from(pool.query().await.is_ok()), Relaxed);
                sleep(Duration::from_millis(30)).await;
            }
        });
    }
    let end = Instant::now() + WINDOW;
    while Instant::now() < end {
        if with_handlers {
            let pool = pool.clone();
            tasks.spawn(async move {
                let _ = timeout(Duration::from_millis(100), pool.sleep_in_transaction()).await;
            });
        }
        sleep(Duration::from_millis(100)).await;
    }
    tasks.shutdown().await;
    answered.load(Relaxed)
}

/// Fails unless as many connections as the pool may have are lent at once, and each answers.
async fn has_all_slots(pool: &Pool<PostgresConnector>) -> Result<(), Failure> {
    let mut loans = Vec::new();
    for nth in 1..=CAP {
        let loan = pool.acquire(&()).await.map_err(|error| format!("slot {nth}: {error}"))?;
        loan.batch_execute("SELECT 1").await?;
        loans.push(loan);
    }
    let status = pool.status();
    if status.in_use != loans.len() || status.waiting > 0 {
        return Err(format!("with {CAP} connections lent: {status:?}").into());
    }
    Ok(())
}

type Errors = BTreeMap<&'static str, usize>;

async fn restart(pool: &Way, server: &mut Server) -> Result<(Duration, Errors), Failure> {
    let errors: Arc<Mutex<Errors>> = Arc::default();
    let is_up = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for _ in 0..32 {
        let (pool, errors, is_up) = (pool.clone(), errors.clone(), is_up.clone());
        tasks.spawn(async move {
            loop {
                match pool.query().await {
                    Ok(()) if is_up.load(Relaxed) => return,
                    Ok(()) => {}
                    Err((kind, _)) => *errors.lock().unwrap().entry(kind).or_default() += 1,
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
    }
    sleep(Duration::from_millis(300)).await;
    tokio::task::block_in_place(|| server.stop());
    sleep(AWAY).await;
    tokio::task::block_in_place(|| server.start_again());
    let back = Instant::now();
    is_up.store(true, Relaxed);
    timeout(Duration::from_secs(60), tasks.join_next()).await?;
    let took = back.elapsed();
    let errors = errors.lock().unwrap().clone();
    tasks.shutdown().await;
    Ok((took, errors))
}
