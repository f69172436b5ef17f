//! A wrapper around a manager, written as the guide says: what one borrower leaves never reaches the next.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

use std::fmt;
use std::io;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleResult};
use wharf::{Connector, HealthCheck, Pool, Wrapper};
use wharf_deadpool::Deadpool;

/// Its objects keep what their borrowers say, until they are recycled.
struct Diaries;

impl Manager for Diaries {
    type Type = Vec<String>;
    type Error = io::Error;

    async fn create(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn recycle(&self, diary: &mut Vec<String>, _: &Metrics) -> RecycleResult<io::Error> {
        diary.clear();
        Ok(())
    }
}

/// Has a name for errors.
struct Named<C>(C);

impl<C: Connector> Wrapper for Named<C> {
    type Inner = C;

    fn inner(&self) -> &C {
        &self.0
    }

    fn fmt_key(&self, _: &C::Key, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the diaries")
    }
}

fn pool(check: HealthCheck) -> Pool<Named<Deadpool<Diaries>>> {
    let builder = Pool::builder().max_per_host(1).health_check(check);
    builder.build(Named(Deadpool::new(Diaries))).unwrap()
}

const CHECKS: [HealthCheck; 3] =
    [HealthCheck::AsNeeded, HealthCheck::Never, HealthCheck::IdleFor(Duration::from_secs(60))];

#[tokio::test(start_paused = true)]
async fn the_next_borrower_reads_nothing_of_the_one_before() {
    for check in CHECKS {
        let pool = pool(check);
        pool.acquire(&()).await.unwrap().push("the secret of borrower 1".to_owned());
        assert_eq!(**pool.acquire(&()).await.unwrap(), [""; 0], "{check:?}");
        assert_eq!(pool.status().dials, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_borrower_who_waits_reads_nothing_of_the_one_before() {
    for check in CHECKS {
        let pool = pool(check);
        let mut first = pool.acquire(&()).await.unwrap();
        let waits = tokio::spawn(pool.acquire(&()));
        tokio::time::sleep(Duration::from_millis(1)).await;
        first.push("the secret of borrower 1".to_owned());
        drop(first);
        assert_eq!(**waits.await.unwrap().unwrap(), [""; 0], "{check:?}");
        assert_eq!(pool.status().dials, 1);
    }
}
