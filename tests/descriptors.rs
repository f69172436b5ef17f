//! A process that may open no more files: what is idle goes on being lent, the system's own error
//! says why there is no more, and nobody dials without end.

#![cfg(target_os = "linux")]

use std::error::Error;
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wharf::tcp::TcpConnector;
use wharf::{AcquireError, Backoff, Pool};

const EMFILE: i32 = rustix::io::Errno::MFILE.raw_os_error();

/// A server that takes every connection and keeps it.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut kept = Vec::new();
        loop {
            kept.extend(listener.accept());
            thread::sleep(Duration::from_millis(1));
        }
    });
    address
}

/// Opens files until the system says no.
fn take_the_rest() -> Vec<File> {
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit { current: Some(256), maximum: limit.maximum };
    setrlimit(Resource::Nofile, few).unwrap();
    let mut files = Vec::new();
    loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => {
                assert_eq!(error.raw_os_error(), Some(EMFILE), "{error}");
                return files;
            }
        }
    }
}

/// The system's own error, wherever it is in the chain.
fn system_error(error: &(dyn Error + 'static)) -> Option<i32> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.raw_os_error();
        }
        cause = error.source();
    }
    None
}

// The only test of its program: it takes what all others would need.
#[tokio::test]
async fn when_no_more_files_may_be_opened_what_is_idle_is_lent_and_nobody_spins() {
    let (known, new) = (server(), server());
    let backoff = Backoff::default().initial(Duration::from_millis(50));
    let builder = Pool::builder().max_per_host(50).retry(backoff);
    let pool = builder.build(TcpConnector::new()).unwrap();
    pool.warm(&known, 5).await.unwrap();
    // What the server has not accepted yet would take what is given back below.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut files = take_the_rest();

    let mut loans = Vec::new();
    for _ in 0..5 {
        loans.push(pool.acquire(&known).await.unwrap());
    }
    assert_eq!(pool.status().dials, 5, "what was idle is lent");

    let patience = Duration::from_secs(1);
    for host in [known, new] {
        let dials = pool.status().dials;
        let error = pool.acquire_within(&host, patience).await.unwrap_err();
        assert!(matches!(error, AcquireError::Timeout(_)), "{error}");
        assert_eq!(system_error(&error), Some(EMFILE), "{error}: {:?}", error.source());
        let dials = pool.status().dials - dials;
        // 50, 100, 200, 400 ms, each shortened by chance to no less than its half, or half of the time that is left, and
        // never less than 50 ms.
        assert!((1..=14).contains(&dials), "{dials} dials in a second");
    }

    // A connection that comes back serves, and so does a dial as soon as there is room for it.
    loans.pop();
    drop(pool.acquire(&known).await.unwrap());
    files.truncate(files.len() - 4);
    drop(pool.acquire(&new).await.unwrap());
    drop(loans);
    let status = pool.status();
    assert_eq!((status.idle, status.in_use, status.waiting), (6, 0, 0), "{status:?}");
}
