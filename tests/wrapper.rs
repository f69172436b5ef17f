//! A wrapper forwards every method of a connector that it does not have itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wharf::test_util::{SharedTestConnector, TestConnector, TestError};
use wharf::{Connector, HealthCheck, Pool, SharedConnector, SharedPool, Wrapper, async_trait};

/// A trait or an implementation in a source of `src/policy`, from this head to its end.
fn block(file: &str, head: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy").join(file);
    let text = fs::read_to_string(path).unwrap();
    let begin = text.find(&format!("\n{head}")).unwrap_or_else(|| panic!("{file} has no {head}"));
    text[begin..].split("\n}\n").next().unwrap().to_owned()
}

/// The names of its functions.
fn methods(block: &str) -> BTreeSet<&str> {
    let lines = block.lines().map(str::trim_start);
    let heads = lines.filter_map(|line| line.trim_start_matches("async ").strip_prefix("fn "));
    heads.map(|head| head.split(['(', '<']).next().unwrap()).collect()
}

#[test]
fn a_wrapper_has_every_method_of_a_connector_and_one_more() {
    let connector = block("connector.rs", "pub trait Connector:");
    let shared = block("shared_connector.rs", "pub trait SharedConnector:");
    let mut wanted = methods(&connector);
    wanted.extend(methods(&shared));
    assert!(wanted.len() > 14, "{wanted:?}");
    wanted.insert("inner");
    assert_eq!(methods(&block("wrapper.rs", "pub trait Wrapper:")), wanted);
}

/// One that is not forwarded there has the default of `Connector`, though the wrapper has it.
#[test]
fn as_a_connector_a_wrapper_has_all_of_its_methods_and_passes_each_on_to_the_one_of_that_name() {
    let wrapper = block("wrapper.rs", "pub trait Wrapper:");
    for (file, of_trait, of_wrapper) in [
        ("connector.rs", "pub trait Connector:", "impl<W: Wrapper> Connector for W "),
        (
            "shared_connector.rs",
            "pub trait SharedConnector:",
            "impl<W: Wrapper<Inner: SharedConnector>> SharedConnector for W ",
        ),
    ] {
        let (wanted, forwarding) = (block(file, of_trait), block("wrapper.rs", of_wrapper));
        assert_eq!(methods(&forwarding), methods(&wanted));
        for name in methods(&wanted) {
            assert!(forwarding.contains(&format!("Wrapper::{name}(self")), "{name}");
            assert!(wrapper.contains(&format!("self.inner().{name}(")), "{name}");
        }
    }
}

/// Changes nothing.
struct Plain<C>(C);

impl<C: Connector> Wrapper for Plain<C> {
    type Inner = C;

    fn inner(&self) -> &C {
        &self.0
    }
}

/// Answers each question in another way than a connector does by default.
struct Odd;

#[async_trait]
impl Connector for Odd {
    type Key = u8;
    type Connection = Vec<&'static str>;
    type Error = std::io::Error;

    async fn connect(&self, _: &u8) -> std::io::Result<Vec<&'static str>> {
        Ok(vec!["connect"])
    }

    async fn ping(&self, conn: &mut Vec<&'static str>) -> std::io::Result<()> {
        conn.push("ping");
        Err(std::io::ErrorKind::TimedOut.into())
    }

    async fn reset(&self, conn: &mut Vec<&'static str>) -> std::io::Result<()> {
        conn.push("reset");
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn is_doubted(&self, _: &Vec<&'static str>) -> bool {
        true
    }

    fn needs_reset(&self, _: &Vec<&'static str>) -> bool {
        true
    }

    fn pings_each_loan(&self) -> bool {
        true
    }

    fn is_open(&self, conn: &mut Vec<&'static str>) -> bool {
        conn.push("is_open");
        false
    }

    fn notices_close(&self) -> bool {
        true
    }

    fn has_failed(&self, conn: &mut Vec<&'static str>) -> bool {
        conn.push("has_failed");
        true
    }

    fn last_heard(&self, _: &Vec<&'static str>) -> Option<tokio::time::Instant> {
        Some(tokio::time::Instant::now())
    }

    fn peer_addr(&self, _: &Vec<&'static str>) -> Option<std::net::SocketAddr> {
        Some(([192, 0, 2, 1], 7).into())
    }

    fn is_retryable(&self, _: &std::io::Error) -> bool {
        false
    }

    fn fmt_key(&self, key: &u8, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "key {key}")
    }

    async fn close(&self, conn: Vec<&'static str>) {
        // A connection that has seen everything is never closed so.
        assert!(conn.is_empty(), "closed");
    }
}

impl SharedConnector for Odd {
    fn max_leases(&self, _: &Vec<&'static str>) -> usize {
        7
    }

    fn expected_leases(&self, key: &u8) -> usize {
        usize::from(*key)
    }
}

/// A key as its connector shows it.
struct Shown<'a, C: Connector>(&'a C, &'a C::Key);

impl<C: Connector> std::fmt::Display for Shown<'_, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt_key(self.1, f)
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_that_changes_nothing_answers_as_the_connector_in_it() {
    let wrapped = Plain(Plain(Odd));
    let mut conn = Connector::connect(&wrapped, &3).await.unwrap();
    assert!(Connector::ping(&wrapped, &mut conn).await.is_err());
    assert!(Connector::reset(&wrapped, &mut conn).await.is_err());
    assert!(!Connector::is_open(&wrapped, &mut conn));
    assert!(Connector::has_failed(&wrapped, &mut conn));
    assert_eq!(conn, ["connect", "ping", "reset", "is_open", "has_failed"]);

    assert!(Connector::needs_reset(&wrapped, &conn) && Connector::pings_each_loan(&wrapped));
    assert!(Connector::is_doubted(&wrapped, &conn));
    assert!(Connector::notices_close(&wrapped));
    assert_eq!(Connector::last_heard(&wrapped, &conn), Some(tokio::time::Instant::now()));
    assert_eq!(Connector::peer_addr(&wrapped, &conn), Odd.peer_addr(&conn));
    assert!(!Connector::is_retryable(&wrapped, &std::io::ErrorKind::TimedOut.into()));
    assert_eq!(Shown(&wrapped, &3).to_string(), "key 3");
    assert_eq!(SharedConnector::max_leases(&wrapped, &conn), 7);
    assert_eq!(SharedConnector::expected_leases(&wrapped, &3), 3);

    let close = tokio::spawn(async move { Connector::close(&wrapped, conn).await });
    assert!(close.await.unwrap_err().is_panic());
}

#[tokio::test]
async fn a_wrapper_of_a_connector_without_a_ping_has_none() {
    let plain = wharf::connector_fn(|(): ()| async { Ok::<_, std::io::Error>(7) });
    let wrapped = Plain(plain);
    let mut conn = Connector::connect(&wrapped, &()).await.unwrap();
    assert_eq!(size_of_val(&*Connector::ping(&wrapped, &mut conn)), 0);
}

/// Has a ping that fails the first time.
struct Strict(TestConnector<u8>, AtomicBool);

#[async_trait]
impl Wrapper for Strict {
    type Inner = TestConnector<u8>;

    fn inner(&self) -> &TestConnector<u8> {
        &self.0
    }

    async fn ping(
        &self,
        conn: &mut <TestConnector<u8> as Connector>::Connection,
    ) -> Result<(), <TestConnector<u8> as Connector>::Error> {
        self.0.ping(conn).await?;
        if self.1.swap(false, Ordering::Relaxed) { Err(TestError) } else { Ok(()) }
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_that_a_wrapper_has_is_called_instead_of_the_inner_ones() {
    let connector = TestConnector::new();
    let builder = Pool::builder().health_check(HealthCheck::IdleFor(Duration::from_secs(1)));
    let pool = builder.build(Strict(connector, AtomicBool::new(true))).unwrap();
    for (dials, why) in [(1, "it is new"), (2, "the first did not answer"), (2, "it answers")] {
        drop(pool.acquire(&7).await.unwrap());
        assert_eq!(pool.status().dials, dials, "{why}");
        tokio::time::advance(Duration::from_secs(2)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_of_a_shared_connector_is_one() {
    let pool = SharedPool::new(Plain(SharedTestConnector::new(TestConnector::<u8>::new(), 2)));
    let leases = [pool.acquire(&1).await, pool.acquire(&1).await, pool.acquire(&1).await];
    assert!(leases.iter().all(Result::is_ok));
    assert_eq!((pool.status().leases, pool.status().dials), (3, 2));
}
