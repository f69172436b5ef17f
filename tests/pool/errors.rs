//! What every error says, word for word, and what it has for a source.

use std::error::Error;
use std::task::Poll;
use std::time::Duration;

use tokio::time::sleep;
use wharf::{
    AcquireError, AddError, Backoff, HealthCheck, Heartbeat, Pool, PooledConnection, WarmError,
};

use crate::dials::dials;
use crate::support::*;

/// The sources below an error, the nearest first.
fn sources(error: &dyn Error) -> Vec<String> {
    let chain = std::iter::successors(error.source(), |&error| error.source());
    chain.map(ToString::to_string).collect()
}

/// What a time-out says, and whether the last dial's error is its source.
async fn time_out(pool: &TestPool, host: u32, patience: Duration) -> (String, bool) {
    let error = pool.acquire_within(&host, patience).await.unwrap_err();
    assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
    let sources = sources(&error);
    assert!(sources.is_empty() || sources == ["told to fail"], "{sources:?}");
    let hint = error.to_string().rsplit("; ").next().unwrap_or_default().to_owned();
    assert!(GUIDE.contains(&format!("\n| `{hint}` |")), "the guide does not explain: {hint}");
    (error.to_string(), !sources.is_empty())
}

async fn assert_time_out(pool: &TestPool, patience: Duration, expected: &str) {
    assert_eq!(time_out(pool, 1, patience).await, (expected.to_owned(), false));
}

/// What the guide says of time-outs.
const GUIDE: &str = include_str!("../../src/guide/timed_out.md");

/// Pings that are not answered, dials that take so long.
const PINGS: &str = "pings are not answered: look at the host, or lower ping_timeout";
const DIALS: &str = "dials are slow: look at the host, or raise acquire_timeout";
const LOANS: &str = "raise max_per_host or look for loans that are never returned";
const FAILS: &str = "dials fail: look at the host";

#[tokio::test(start_paused = true)]
async fn all_in_use() {
    let (pool, _) = pool_of(2);
    let line = line!() + 1;
    let _first = pool.acquire(&1).await.unwrap();
    sleep(secs(2)).await;
    let _second = pool.acquire(&1).await.unwrap();
    let longest = format!("acquired at {}:{line}", file!());
    let expected = format!(
        "timed out after 3.0 s waiting for a connection to 1: 2 of 2 in use, 0 idle, 0 dialing, \
         1 waiting; longest held 5.0 s, {longest}; {LOANS}"
    );
    assert_time_out(&pool, secs(3), &expected).await;
    // Two before it, one of which gives up, and three behind it.
    let mut gone = waiting(&pool, 1);
    let _before = waiting(&pool, 1);
    let mut acquire = pool.acquire_within(&1, secs(1));
    assert!(poll(&mut acquire).is_pending());
    let _behind = [waiting(&pool, 1), waiting(&pool, 1), waiting(&pool, 1)];
    assert!(poll(&mut gone).is_pending());
    drop(gone);
    let error = acquire.await.unwrap_err();
    let expected = format!(
        "timed out after 1.0 s waiting for a connection to 1: 2 of 2 in use, 0 idle, 0 dialing, \
         5 waiting (2 when this caller joined); longest held 6.0 s, {longest}; {LOANS}"
    );
    assert_eq!((error.to_string(), sources(&error)), (expected, vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_guide_begins_with_what_a_time_out_prints() {
    let connector = dials(|host: &String| Ok::<_, TestError>(host.clone()));
    let builder = Pool::builder().max_per_host(2).deadlock_warnings(false);
    let pool = builder.build(connector).unwrap();
    let place = format!("{}:{}", file!(), line!() + 1);
    let _held = [pool.acquire("db-1").await.unwrap(), pool.acquire("db-1").await.unwrap()];
    sleep(secs(5)).await;
    let error = pool.acquire_within("db-1", secs(2)).await.unwrap_err();
    let text = error.to_string().replace(&place, "src/orders.rs:81");
    assert!(GUIDE.replace('\n', " ").contains(&text), "{text}");
}

#[tokio::test(start_paused = true)]
async fn all_in_use_after_a_dial_has_failed() {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, Step::Error);
    assert!(pool.acquire(&1).await.is_err());
    pool.add(&1, connector.make(1)).unwrap();
    let line = line!() + 1;
    let _loan = pool.acquire(&1).await.unwrap();
    let expected = format!(
        "timed out after 4.0 s waiting for a connection to 1: 1 of 1 in use, 0 idle, 0 dialing, \
         1 waiting; longest held 4.0 s, acquired at {}:{line}; last dial error 4.0 s ago: told to \
         fail; {LOANS}",
        file!()
    );
    assert_eq!(time_out(&pool, 1, secs(4)).await, (expected, true));
}

#[tokio::test(start_paused = true)]
async fn dials_that_fail() {
    let backoff = Backoff::default().initial(secs(3)).max(secs(3)).jitter(0.0);
    let (pool, connector) = pool(|b| b.max_per_host(2).connect_timeout(secs(1)).retry(backoff));
    connector.once(Stage::Connect, Step::Error);
    let expected = format!(
        "timed out after 2.0 s waiting for a connection to 1: 0 of 2 in use, 0 idle, 0 dialing, \
         1 waiting; last dial error 2.0 s ago: told to fail; {FAILS}"
    );
    assert_eq!(time_out(&pool, 1, secs(2)).await, (expected, true));
    sleep(secs(5)).await;
    // A panic is not tried again where nothing else can serve.
    let _loan = pool.acquire(&1).await.unwrap();
    connector.once(Stage::Connect, Step::Panic);
    let (text, has_source) = time_out(&pool, 1, secs(2)).await;
    let expected =
        format!("; last dial error 2.0 s ago: the connector panicked while dialing; {FAILS}");
    assert!(text.ends_with(&expected) && !has_source, "{text}");
}

#[tokio::test(start_paused = true)]
async fn dials_that_are_slow() {
    let (pool, connector) = pool(|b| b.max_per_host(None).connect_timeout(None));
    let line = line!() + 1;
    let _loan = pool.acquire(&1).await.unwrap();
    connector.always(Stage::Connect, Step::Never);
    let expected = format!(
        "timed out after 1.0 s waiting for a dial to 1: 1 in use, 0 idle, 1 dialing, 1 waiting; \
         longest held 1.0 s, acquired at {}:{line}; {DIALS}",
        file!()
    );
    assert_time_out(&pool, secs(1), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn pings_that_are_not_answered() {
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    let expected = "timed out after 2.0 s waiting for a ping to 1: 0 of 1 in use, 1 idle, \
                    0 dialing, 1 waiting; ";
    assert_time_out(&pool, secs(2), &format!("{expected}{PINGS}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_that_is_not_answered() {
    let (pool, connector) = pool(|b| b.max_per_host(1).heartbeat(Heartbeat::every(secs(5))));
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Ping, Step::Never);
    sleep(secs(6)).await;
    let expected = format!(
        "timed out after 2.0 s waiting for a connection to 1: 0 of 1 in use, 1 idle, 0 dialing, \
         1 waiting; {PINGS}"
    );
    assert_time_out(&pool, secs(2), &expected).await;
}

#[tokio::test(start_paused = true)]
async fn closes_that_are_slow() {
    let (pool, connector) = pool_of(1);
    drop(pool.acquire(&1).await.unwrap());
    connector.once(Stage::Close, Step::Never);
    pool.close_idle();
    assert_time_out(
        &pool,
        secs(2),
        "timed out after 2.0 s waiting for a connection to 1: 0 of 1 in use, 0 idle, 0 dialing, \
         1 closing, 1 waiting; closes are slow: look at the host, or lower close_timeout",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cap_across_hosts() {
    let (pool, _) = pool(|b| b.max_total(1));
    let _loan = pool.acquire(&2).await.unwrap();
    assert_time_out(
        &pool,
        secs(2),
        "timed out after 2.0 s waiting for a connection to 1: 0 of 10 in use, 0 idle, 0 dialing, \
         1 waiting; a cap for all hosts leaves no room: raise max_total or max_dialing",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_time_to_wait() {
    let (pool, _) = pool_of(3);
    let expected = "timed out after 0.0 s waiting for a connection to 1: 0 of 3 in use, 0 idle, \
                    0 dialing, 0 waiting; nothing was idle, and the caller did not wait";
    assert_time_out(&pool, Duration::ZERO, expected).await;
    assert_eq!(pool.status().hosts, 0);
}

#[tokio::test(start_paused = true)]
async fn no_time_to_ping() {
    let (pool, _) = pool(|b| b.health_check(wharf::HealthCheck::Always).max_per_host(3));
    drop(pool.acquire(&1).await.unwrap());
    let expected = "timed out after 0.0 s waiting for a connection to 1: 0 of 3 in use, 1 idle, \
                    0 dialing, 0 waiting; idle connections have to answer a ping first, and the caller did not wait";
    assert_time_out(&pool, Duration::ZERO, expected).await;
}

/// Asks once, with what the connector does then.
async fn acquire(step: Step) -> (String, Vec<String>) {
    let (pool, connector) = pool_of(1);
    connector.once(Stage::Connect, step);
    let error = pool.acquire(&1).await.unwrap_err();
    (error.to_string(), sources(&error))
}

fn no_source(text: &str) -> (String, Vec<String>) {
    (text.to_owned(), vec![])
}

fn told_to_fail(text: &str) -> (String, Vec<String>) {
    (text.to_owned(), vec!["told to fail".to_owned()])
}

#[tokio::test(start_paused = true)]
async fn an_acquire_that_does_not_time_out() {
    let failed = acquire(Step::Error).await;
    assert_eq!(failed, told_to_fail("no connection to 1: told to fail"));
    let slow =
        "the dial to 1 took longer than connect_timeout (10 s); raise it or look at the network";
    assert_eq!(acquire(Step::Never).await, no_source(slow));
    let panicked = acquire(Step::Panic).await;
    let text = "the connector panicked while dialing 1; the panic hook has said why";
    assert_eq!(panicked, no_source(text));

    let (pool, _) = pool(|b| b.max_per_host(1).max_waiters_per_host(0));
    let _loan = pool.acquire(&1).await.unwrap();
    let full = pool.acquire(&1).await.unwrap_err();
    let text = "the queue for 1 is full: max_waiters_per_host (0) callers wait already; raise max_per_host or look \
                for loans that are never returned";
    assert_eq!((full.to_string(), sources(&full)), no_source(text));
    drop(pool.close());
    let closed = pool.acquire(&1).await.unwrap_err();
    assert_eq!((closed.to_string(), sources(&closed)), no_source("the pool is closed"));
}

const NO_RUNTIME: &str = "a dial needs a tokio runtime, and this thread is not in one";

#[test]
fn an_acquire_and_a_warm_in_no_runtime() {
    let (pool, _) = pool_of(1);
    let Poll::Ready(Err(acquire)) = poll(&mut pool.acquire(&1)) else { panic!("it waits") };
    assert_eq!((acquire.to_string(), sources(&acquire)), no_source(NO_RUNTIME));
    let Poll::Ready(Err(warm)) = poll(&mut pool.warm(&1, 1)) else { panic!("it waits") };
    assert_eq!((warm.to_string(), sources(&warm)), no_source(NO_RUNTIME));
}

async fn warm(pool: &TestPool, n: usize) -> (String, Vec<String>) {
    let error: WarmError<TestError> = pool.warm(&1, n).await.unwrap_err();
    (error.to_string(), sources(&error))
}

#[tokio::test(start_paused = true)]
async fn a_warm() {
    let (pool, connector) = pool_of(2);
    connector.once(Stage::Connect, Step::Error);
    assert_eq!(warm(&pool, 1).await, told_to_fail("no connection to 1: told to fail"));
    sleep(secs(60)).await;
    connector.always(Stage::Connect, Step::Never);
    let slow =
        "the dial to 1 took longer than connect_timeout (10 s); raise it or look at the network";
    assert_eq!(warm(&pool, 1).await, no_source(slow));
    connector.behave();
    sleep(secs(60)).await;
    connector.once(Stage::Connect, Step::Panic);
    let panicked = "the connector panicked while dialing 1; the panic hook has said why";
    assert_eq!(warm(&pool, 1).await, no_source(panicked));
    sleep(secs(60)).await;
    let full = warm(&pool, 3).await;
    assert_eq!(full, no_source("no room for 3 connections to 1: max_per_host is 2"));
    drop(pool.close());
    assert_eq!(warm(&pool, 1).await, no_source("the pool is closed"));
}

#[tokio::test(start_paused = true)]
async fn an_add() {
    let (pool, connector) = pool_of(1);
    let add = || -> AddError<_> { pool.add(&1, connector.make(1)).unwrap_err() };
    let loan = pool.acquire(&1).await.unwrap();
    let full = add();
    let text = "no room for another connection to 1: max_per_host (1), max_total or a limit of idle \
                connections is reached";
    assert_eq!((full.to_string(), sources(&full)), no_source(text));
    PooledConnection::discard(loan);
    drop(pool.close());
    let closed = add();
    assert_eq!((closed.to_string(), sources(&closed)), no_source("the pool is closed"));
    let dead = connector.make(1);
    dead.kill();
    let dead = pool.add(&1, dead).unwrap_err();
    assert_eq!(
        (dead.to_string(), sources(&dead)),
        no_source("the connection to 1 that was to be added is not open")
    );
}

/// Those of the builder that `settings` does not go through.
#[test]
fn a_setting() {
    let build = |set: fn(wharf::Builder) -> wharf::Builder| {
        let error = set(wharf::Pool::builder()).build(TestConnector::new()).unwrap_err();
        (error.to_string(), sources(&error))
    };
    let zero = |field: &str, none: &str| {
        no_source(&format!("{field} is 0s: it must be longer than zero; `None` means {none}"))
    };
    assert_eq!(build(|b| b.ping_timeout(secs(0))), zero("ping_timeout", "no limit"));
    assert_eq!(build(|b| b.slow_acquire(secs(0))), zero("slow_acquire", "not to warn"));
    assert_eq!(build(|b| b.leak_after(secs(0))), zero("leak_after", "not to warn"));
    let above = |cap: &str| {
        no_source(&format!("min_idle_per_host is 3: it must not be above {cap}, which is 2"))
    };
    assert_eq!(build(|b| b.min_idle_per_host(3).max_per_host(2)), above("max_per_host"));
    assert_eq!(build(|b| b.min_idle_per_host(3).max_idle(2)), above("max_idle"));
    assert_eq!(build(|b| b.min_idle_per_host(3).max_total(2)), above("max_total"));
    let (pool, _) = pool_of(1);
    let refused = pool.host(&1).set_max(0).unwrap_err();
    assert_eq!(refused.to_string(), "max_per_host is 0: it must be at least 1");
}
