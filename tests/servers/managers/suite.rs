//! What must hold for every manager on every server.

use std::collections::HashSet;
use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use wharf::{AcquireError, Backoff, Builder, Connector, HealthCheck, Pool, PooledConnection};

/// A manager, and the server that it is for.
pub(crate) trait Subject: Sized {
    type Connector: Connector<Key = ()>;

    /// Whether the server can be started. If not, the test is named as skipped.
    fn is_installed_or_skip() -> bool;
    async fn start() -> Self;
    fn connector(&self) -> Self::Connector;

    /// What the server calls the session; none when the connection is dead.
    fn session(connection: &mut Connection<Self>) -> impl Future<Output = Option<i64>> + Send;

    /// The sessions of clients that the server has, other than the test's own.
    async fn count_sessions(&self) -> usize;
    /// The server ends them.
    async fn kill_sessions(&self);
    async fn stop(&mut self);
    async fn start_again(&mut self);
}

pub(crate) type Connection<S> = <<S as Subject>::Connector as Connector>::Connection;

/// Makes each test of the suite one of the module's.
macro_rules! suite {
    ($subject:ty) => {
        crate::suite::suite!($subject: a_connection_is_lent_again_and_as_many_as_are_needed_are_made,
            many_callers_share_a_few_connections,
            an_idle_connection_that_the_server_ended_is_replaced,
            a_borrower_whose_connection_is_ended_sees_it_and_the_next_one_is_served,
            a_server_that_is_down_is_an_error_and_after_its_restart_all_is_well,
            a_caller_waits_for_a_server_that_starts_again,
            nothing_is_left_on_the_server_when_the_pool_is_closed);
    };
    ($subject:ty: $($test:ident),*) => {
        $(
            #[tokio::test]
            async fn $test() {
                // Installing it may take longer than a test.
                if !<$subject as crate::suite::Subject>::is_installed_or_skip() {
                    return;
                }
                crate::suite::soon(crate::suite::$test::<$subject>()).await;
            }
        )*
    };
}
pub(crate) use suite;

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("this should not hang")
}

/// As bb8 and deadpool do: each connection is checked before it is lent.
fn pool<S: Subject>(subject: &S, set: impl FnOnce(Builder) -> Builder) -> Pool<S::Connector> {
    set(Pool::builder().health_check(HealthCheck::Always)).build(subject.connector()).unwrap()
}

async fn session<S: Subject>(loan: &mut PooledConnection<S::Connector>) -> i64 {
    S::session(loan).await.expect("the connection works")
}

async fn until_sessions<S: Subject>(subject: &S, wanted: usize) {
    while subject.count_sessions().await != wanted {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) async fn a_connection_is_lent_again_and_as_many_as_are_needed_are_made<S: Subject>() {
    let subject = S::start().await;
    let pool = pool(&subject, |b| b);
    let mut first = pool.acquire(&()).await.unwrap();
    let one = session::<S>(&mut first).await;
    drop(first);
    let mut first = pool.acquire(&()).await.unwrap();
    assert_eq!(session::<S>(&mut first).await, one);
    let mut second = pool.acquire(&()).await.unwrap();
    assert_ne!(session::<S>(&mut second).await, one);
    let status = pool.status();
    assert_eq!((status.dials, status.in_use, status.failed_pings), (2, 2, 0));
    assert_eq!(subject.count_sessions().await, 2);
}

pub(crate) async fn many_callers_share_a_few_connections<S: Subject>() {
    let subject = S::start().await;
    let pool = pool(&subject, |b| b.max_per_host(3));
    // Each keeps its connection until three are lent: else two may serve all before the third is made.
    let three = Arc::new(Barrier::new(3));
    let mut callers = JoinSet::new();
    for _ in 0..60 {
        let (acquire, three) = (pool.acquire(&()), three.clone());
        callers.spawn(async move {
            let mut loan = acquire.await.unwrap();
            three.wait().await;
            session::<S>(&mut loan).await
        });
    }
    let sessions: HashSet<_> = callers.join_all().await.into_iter().collect();
    assert_eq!(sessions.len(), 3);
    assert_eq!((pool.status().dials, pool.status().idle), (3, 3));
}

pub(crate) async fn an_idle_connection_that_the_server_ended_is_replaced<S: Subject>() {
    let subject = S::start().await;
    let pool = pool(&subject, |b| b);
    let mut loan = pool.acquire(&()).await.unwrap();
    let dead = session::<S>(&mut loan).await;
    drop(loan);
    subject.kill_sessions().await;

    let mut loan = pool.acquire(&()).await.unwrap();
    assert_ne!(session::<S>(&mut loan).await, dead);
    let status = pool.status();
    assert_eq!((status.dials, status.closed), (2, 1));
}

pub(crate) async fn a_borrower_whose_connection_is_ended_sees_it_and_the_next_one_is_served<
    S: Subject,
>() {
    let subject = S::start().await;
    let pool = pool(&subject, |b| b.max_per_host(1));
    let mut loan = pool.acquire(&()).await.unwrap();
    session::<S>(&mut loan).await;
    let next = pool.acquire(&());
    subject.kill_sessions().await;
    assert_eq!(S::session(&mut loan).await, None);
    PooledConnection::discard(loan);

    let mut loan = next.await.unwrap();
    session::<S>(&mut loan).await;
    assert_eq!(pool.status().dials, 2);
}

pub(crate) async fn a_server_that_is_down_is_an_error_and_after_its_restart_all_is_well<
    S: Subject,
>() {
    let mut subject = S::start().await;
    let pool = pool(&subject, |b| b.max_per_host(3));
    let mut loans = Vec::new();
    for _ in 0..3 {
        loans.push(pool.acquire(&()).await.unwrap());
    }
    drop(loans);
    subject.stop().await;
    let error = pool.acquire(&()).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect(_)), "{error}");
    assert!(error.source().is_some_and(|cause| !cause.to_string().is_empty()));

    subject.start_again().await;
    let mut loans = Vec::new();
    for _ in 0..3 {
        let mut loan = pool.acquire(&()).await.unwrap();
        session::<S>(&mut loan).await;
        loans.push(loan);
    }
    assert_eq!(pool.status().in_use, 3);
    assert_eq!(subject.count_sessions().await, 3);
}

pub(crate) async fn a_caller_waits_for_a_server_that_starts_again<S: Subject>() {
    let mut subject = S::start().await;
    let backoff =
        Backoff::default().initial(Duration::from_millis(20)).max(Duration::from_millis(100));
    let pool = pool(&subject, |b| b.retry(backoff).acquire_timeout(Duration::from_secs(60)));
    drop(pool.acquire(&()).await.unwrap());
    subject.stop().await;
    let waiting = tokio::spawn(pool.acquire(&()));
    while pool.status().failed_dials < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(!waiting.is_finished());

    subject.start_again().await;
    session::<S>(&mut waiting.await.unwrap().unwrap()).await;
}

pub(crate) async fn nothing_is_left_on_the_server_when_the_pool_is_closed<S: Subject>() {
    let subject = S::start().await;
    let pool = pool(&subject, |b| b);
    let idle = pool.acquire(&()).await.unwrap();
    let lent = pool.acquire(&()).await.unwrap();
    drop(idle);
    until_sessions(&subject, 2).await;

    let closing = pool.close();
    until_sessions(&subject, 1).await;
    drop(lent);
    closing.await;
    until_sessions(&subject, 0).await;
    assert!(matches!(pool.acquire(&()).await, Err(AcquireError::Closed)));
}
