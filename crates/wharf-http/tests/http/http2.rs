//! HTTP/2: many requests on a connection.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Version;
use tokio::task::JoinSet;
use tokio::time;
use wharf::{Heartbeat, SharedPool};
use wharf_http::{Client, Error, Protocol};

use crate::frames::{DATA, END_HEADERS, HEADERS, Peer, RST_STREAM};
use crate::support::*;

fn http2(cap: usize) -> Client {
    client(cap, |builder| builder.protocol(Protocol::Http2))
}

type Fetches = JoinSet<Result<Fetched, Error>>;

fn fetches(client: &Client, url: &str, many: usize) -> Fetches {
    let mut tasks = JoinSet::new();
    for _ in 0..many {
        let (client, url) = (client.clone(), url.to_owned());
        tasks.spawn(async move { fetch(&client, &url).await });
    }
    tasks
}

/// POSTs, each with a body, whose answers are read.
fn posts(client: &Client, url: &str, many: usize) -> Fetches {
    let mut tasks = JoinSet::new();
    for _ in 0..many {
        let (client, url) = (client.clone(), url.to_owned());
        tasks.spawn(async move { read(client.request(post(&url, "a body")).await?).await });
    }
    tasks
}

async fn all_answered(tasks: Fetches) -> usize {
    let answers = within_a_minute(tasks.join_all()).await;
    for answer in &answers {
        assert!(answer.is_ok(), "{}", chain(answer.as_ref().unwrap_err()));
    }
    answers.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_one_connection() {
    let server = Server::start(HTTP2).await;
    let client = http2(8);
    let tasks = fetches(&client, &server.url("/wait"), 64);
    until(|| server.waiting() == 64).await;
    let status = client.pool().status();
    assert_eq!((status.in_use, status.leases, status.dials), (1, 64, 1));
    server.log.gate.add_permits(64);
    assert_eq!(all_answered(tasks).await, 64);
    let fetched = fetch(&client, &server.url("/a")).await.unwrap();
    assert_eq!((fetched.version, &fetched.body[..]), (Version::HTTP_2, &b"GET /a"[..]));
    assert_eq!((server.connections(), settled(&client).await.idle), (1, 1));
}

#[tokio::test]
async fn a_full_connection_gets_a_neighbour_up_to_the_cap() {
    let server = Server::start(HTTP2).await;
    let client = client(3, |b| b.protocol(Protocol::Http2).http2_max_streams(10));
    let tasks = fetches(&client, &server.url("/wait"), 35);
    until(|| server.waiting() == 30).await;
    let status = client.pool().status();
    assert_eq!((status.in_use, status.leases, status.waiting), (3, 30, 5));
    server.log.gate.add_permits(35);
    assert_eq!((all_answered(tasks).await, server.connections()), (35, 3));
}

#[tokio::test]
async fn the_peer_says_how_many_streams_it_takes() {
    let server = Server::start(Kind { max_streams: Some(10), ..HTTP2 }).await;
    let client = http2(4);
    fetch(&client, &server.url("/")).await.unwrap();
    let tasks = fetches(&client, &server.url("/wait"), 20);
    until(|| server.waiting() == 20).await;
    assert_eq!((client.pool().status().leases, server.connections()), (20, 2));
    server.log.gate.add_permits(20);
    assert_eq!(all_answered(tasks).await, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_requests_than_the_peer_takes_before_it_could_say_so() {
    let server = Server::start(Kind { max_streams: Some(5), ..HTTP2 }).await;
    let client = http2(2);
    server.log.gate.add_permits(64);
    assert_eq!(all_answered(posts(&client, &server.url("/wait"), 64)).await, 64);
    assert_eq!(server.requests(), 64);
}

#[tokio::test]
async fn a_refused_request_is_sent_again() {
    let server = Server::raw(|log, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        while let Some(stream) = peer.request().await {
            let nth = log.requests.fetch_add(1, Ordering::SeqCst);
            let _ = if nth == 0 { peer.refuse(stream).await } else { peer.answer(stream).await };
        }
    })
    .await;
    assert_eq!(all_answered(posts(&http2(1), &server.url("/"), 1)).await, 1);
    assert_eq!((server.connections(), server.requests()), (1, 2));
}

#[tokio::test]
async fn a_graceful_end_fails_nothing_and_takes_nothing_new() {
    let server = Server::start(HTTP2).await;
    let client = http2(2);
    let tasks = posts(&client, &server.url("/wait"), 20);
    until(|| server.waiting() == 20).await;
    server.leave();
    // The connection is not open any more: its place is free, and its requests go on.
    until(|| {
        drop(client.pool().try_acquire(&server.url("").parse().unwrap()));
        client.pool().status().in_use == 0
    })
    .await;
    assert_eq!(fetch(&client, &server.url("/new")).await.unwrap().body, "GET /new");
    assert_eq!((server.connections(), server.waiting()), (2, 20));
    server.log.gate.add_permits(20);
    assert_eq!(all_answered(tasks).await, 20);
    assert_eq!(server.requests(), 21);
    until(|| server.log.open.load(Ordering::SeqCst) == 1).await;
}

/// A peer that goes away after its first stream; those that follow are not.
async fn leaving_server(max_streams: Option<u32>, wanted: usize) -> Server {
    Server::raw(move |log, stream| async move {
        let is_first = log.connections.load(Ordering::SeqCst) == 1;
        let max_streams = max_streams.filter(|_| is_first);
        let Some(mut peer) = Peer::greet(stream, max_streams).await else { return };
        if is_first {
            for _ in 0..wanted {
                peer.request().await.unwrap();
                log.requests.fetch_add(1, Ordering::SeqCst);
            }
            peer.go_away(1).await.unwrap();
            peer.answer(1).await.unwrap();
        }
        while let Some(stream) = peer.request().await {
            log.requests.fetch_add(1, Ordering::SeqCst);
            let _ = peer.answer(stream).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_request_that_a_leaving_peer_has_not_seen_is_sent_again() {
    let server = leaving_server(None, 5).await;
    let client = http2(2);
    assert_eq!(all_answered(posts(&client, &server.url("/"), 5)).await, 5);
    assert_eq!((server.connections(), server.requests()), (2, 9));
}

/// The peer takes one stream: the others wait in this process, before or inside hyper.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_a_stream_of_a_leaving_peer_is_sent_again() {
    for _ in 0..20 {
        let server = leaving_server(Some(1), 1).await;
        let client = http2(2);
        assert_eq!(all_answered(posts(&client, &server.url("/"), 5)).await, 5);
    }
}

#[tokio::test]
async fn a_cancelled_request_leaves_the_others_alone() {
    let server = Server::start(HTTP2).await;
    let client = http2(1);
    let tasks = fetches(&client, &server.url("/wait"), 5);
    let request = tokio::spawn(client.request(get(&server.url("/wait"))));
    until(|| server.waiting() == 6).await;
    request.abort();
    // The server hears of it.
    until(|| server.waiting() == 5).await;
    assert_eq!(client.pool().status().leases, 5);
    server.log.gate.add_permits(5);
    assert_eq!((all_answered(tasks).await, server.connections()), (5, 1));
}

#[tokio::test]
async fn a_body_dropped_early_leaves_the_others_alone() {
    let server = Server::start(HTTP2).await;
    let client = http2(1);
    let other = client.request(get(&server.url("/bytes/1000000"))).await.unwrap();
    drop(client.request(get(&server.url("/stall/1000000"))).await.unwrap());
    let mut dropped = client.request(get(&server.url("/stall/10"))).await.unwrap().into_body();
    dropped.frame().await.unwrap().unwrap();
    drop(dropped);
    assert_eq!(client.pool().status().leases, 1);
    assert_eq!(read(other).await.unwrap().body.len(), 1_000_000);
    assert_eq!((settled(&client).await.idle, server.connections()), (1, 1));
}

#[tokio::test]
async fn a_peer_that_stops_answering_is_found() {
    let server = Server::raw(|log, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        let is_first = log.connections.load(Ordering::SeqCst) == 1;
        while let Some(stream) = peer.request().await {
            if is_first && log.requests.fetch_add(1, Ordering::SeqCst) > 0 {
                std::future::pending::<()>().await;
            }
            let _ = peer.answer(stream).await;
        }
    })
    .await;
    let times = Duration::from_secs(10);
    let client = client(1, |b| {
        b.protocol(Protocol::Http2).http2_keep_alive_interval(times).http2_keep_alive_timeout(times)
    });
    fetch(&client, &server.url("/")).await.unwrap();
    let url = server.url("/");
    let silence = async {
        until(|| server.log.requests.load(Ordering::SeqCst) == 2).await;
        tokio::time::pause();
    };
    let (answer, ()) = tokio::join!(within_a_minute(fetch(&client, &url)), silence);
    tokio::time::resume();
    let error = answer.unwrap_err();
    assert!(chain(&error).contains("timed out"), "{}", chain(&error));
    assert_eq!(settled(&client).await.idle, 0);
    fetch(&client, &server.url("/")).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_peer_that_dies_fails_its_requests_and_the_next_go_elsewhere() {
    let server = Server::raw(|log, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        let is_first = log.connections.load(Ordering::SeqCst) == 1;
        while let Some(stream) = peer.request().await {
            let nth = log.requests.fetch_add(1, Ordering::SeqCst);
            if is_first && nth == 2 {
                return;
            }
            if !is_first {
                peer.answer(stream).await.unwrap();
            }
        }
    })
    .await;
    let client = http2(1);
    let answers = within_a_minute(posts(&client, &server.url("/"), 3).join_all()).await;
    for answer in answers {
        let error = answer.unwrap_err();
        assert!(error.to_string().contains(&server.address.to_string()), "{error}");
    }
    assert_eq!(all_answered(posts(&client, &server.url("/"), 3)).await, 3);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_get_is_sent_again_when_its_connection_dies() {
    let server = Server::raw(|log, stream| async move {
        let Some(mut peer) = Peer::greet(stream, None).await else { return };
        while let Some(stream) = peer.request().await {
            if log.requests.fetch_add(1, Ordering::SeqCst) == 1 {
                return;
            }
            peer.answer(stream).await.unwrap();
        }
    })
    .await;
    let client = http2(1);
    fetch(&client, &server.url("/")).await.unwrap();
    fetch(&client, &server.url("/")).await.unwrap();
    assert_eq!((server.connections(), server.requests()), (2, 3));
}

#[tokio::test]
async fn max_uses_counts_requests() {
    let server = Server::start(HTTP2).await;
    let pool = SharedPool::builder().max_per_host(1).max_uses(10);
    let client = Client::builder().pool(pool).protocol(Protocol::Http2).build().unwrap();
    for _ in 0..25 {
        fetch(&client, &server.url("/")).await.unwrap();
    }
    assert_eq!((server.requests(), server.connections()), (25, 3));
}

#[tokio::test]
async fn heartbeats_leave_requests_alone() {
    for (kind, protocol) in [(HTTP1, Protocol::Http1), (HTTP2, Protocol::Http2)] {
        let server = Server::start(kind).await;
        let heartbeat = Heartbeat::every(Duration::from_millis(5));
        let pool = SharedPool::builder().max_per_host(1).heartbeat(heartbeat);
        let client = Client::builder().pool(pool).protocol(protocol).build().unwrap();
        let tasks = fetches(&client, &server.url("/wait"), 1);
        until(|| server.waiting() == 1 && client.pool().status().heartbeats > 3).await;
        server.log.gate.add_permits(1);
        all_answered(tasks).await;
        until(|| client.pool().status().heartbeats > 6).await;
        fetch(&client, &server.url("/")).await.unwrap();
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_pool_that_closes_says_goodbye_and_ends() {
    let server = Server::start(HTTP2).await;
    let client = http2(1);
    let body = client.request(get(&server.url("/bytes/100"))).await.unwrap().into_body();
    let close = client.pool().close();
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 100);
    within_a_minute(close).await;
    until(|| server.log.open.load(Ordering::SeqCst) == 0).await;
}

#[tokio::test]
async fn a_client_that_is_dropped_ends_its_connections() {
    for (kind, protocol) in [(HTTP1, Protocol::Http1), (HTTP2, Protocol::Http2)] {
        let server = Server::start(kind).await;
        let client = client(1, |builder| builder.protocol(protocol));
        fetch(&client, &server.url("/")).await.unwrap();
        settled(&client).await;
        drop(client);
        time::timeout(Duration::from_secs(60), async {
            until(|| server.log.open.load(Ordering::SeqCst) == 0).await;
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn the_host_that_a_request_names_is_its_authority() {
    let server = Server::start(HTTP2).await;
    let client = http2(1);
    let mut request = get(&server.url("/authority"));
    request.headers_mut().insert("host", "other.example".parse().unwrap());
    let fetched = read(client.request(request).await.unwrap()).await.unwrap();
    assert_eq!(fetched.body, "other.example, no host");
}

/// The server answers what it has, and is gone; the next request is the first to find out, by a write
/// that fails while the answer lies here unread.
#[tokio::test]
async fn an_answer_that_came_is_read_before_a_write_that_fails_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (asked, is_asked) = mpsc::channel();
    let (closed, is_closed) = mpsc::channel();
    let (answer, told_to_answer) = mpsc::channel::<()>();
    let server = thread::spawn(move || {
        for nth in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream.read_exact(&mut [0; 24]).unwrap();
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                stream.read_exact(&mut vec![0; length]).unwrap();
                match (head[3], head[4] & 1) {
                    (4, 0) => stream.write_all(&[0, 0, 0, 4, 1, 0, 0, 0, 0]).unwrap(),
                    (0 | 1, 1) => break,
                    _ => {}
                }
            }
            if nth == 0 {
                asked.send(()).unwrap();
                told_to_answer.recv().unwrap();
            }
            stream.write_all(&[0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88]).unwrap();
            if nth == 0 {
                let stream = socket2::Socket::from(stream);
                thread::sleep(Duration::from_millis(20));
                stream.set_linger(Some(Duration::ZERO)).unwrap();
                drop(stream);
                closed.send(()).unwrap();
            }
        }
    });
    let client = http2(1);
    let first = posts(&client, &url, 1);
    until(|| is_asked.try_recv().is_ok()).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    answer.send(()).unwrap();
    is_closed.recv().unwrap();
    thread::sleep(Duration::from_millis(20));
    let second = client.request(get(&url)).await;
    assert!(second.is_ok(), "{}", chain(&second.unwrap_err()));
    assert_eq!(all_answered(first).await, 1);
    drop(client);
    server.join().unwrap();
}

#[tokio::test]
async fn an_answer_whose_stream_is_reset_is_not_whole() {
    for reason in [0_u32, 8] {
        let server = Server::raw(move |_, stream| async move {
            let mut peer = Peer::greet(stream, None).await.unwrap();
            let stream = peer.request().await.unwrap();
            peer.write(HEADERS, END_HEADERS, stream, &[0x88]).await.unwrap();
            peer.write(DATA, 0, stream, b"half").await.unwrap();
            peer.write(RST_STREAM, 0, stream, &reason.to_be_bytes()).await.unwrap();
            while peer.read().await.is_some() {}
        })
        .await;
        let client = client(1, |builder| builder.protocol(Protocol::Http2));
        let fetched = within_a_minute(fetch(&client, &server.url("/"))).await;
        assert!(fetched.is_err(), "{reason}: {fetched:?}");
    }
}
