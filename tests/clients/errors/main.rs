//! What every public error says, in one list next to this file.
//!
//! `WHARF_ACCEPT=1 cargo test -p tests-clients --test errors` writes the list: for a change that is meant.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::{env, fs, io};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wharf::test_util::{Stage, Step, TestConnector, TestError};
use wharf::{AcquireError, HealthCheck, Pool, tcp};
use wharf_deadpool::Error as DeadpoolError;
use wharf_grpc::Error as GrpcError;
use wharf_http as http;
use wharf_postgres::Error as PostgresError;
use wharf_websocket::{CloseCode, CloseFrame, Error as WebSocketError, tungstenite};

/// The errors so far, a line each: which it is, what it says, and whether it has a source.
#[derive(Default)]
struct List(Vec<String>);

impl List {
    fn add(&mut self, which: &str, error: &dyn Error) {
        let text = error.to_string();
        assert!(!text.contains('\n'), "{which} takes more than a line: {text}");
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        assert!(text.contains(&cause), "{which} does not say why: {text}, since {cause}");
        let mark = if cause.is_empty() { ' ' } else { '+' };
        self.0.push(format!("{mark} {which}: {text}"));
    }

    /// Those of a pool name the host.
    fn add_of_host(&mut self, which: &str, error: &dyn Error) {
        assert!(error.to_string().contains("\"db-1\""), "{which} names no host: {error}");
        self.add(which, error);
    }
}

type TestPool = Pool<TestConnector<&'static str>>;

fn pool(
    set: impl FnOnce(wharf::Builder) -> wharf::Builder,
) -> (TestPool, TestConnector<&'static str>) {
    let connector = TestConnector::new();
    let builder = Pool::builder().max_per_host(1).deadlock_warnings(false);
    (set(builder).build(connector.clone()).unwrap(), connector)
}

const SECOND: Duration = Duration::from_secs(1);

async fn acquires(list: &mut List) {
    for (which, step) in [
        ("AcquireError::Connect", Step::Error),
        ("AcquireError::ConnectTimeout", Step::Never),
        ("AcquireError::ConnectorPanicked", Step::Panic),
    ] {
        let (pool, connector) = pool(|b| b);
        connector.once(Stage::Connect, step);
        list.add_of_host(which, &pool.acquire(&"db-1").await.unwrap_err());
    }
    let (pool, _) = pool(|b| b.max_waiters_per_host(0));
    let loan = pool.acquire(&"db-1").await.unwrap();
    list.add_of_host("AcquireError::QueueFull", &pool.acquire(&"db-1").await.unwrap_err());
    drop((loan, pool.close()));
    list.add("AcquireError::Closed", &pool.acquire(&"db-1").await.unwrap_err());
    list.add("AcquireError::NoRuntime", &AcquireError::<TestError>::NoRuntime);
    list.add("AcquireError::Borrower", &AcquireError::<TestError>::from(TestError));
}

/// The places are those of this file: their lines are cut off.
fn add_time_out(list: &mut List, error: &AcquireError<TestError>) {
    let text = error.to_string();
    let text = match text.split_once(&format!("{}:", file!())) {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}src/orders.rs:81{rest}")
        }
        None => text,
    };
    assert!(text.contains("\"db-1\"") && !text.contains('\n'), "{text}");
    list.0.push(format!("  AcquireError::Timeout: {text}"));
}

async fn time_outs(list: &mut List) {
    let (held, _) = pool(|b| b);
    let loan = held.acquire(&"db-1").await.unwrap();
    add_time_out(list, &held.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    add_time_out(list, &held.acquire_within(&"db-1", Duration::ZERO).await.unwrap_err());
    drop(loan);
    let (nested, _) = pool(|b| b.deadlock_warnings(true));
    let loan = nested.acquire(&"db-1").await.unwrap();
    add_time_out(list, &nested.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    drop(loan);
    let (slow, connector) = pool(|b| b);
    connector.once(Stage::Connect, Step::Never);
    add_time_out(list, &slow.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    let backoff = wharf::Backoff::default().initial(3 * SECOND).max(3 * SECOND).jitter(0.0);
    let (failing, connector) = pool(|b| b.retry(backoff));
    connector.always(Stage::Connect, Step::Error);
    add_time_out(list, &failing.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    let (mute, connector) = pool(|b| b.health_check(HealthCheck::Always));
    drop(mute.acquire(&"db-1").await.unwrap());
    connector.always(Stage::Ping, Step::Never);
    add_time_out(list, &mute.acquire_within(&"db-1", Duration::ZERO).await.unwrap_err());
    add_time_out(list, &mute.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    let (closing, connector) = pool(|b| b);
    drop(closing.acquire(&"db-1").await.unwrap());
    connector.once(Stage::Close, Step::Never);
    closing.close_idle();
    add_time_out(list, &closing.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    let (full, _) = pool(|b| b.max_total(1));
    let loan = full.acquire(&"db-2").await.unwrap();
    add_time_out(list, &full.acquire_within(&"db-1", 2 * SECOND).await.unwrap_err());
    drop(loan);
}

async fn warms(list: &mut List) {
    for (which, step) in [
        ("WarmError::Connect", Step::Error),
        ("WarmError::ConnectTimeout", Step::Never),
        ("WarmError::ConnectorPanicked", Step::Panic),
    ] {
        let (pool, connector) = pool(|b| b);
        connector.once(Stage::Connect, step);
        list.add_of_host(which, &pool.warm(&"db-1", 1).await.unwrap_err());
    }
    let (one, _) = pool(|b| b);
    list.add_of_host("WarmError::NoRoom", &one.warm(&"db-1", 3).await.unwrap_err());
    let (total, _) = pool(|b| b.max_per_host(5).max_total(1));
    list.add_of_host("WarmError::NoRoom", &total.warm(&"db-1", 3).await.unwrap_err());
    drop(one.close());
    list.add("WarmError::Closed", &one.warm(&"db-1", 1).await.unwrap_err());
}

async fn adds_and_settings(list: &mut List) {
    let (pool, connector) = pool(|b| b);
    let dead = connector.make("db-1");
    dead.kill();
    list.add_of_host("AddError::NotOpen", &pool.add(&"db-1", dead).unwrap_err());
    let loan = pool.acquire(&"db-1").await.unwrap();
    list.add_of_host("AddError::Full", &pool.add(&"db-1", connector.make("db-1")).unwrap_err());
    drop((loan, pool.close()));
    list.add("AddError::Closed", &pool.add(&"db-1", connector.make("db-1")).unwrap_err());
    let wrong = Pool::builder().max_per_host(0).build(TestConnector::<&str>::new()).unwrap_err();
    list.add("BuildError", &wrong);
    let wrong = tcp::TcpConnector::builder().keepalive(Duration::ZERO, SECOND, 3);
    list.add("BuildError", &wrong.build().unwrap_err());
}

fn of_managers(list: &mut List) {
    list.add("deadpool::Error::Manager", &DeadpoolError::Manager(TestError));
    let refused: DeadpoolError<TestError> = DeadpoolError::NotRecycled("too old".into());
    list.add("deadpool::Error::NotRecycled", &refused);
}

/// Answers the first request with this, and closes the connection.
async fn http_error(answer: &'static [u8]) -> (http::Error, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 1024]).await;
        stream.write_all(answer).await.unwrap();
    });
    let client = http::Client::builder().build().unwrap();
    let post = ::http::Request::post(format!("{origin}/")).body(Full::new(Bytes::from("x")));
    let error = match client.request(post.unwrap()).await {
        Err(error) => error,
        Ok(answer) => answer.into_body().collect().await.map(drop).unwrap_err(),
    };
    server.await.unwrap();
    (error, origin)
}

fn add_http(list: &mut List, which: &str, (error, origin): &(http::Error, String)) {
    let text = error.to_string();
    let cause = error.source().expect("a cause").to_string();
    assert!(text.contains(origin.as_str()) && text.contains(&cause), "{text}, since {cause}");
    let address = origin.trim_start_matches("http://");
    list.0.push(format!("+ {which}: {}", text.replace(address, "api-1:80")));
}

async fn of_http(list: &mut List) {
    let client = http::Client::builder().build().unwrap();
    let relative = ::http::Request::get("/path").body(Full::new(Bytes::new())).unwrap();
    list.add("http::Error::Request", &client.request(relative).await.unwrap_err());
    list.add("http::Error::RequestBody", &http::Error::RequestBody("the file is gone".into()));
    add_http(list, "http::Error::Exchange", &http_error(b"").await);
    let broken = http_error(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort").await;
    add_http(list, "http::Error::Body", &broken);
    let refuses = tokio::net::TcpSocket::new_v4().unwrap();
    refuses.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = refuses.local_addr().unwrap();
    let system = std::net::TcpStream::connect(address).unwrap_err().to_string();
    let origin = format!("http://{address}");
    let get = ::http::Request::get(format!("{origin}/")).body(Full::new(Bytes::new())).unwrap();
    let refused = client.request(get).await.unwrap_err();
    add_http(list, "http::Error::Acquire", &(refused, origin));
    // The list has the words of Linux.
    let added = list.0.last_mut().expect("the line that was added");
    *added = added.replace(&system, "Connection refused (os error 111)");
    let origin: http::Origin = "http://api-1".parse().unwrap();
    let closed = http::Error::Acquire { origin, source: AcquireError::Closed };
    list.add("http::Error::Acquire", &closed);
    let origin: http::Origin = "http://api-1".parse().unwrap();
    let source = "the body ended before its length".into();
    list.add("http::Error::Upload", &http::Error::Upload { origin: origin.clone(), source });
    list.add("http::Error::NoHttp2", &http::Error::NoHttp2 { origin: origin.clone() });
    list.add("http::Error::Ended", &http::Error::Ended { origin: origin.clone() });
    let head = http::Error::HeadTooLarge { origin: origin.clone(), bytes: 262_144, headers: 256 };
    list.add("http::Error::HeadTooLarge", &head);
    list.add("http::Error::Interim", &http::Error::Interim { origin: origin.clone() });
    let limit = SECOND;
    list.add(
        "http::Error::HeaderTimeout",
        &http::Error::HeaderTimeout { origin: origin.clone(), limit },
    );
    list.add("http::Error::Timeout", &http::Error::Timeout { origin, limit });
    list.add("http::ConnectError::Transport", &http::ConnectError::Transport(refusal()));
    list.add("http::ConnectError::Tls", &http::ConnectError::Tls(distrust()));
    list.add("http::ConnectError::NoHttp2", &http::ConnectError::NoHttp2);
    let failed = http::ConnectError::Handshake(cancelled().await);
    list.add("http::ConnectError::Handshake", &failed);
    list.add("http::ConnectError::NoSettings", &http::ConnectError::NoSettings);
    list.add("http::ConnectError::Ended", &http::ConnectError::Ended);
}

fn refusal() -> io::Error {
    io::ErrorKind::ConnectionRefused.into()
}

fn distrust() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer")
}

/// Of a connection that nobody drives any more.
async fn cancelled() -> hyper::Error {
    let io = hyper_util::rt::TokioIo::new(tokio::io::duplex(64).0);
    let (mut sender, driver) = hyper::client::conn::http1::handshake(io).await.unwrap();
    drop(driver);
    sender.send_request(::http::Request::new(Full::new(Bytes::new()))).await.unwrap_err()
}

fn of_postgres(list: &mut List) {
    let refused = || refusal().into();
    list.add("postgres::Error::Config", &PostgresError::Config(refused()));
    list.add("postgres::Error::OnConnect", &PostgresError::OnConnect(refused()));
    list.add("postgres::Error::NoTls", &PostgresError::NoTls);
    list.add("postgres::Error::ReadOnly", &PostgresError::ReadOnly);
}

fn of_grpc(list: &mut List) {
    let uri = "ftp://files.example".parse().unwrap();
    let reason = "must begin with http:// or https://";
    list.add("grpc::Error::InvalidUri", &GrpcError::InvalidUri { uri, reason });
    list.add("grpc::Error::Connect", &GrpcError::Connect(http::ConnectError::Transport(refusal())));
    list.add("grpc::Error::Silent", &GrpcError::Silent);
    list.add("grpc::Error::Check", &GrpcError::Check(tonic::Status::unavailable("going down")));
    list.add("grpc::Error::NotServing", &GrpcError::NotServing { service: "orders.Orders".into() });
}

fn of_websocket(list: &mut List) {
    let url = WebSocketError::Url { url: "ftp://a".into(), reason: "must begin with ws".into() };
    list.add("websocket::Error::Url", &url);
    list.add("websocket::Error::Connect", &WebSocketError::Connect(Arc::new(refusal())));
    list.add("websocket::Error::Tls", &WebSocketError::Tls(Arc::new(distrust())));
    let broken = || Arc::new(tungstenite::Error::ConnectionClosed);
    list.add("websocket::Error::Handshake", &WebSocketError::Handshake(broken()));
    list.add("websocket::Error::Broken", &WebSocketError::Broken(broken()));
    list.add("websocket::Error::Silent", &WebSocketError::Silent { missed: 3 });
    list.add("websocket::Error::Closed", &WebSocketError::Closed(None));
    let frame = CloseFrame { code: CloseCode::Away, reason: "going down".into() };
    list.add("websocket::Error::Closed", &WebSocketError::Closed(Some(frame)));
    list.add("websocket::Error::Unread", &WebSocketError::Unread);
    list.add("websocket::Error::Unasked", &WebSocketError::Unasked);
    list.add("websocket::Error::RuntimeEnded", &WebSocketError::RuntimeEnded);
}

/// The paths of `file!()` are those of the workspace, where this runs.
const LIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/errors/errors.txt");

#[test]
fn every_error_says_in_one_line_what_to_look_at() {
    let mut list = List::default();
    let runtime = |paused| {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().start_paused(paused).build().unwrap()
    };
    runtime(true).block_on(async {
        acquires(&mut list).await;
        time_outs(&mut list).await;
        warms(&mut list).await;
        adds_and_settings(&mut list).await;
    });
    of_managers(&mut list);
    runtime(false).block_on(of_http(&mut list));
    of_grpc(&mut list);
    of_postgres(&mut list);
    of_websocket(&mut list);
    if env::var_os("WHARF_ACCEPT").is_some() {
        fs::write(LIST, list.0.join("\n") + "\n").unwrap();
    }
    let expected = fs::read_to_string(LIST).unwrap_or_default();
    for (new, old) in list.0.iter().zip(expected.lines()) {
        assert_eq!(new, old, "WHARF_ACCEPT=1 writes the list anew, if this is meant");
    }
    assert_eq!(list.0.len(), expected.lines().count());
}
