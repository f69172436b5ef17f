//! Peers of full connections are asked for their limits, and connections with one lease each follow
//! `reuse`. (Behaviour 125.)

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use wharf::{Connector, Lease, Reuse, SharedConnector, SharedPool, Spread};

use crate::sharing::*;
use crate::support::*;

/// The scripted connector, which notes the connections whose limits are asked for.
struct Noting {
    connector: Many,
    asked: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl Connector for Noting {
    type Key = u32;
    type Connection = Arc<TestConnection>;
    type Error = TestError;

    async fn connect(&self, host: &u32) -> Result<Arc<TestConnection>, TestError> {
        self.connector.connect(host).await
    }

    async fn close(&self, connection: Arc<TestConnection>) {
        self.connector.close(connection).await;
    }
}

impl SharedConnector for Noting {
    fn max_leases(&self, connection: &Arc<TestConnection>) -> usize {
        self.asked.lock().push(connection.number);
        self.connector.max_leases(connection)
    }
}

#[tokio::test(start_paused = true)]
async fn each_caller_that_joins_the_queue_asks_at_most_four_full_peers_in_turn() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let connector = Many::new(TestConnector::new(), 2);
    let noting = Noting { connector, asked: asked.clone() };
    let pool = SharedPool::builder().max_per_host(10).build(noting).unwrap();
    let mut leases: Vec<Lease<Noting>> = Vec::new();
    for _ in 0..20 {
        leases.push(pool.acquire(&1).await.unwrap());
    }
    let (mut waiting, mut heard) = (Vec::new(), Vec::new());
    while heard.len() < 10 {
        asked.lock().clear();
        let mut acquire = pool.acquire(&1);
        assert!(poll(&mut acquire).is_pending());
        waiting.push(acquire);
        let asked = asked.lock();
        assert!((1..=4).contains(&asked.len()), "caller {} has asked {asked:?}", waiting.len());
        heard.extend(asked.iter().copied());
    }
    let mut all = heard[..10].to_vec();
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>(), "each is asked once before any is asked again");
}

/// Returns the numbers of connections that are lent one after another, of three that have returned
/// in the order of their numbers.
async fn lent(leases: usize, reuse: Reuse, spread: Spread) -> Vec<usize> {
    let stage = sharing_with(leases, |b| b.max_per_host(3).reuse(reuse).spread(spread));
    let mut all = stage.leases(3 * leases).await;
    all.sort_by_key(|lease| lease.number);
    for lease in all {
        drop(lease);
        quiet().await;
    }
    numbers(&stage.leases(3).await)
}

#[tokio::test(start_paused = true)]
async fn shared_connections_that_carry_one_lease_each_follow_reuse() {
    for spread in [Spread::OldestFirst, Spread::LeastLoaded] {
        assert_eq!(lent(1, Reuse::MostRecent, spread).await, [2, 1, 0], "{spread:?}");
        assert_eq!(lent(1, Reuse::LeastRecent, spread).await, [0, 1, 2], "{spread:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_oldest_connection_with_many_leases_is_filled_first_with_either_reuse() {
    for reuse in [Reuse::MostRecent, Reuse::LeastRecent] {
        assert_eq!(lent(2, reuse, Spread::OldestFirst).await, [0, 0, 1], "{reuse:?}");
    }
}
