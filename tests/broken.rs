//! Eight programs that do not work, as somebody meets them who is new here: what they say first. The guide, `timed_out`,
//! has these texts.
//!
//! `WHARF_ACCEPT=1 cargo test --features test-util --test broken` writes them there: for a change that is meant.

use std::future::Future;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs};

use tokio::time::sleep;
use wharf::test_util::{Stage, Step, TestConnector};
use wharf::{Builder, HealthCheck, Pool, connector_fn};

/// What was written to the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOST: &str = "db-1:5432";

fn builder() -> Builder {
    Pool::builder().max_per_host(2).acquire_timeout(3 * SECOND).deadlock_warnings(true)
}

/// The first error, and the first line of the log before it, of a program on simulated time. Places of this file are
/// given another name.
fn first_words(program: impl Future<Output = String>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let error = runtime.enable_all().start_paused(true).build().unwrap().block_on(program);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let first = log.lines().next().map(|line| format!("{}\n", line.trim())).unwrap_or_default();
    unplaced(&format!("{first}{error}"))
}

/// With `src/orders.rs:81` for lines of this file.
fn unplaced(text: &str) -> String {
    let mut parts = text.split(concat!(file!(), ":"));
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        // A column follows in the log.
        if let Some(column) =
            rest.strip_prefix(':').filter(|c| c.starts_with(|c: char| c.is_ascii_digit()))
        {
            rest = column.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        whole = format!("{whole}src/orders.rs:81{rest}");
    }
    whole
}

/// Every dial fails so, after a moment.
async fn refused(error: fn() -> io::Error) -> String {
    let connector = connector_fn(move |_: String| async move {
        sleep(Duration::from_millis(2)).await;
        Err::<(), _>(error())
    });
    builder().build(connector).unwrap().acquire(HOST).await.unwrap_err().to_string()
}

/// As Linux says it.
fn down() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, "Connection refused (os error 111)")
}

/// As tokio-postgres says it.
fn wrong_password() -> io::Error {
    io::Error::other("db error: FATAL: password authentication failed for user \"app\"")
}

/// As [`wharf::tcp::TcpHostConnector`] says it.
fn no_such_name() -> io::Error {
    io::Error::other(
        "\"db-1:5432\" could not be resolved: failed to lookup address information: Name or service not known",
    )
}

fn pool(
    set: impl FnOnce(Builder) -> Builder,
) -> (Pool<TestConnector<String>>, TestConnector<String>) {
    let connector = TestConnector::new();
    (set(builder()).build(connector.clone()).unwrap(), connector)
}

/// A hundred tasks that need a connection for 100 ms each, again and again.
async fn too_small() -> String {
    let (pool, _) = pool(|b| b);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let pool = pool.clone();
            tokio::spawn(async move {
                loop {
                    match pool.acquire(HOST).await {
                        Ok(_connection) => sleep(Duration::from_millis(100)).await,
                        Err(error) => return error.to_string(),
                    }
                }
            })
        })
        .collect();
    let first = tasks.into_iter().last().unwrap();
    first.await.unwrap()
}

/// Two requests leave their connections in a list that nobody clears.
async fn leaked() -> String {
    let (pool, _) = pool(|b| b.leak_after(60 * SECOND));
    let mut kept = Vec::new();
    for _ in 0..2 {
        let pool = pool.clone();
        let request = tokio::spawn(async move { pool.acquire(HOST).await.unwrap() });
        kept.push(request.await.unwrap());
    }
    sleep(3600 * SECOND).await;
    pool.acquire(HOST).await.unwrap_err().to_string()
}

/// Two tasks that hold one connection and ask for another.
async fn nested() -> String {
    let (pool, _) = pool(|b| b);
    let task = || {
        let pool = pool.clone();
        tokio::spawn(async move {
            let _order = pool.acquire(HOST).await.unwrap();
            sleep(Duration::from_millis(10)).await;
            pool.acquire(HOST).await.map(drop).unwrap_err().to_string()
        })
    };
    let (one, _other) = (task(), task());
    one.await.unwrap()
}

/// A firewall has forgotten the idle connections: nothing answers.
async fn dead() -> String {
    let (pool, connector) = pool(|b| b.max_per_host(1).health_check(HealthCheck::Always));
    drop(pool.acquire(HOST).await.unwrap());
    connector.always(Stage::Ping, Step::Never);
    pool.acquire(HOST).await.unwrap_err().to_string()
}

/// A log-in takes ten seconds.
async fn slow() -> String {
    let (pool, connector) = pool(|b| b);
    connector.always(Stage::Connect, Step::Slow(10 * SECOND));
    pool.acquire(HOST).await.unwrap_err().to_string()
}

/// What is there under this title, as the guide has it.
fn chapter(title: &str, program: impl Future<Output = String>) -> String {
    format!("{title}:\n\n```text\n{}\n```\n", first_words(program))
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/guide/timed_out.md");
const BEGIN: &str = "<!-- broken: -->\n";
const END: &str = "<!-- end of the broken ones -->";

#[test]
fn the_guide_has_what_eight_broken_programs_say_first() {
    let chapters = [
        chapter("The server is down", refused(down)),
        chapter("The password is wrong", refused(wrong_password)),
        chapter("The name cannot be resolved", refused(no_such_name)),
        chapter("The pool is too small for the work", too_small()),
        chapter("Connections are not given back (with `leak_after`)", leaked()),
        chapter("A task holds a connection and asks for a second one", nested()),
        chapter("Idle connections are dead, and nothing has reported it", dead()),
        chapter("The server accepts connections slowly", slow()),
    ];
    // What tells each from the others.
    let marks = [
        "Connection refused",
        "password authentication failed",
        "could not be resolved",
        "callers arrive faster",
        "connection held too long",
        "this task holds 1 connection",
        "pings are not answered",
        "dials are slow",
    ];
    for (at, mark) in marks.iter().enumerate() {
        for (other, text) in chapters.iter().enumerate() {
            assert_eq!(text.contains(mark), at == other, "{mark:?} in {text}");
        }
    }
    let says = format!("\n{}\n", chapters.join("\n"));
    let page = fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (old, after) = rest.split_once(END).unwrap();
    if env::var_os("WHARF_ACCEPT").is_some() {
        return fs::write(PAGE, format!("{before}{BEGIN}{says}{END}{after}")).unwrap();
    }
    assert_eq!(old, says, "WHARF_ACCEPT=1 writes the page, if this is meant");
}
