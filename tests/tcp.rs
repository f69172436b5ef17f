//! Pools of TCP connections, over real sockets of this machine.

#![allow(clippy::unwrap_used)] // The helpers are tests too, but clippy cannot know.

use std::error::Error;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{self, JoinSet};
use tokio::{runtime, time};
use wharf::tcp::{TcpConnector, TcpHostConnector};
use wharf::{AcquireError, Connector, Pool, PooledConnection};

const SECOND: Duration = Duration::from_secs(1);

/// A server that accepts when it is told to.
struct Server(TcpListener);

impl Server {
    async fn start() -> Self {
        Server(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap())
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    async fn accept(&self) -> TcpStream {
        self.0.accept().await.unwrap().0
    }
}

/// A server whose connections are made by the system alone: it never accepts.
fn silent_server() -> (std::net::TcpListener, SocketAddr) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A port that refuses, and that nobody else is given meanwhile.
fn refusing_port() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

async fn within_a_minute<T>(future: impl Future<Output = T>) -> T {
    time::timeout(60 * SECOND, future).await.expect("this should not hang")
}

/// Waits until the runtime has seen that something can be read from `wanted` idle connections.
async fn until_idle_are_readable(pool: &Pool<TcpConnector>, wanted: usize) {
    within_a_minute(async {
        loop {
            let mut readable = 0;
            pool.retain(|_, stream, _| {
                let mut context = Context::from_waker(Waker::noop());
                readable += usize::from(stream.poll_read_ready(&mut context).is_ready());
                true
            });
            if readable == wanted {
                return;
            }
            task::yield_now().await;
        }
    })
    .await;
}

fn id<C: Connector>(connection: &PooledConnection<C>) -> u64 {
    PooledConnection::info(connection).id
}

/// The connector's error inside an acquire's.
fn dial_error(error: &AcquireError<io::Error>) -> &io::Error {
    error.source().expect("a source").downcast_ref().expect("the connector's error")
}

/// The system's error inside the connector's.
fn system_error(error: &io::Error) -> &io::Error {
    let inner = error.get_ref().expect("an error with a word on it");
    inner.source().expect("a source").downcast_ref().expect("the system's error")
}

// What is lent.

#[tokio::test]
async fn acquires_one_after_the_other_share_one_socket() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());

    let mut first = pool.acquire(&server.address()).await.unwrap();
    let local = first.local_addr().unwrap();
    let mut accepted = server.accept().await;
    first.write_all(b"one").await.unwrap();
    drop(first);

    for word in [b"two", b"six"] {
        let mut again = pool.acquire(&server.address()).await.unwrap();
        assert_eq!(again.local_addr().unwrap(), local);
        again.write_all(word).await.unwrap();
    }

    let mut heard = [0; 9];
    accepted.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"onetwosix");
    assert_eq!(pool.status().dials, 1);
}

#[tokio::test]
async fn a_connection_that_was_used_in_full_is_lent_again() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());
    let mut stream = pool.acquire(&server.address()).await.unwrap();
    let mut accepted = server.accept().await;

    // A read that fills its buffer leaves tokio thinking that there may be more.
    accepted.write_all(b"answer").await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    let first = id(&stream);
    drop(stream);

    let stream = pool.acquire(&server.address()).await.unwrap();
    assert_eq!(id(&stream), first);
}

#[tokio::test]
async fn a_connection_whose_peer_closed_it_while_idle_is_not_lent() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());
    drop(pool.acquire(&server.address()).await.unwrap());

    drop(server.accept().await);
    until_idle_are_readable(&pool, 1).await;

    assert!(pool.try_acquire(&server.address()).is_none());
    let fresh = pool.acquire(&server.address()).await.unwrap();
    assert_eq!(PooledConnection::info(&fresh).uses, 1);
    let status = pool.status();
    assert_eq!((status.dials, status.closed), (2, 1));
}

#[tokio::test]
async fn a_connection_that_its_peer_reset_while_idle_is_not_lent() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());
    drop(pool.acquire(&server.address()).await.unwrap());

    let accepted = server.accept().await;
    SockRef::from(&accepted).set_linger(Some(Duration::ZERO)).unwrap();
    drop(accepted);
    until_idle_are_readable(&pool, 1).await;

    assert!(pool.try_acquire(&server.address()).is_none());
}

#[tokio::test]
async fn a_connection_with_unread_bytes_is_not_lent() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());
    drop(pool.acquire(&server.address()).await.unwrap());

    let mut accepted = server.accept().await;
    accepted.write_all(b"nobody asked").await.unwrap();
    until_idle_are_readable(&pool, 1).await;

    assert!(pool.try_acquire(&server.address()).is_none());
    assert_eq!(pool.status().closed, 1);
}

#[tokio::test]
async fn an_idle_connection_that_died_is_passed_over_for_one_that_lives() {
    let server = Server::start().await;
    let address = server.address();
    let pool = Pool::new(TcpConnector::new());
    let older = pool.acquire(&address).await.unwrap();
    let newer = pool.acquire(&address).await.unwrap();
    let (alive, doomed) = (id(&older), newer.local_addr().unwrap());
    let mut accepted = [server.accept().await, server.accept().await];
    drop(older);
    drop(newer);

    let doomed = accepted.iter_mut().find(|stream| stream.peer_addr().unwrap() == doomed);
    doomed.unwrap().shutdown().await.unwrap();
    until_idle_are_readable(&pool, 1).await;

    // The one that died was used last, so it is looked at first.
    assert_eq!(id(&pool.try_acquire(&address).unwrap()), alive);
    assert_eq!(pool.status().closed, 1);
}

#[tokio::test]
async fn a_connection_that_returns_with_unread_bytes_is_closed() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());
    let stream = pool.acquire(&server.address()).await.unwrap();
    let mut accepted = server.accept().await;
    accepted.write_all(b"half an answer").await.unwrap();
    stream.readable().await.unwrap();

    drop(stream);

    let status = pool.status();
    assert_eq!((status.idle, status.in_use, status.closed), (0, 0, 1));
}

#[tokio::test]
async fn the_peer_is_told_when_the_pool_closes() {
    let server = Server::start().await;
    let pool = Pool::new(TcpConnector::new());
    drop(pool.acquire(&server.address()).await.unwrap());
    let mut accepted = server.accept().await;

    pool.close().await;

    assert_eq!(within_a_minute(accepted.read(&mut [0; 1])).await.unwrap(), 0);
}

// What goes wrong.

#[tokio::test]
async fn a_server_that_refuses_gives_every_waiter_the_error_of_the_system() {
    let (_held, address) = refusing_port();
    let pool = Pool::builder().max_per_host(3).build(TcpConnector::new()).unwrap();
    let mut waiters = JoinSet::new();
    for _ in 0..20 {
        waiters.spawn(pool.acquire(&address));
    }

    let outcomes = within_a_minute(waiters.join_all()).await;

    assert_eq!(outcomes.len(), 20);
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, AcquireError::Connect(_)), "{error:?}");
        assert_eq!(dial_error(&error).kind(), ErrorKind::ConnectionRefused);
        assert!(dial_error(&error).raw_os_error().is_some());
    }
    let status = pool.status();
    assert_eq!((status.dialing, status.waiting), (0, 0));
}

#[tokio::test]
async fn a_server_that_comes_up_is_dialed_by_the_next_acquire() {
    let (held, address) = refusing_port();
    let pool = Pool::new(TcpConnector::new());
    assert!(pool.acquire(&address).await.is_err());

    let _listener = held.listen(16).unwrap();

    drop(within_a_minute(pool.acquire(&address)).await.unwrap());
}

#[tokio::test]
async fn a_local_address_of_the_other_family_is_refused_and_both_are_named() {
    let options = TcpConnector::builder().local_address(IpAddr::V6(Ipv6Addr::LOCALHOST));
    let pool = Pool::new(options.build().unwrap());
    let (_listener, address) = silent_server();

    let error = pool.acquire(&address).await.unwrap_err();

    let error = dial_error(&error);
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let expected =
        format!("local_address is ::1: it cannot reach {address}, which is of the other family");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_local_address_that_is_not_of_this_machine_is_named() {
    // An address for documentation, which no machine has.
    let options = TcpConnector::builder().local_address(IpAddr::from([192, 0, 2, 1]));
    let pool = Pool::new(options.build().unwrap());
    let (_listener, address) = silent_server();

    let error = pool.acquire(&address).await.unwrap_err();

    let error = dial_error(&error);
    assert!(error.to_string().starts_with("local_address 192.0.2.1 cannot be used: "), "{error}");
    assert_eq!(system_error(error).kind(), ErrorKind::AddrNotAvailable);
    assert!(system_error(error).raw_os_error().is_some());
}

#[test]
fn a_keepalive_that_cannot_be_meant_is_refused_by_name() {
    let half = Duration::from_millis(500);
    for (idle, interval, retries, message) in [
        (
            half,
            SECOND,
            3,
            "keepalive idle is 500ms: it must be a whole number of seconds, from 1 to 32767",
        ),
        (
            SECOND,
            Duration::ZERO,
            3,
            "keepalive interval is 0ns: it must be a whole number of seconds, from 1 to 32767",
        ),
        (
            SECOND,
            32_768 * SECOND,
            3,
            "keepalive interval is 32768s: it must be a whole number of seconds, from 1 to 32767",
        ),
        (SECOND, SECOND, 0, "keepalive retries is 0: it must be from 1 to 127"),
        (SECOND, SECOND, 128, "keepalive retries is 128: it must be from 1 to 127"),
    ] {
        let by_address = TcpConnector::builder().keepalive(idle, interval, retries);
        let error = by_address.build().unwrap_err();
        assert_eq!(error.to_string(), message);
        let by_name = TcpHostConnector::builder().keepalive(idle, interval, retries);
        assert_eq!(by_name.build().unwrap_err(), error);
    }
}

// What is set.

#[tokio::test]
async fn small_writes_are_sent_at_once_unless_told_otherwise() {
    let (_listener, address) = silent_server();
    let default = TcpConnector::builder;
    for (options, on) in [(default(), true), (default().nodelay(false), false)] {
        let pool = Pool::new(options.build().unwrap());
        let stream = pool.acquire(&address).await.unwrap();
        assert_eq!(SockRef::from(&*stream).tcp_nodelay().unwrap(), on);
    }
}

#[tokio::test]
async fn keepalive_is_off_by_default() {
    let (_listener, address) = silent_server();
    let pool = Pool::new(TcpConnector::new());
    let stream = pool.acquire(&address).await.unwrap();
    assert!(!SockRef::from(&*stream).keepalive().unwrap());
}

#[tokio::test]
async fn keepalive_is_set_as_it_was_asked_for() {
    let (_listener, address) = silent_server();
    for (idle, interval, retries) in [(60, 10, 3), (1, 1, 1), (32_767, 32_767, 127)] {
        let options = TcpConnector::builder().keepalive(idle * SECOND, interval * SECOND, retries);
        let pool = Pool::new(options.build().unwrap());
        let stream = pool.acquire(&address).await.unwrap();

        let socket = SockRef::from(&*stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), retries);
        // Windows does not tell them.
        #[cfg(not(windows))]
        {
            assert_eq!(socket.tcp_keepalive_time().unwrap(), idle * SECOND);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), interval * SECOND);
        }
    }
}

// Only Linux answers on all of 127.0.0.0/8 without being told to.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn connections_come_from_the_local_address() {
    let (listener, address) = silent_server();
    let local = IpAddr::from([127, 0, 0, 9]);
    let options = TcpConnector::builder().local_address(local);
    let pool = Pool::new(options.build().unwrap());

    let first = pool.acquire(&address).await.unwrap();
    let second = pool.acquire(&address).await.unwrap();

    for stream in [&first, &second] {
        assert_eq!(stream.local_addr().unwrap().ip(), local);
        assert_eq!(listener.accept().unwrap().1.ip(), local);
    }
}

// Names.

#[tokio::test]
async fn a_host_name_is_resolved_and_its_addresses_are_tried_until_one_answers() {
    // Where `localhost` is an IPv6 address first, that one refuses.
    let (_listener, address) = silent_server();
    let key = format!("localhost:{}", address.port());
    let pool = Pool::new(TcpHostConnector::new());

    let stream = pool.acquire(&*key).await.unwrap();

    assert_eq!(stream.peer_addr().unwrap(), address);
    assert_eq!(PooledConnection::key(&stream), &key);
}

#[tokio::test]
async fn addresses_that_the_local_address_cannot_reach_are_passed_over() {
    let (_listener, address) = silent_server();
    let key = format!("localhost:{}", address.port());
    let options = TcpHostConnector::builder().local_address(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let pool = Pool::new(options.build().unwrap());

    let stream = pool.acquire(&*key).await.unwrap();

    assert_eq!(stream.peer_addr().unwrap(), address);
}

#[tokio::test]
async fn a_host_that_refuses_gives_the_error_of_the_system() {
    let (_held, address) = refusing_port();
    let pool = Pool::new(TcpHostConnector::new());

    let key = format!("127.0.0.1:{}", address.port());
    let error = pool.acquire(&*key).await.unwrap_err();

    let error = dial_error(&error);
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let system = system_error(error);
    assert!(system.raw_os_error().is_some());
    let says = format!("{key:?} could not be reached at {address}: {system}");
    assert_eq!(error.to_string(), says);
}

#[tokio::test]
async fn a_key_that_cannot_be_resolved_is_named() {
    let pool = Pool::new(TcpHostConnector::new());
    // An empty label: no resolver sends that anywhere.
    for key in
        ["db..example:5432", "no port", "localhost:", "localhost:http", "localhost:70000", ""]
    {
        let error = pool.acquire(key).await.unwrap_err();

        let error = dial_error(&error);
        assert!(
            error.to_string().starts_with(&format!("{key:?} could not be resolved: ")),
            "{error}"
        );
        assert_eq!(system_error(error).kind(), error.kind());
    }
}

#[tokio::test]
async fn a_dial_is_worth_another_try_unless_its_input_was_wrong() {
    let connector = TcpHostConnector::new();
    let (_held, address) = refusing_port();

    let refused = connector.connect(&address.to_string()).await.unwrap_err();
    let malformed = connector.connect(&"no port".to_owned()).await.unwrap_err();

    assert!(connector.is_retryable(&refused));
    assert!(!connector.is_retryable(&malformed));
}

// Runtimes.

fn runtimes() -> [runtime::Runtime; 2] {
    let one_thread = runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let threads =
        runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    [one_thread, threads]
}

#[test]
fn a_pool_whose_runtime_has_ended_dials_anew_from_the_next() {
    let (_listener, address) = silent_server();
    let pool = Pool::new(TcpConnector::new());
    for (dials, runtime) in (1..).zip(runtimes().into_iter().chain(runtimes())) {
        runtime.block_on(within_a_minute(async {
            let stream = pool.acquire(&address).await.unwrap();
            assert_eq!(PooledConnection::info(&stream).uses, 1);
            stream.writable().await.unwrap();
            drop(stream);
            assert_eq!(pool.status().dials, dials);
            assert_eq!(pool.status().idle, 1);
        }));
    }
}

#[test]
fn a_loan_that_outlives_its_runtime_is_closed_when_it_returns_outside_any() {
    let (_listener, address) = silent_server();
    let pool = Pool::builder().max_per_host(1).build(TcpConnector::new()).unwrap();
    let [first, second] = runtimes();
    let stream = first.block_on(pool.acquire(&address)).unwrap();
    drop(first);

    thread::spawn(move || drop(stream)).join().unwrap();

    let status = pool.status();
    assert_eq!((status.idle, status.in_use, status.closed), (0, 0, 1));
    drop(second.block_on(within_a_minute(pool.acquire(&address))).unwrap());
}

#[test]
fn a_waiter_in_another_runtime_gets_the_place_of_a_loan_whose_runtime_has_ended() {
    let (_listener, address) = silent_server();
    let pool = Pool::builder().max_per_host(1).build(TcpConnector::new()).unwrap();
    let [first, second] = runtimes();
    let stream = first.block_on(pool.acquire(&address)).unwrap();
    let waiter = second.spawn(pool.acquire(&address));
    while pool.status().waiting == 0 {
        thread::yield_now();
    }
    drop(first);
    drop(stream);

    let stream = second.block_on(within_a_minute(waiter)).unwrap().unwrap();
    second.block_on(stream.writable()).unwrap();
    assert_eq!(pool.status().dials, 2);
}

#[test]
fn tasks_of_many_threads_share_the_sockets_of_one_pool() {
    let [_, runtime] = runtimes();
    runtime.block_on(within_a_minute(async {
        let server = Server::start().await;
        let address = server.address();
        task::spawn(async move {
            loop {
                let mut stream = server.accept().await;
                task::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let pool = Pool::builder().max_per_host(4).build(TcpConnector::new()).unwrap();
        let mut tasks = JoinSet::new();
        for task in 0_u32..16 {
            let pool = pool.clone();
            tasks.spawn(async move {
                for round in 0_u32..50 {
                    let question = (task * 1000 + round).to_be_bytes();
                    let mut stream = pool.acquire(&address).await.unwrap();
                    stream.write_all(&question).await.unwrap();
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(answer, question);
                }
            });
        }
        tasks.join_all().await;
        let status = pool.status();
        assert!(status.dials <= 4, "{status:?}");
        assert_eq!((status.in_use, status.closed), (0, 0), "{status:?}");
    }));
}

#[test]
fn a_ping_of_nothing_is_refused_by_name() {
    let options = wharf::tcp::TcpConnector::builder().ping("PING\r\n", "");
    let error = options.build().unwrap_err();
    assert_eq!(error.to_string(), "ping expect is empty: it must have at least one byte");
}
