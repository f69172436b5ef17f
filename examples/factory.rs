//! A pool made from closures: one that makes a connection, one that pings it, one that closes it.
//!
//! ```text
//! cargo run --example factory
//! ```
//!
//! The connections are made up: each is a pipe inside this process, with a server at its far end
//! that says back what it hears. 5 are dialed at once, up to 30 may be open, and one that is idle
//! for 15 seconds is closed. 100 tasks use the pool three times each. It prints who was the first
//! to use each connection; then how many were made, how often they were lent, how many are idle and
//! how often one was pinged; and, when the pool is closed, its report and how many connections said goodbye.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time;
use wharf::{HealthCheck, Pool, PooledConnection, connector_fn};

const TASKS: usize = 100;
const ROUNDS: usize = 3;

/// One end of a pipe whose other end is a server.
struct Connection {
    id: usize,
    pipe: BufReader<DuplexStream>,
}

impl Connection {
    /// Starts a server, and connects to it.
    fn open(id: usize) -> Self {
        let (near, far) = duplex(256);
        tokio::spawn(serve(far));
        Connection { id, pipe: BufReader::new(near) }
    }

    async fn ask(&mut self, question: &str) -> io::Result<String> {
        self.pipe.write_all(format!("{question}\n").as_bytes()).await?;
        let mut answer = String::new();
        self.pipe.read_line(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }

    async fn ping(&mut self) -> io::Result<()> {
        match self.ask("ping").await?.as_str() {
            "ping" => Ok(()),
            answer => Err(io::Error::other(format!("a ping was answered by {answer:?}"))),
        }
    }
}

/// Says back each line, taking a little time for it.
async fn serve(pipe: DuplexStream) -> io::Result<()> {
    let mut pipe = BufReader::new(pipe);
    let mut line = String::new();
    while pipe.read_line(&mut line).await? > 0 {
        time::sleep(Duration::from_millis(2)).await;
        pipe.write_all(line.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let opened = Arc::new(AtomicUsize::new(0));
    let parted = Arc::new(AtomicUsize::new(0));

    let make = {
        let opened = opened.clone();
        move |()| {
            let id = opened.fetch_add(1, Ordering::Relaxed) + 1;
            async move { Ok::<_, io::Error>(Connection::open(id)) }
        }
    };
    let close = {
        let parted = parted.clone();
        move |mut connection: Connection| {
            let parted = parted.clone();
            async move {
                if connection.ask("goodbye").await.is_ok() {
                    parted.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let connector =
        connector_fn(make).with_ping(|connection| Box::pin(connection.ping())).with_close(close);

    let pool = Pool::builder()
        .initial_per_host(5)
        .max_per_host(30)
        .idle_timeout(Duration::from_secs(15))
        .health_check(HealthCheck::Always)
        .build(connector)?;

    // There is one host only, so it has no name: its key is `()`.
    let host = pool.host(&());
    let mut tasks = JoinSet::new();
    for task in 1..=TASKS {
        let host = host.clone();
        tasks.spawn(async move {
            for round in 1..=ROUNDS {
                let connection = host.acquire().await?;
                if !PooledConnection::info(&connection).reused {
                    println!("task {task:>3} is the first to use connection {}", connection.id);
                }
                let question = format!("task {task}, round {round}");
                // A task that ended half-way would take its connection with it: nobody else reads its answer.
                let exchange = async |connection: &mut Connection| connection.ask(&question).await;
                let answer = connection.exchange(exchange).await?;
                if answer != question {
                    return Err(format!("{question:?} was answered by {answer:?}").into());
                }
                // By then, the connection is pinged and goes to the task that has waited longest.
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        });
    }
    while let Some(outcome) = tasks.join_next().await {
        outcome??;
    }

    // One after the other: each finds an idle connection, which is pinged before it is lent.
    for _ in 0..10 {
        drop(host.acquire().await?);
    }

    let status = host.status();
    let opened = opened.load(Ordering::Relaxed);
    println!();
    println!("made:   {opened} connections, for {TASKS} tasks; {} is the most", status.max);
    println!("lent:   {} times; {} callers had to wait", TASKS * ROUNDS + 10, status.waited);
    println!("idle:   {} connections", status.idle);
    println!("pinged: {} times, before each loan of a connection that was not new", status.pings);

    let report = pool.close_within(Duration::from_secs(5)).await;
    println!("closed: {} connections said goodbye", parted.load(Ordering::Relaxed));
    println!(
        "report: complete: {}, loans: {}, dialing: {}, closing: {}",
        report.complete,
        report.loans.len(),
        report.dialing,
        report.closing
    );
    Ok(())
}
