//! Workers that lose no job when Redis is killed under them, and one of them, too. The server is one of our own.
//!
//! Run: `cargo run -p example-redis --bin job_worker`. 200 jobs are in a list, and one more that nobody can read. Four
//! workers take them, one at a time. After a quarter, an answer of Redis to a worker is lost, and with it a job. Half-way,
//! Redis is killed (SIGKILL) and started again on the same port. The workers wait for it and go on. One of them is stopped
//! at the same moment, in the middle of a job, and started again later. It prints
//!
//! ```text
//! 4 workers take 200 jobs
//! Redis gives worker 1 a job after 52 jobs, and the answer is lost
//! Redis and worker 0 are killed after 101 jobs
//! Redis is back, and a job is done 34 ms later
//! errors of the workers: 3, such as: broken pipe
//! set aside in the list failed: "seven"
//! jobs: 200 added, 200 done, 0 lost, 2 left over, 1 begun twice
//! ```
//!
//! It fails if a job was lost.
//!
//! # Two kinds of use, one pool
//!
//! Each worker keeps one connection for `BLMOVE`, which waits in the server until there is a job. Nothing else can use
//! that connection meanwhile: on a shared one, everybody's commands would wait behind it. All other commands are short, and
//! borrow another connection of the same pool for a moment.
//!
//! The pool needs more connections than there are workers. If all were kept for waiting, no worker could finish a job, and
//! all would wait for each other.
//!
//! # Why no job is lost
//!
//! - `BLMOVE` moves a job into the worker's own list in one step. The job leaves that list in the transaction that
//!   writes its result. (Redis undoes nothing if one command of a transaction fails. `HSET` does so if the key has another
//!   type.)
//! - When a worker has no job in hand, what is in its own list was left over: it was stopped, or its connection broke. If
//!   the connection broke on the worker's side only, a `BLMOVE` goes on in Redis, and moves a job there later. The worker
//!   cannot know when. So it looks before it takes each job, and after each wait that ended without one.
//! - A worker needs the same name each time that it starts. If a name is never used again, move its list back to `jobs`.
//! - Redis writes each change to its disk before it answers (`appendfsync always`). By default, a power failure costs the
//!   last second. A replica that takes over may lack the last changes.
//!
//! So a job may be begun twice: its worker was cut off before the result was written. Jobs must bear that in any queue
//! that loses none.
//!
//! A job that cannot be read moves to the list `failed`, for people to look at. It would fail each time, and its worker would
//! do nothing else. After any other error, a worker pauses, takes a new connection, and begins the same job again.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, Direction, Pipeline, RedisError};
use servers::RedisServer;
use tokio::task::{AbortHandle, JoinSet, block_in_place};
use tokio::time::{sleep, timeout};
use wharf::{AcquireError, Backoff, Connector, Host, Pool, async_trait};

const WORKERS: usize = 4;
const JOBS: u32 = 200;
/// How long a worker waits in the server for a job.
const PATIENCE: f64 = 1.0;
/// How long it pauses after an error, so that errors in a row are no busy loop.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the next result may take after the restart.
const LIMIT: Duration = Duration::from_secs(10);

/// Of an acquire, or of a command.
type Failure = AcquireError<RedisError>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let redis = pool(&server.url())?.host(&());
    let jobs: Vec<u32> = (0..JOBS).collect();
    let () = redis.acquire().await?.lpush("jobs", "seven").await?;
    let () = redis.acquire().await?.lpush("jobs", jobs).await?;

    println!("{WORKERS} workers take {JOBS} jobs");
    let mut workers = JoinSet::new();
    let worker = |n| Worker { redis: redis.clone(), own: format!("processing:{n}") };
    let first = workers.spawn(worker(0).run());
    for n in 1..WORKERS {
        workers.spawn(worker(n).run());
    }
    lose_an_answer(&worker(1)).await?;
    kill_half_way(&mut server, &redis, &first).await?;
    workers.spawn(worker(0).run());

    let mut errors = Vec::new();
    while let Some(ended) = workers.join_next().await {
        errors.extend(ended.unwrap_or_default()); // The one that was killed has none.
    }
    if let Some(error) = errors.first() {
        println!("errors of the workers: {}, such as: {error}", errors.len());
    }
    report(&redis).await
}

/// A pool whose callers wait while Redis is down. It asks for it every 100 ms or so.
fn pool(url: &str) -> Result<Pool<Redis>, Box<dyn Error + Send + Sync>> {
    let backoff = Backoff::default().max(Duration::from_millis(100));
    let connector = Redis { client: Client::open(url)? };
    Ok(Pool::builder().max_per_host(WORKERS + 2).retry(backoff).build(connector)?)
}

struct Redis {
    client: Client,
}

#[async_trait]
impl Connector for Redis {
    type Key = ();
    type Connection = MultiplexedConnection;
    type Error = RedisError;

    async fn connect(&self, (): &()) -> Result<MultiplexedConnection, RedisError> {
        // The driver's own limit, 500 ms, is shorter than a worker waits for a job.
        let limit = Duration::from_secs_f64(2.0 * PATIENCE);
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn ping(&self, conn: &mut MultiplexedConnection) -> Result<(), RedisError> {
        redis::cmd("PING").query_async(conn).await
    }

    fn fmt_key(&self, (): &(), f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redis at {}", self.client.get_connection_info().addr())
    }
}

struct Worker {
    redis: Host<Redis>,
    /// The list of the jobs that it has taken and not done: one at most.
    own: String,
}

impl Worker {
    /// Works until there is no job, and returns the errors that it met. A worker in service would go on.
    async fn run(self) -> Vec<String> {
        let mut errors = Vec::new();
        while let Err(error) = self.work().await {
            errors.push(error.to_string());
            sleep(PAUSE).await;
        }
        errors
    }

    /// Keeps one connection for taking jobs, until it breaks. After an error the pool closes it.
    async fn work(&self) -> Result<(), Failure> {
        let kept = self.redis.acquire().label("take jobs").await?;
        kept.exchange(async |conn| {
            while let Some(job) = self.next(conn).await? {
                self.run_job(&job).await?;
            }
            Ok(())
        })
        .await
    }

    /// The next job. There is none if none has come for a while.
    async fn next(&self, conn: &mut MultiplexedConnection) -> Result<Option<Vec<u8>>, RedisError> {
        if let Some(job) = self.left_over(conn).await? {
            return Ok(Some(job));
        }
        match self.take(conn).await? {
            Some(job) => Ok(Some(job)),
            None => self.left_over(conn).await,
        }
    }

    /// The oldest job in the worker's own list. As long as the worker has none in hand, nobody does it.
    async fn left_over(
        &self,
        conn: &mut MultiplexedConnection,
    ) -> Result<Option<Vec<u8>>, RedisError> {
        let job: Option<Vec<u8>> = conn.lindex(&self.own, -1).await?;
        if job.is_some() {
            let () = conn.incr("left over", 1).await?;
        }
        Ok(job)
    }

    /// Moves a job into the worker's own list.
    async fn take(&self, conn: &mut MultiplexedConnection) -> Result<Option<Vec<u8>>, RedisError> {
        conn.blmove("jobs", &self.own, Direction::Right, Direction::Left, PATIENCE).await
    }

    async fn run_job(&self, job: &[u8]) -> Result<(), Failure> {
        let Some(number) = number(job) else {
            return self.end(job, redis::pipe().lpush("failed", job)).await;
        };
        let () = self.redis.acquire().await?.hincr("runs", number, 1).await?;
        sleep(Duration::from_millis(5)).await; // The work.
        self.end(job, redis::pipe().hset("results", number, square(number))).await
    }

    /// Writes what came of the job and forgets the job, both or neither.
    async fn end(&self, job: &[u8], both: &mut Pipeline) -> Result<(), Failure> {
        both.atomic().lrem(&self.own, 1, job);
        let connection = self.redis.acquire().label("end a job").await?;
        let () = connection.exchange(async |conn| both.query_async(conn).await).await?;
        Ok(())
    }
}

fn number(job: &[u8]) -> Option<u32> {
    std::str::from_utf8(job).ok()?.parse().ok()
}

fn square(number: u32) -> u64 {
    u64::from(number) * u64::from(number)
}

/// Has Redis move a job to a worker that does not hear of it. This happens when a connection breaks on the worker's side
/// only, while its `BLMOVE` waits.
async fn lose_an_answer(worker: &Worker) -> Result<(), Failure> {
    let done = wait_until_done(&worker.redis, JOBS / 4).await?;
    let _unheard = worker.take(&mut *worker.redis.acquire().await?).await?;
    println!("Redis gives worker 1 a job after {done} jobs, and the answer is lost");
    Ok(())
}

/// Kills Redis and a worker when half of the jobs are done, starts Redis again, and says how soon another job is done.
async fn kill_half_way(
    server: &mut RedisServer,
    redis: &Host<Redis>,
    worker: &AbortHandle,
) -> Result<(), Failure> {
    let done = wait_until_done(redis, JOBS / 2).await?;
    println!("Redis and worker 0 are killed after {done} jobs");
    worker.abort();
    block_in_place(|| server.stop());
    sleep(Duration::from_millis(500)).await;
    block_in_place(|| server.start_again());
    let back = Instant::now();
    match timeout(LIMIT, wait_until_done(redis, done + 1)).await {
        Ok(done) => {
            done?;
            println!("Redis is back, and a job is done {} ms later", back.elapsed().as_millis());
        }
        Err(_) => println!("Redis is back, and no other job is done in {LIMIT:?}"),
    }
    Ok(())
}

async fn wait_until_done(redis: &Host<Redis>, jobs: u32) -> Result<u32, Failure> {
    loop {
        let done = redis.acquire().await?.hlen("results").await?;
        if done >= jobs {
            return Ok(done);
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Counts what is in Redis. It fails if a job has no result, or the wrong one.
async fn report(redis: &Host<Redis>) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut connection = redis.acquire().await?;
    let results: HashMap<u32, u64> = connection.hgetall("results").await?;
    let runs: HashMap<u32, u32> = connection.hgetall("runs").await?;
    let failed: Vec<String> = connection.lrange("failed", 0, -1).await?;
    let left_over: Option<u32> = connection.get("left over").await?;
    let done = (0..JOBS).filter(|job| results.get(job) == Some(&square(*job))).count();
    let twice = runs.values().filter(|runs| **runs > 1).count();
    let (lost, left_over) = (JOBS as usize - done, left_over.unwrap_or_default());
    println!("set aside in the list failed: {:?}", failed.join(", "));
    println!(
        "jobs: {JOBS} added, {done} done, {lost} lost, {left_over} left over, {twice} begun twice"
    );
    if lost == 0 { Ok(()) } else { Err("a job was lost".into()) }
}
