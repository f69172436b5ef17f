//! Servers that die, and sessions that are ended from outside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time;
use wharf::Backoff;
use wharf_postgres::tokio_postgres::error::SqlState;

use crate::cuts::Cuts;
use crate::support::{
    Database, PostgresPool, SLEEPING, acquire, assert_nothing_leaked, in_full, needs_server,
    pool_on, process, session, until, within_a_minute,
};
use servers::Server;

const CAP: usize = 8;

/// Work without end: tasks that query until they are told to stop, and count.
struct Work {
    tasks: JoinSet<()>,
    answered: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

impl Work {
    fn begin(pool: &PostgresPool) -> Self {
        let mut work = Work {
            tasks: JoinSet::new(),
            answered: Arc::default(),
            failed: Arc::default(),
            over: Arc::default(),
        };
        for _ in 0..32 {
            let pool = pool.clone();
            let (answered, failed, over) =
                (work.answered.clone(), work.failed.clone(), work.over.clone());
            work.tasks.spawn(async move {
                while !over.load(Ordering::Relaxed) {
                    let loan =
                        pool.acquire(&()).await.unwrap_or_else(|e| panic!("{}", in_full(&e)));
                    let answer = loan.query_one_cached("SELECT 1", &[]).await;
                    let count = if answer.is_ok() { &answered } else { &failed };
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        work
    }

    /// Waits for this many more answers.
    async fn goes_on(&self, answers: usize) {
        let wanted = self.answered.load(Ordering::Relaxed) + answers;
        within_a_minute(async {
            while self.answered.load(Ordering::Relaxed) < wanted {
                time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }

    /// How many requests had no answer.
    async fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        within_a_minute(self.tasks.join_all()).await;
        self.failed.load(Ordering::Relaxed)
    }
}

/// Lets work go on while the server goes away and comes back.
async fn outage(go: fn(&mut Server)) {
    let mut server = Server::start(&["max_connections=20"]);
    let backoff =
        Backoff::default().initial(Duration::from_millis(10)).max(Duration::from_millis(100));
    let pool = pool_on(&server, |builder| builder.max_per_host(CAP).retry(backoff));
    let work = Work::begin(&pool);
    for _ in 0..2 {
        work.goes_on(200).await;
        server = tokio::task::spawn_blocking(move || {
            go(&mut server);
            server.start_again();
            server
        })
        .await
        .unwrap();
    }
    work.goes_on(200).await;

    // At most what was on its way: one request for each connection, each time.
    let failed = work.end().await;
    assert!(failed <= 2 * CAP, "{failed} requests failed");
    assert!(pool.status().closed >= 2, "no connection was lost");
    let looker = session(server.url().parse().unwrap()).await;
    assert!(pool.status().idle > 0);
    assert_nothing_leaked(&pool, &looker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_after_the_server_was_killed_and_started_again() {
    needs_server!();
    outage(Server::kill).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_after_the_server_was_shut_down_and_started_again() {
    needs_server!();
    outage(Server::stop).await;
}

#[tokio::test]
async fn idle_connections_whose_sessions_were_ended_are_not_lent() {
    needs_server!();
    let database = Database::new().await;
    let session = database.session().await;
    let pool = database.pool(4);
    let mut loans = Vec::new();
    for _ in 0..4 {
        let loan = acquire(&pool).await;
        process(&loan).await;
        loans.push(loan);
    }
    drop(loans);
    assert_eq!(pool.status().idle, 4);

    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()";
    assert_eq!(session.execute(end, &[]).await.unwrap(), 4);
    // The news has to come first.
    within_a_minute(async {
        let mut alive = 4;
        while alive > 0 {
            alive = 0;
            pool.retain(|(), connection, _| {
                alive += usize::from(!connection.is_closed());
                true
            });
            time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;

    assert!(pool.try_acquire(&()).is_none());
    process(&acquire(&pool).await).await;
    let status = pool.status();
    assert_eq!((status.closed, status.dials), (4, 5));
    assert_nothing_leaked(&pool, &session).await;
}

#[tokio::test]
async fn busy_connections_whose_sessions_are_ended_fail_their_borrower_alone() {
    needs_server!();
    let database = Database::new().await;
    let session = database.session().await;
    let pool = database.pool(2);
    let (doomed, other) = (acquire(&pool).await, acquire(&pool).await);
    let id = process(&doomed).await;
    let waiter = tokio::spawn({
        let pool = pool.clone();
        async move { process(&acquire(&pool).await).await }
    });
    let (slept, ended) = within_a_minute(async {
        tokio::join!(doomed.query("SELECT pg_sleep(600)", &[]), async {
            until(&session, SLEEPING, 1).await;
            session.execute("SELECT pg_terminate_backend($1)", &[&id]).await
        },)
    })
    .await;
    ended.unwrap();
    assert_eq!(slept.unwrap_err().code(), Some(&SqlState::ADMIN_SHUTDOWN));
    drop(doomed);

    // The waiter gets one that was dialed in its place.
    assert_ne!(within_a_minute(waiter).await.unwrap(), id);
    process(&other).await;
    drop(other);
    assert_nothing_leaked(&pool, &session).await;
}

/// Ten thousand of them: `cargo bench -p wharf-benches-alone --features postgres --bench cuts`.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_finds_anything_of_what_others_left_when_they_were_cut_off() {
    needs_server!();
    let seed = std::env::var("WHARF_SEED").map_or(7, |seed| seed.parse().expect("a number"));
    let report = Cuts { seed, number: 600, restarts: 2 }.run().await;
    println!("seed {seed}\n{report}");
}
