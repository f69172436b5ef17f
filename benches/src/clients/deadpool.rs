//! hyper's HTTP/1.1 connections in a pool of deadpool: what a program may well do that needs a cap.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use deadpool::managed::{Manager, Metrics, Pool, RecycleError, RecycleResult};
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Asks;

pub(super) struct Deadpool {
    pool: Pool<Dialer>,
    host: String,
    /// The length of the answer.
    answer: usize,
}

impl Deadpool {
    pub(super) fn new(server: SocketAddr, cap: usize, answer: usize) -> Deadpool {
        let pool = Pool::builder(Dialer(server)).max_size(cap).build().expect("it can be meant");
        Deadpool { pool, host: server.to_string(), answer }
    }
}

impl Asks for Deadpool {
    async fn ask(&self) {
        let mut connection = self.pool.get().await.expect("a connection");
        let request = Request::get("/").header(HOST, &self.host).body(Empty::new());
        let answer = connection.send_request(request.expect("a request")).await;
        let answer = answer.expect("an answer").into_body().collect().await.expect("all of it");
        assert_eq!(answer.to_bytes().len(), self.answer);
    }
}

struct Dialer(SocketAddr);

impl Manager for Dialer {
    type Type = SendRequest<Empty<Bytes>>;
    type Error = io::Error;

    async fn create(&self) -> io::Result<SendRequest<Empty<Bytes>>> {
        let stream = TcpStream::connect(self.0).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(connection);
        Ok(sender)
    }

    async fn recycle(
        &self,
        sender: &mut SendRequest<Empty<Bytes>>,
        _: &Metrics,
    ) -> RecycleResult<io::Error> {
        sender.ready().await.map_err(|error| RecycleError::Backend(io::Error::other(error)))
    }
}
