//! Bodies that are not as long as the request says.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Channel, Empty, Full};
use hyper::body::{Body, Frame, SizeHint};
use hyper::{HeaderMap, Method, Request};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wharf_http::{Client, Protocol};

use crate::support::*;

/// The bytes of each connection, as they came.
type Arrived = Arc<Mutex<Vec<String>>>;

/// Reads as many bytes as a request says that it has, and answers with its path: what is sent beyond
/// that is the next request.
async fn exact_server() -> (Server, Arrived) {
    let arrived = Arrived::default();
    let of_server = arrived.clone();
    let server = Server::raw(move |_, stream| {
        let mut all = of_server.lock();
        all.push(String::new());
        converse(stream, all.len() - 1, of_server.clone())
    })
    .await;
    (server, arrived)
}

async fn converse(mut stream: TcpStream, nth: usize, arrived: Arrived) {
    let (mut buffer, mut unread) = (vec![0; 64 * 1024], String::new());
    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
        let piece = std::str::from_utf8(&buffer[..n]).unwrap();
        arrived.lock()[nth].push_str(piece);
        unread.push_str(piece);
        while let Some((path, length)) = complete_request(&unread) {
            unread.drain(..length);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", path.len());
            stream.write_all((head + &path).as_bytes()).await.unwrap();
        }
    }
}

/// The path of the first request, and how long it is with its body.
fn complete_request(text: &str) -> Option<(String, usize)> {
    let head = text.find("\r\n\r\n")? + 4;
    let lines = text[..head].to_ascii_lowercase();
    let end = if lines.contains("transfer-encoding: chunked") {
        head + text[head..].find("0\r\n\r\n")? + 5
    } else {
        let length = lines.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        head + length.map_or(0, |length| length.parse().unwrap())
    };
    let path = text.split(' ').nth(1).unwrap_or("no path").to_owned();
    (end <= text.len()).then_some((path, end))
}

type AnyBody = UnsyncBoxBody<Bytes, std::io::Error>;

/// A body that does not tell its length and brings these pieces.
fn pieces<const N: usize>(pieces: [&'static [u8]; N]) -> AnyBody {
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(N.max(1));
    tokio::spawn(async move {
        for piece in pieces {
            // It may be refused before all of it came.
            let _ = sender.send(Frame::data(Bytes::from_static(piece))).await;
        }
    });
    body.boxed_unsync()
}

fn told(data: &'static str) -> AnyBody {
    Full::new(Bytes::from(data)).map_err(|never| match never {}).boxed_unsync()
}

fn empty() -> AnyBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

fn request(
    method: Method,
    url: &str,
    headers: &[(&'static str, &'static str)],
    body: AnyBody,
) -> Request<AnyBody> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

/// An HTTP/1.1 client for a server that records, and an HTTP/2 client for one of hyper's.
async fn both() -> [(Server, Client); 2] {
    let http2 = client(2, |builder| builder.protocol(Protocol::Http2));
    [(exact_server().await.0, plain(1)), (Server::start(HTTP2).await, http2)]
}

#[tokio::test]
async fn a_request_that_contradicts_itself_is_refused_before_anything_is_sent() {
    const CHUNKED: (&str, &str) = ("transfer-encoding", "chunked");
    const LENGTH: &str = "content-length";
    let cases: [(Method, &[_], AnyBody, &str); 14] = [
        (Method::GET, &[(LENGTH, "11")], empty(), "is 11, but the body has 0 bytes"),
        (Method::POST, &[(LENGTH, "3")], told("hello world"), "is 3, but the body has 11 bytes"),
        (Method::POST, &[(LENGTH, "12")], told("hello world"), "is 12, but the body has 11 bytes"),
        (Method::POST, &[(LENGTH, "3")], pieces([b"he", b"llo"]), "3 bytes, but has more"),
        (Method::POST, &[(LENGTH, "3")], pieces([b"hel", b"lo"]), "3 bytes, but has more"),
        (Method::POST, &[(LENGTH, "3")], pieces([b"he"]), "3 bytes, but has fewer"),
        (Method::POST, &[(LENGTH, "0")], pieces([b"he"]), "0 bytes, but has more"),
        (Method::POST, &[(LENGTH, "-1")], empty(), "is \"-1\", which is not a length"),
        (Method::POST, &[(LENGTH, "5, 5")], told("hello"), "which is not a length"),
        (Method::POST, &[(LENGTH, "5"), (LENGTH, "5")], told("hello"), "several content-length"),
        (Method::POST, &[(LENGTH, "5"), CHUNKED], told("hello"), "both content-length and"),
        (Method::POST, &[("transfer-encoding", "gzip")], told("hello"), "must end in"),
        (Method::POST, &[("transfer-encoding", "chunked, gzip")], told("hello"), "must end in"),
        (Method::POST, &[CHUNKED, CHUNKED], told("hello"), "must end in the only"),
    ];
    let (server, arrived) = exact_server().await;
    let client = plain(1);
    for (method, headers, body, says) in cases {
        let request = request(method, &server.url("/"), headers, body);
        let error = client.request(request).await.unwrap_err();
        assert!(matches!(error, wharf_http::Error::Request(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{error}, which should say {says:?}");
    }
    assert_eq!((server.connections(), arrived.lock().len()), (0, 0));
}

#[tokio::test]
async fn a_length_that_is_right_may_be_told() {
    for (server, client) in both().await {
        for (method, headers, body) in [
            (Method::GET, &[("content-length", "0")], empty()),
            (Method::POST, &[("content-length", "5")], told("hello")),
            (Method::POST, &[("content-length", "5")], pieces([b"he", b"", b"llo"])),
            (Method::POST, &[("content-length", "0")], pieces([])),
        ] {
            let request = request(method, &server.url("/echo"), headers, body);
            let answer = read(client.request(request).await.unwrap()).await.unwrap();
            assert!(["/echo", "hello", ""].contains(&std::str::from_utf8(&answer.body).unwrap()));
        }
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn chunks_that_the_user_asks_for_are_sent_as_chunks() {
    let (server, arrived) = exact_server().await;
    let headers = &[("transfer-encoding", "gzip, Chunked")];
    let client = plain(1);
    let request = request(Method::POST, &server.url("/"), headers, told("hello"));
    client.request(request).await.unwrap();
    let sent = arrived.lock()[0].clone();
    assert!(sent.ends_with("\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{sent}");
    assert!(!sent.contains("content-length"), "{sent}");
}

/// hyper would send the head alone, as if there were no body.
#[tokio::test]
async fn a_get_with_a_body_of_unknown_length_sends_it() {
    let (server, arrived) = exact_server().await;
    let client = plain(1);
    let request = request(Method::GET, &server.url("/"), &[], pieces([b"hello"]));
    client.request(request).await.unwrap();
    let sent = arrived.lock()[0].clone();
    assert!(sent.ends_with("transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), "{sent}");
}

/// A body of more than is read into memory, of which this many bytes come.
fn upload(url: &str, declared: usize, has: usize) -> Request<AnyBody> {
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    tokio::spawn(async move {
        let mut left = has;
        while left > 0 {
            let piece = left.min(10_000);
            left -= piece;
            if sender.send(Frame::data(vec![b'x'; piece].into())).await.is_err() {
                return;
            }
        }
    });
    let mut request = Request::post(url).body(body.boxed_unsync()).unwrap();
    request.headers_mut().insert("content-length", declared.into());
    request
}

#[tokio::test]
async fn a_length_that_turns_out_wrong_fails_the_request_and_nobody_gets_its_connection() {
    const DECLARED: usize = 100_000;
    for (has, says) in [(DECLARED - 1, "fewer"), (DECLARED + 1, "more"), (2 * DECLARED, "more")] {
        let (server, arrived) = exact_server().await;
        let client = plain(1);
        let error = client.request(upload(&server.url("/upload"), DECLARED, has)).await;
        let text = chain(&error.unwrap_err());
        assert!(text.contains(&server.address.to_string()), "{text}");
        let tells = format!("its body must have {DECLARED} bytes, but has {says}");
        assert!(text.contains(&tells), "{text}");
        for _ in 0..2 {
            assert_eq!(fetch(&client, &server.url("/next")).await.unwrap().body, "/next");
        }
        assert_eq!(server.connections(), 2);
        // The server never saw a whole request on the first one, let alone another one after it.
        let first = arrived.lock()[0].clone();
        assert!(complete_request(&first).is_none() && !first.contains("/next"));
        assert!(first.contains("content-length: 100000\r\n"));
    }
}

#[tokio::test]
async fn a_length_that_turns_out_right_is_a_success() {
    for (server, client) in both().await {
        for _ in 0..3 {
            let request = upload(&server.url("/echo"), 100_000, 100_000);
            let answer = read(client.request(request).await.unwrap()).await.unwrap();
            assert!(answer.body.len() == 100_000 || answer.body == "/echo");
        }
        assert_eq!(server.connections(), 1);
    }
}

/// The stream is reset; the connection is as it was.
#[tokio::test]
async fn a_wrong_length_on_http_2_is_the_end_of_its_stream_only() {
    let server = Server::start(HTTP2).await;
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    let other = tokio::spawn(client.request(get(&server.url("/wait"))));
    until(|| server.waiting() == 1).await;
    for (has, says) in [(99_999, "fewer"), (100_001, "more")] {
        let error = client.request(upload(&server.url("/wait"), 100_000, has)).await.unwrap_err();
        let text = chain(&error);
        assert!(text.contains(&format!("100000 bytes, but has {says}")), "{text}");
    }
    server.log.gate.add_permits(10);
    assert_eq!(read(other.await.unwrap().unwrap()).await.unwrap().body, "waited");
    assert_eq!(fetch(&client, &server.url("/next")).await.unwrap().body, "GET /next");
    assert_eq!(server.connections(), 1);
}

/// Says a length and has another one.
struct Liar(Option<Bytes>, u64);

impl Body for Liar {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(self.0.take().map(Frame::data).map(Ok))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_itself_fails() {
    for (server, client) in both().await {
        for (has, says) in [(10, 11), (11, 10), (100_000, 100_001), (100_001, 100_000)] {
            let body = Liar(Some(vec![b'x'; has].into()), says);
            let request = Request::post(server.url("/echo")).body(body).unwrap();
            let text = match client.request(request).await {
                Err(error) => chain(&error),
                // On HTTP/2 the answer may be there before the body fails.
                Ok(response) => chain(&read(response).await.unwrap_err()),
            };
            let is_named = text.contains(&format!("must have {says} bytes"));
            assert!(is_named || text.contains("stream"), "{text}");
        }
        let next = fetch(&client, &server.url("/next")).await.unwrap().body;
        assert!(next.ends_with(b"/next"));
    }
}

#[tokio::test]
async fn trailers_after_a_body_of_a_told_length_are_kept() {
    let server = Server::start(HTTP2).await;
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    for length in [5, 100_000] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(2);
        sender.send(Frame::data(vec![b'x'; length].into())).await.unwrap();
        sender.send(Frame::trailers(trailers)).await.unwrap();
        drop(sender);
        let mut request = Request::post(server.url("/echo")).body(body).unwrap();
        request.headers_mut().insert("content-length", length.into());
        let collected = client.request(request).await.unwrap().into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "42");
        assert_eq!(collected.to_bytes().len(), length);
    }
}
