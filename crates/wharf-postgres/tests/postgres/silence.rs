//! A network that swallows what its old connections carry, while new ones work: a partition that
//! outlives itself. Callers give up after a time of their own, and hand their connection back.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wharf::{Builder, HealthCheck, Heartbeat, Pool};
use wharf_postgres::tokio_postgres::Client;
use wharf_postgres::{PostgresConnector, Reset};

use crate::proxy::Proxy;
use crate::support::{Database, Loan, PostgresPool, acquire, needs_server, within_a_minute};

const CAP: usize = 4;
const SECOND: Duration = Duration::from_secs(1);
/// Far more than a request takes.
const PATIENCE: Duration = SECOND;
/// What each task asks after the freeze.
const REQUESTS: usize = 6;

/// A request of tokio-postgres' own, which nobody observes: that it was dropped leaves no trace, and
/// a connection without a reset is lent to the next caller as it is.
async fn is_answered(loan: &Loan) -> bool {
    let client: &Client = loan;
    matches!(timeout(PATIENCE, client.simple_query("SELECT 1")).await, Ok(Ok(_)))
}

/// Asks again and again. Returns how many requests failed, and whether the last one did.
async fn ask(pool: PostgresPool) -> (usize, bool) {
    let (mut failed, mut is_well) = (0, true);
    for _ in 0..REQUESTS {
        is_well = is_answered(&acquire(&pool).await).await;
        failed += usize::from(!is_well);
        // The connection is idle for a moment.
        sleep(Duration::from_millis(50)).await;
    }
    (failed, is_well)
}

/// Freezes every connection of a pool with these settings. Returns how many of the callers' requests
/// failed after that.
async fn failures(set: impl FnOnce(Builder) -> Builder) -> usize {
    let database = Database::new().await;
    let name = database.config().get_dbname().unwrap().to_owned();
    let proxy = Proxy::start(([127, 0, 0, 1], database.server().port()).into()).await;
    let url = format!("postgres://postgres@{}/{name}", proxy.address());
    let connector = PostgresConnector::builder(url.parse().unwrap()).reset(Reset::None);
    let builder = set(Pool::builder().max_per_host(CAP).ping_timeout(SECOND / 2));
    let pool = builder.build(connector.build().unwrap()).unwrap();
    let mut loans = Vec::new();
    for _ in 0..CAP {
        let loan = acquire(&pool).await;
        assert!(is_answered(&loan).await);
        loans.push(loan);
    }
    drop(loans);

    assert_eq!(proxy.freeze(), CAP);
    let tasks: JoinSet<_> = (0..CAP).map(|_| ask(pool.clone())).collect();
    let asked = within_a_minute(tasks.join_all()).await;
    let failed = asked.iter().map(|(failed, _)| failed).sum();
    assert!(asked.iter().all(|(_, is_well)| *is_well), "{failed} failed, the last ones too");
    failed
}

#[tokio::test]
async fn a_caller_that_gives_up_proves_nothing_to_a_health_check() {
    needs_server!();
    let failed = failures(|builder| builder.health_check(HealthCheck::IdleFor(SECOND))).await;
    assert!(failed <= 2 * CAP, "{failed} of {} failed", CAP * REQUESTS);
}

#[tokio::test]
async fn a_caller_that_gives_up_proves_nothing_to_a_heartbeat() {
    needs_server!();
    let heartbeat = Heartbeat::every(SECOND).timeout(SECOND / 2).max_missed(1);
    let failed = failures(|builder| builder.heartbeat(heartbeat)).await;
    assert!(failed <= 2 * CAP, "{failed} of {} failed", CAP * REQUESTS);
}
