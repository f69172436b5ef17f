//! A panic anywhere in the user's code costs at most the connection that it is about. (Behaviour 37.)
//!
//! The connector here is written without `async_trait`, so that its functions can also panic before they return a
//! future. The pool knows its connections and errors without their types: they are dropped, asked and formatted far
//! from where their types are known.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use wharf::{
    Builder, Connector, DialFailed, HealthCheck, Observer, Pool, SharedConnector, SharedPool,
};

use crate::support::*;

/// Where the user's code panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// While a function is called that returns a future.
    Connect,
    Ping,
    Reset,
    Close,
    /// Once that future is polled.
    Connecting,
    Pinging,
    Resetting,
    Closing,
    IsOpen,
    NeedsReset,
    PeerAddr,
    IsRetryable,
    ErrorDisplay,
    ErrorDrop,
    ConnectionDrop,
    ConnectionClone,
    MaxLeases,
    ExpectedLeases,
}

use At::*;

/// What the connector and all that it made share.
#[derive(Default)]
struct Script {
    panics: Mutex<Option<At>>,
    fails: Mutex<bool>,
    live: AtomicUsize,
}

impl Script {
    /// Panics once, if this is where.
    fn pass(&self, at: At) {
        let mut panics = self.panics.lock().unwrap();
        if *panics == Some(at) {
            *panics = None;
            drop(panics);
            panic!("told to panic: {at:?}");
        }
    }

    fn panics_at(&self, at: At) {
        *self.panics.lock().unwrap() = Some(at);
    }

    fn has_panicked(&self) -> bool {
        self.panics.lock().unwrap().is_none()
    }

    /// The next dial fails.
    fn fails(&self) {
        *self.fails.lock().unwrap() = true;
    }
}

struct Clumsy(Arc<Script>);

struct Connection(Arc<Script>);

impl Connection {
    fn new(script: &Arc<Script>) -> Self {
        script.live.fetch_add(1, SeqCst);
        Connection(script.clone())
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        self.0.pass(ConnectionClone);
        Connection::new(&self.0)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, SeqCst);
        self.0.pass(ConnectionDrop);
    }
}

struct Broken(Arc<Script>);

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Broken")
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.pass(ErrorDisplay);
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

impl Drop for Broken {
    fn drop(&mut self) {
        self.0.pass(ErrorDrop);
    }
}

type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl Connector for Clumsy {
    type Key = u32;
    type Connection = Connection;
    type Error = Broken;

    fn connect<'s, 'k, 'f>(&'s self, _: &'k u32) -> Later<'f, Result<Connection, Broken>>
    where
        's: 'f,
        'k: 'f,
        Self: 'f,
    {
        self.0.pass(Connect);
        Box::pin(async {
            self.0.pass(Connecting);
            if std::mem::take(&mut *self.0.fails.lock().unwrap()) {
                return Err(Broken(self.0.clone()));
            }
            Ok(Connection::new(&self.0))
        })
    }

    fn ping<'s, 'c, 'f>(&'s self, _: &'c mut Connection) -> Later<'f, Result<(), Broken>>
    where
        's: 'f,
        'c: 'f,
        Self: 'f,
    {
        self.0.pass(Ping);
        Box::pin(async {
            self.0.pass(Pinging);
            Ok(())
        })
    }

    fn reset<'s, 'c, 'f>(&'s self, _: &'c mut Connection) -> Later<'f, Result<(), Broken>>
    where
        's: 'f,
        'c: 'f,
        Self: 'f,
    {
        self.0.pass(Reset);
        Box::pin(async {
            self.0.pass(Resetting);
            Ok(())
        })
    }

    fn needs_reset(&self, _: &Connection) -> bool {
        self.0.pass(NeedsReset);
        true
    }

    fn is_open(&self, _: &mut Connection) -> bool {
        self.0.pass(IsOpen);
        true
    }

    fn peer_addr(&self, _: &Connection) -> Option<SocketAddr> {
        self.0.pass(PeerAddr);
        None
    }

    fn is_retryable(&self, _: &Broken) -> bool {
        self.0.pass(IsRetryable);
        false
    }

    fn close<'s, 'f>(&'s self, conn: Connection) -> Later<'f, ()>
    where
        's: 'f,
        Self: 'f,
    {
        self.0.pass(Close);
        Box::pin(async move {
            self.0.pass(Closing);
            drop(conn);
        })
    }
}

impl SharedConnector for Clumsy {
    fn max_leases(&self, _: &Connection) -> usize {
        self.0.pass(MaxLeases);
        2
    }

    fn expected_leases(&self, _: &u32) -> usize {
        self.0.pass(ExpectedLeases);
        2
    }
}

fn clumsy(set: impl FnOnce(Builder) -> Builder) -> (Pool<Clumsy>, Arc<Script>) {
    let script = Arc::new(Script::default());
    let builder = Pool::builder().max_per_host(1).health_check(HealthCheck::Always);
    (set(builder).build(Clumsy(script.clone())).unwrap(), script)
}

/// Everything that a pool calls, twice: one of the rounds meets the panic.
async fn use_it(pool: &Pool<Clumsy>) {
    for _ in 0..2 {
        for _ in 0..2 {
            let acquired = pool.acquire(&1).await;
            // The error is the caller's by now, and so is a panic in its drop.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(acquired)));
            quiet().await;
        }
        pool.retire(&1);
        quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_any_function_of_a_connector_costs_at_most_a_connection() {
    let all = [
        Connect,
        Ping,
        Reset,
        Close,
        Connecting,
        Pinging,
        Resetting,
        Closing,
        IsOpen,
        NeedsReset,
        PeerAddr,
        ConnectionDrop,
    ];
    for at in all {
        let (pool, script) = clumsy(|builder| builder);
        script.panics_at(at);
        use_it(&pool).await;
        assert!(script.has_panicked(), "{at:?} was not called");
        drop(pool.acquire(&1).await.unwrap());
        quiet().await;
        let status = pool.status();
        let out = [status.in_use, status.dialing, status.pinging, status.closing, status.waiting];
        assert_eq!((out, status.idle), ([0; 5], 1), "{at:?}");
        assert_eq!(script.live.load(SeqCst), 1, "{at:?}");
        pool.close().await;
        assert_eq!(script.live.load(SeqCst), 0, "{at:?}");
    }
}

/// Formats the errors of dials.
struct Formats;

impl Observer for Formats {
    fn dial_failed(&self, event: &DialFailed<'_>) {
        assert_eq!(event.error.to_string(), "broken");
    }
}

/// The pool has the error to itself: its caller has gone. It keeps it for its reports until a dial succeeds.
#[tokio::test(start_paused = true)]
async fn a_panic_in_any_use_of_an_error_costs_nothing() {
    for at in [IsRetryable, ErrorDisplay, ErrorDrop] {
        let (pool, script) = clumsy(|builder| builder.observer(Formats));
        script.fails();
        script.panics_at(at);
        let mut acquire = pool.acquire(&1);
        assert!(poll(&mut acquire).is_pending());
        drop(acquire);
        quiet().await;
        assert_eq!(pool.status().dialing, 0, "{at:?}");
        drop(pool.acquire(&1).await.unwrap());
        quiet().await;
        assert!(script.has_panicked(), "{at:?} was not called");
        assert_eq!((pool.status().idle, pool.status().in_use), (1, 0), "{at:?}");
        pool.close().await;
        assert_eq!(script.live.load(SeqCst), 0, "{at:?}");
    }
}

/// A lease is a clone, which its borrower's task makes: there the panic is the caller's. All others are the pool's.
#[tokio::test(start_paused = true)]
async fn a_panic_about_a_shared_connection_costs_at_most_that_connection() {
    let all = [
        Connect,
        Ping,
        Close,
        Connecting,
        Pinging,
        Closing,
        IsOpen,
        PeerAddr,
        ConnectionDrop,
        ConnectionClone,
        MaxLeases,
        ExpectedLeases,
    ];
    for at in all {
        let script = Arc::new(Script::default());
        let builder = SharedPool::builder().max_per_host(1).health_check(HealthCheck::Always);
        let pool = builder.build(Clumsy(script.clone())).unwrap();
        script.panics_at(at);
        for _ in 0..2 {
            for _ in 0..2 {
                let acquire = pool.acquire(&1);
                let _ = tokio::spawn(async { drop(acquire.await) }).await;
                quiet().await;
            }
            pool.retire(&1);
            quiet().await;
        }
        assert!(script.has_panicked(), "{at:?} was not called");
        drop(pool.acquire(&1).await.unwrap());
        quiet().await;
        let status = pool.status();
        let out = [status.leases, status.in_use, status.dialing, status.closing, status.waiting];
        assert_eq!((out, status.idle), ([0; 5], 1), "{at:?}");
        pool.close().await;
        assert_eq!(script.live.load(SeqCst), 0, "{at:?}");
    }
}
