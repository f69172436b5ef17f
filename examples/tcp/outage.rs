//! A server that stops under load, and comes back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wharf::tcp::TcpConnector;
use wharf::{Backoff, Host, Pool, PoolStatus};

use crate::chart::Chart;
use crate::request::request;
use crate::screen::{say, watched, wrapped};
use crate::server::Server;
use crate::units::{count, time};
use crate::{Failure, MAX_PER_HOST, TASKS};

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the server runs, is away, and runs again.
const BEFORE: Duration = Duration::from_millis(1500);
const AWAY: Duration = Duration::from_millis(2500);
const AFTER: Duration = Duration::from_secs(2);
/// What takes longer than this does not happen any more.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn show() -> Result<(), Failure> {
    println!(
        "Now the server stops while {TASKS} tasks send requests, and comes back. A caller waits for up to\n\
         {}, and the pool dials again meanwhile (its settings acquire_timeout and retry).\n",
        time(ACQUIRE_TIMEOUT)
    );
    let pool = Pool::builder()
        .max_per_host(MAX_PER_HOST)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .retry(Backoff::default())
        .build(TcpConnector::new())?;
    let server = Server::start()?;
    let (tell, told) = mpsc::channel(1);
    let load = Arc::new(Load::new(tell));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        tasks.spawn(load.clone().run(pool.host(&server.address())));
    }
    let mut chart = Chart::new();
    let outage = Outage { begin: Instant::now(), server, load: &load, told };
    let marks =
        watched(outage.play(), || chart.draw(load.answered.load(Ordering::Relaxed))).await?;
    let status = pool.status();
    tasks.shutdown().await;

    say(format_args!(
        "\nrequests answered, a column for each tenth of a second (the highest: {} a second)",
        chart.most()
    ));
    say(chart.with_marks(&marks));
    sum_up(&status, &load);
    Ok(())
}

fn sum_up(status: &PoolStatus, load: &Load) {
    say(format_args!(
        "\nIn all: {} loans of {} connections; timed out: {}; dials refused: {}; requests cut: {}.",
        count(status.acquired),
        status.dials - status.failed_dials,
        status.timed_out,
        status.failed_dials,
        load.cut.load(Ordering::Relaxed),
    ));
}

/// What the callers do, and what became of it.
struct Load {
    answered: AtomicU64,
    cut: AtomicU64,
    answer: Notify,
    /// For the error of the first caller without a connection.
    tell: mpsc::Sender<String>,
}

impl Load {
    fn new(tell: mpsc::Sender<String>) -> Self {
        Load { answered: AtomicU64::new(0), cut: AtomicU64::new(0), answer: Notify::new(), tell }
    }

    /// One caller: sends requests one after the other, without end.
    async fn run(self: Arc<Self>, host: Host<TcpConnector>) {
        loop {
            match host.acquire().await {
                Ok(connection) => self.count(connection.exchange(request).await.is_ok()),
                Err(error) => {
                    let _ = self.tell.try_send(error.to_string());
                }
            }
        }
    }

    fn count(&self, is_answered: bool) {
        if is_answered {
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.answer.notify_waiters();
        } else {
            self.cut.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What happens to the server, told as it happens.
struct Outage<'a> {
    begin: Instant,
    server: Server,
    load: &'a Load,
    told: mpsc::Receiver<String>,
}

impl Outage<'_> {
    /// Returns when the server stopped, and when it was back.
    async fn play(self) -> Result<[(Instant, &'static str); 2], Failure> {
        let Outage { begin, server, load, mut told } = self;
        let say_when =
            |text: &str| say(format_args!("{:4.1} s  {text}", begin.elapsed().as_secs_f64()));

        sleep(BEFORE).await;
        say_when("the server stops: its port is closed, and its connections are cut");
        let stopped = Instant::now();
        let server = server.stop().await?;
        let _ = told.try_recv(); // Of before, where the machine is very busy.

        let error =
            timeout(LIMIT, told.recv()).await.ok().flatten().ok_or("no caller timed out")?;
        say_when("the first caller times out, and its error says why:");
        say(wrapped(&error, "        "));

        sleep_until(stopped + AWAY).await;
        let answered = load.answer.notified();
        let back = Instant::now();
        let _server = server.start_again()?;
        say_when("the server is back");
        timeout(LIMIT, answered).await.map_err(|_| "the pool did not serve again")?;
        let took = back.elapsed();
        say_when(&format!("a request is answered again, {} after the server's return", time(took)));

        sleep(AFTER).await;
        Ok([(stopped, "the server stops"), (back, "it is back")])
    }
}
