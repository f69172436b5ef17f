//! Errors of any type that becomes a boxed one. (Behaviour 142.)

use std::error::Error;
use std::io::{self, ErrorKind};
use std::time::Duration;

use wharf::{AcquireError, Backoff, Connector, Pool, async_trait, connector_fn};

use crate::support::*;

type Boxed = Box<dyn Error + Send + Sync>;

fn refusal() -> io::Error {
    io::Error::new(ErrorKind::ConnectionRefused, "nobody listens")
}

/// The text of an error, and its sources.
fn in_full(error: &dyn Error) -> Vec<String> {
    std::iter::successors(Some(error), |&error| error.source()).map(ToString::to_string).collect()
}

async fn error_of<E>(make: fn() -> E) -> AcquireError<E>
where
    E: Into<Boxed> + std::fmt::Debug + Send + 'static,
{
    let pool = Pool::new(connector_fn(move |(): ()| async move { Err::<(), _>(make()) }));
    pool.acquire(&()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_an_error_keeps_its_type() {
    let error = error_of(refusal).await;
    let AcquireError::Connect(failed) = &error else { panic!("{error:?}") };
    assert_eq!(
        (failed.kind(), failed.error().kind()),
        (ErrorKind::ConnectionRefused, failed.kind())
    );
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(ErrorKind::ConnectionRefused));
}

#[tokio::test(start_paused = true)]
async fn a_box_is_a_connectors_error() {
    let error = error_of(|| Boxed::from(refusal())).await;
    assert_eq!(in_full(&error), ["no connection: nobody listens", "nobody listens"]);
    let AcquireError::Connect(failed) = &error else { panic!("{error:?}") };
    let inside = failed.error().as_error().downcast_ref::<io::Error>();
    assert_eq!(inside.map(io::Error::kind), Some(ErrorKind::ConnectionRefused));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_anyhow_is_a_connectors_error_and_keeps_its_context() {
    let error = error_of(|| anyhow::Error::new(refusal()).context("logging in")).await;
    assert_eq!(
        in_full(&error),
        ["no connection: logging in: nobody listens", "logging in", "nobody listens"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_text_is_a_connectors_error() {
    let error = error_of(|| "the moon is in the wrong phase").await;
    assert_eq!(error.to_string(), "no connection: the moon is in the wrong phase");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_has_the_box_as_its_source() {
    let dial = |(): ()| async { Err::<(), _>(Boxed::from(refusal())) };
    let backoff = Backoff::default();
    let pool = Pool::builder()
        .acquire_timeout(Duration::from_secs(3))
        .retry(backoff)
        .build(connector_fn(dial))
        .unwrap();
    let error = pool.acquire(&()).await.unwrap_err();
    assert!(matches!(error, AcquireError::Timeout(_)), "{error:?}");
    assert!(error.source().is_some_and(|source| source.is::<io::Error>()), "{error:?}");
}

/// Its errors may pass or not.
struct Moody;

#[async_trait]
impl Connector for Moody {
    type Key = &'static str;
    type Connection = ();
    type Error = anyhow::Error;

    async fn connect(&self, key: &&'static str) -> anyhow::Result<()> {
        anyhow::bail!("{key}")
    }

    fn is_retryable(&self, error: &anyhow::Error) -> bool {
        error.to_string() != "wrong password"
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_says_whether_to_try_again() {
    let moody = Pool::new(Moody);
    assert!(!moody.acquire(&"wrong password").await.unwrap_err().is_retryable());
    assert!(moody.acquire(&"full").await.unwrap_err().is_retryable());

    let (pool, connector) = pool(|b| b.max_per_host(1).max_waiters_per_host(0));
    connector.once(Stage::Connect, Step::Panic);
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    connector.once(Stage::Connect, Step::Never);
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout(_)) && error.is_retryable(), "{error}");
    let _loan = pool.acquire(&1).await.unwrap();
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(matches!(error, AcquireError::QueueFull(_)) && error.is_retryable(), "{error}");
    let error = pool.acquire_within(&1, Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, AcquireError::Timeout(_)) && error.is_retryable(), "{error}");
    drop(pool.close());
    assert!(!pool.acquire(&1).await.unwrap_err().is_retryable());
}

/// An error that cannot be cloned.
#[derive(Debug)]
struct Unique;

impl std::fmt::Display for Unique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("there is only one")
    }
}

impl Error for Unique {}

#[tokio::test(start_paused = true)]
async fn an_acquires_error_can_be_cloned_whatever_it_contains() {
    let error = error_of(|| Unique).await;
    let clone = error.clone();
    drop(error);
    assert_eq!(clone.to_string(), "no connection: there is only one");
    assert!(clone.source().is_some_and(|source| source.is::<Unique>()));

    let (pool, _) = pool_of(1);
    let _loan = pool.acquire(&1).await.unwrap();
    let error = pool.acquire(&1).await.unwrap_err();
    assert_eq!(error.clone().to_string(), error.to_string());
    assert_eq!(format!("{:?}", error.clone()), format!("{error:?}"));
}
