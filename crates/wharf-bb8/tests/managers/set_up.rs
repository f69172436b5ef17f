//! Connections that `on_connect` prepares, and the name that errors show, with a manager that notes each step.

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use wharf::{AcquireError, Backoff, Builder, Pool};
use wharf_bb8::Bb8;

/// Its connections are logs of what was done to them. Each holds a clone of the `Arc`.
#[derive(Default)]
struct Logs(Arc<()>);

#[derive(Debug)]
struct Log {
    lines: Vec<&'static str>,
    _open: Arc<()>,
}

impl bb8::ManageConnection for Logs {
    type Connection = Log;
    type Error = io::Error;

    async fn connect(&self) -> io::Result<Log> {
        Ok(Log { lines: vec!["connected"], _open: self.0.clone() })
    }

    async fn is_valid(&self, log: &mut Log) -> io::Result<()> {
        log.lines.push("valid");
        Ok(())
    }

    fn has_broken(&self, _: &mut Log) -> bool {
        false
    }
}

type SetUp<'a> = Pin<Box<dyn Future<Output = io::Result<()>> + Send + 'a>>;

fn succeeds(log: &mut Log) -> SetUp<'_> {
    Box::pin(async {
        tokio::task::yield_now().await;
        log.lines.push("set up");
        Ok(())
    })
}

fn fails(_: &mut Log) -> SetUp<'_> {
    Box::pin(async { Err(io::Error::other("no such role")) })
}

fn panics(_: &mut Log) -> SetUp<'_> {
    Box::pin(async { panic!("the set-up is wrong") })
}

fn hangs(_: &mut Log) -> SetUp<'_> {
    Box::pin(pending())
}

struct Test {
    pool: Pool<Bb8<Logs>>,
    /// Has a clone in the manager, and one in each connection.
    open: Arc<()>,
}

fn test(builder: Builder, set_up: fn(&mut Log) -> SetUp<'_>) -> Test {
    let open = Arc::default();
    let connector = Bb8::new(Logs(Arc::clone(&open))).on_connect(set_up);
    Test { pool: builder.build(connector).unwrap(), open }
}

impl Test {
    async fn refused(&self) -> AcquireError<io::Error> {
        self.pool.acquire(&()).await.unwrap_err()
    }

    fn open(&self) -> usize {
        Arc::strong_count(&self.open) - 2
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_set_up_once_before_its_first_loan() {
    let Test { pool, .. } = test(Pool::builder(), succeeds);
    assert_eq!(pool.acquire(&()).await.unwrap().lines, ["connected", "set up"]);
    assert_eq!(pool.acquire(&()).await.unwrap().lines, ["connected", "set up", "valid"]);
    assert_eq!(pool.status().dials, 1);
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_fails_fails_the_dial_with_its_own_error() {
    let test = test(Pool::builder(), fails);
    let error = test.refused().await;
    assert!(matches!(error, AcquireError::Connect(_)), "{error:?}");
    assert!(error.to_string().ends_with(": no such role"), "{error}");
    assert_eq!((test.pool.status().failed_dials, test.open()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_fails_is_tried_again_with_the_dial() {
    let once = |b: Builder| b.retry(Backoff::default()).acquire_timeout(Duration::from_secs(3));
    let test = test(once(Pool::builder()), fails);
    let error = test.refused().await;
    assert!(matches!(error, AcquireError::Timeout(_)), "{error:?}");
    assert!(error.to_string().contains("ago: no such role"), "{error}");
    assert!(test.pool.status().failed_dials > 2);
    assert_eq!(test.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_panics_fails_the_dial_and_the_pool_goes_on() {
    let test = test(Pool::builder().max_per_host(1), panics);
    for dials in 1..4 {
        let error = test.refused().await;
        assert!(matches!(error, AcquireError::ConnectorPanicked(_)), "{error:?}");
        assert_eq!((test.pool.status().dials, test.open()), (dials, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_set_up_that_takes_longer_than_the_connect_timeout_is_given_up() {
    let test = test(Pool::builder().connect_timeout(Duration::from_secs(1)), hangs);
    let error = test.refused().await;
    assert!(matches!(error, AcquireError::ConnectTimeout(_)), "{error:?}");
    test.pool.close().await;
    assert_eq!(test.open(), 0);
}

/// `map_err` before `on_connect`, and after it.
#[tokio::test(start_paused = true)]
async fn the_error_of_a_set_up_is_converted_as_the_managers_own() {
    let before = Bb8::new(Logs::default()).map_err(Arc::new).on_connect(fails);
    let after = Bb8::new(Logs::default()).on_connect(fails).map_err(Arc::new);
    for connector in [before, after] {
        let error = Pool::new(connector).acquire(&()).await.unwrap_err();
        let AcquireError::Connect(error) = error else { panic!("{error:?}") };
        let error: &Arc<io::Error> = &error;
        assert_eq!(error.to_string(), "no such role");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_shows_the_name_that_the_connector_was_given_or_else_the_managers_type() {
    let error = test(Pool::builder(), fails).refused().await;
    assert_eq!(error.to_string(), "no connection to managers::set_up::Logs: no such role");

    // It is kept by what is set after it.
    let connector = Bb8::new(Logs::default()).name("orders-db").on_connect(fails);
    let error = Pool::new(connector.map_err(|error| error)).acquire(&()).await.unwrap_err();
    assert_eq!(error.to_string(), "no connection to \"orders-db\": no such role");
}
