//! What a server sends before it is asked, or after it has answered, is nobody's answer.

use std::io;

use http_body_util::BodyExt;
use hyper::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, duplex, sink};
use tokio::net::TcpListener;
use tokio::runtime;
use wharf::tcp::{TcpHostConnector, TcpTransport};
use wharf::transport::{Place, Stream, StreamConnector, Transport};
use wharf::{Pool, async_trait};
use wharf_http::{Client, Error};
use wharf_proxy::{Proxy, ProxyTransport};

use crate::proxies::{read_head, serve};
use crate::support::*;

const EARLY: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ntheirs";

fn get() -> Request<String> {
    Request::get("http://shop/").body(String::new()).unwrap()
}

#[tokio::test]
async fn a_response_that_comes_with_the_proxys_answer_is_not_that_of_the_first_request() {
    let address = serve(|mut stream| async move {
        read_head(&mut stream).await;
        let answer = [b"HTTP/1.1 200 OK\r\n\r\n", EARLY].concat();
        stream.write_all(&answer).await.unwrap();
        while !read_head(&mut stream).await.is_empty() {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown").await.unwrap();
        }
    });
    let proxy: Proxy = format!("http://{}", address.await).parse().unwrap();
    let transport = ProxyTransport::new(TcpTransport::new(), proxy);
    let client = Client::builder().transport(transport).build().unwrap();
    if let Ok(response) = within_a_minute(client.request(get())).await {
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "own");
    }
    assert_eq!(client.pool().status().dials, 1);
}

/// A server that speaks first.
struct First(&'static [u8]);

#[async_trait]
impl Transport for First {
    async fn connect(&self, _: Place<'_>) -> io::Result<Stream> {
        let (client, mut server) = duplex(1024);
        server.write_all(self.0).await.unwrap();
        tokio::spawn(async move { copy(&mut server, &mut sink()).await });
        Ok(Stream::new(client))
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_an_error_and_is_dialed_once() {
    for said in [&b"220 mail.example ESMTP\r\n"[..], EARLY] {
        let client = Client::builder().transport(First(said)).build().unwrap();
        let error = within_a_minute(client.request(get())).await.unwrap_err();
        assert!(matches!(error, Error::Ended { .. } | Error::Exchange { .. }), "{error:?}");
        assert_eq!(client.pool().status().dials, 1);
    }
}

/// Answers each byte with itself, and a moment later with a zero. On a thread of its own.
fn echo_elsewhere() -> String {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            told.send(listener.local_addr().unwrap().to_string()).unwrap();
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        stream.write_u8(byte).await.ok()?;
                        tokio::time::sleep(SECOND / 500).await;
                        stream.write_u8(0).await.ok()?;
                    }
                    Some(())
                });
            }
        });
    });
    address.recv().unwrap()
}

/// The runtime's only thread is busy while the zero comes.
macro_rules! asks_nine_times {
    ($connector:expr) => {
        let key = echo_elsewhere();
        let pool = Pool::builder().build($connector).unwrap();
        for nth in 1..10 {
            let mut stream = pool.acquire(&key).await.unwrap();
            stream.write_u8(nth).await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), nth, "borrower {nth}");
            drop(stream);
            std::thread::sleep(SECOND / 100);
        }
    };
}

#[tokio::test]
async fn a_byte_that_lies_in_the_socket_is_not_the_answer_of_a_streams_next_borrower() {
    asks_nine_times!(StreamConnector::new(TcpTransport::new()));
}

#[tokio::test]
async fn a_byte_that_lies_in_the_socket_is_not_the_answer_of_a_tcp_connections_next_borrower() {
    asks_nine_times!(TcpHostConnector::new());
}
