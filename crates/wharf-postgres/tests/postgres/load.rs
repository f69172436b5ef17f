//! Many small queries through few connections.

use tokio::task::JoinSet;

use crate::support::{Database, assert_nothing_leaked, needs_server};

const TASKS: i64 = 64;
const CAP: usize = 8;

/// For each task: fewer without optimisation, which is several times slower. `WHARF_TEST_QUERIES`
/// sets it.
fn queries() -> i64 {
    match std::env::var("WHARF_TEST_QUERIES") {
        Ok(n) => n.parse().expect("WHARF_TEST_QUERIES is a number"),
        Err(_) if cfg!(debug_assertions) => 2_000,
        Err(_) => 10_000,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_tasks_get_their_own_answers_over_eight_connections() {
    needs_server!();
    let database = Database::new().await;
    let pool = database.pool(CAP);
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let pool = pool.clone();
        tasks.spawn(async move {
            for nth in 0..queries() {
                let number = task * 1_000_000 + nth;
                let loan = pool.acquire(&()).await.unwrap();
                let row = loan.query_one_cached("SELECT $1::int8", &[&number]).await.unwrap();
                assert_eq!(row.get::<_, i64>(0), number);
            }
        });
    }
    tasks.join_all().await;
    let status = pool.status();
    assert!(status.dials <= CAP as u64, "{} dials", status.dials);
    assert_eq!((status.failed_dials, status.closed), (0, 0));
    assert_nothing_leaked(&pool, &database.session().await).await;
}
