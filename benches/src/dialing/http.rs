//! A GET over HTTP/1.1, and over HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use wharf::SharedPool;
use wharf_http::{Client, Protocol as Version};

use super::tcp::dial;
use super::{BODY, Protocol, Serving, TASKS, listen};

/// With HTTP/2 all tasks may share one connection of the pool.
pub(crate) struct Http<const HTTP2: bool> {
    address: SocketAddr,
    client: Client,
}

impl<const HTTP2: bool> Http<HTTP2> {
    fn request(&self) -> Request<Empty<Bytes>> {
        let request = Request::get(format!("http://{}/", self.address));
        request.body(Empty::new()).expect("a request")
    }
}

impl<const HTTP2: bool> Protocol for Http<HTTP2> {
    const NAME: &'static str = if HTTP2 { "HTTP/2" } else { "HTTP/1.1" };

    async fn serve() -> Serving {
        listen(serve::<HTTP2>).await
    }

    fn at(address: SocketAddr) -> Self {
        let pool = SharedPool::builder().max_per_host(TASKS);
        let version = if HTTP2 { Version::Http2 } else { Version::Http1 };
        let client = Client::builder().pool(pool).protocol(version).build();
        Http { address, client: client.expect("valid settings") }
    }

    async fn dial_and_ask(&self) {
        let stream = TokioIo::new(dial(self.address).await.expect("a connection"));
        let (response, driver) = if HTTP2 {
            let handshake = http2::handshake(TokioExecutor::new(), stream).await;
            let (mut sender, connection) = handshake.expect("a connection");
            let driver = tokio::spawn(connection);
            (sender.send_request(self.request()).await, driver)
        } else {
            let (mut sender, connection) = http1::handshake(stream).await.expect("a connection");
            let driver = tokio::spawn(connection);
            (sender.send_request(self.request()).await, driver)
        };
        check(response.expect("an answer")).await;
        let _ = driver.await;
    }

    async fn ask_through_pool(&self) {
        check(self.client.request(self.request()).await.expect("an answer")).await;
    }

    fn dials(&self) -> u64 {
        self.client.pool().status().dials
    }
}

async fn check<B: hyper::body::Body<Data = Bytes>>(response: Response<B>) {
    let Ok(body) = response.into_body().collect().await else { panic!("half an answer") };
    assert_eq!(body.to_bytes(), BODY[..]);
}

async fn serve<const HTTP2: bool>(stream: TcpStream) {
    use hyper::server::conn::{http1, http2};
    let stream = TokioIo::new(stream);
    let answer = service_fn(answer);
    let _ = if HTTP2 {
        http2::Builder::new(TokioExecutor::new()).serve_connection(stream, answer).await
    } else {
        http1::Builder::new().serve_connection(stream, answer).await
    };
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(&BODY))))
}
