//! Redis through pools: bb8-redis and deadpool-redis, the same managers through `wharf-bb8` and `wharf-deadpool`, and the
//! connector of the guide's page `redis` (`connector.rs`), which shares multiplexed connections. The server is one of our own.
//!
//! Run: `cargo run --release -p example-redis`. 64 tasks send GETs for a second each way, over at
//! most 8 connections (2, where they are shared). It prints the answers per second and the connections; it fails if an
//! answer is wrong. Last, 64 tasks move an amount from one account to the other, each on a connection of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bb8_redis::{RedisConnectionManager, bb8};
use connector::{Redis, transfer, visits};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use servers::RedisServer;
use tokio::task::JoinSet;
use wharf::{Host, Pool, SharedHost, SharedPool};
use wharf_bb8::Bb8;
use wharf_deadpool::Deadpool;

mod connector;

const CAP: usize = 8;
const TASKS: u32 = 64;
const WINDOW: Duration = Duration::from_secs(1);

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
enum Way {
    Bb8(bb8::Pool<RedisConnectionManager>),
    Deadpool(deadpool_redis::Pool),
    OverBb8(Pool<Bb8<RedisConnectionManager>>),
    OverDeadpool(Pool<Deadpool<deadpool_redis::Manager>>),
    Shared(SharedPool<Redis>),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let server = RedisServer::start();
    let url = server.url();
    let manager = || RedisConnectionManager::new(url.clone());
    let builder = || Pool::builder().max_per_host(CAP);
    let deadpool =
        deadpool_redis::Config::from_url(url.clone()).builder()?.max_size(CAP).build()?;
    let over_deadpool = Deadpool::new(deadpool_redis::Manager::new(url.clone())?);
    let shared = SharedPool::builder().max_per_host(2).build(Redis::new(&url)?);
    let ways = [
        ("bb8-redis", Way::Bb8(bb8::Pool::builder().max_size(8).build(manager()?).await?)),
        ("deadpool-redis", Way::Deadpool(deadpool)),
        ("wharf, bb8-redis' manager", Way::OverBb8(builder().build(Bb8::new(manager()?))?)),
        ("wharf, deadpool-redis' manager", Way::OverDeadpool(builder().build(over_deadpool)?)),
        ("wharf, shared", Way::Shared(shared?)),
    ];
    println!("{:<34}{:>14}{:>14}", "way", "answers/s", "connections");
    for (name, way) in ways {
        let rate = run(&way).await;
        println!("{name:<34}{rate:>14.0}{:>14}", way.connections());
    }
    let shared = SharedPool::builder().max_per_host(2).build(Redis::new(&url)?)?;
    let own = Pool::builder().max_per_host(CAP).build(Redis::new(&url)?)?;
    move_amounts(&shared.host(&()), &own.host(&())).await
}

async fn move_amounts(shared: &SharedHost<Redis>, own: &Host<Redis>) -> Result<(), Failure> {
    let () = shared.acquire().await?.mset(&[("from", TASKS), ("to", 0)]).await?;
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (shared, own) = (shared.clone(), own.clone());
        tasks.spawn(async move {
            // Somebody else has changed the account meanwhile: once more.
            while !transfer(&own, "from", "to", 1).await? {}
            visits(&shared, "transfers").await
        });
    }
    for moved in tasks.join_all().await {
        moved?;
    }
    let balances: (u32, u32) = shared.acquire().await?.mget(&["from", "to"]).await?;
    println!("{TASKS} transfers: {balances:?}");
    if balances == (0, TASKS) { Ok(()) } else { Err("an amount was lost".into()) }
}

async fn run(way: &Way) -> f64 {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    let began = Instant::now();
    for task in 0..TASKS {
        let (way, is_over) = (way.clone(), is_over.clone());
        tasks.spawn(async move {
            let mut answers = 0_u32;
            way.get(task, true).await.unwrap();
            while !is_over.load(Relaxed) {
                let found = way.get(task, false).await.unwrap();
                assert_eq!(found, task, "another's answer");
                answers += 1;
            }
            answers
        });
    }
    tokio::time::sleep(WINDOW).await;
    is_over.store(true, Relaxed);
    let answers: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(answers) / began.elapsed().as_secs_f64()
}

impl Way {
    async fn get(&self, task: u32, sets: bool) -> Result<u32, Failure> {
        match self {
            Way::Bb8(pool) => ask(&mut *pool.get().await?, task, sets).await,
            Way::Deadpool(pool) => ask(&mut *pool.get().await?, task, sets).await,
            Way::OverBb8(pool) => ask(&mut *pool.acquire(&()).await?, task, sets).await,
            Way::OverDeadpool(pool) => ask(&mut *pool.acquire(&()).await?, task, sets).await,
            Way::Shared(pool) => ask(&mut *pool.acquire(&()).await?, task, sets).await,
        }
    }

    fn connections(&self) -> usize {
        match self {
            Way::Bb8(pool) => pool.state().connections as usize,
            Way::Deadpool(pool) => pool.status().size,
            Way::OverBb8(pool) => pool.status().idle,
            Way::OverDeadpool(pool) => pool.status().idle,
            Way::Shared(pool) => pool.status().idle,
        }
    }
}

async fn ask(conn: &mut MultiplexedConnection, task: u32, sets: bool) -> Result<u32, Failure> {
    if sets {
        let () = conn.set(task, task).await?;
    }
    Ok(conn.get(task).await?)
}
