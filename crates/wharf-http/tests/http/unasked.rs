//! Responses that nobody asked for, on connections that are reused.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wharf_http::tls::rustls::ServerConfig;

use crate::support::*;

const OWN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown";
const UNASKED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntheirs";

/// Answers each request, and a moment later once more, which it tells.
async fn answer_twice<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    told: mpsc::Sender<()>,
) -> Option<()> {
    let mut asked = Vec::new();
    loop {
        asked.push(stream.read_u8().await.ok()?);
        if asked.ends_with(b"\r\n\r\n") {
            asked.clear();
            stream.write_all(OWN).await.ok()?;
            stream.flush().await.ok()?;
            tokio::time::sleep(Duration::from_millis(2)).await;
            stream.write_all(UNASKED).await.ok()?;
            stream.flush().await.ok()?;
            told.send(()).ok()?;
        }
    }
}

/// A server on a thread of its own, because that of the test will be busy.
struct Elsewhere {
    url: String,
    /// Told of each answer that nobody asked for.
    unasked: mpsc::Receiver<()>,
}

impl Elsewhere {
    /// Blocks the runtime's only thread until the second answer lies in the socket.
    fn wait_for_unasked(&self) {
        self.unasked.recv_timeout(Duration::from_secs(60)).expect("a second answer");
    }
}

fn elsewhere(tls: Option<Arc<ServerConfig>>) -> Elsewhere {
    let (told, url) = mpsc::channel();
    let (tell, unasked) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let scheme = if tls.is_some() { "https" } else { "http" };
            told.send(format!("{scheme}://{}/", listener.local_addr().unwrap())).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (tls, tell) = (tls.clone(), tell.clone());
                tokio::spawn(async move {
                    match tls {
                        None => answer_twice(stream, tell).await,
                        Some(tls) => {
                            let stream = TlsAcceptor::from(tls).accept(stream).await.ok()?;
                            answer_twice(stream, tell).await
                        }
                    }
                });
            }
        });
    });
    Elsewhere { url: url.recv().unwrap(), unasked }
}

#[tokio::test]
async fn a_response_that_lies_in_the_socket_unasked_is_not_given_to_the_next_request() {
    let server = elsewhere(None);
    let client = plain(1);
    for _ in 0..30 {
        let fetched = within_a_minute(fetch(&client, &server.url)).await.unwrap();
        assert_eq!(fetched.body, "own");
        server.wait_for_unasked();
    }
}

#[tokio::test]
async fn nor_is_one_under_tls() {
    let (config, trust) = certificate(&[]);
    let server = elsewhere(Some(config));
    let client = client(1, |b| b.tls(trust));
    for _ in 0..30 {
        let fetched = within_a_minute(fetch(&client, &server.url)).await.unwrap();
        assert_eq!(fetched.body, "own");
        server.wait_for_unasked();
    }
}

/// Under TLS 1.3 a server sends tickets after the handshake: they are no reason to dial again.
#[tokio::test]
async fn session_tickets_are_no_responses() {
    let (tls, trust) = certificate(&[]);
    let server = Server::start(Kind { tls: Some(tls), ..HTTP1 }).await;
    let client = client(1, |b| b.tls(trust));
    for _ in 0..20 {
        assert!(within_a_minute(fetch(&client, &server.url("/"))).await.is_ok());
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(client.pool().status().dials, 1);
}
