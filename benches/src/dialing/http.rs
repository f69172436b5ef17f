//! A GET over HTTP/1.1.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use wharf::SharedPool;
use wharf::http::{Client, Protocol as Version};

use super::tcp::dial;
use super::{BODY, Protocol, TASKS};

pub(crate) struct Http {
    address: SocketAddr,
    client: Client,
}

impl Http {
    fn request(&self) -> Request<Empty<Bytes>> {
        let request = Request::get(format!("http://{}/", self.address));
        request.body(Empty::new()).expect("a request")
    }
}

impl Protocol for Http {
    const NAME: &'static str = "HTTP/1.1";

    async fn serve() -> Option<(SocketAddr, Box<dyn Send>)> {
        let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
        let address = listener.local_addr().ok()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener));
        Some((address, Box::new(tasks)))
    }

    fn at(address: SocketAddr) -> Self {
        let pool = SharedPool::builder().max_per_host(TASKS);
        let client = Client::builder().pool(pool).protocol(Version::Http1).build();
        Http { address, client: client.expect("it can be meant") }
    }

    async fn dial_and_ask(&self) {
        let stream = TokioIo::new(dial(self.address).await.expect("a connection"));
        let (mut sender, connection) = http1::handshake(stream).await.expect("a connection");
        let driver = tokio::spawn(connection);
        let response = sender.send_request(self.request()).await.expect("an answer");
        assert_eq!(response.into_body().collect().await.expect("all of it").to_bytes(), BODY[..]);
        drop(sender);
        let _ = driver.await;
    }

    async fn ask_through_pool(&self) {
        let response = self.client.request(self.request()).await.expect("an answer");
        assert_eq!(response.into_body().collect().await.expect("all of it").to_bytes(), BODY[..]);
    }

    fn dials(&self) -> u64 {
        self.client.pool().status().dials
    }
}

async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let builder = hyper::server::conn::http1::Builder::new();
        connections.spawn(builder.serve_connection(TokioIo::new(stream), service_fn(answer)));
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(&BODY))))
}
