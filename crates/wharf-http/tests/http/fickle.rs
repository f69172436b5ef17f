//! Servers that end their connections in all the ways that servers do, and count how often each request reached them.
//! Requests are numbered by their paths.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

/// How a server ends its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fickle {
    /// Closes connections that have been idle for a random time, up to 2 ms, and some on which a request has just come.
    Idle,
    /// Closes after each answer, without saying so.
    Unsaid,
    /// Closes after the fifth answer, without saying so.
    Fifth,
    /// Closes after each answer, and says so.
    Said,
    /// As `Idle`, with a reset.
    Resets,
    /// Ends its half after each answer, and reads on.
    Half,
    /// HTTP/2: says GOAWAY at random times, up to 2 ms after a connection was made.
    GoesAway,
}

pub(crate) const KINDS: [Fickle; 7] = [
    Fickle::Idle,
    Fickle::Unsaid,
    Fickle::Fifth,
    Fickle::Said,
    Fickle::Resets,
    Fickle::Half,
    Fickle::GoesAway,
];

/// How often each path was asked for.
#[derive(Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<HashMap<String, usize>>>);

impl Seen {
    fn note(&self, path: &str) {
        *self.0.lock().unwrap().entry(path.to_owned()).or_default() += 1;
    }

    pub(crate) fn different(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn more_than_once(&self) -> usize {
        self.0.lock().unwrap().values().filter(|&&times| times > 1).count()
    }
}

/// A server that answers every request with two bytes.
pub(crate) struct FickleServer {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    task: tokio::task::JoinHandle<()>,
}

impl FickleServer {
    pub(crate) async fn start(kind: Fickle) -> Self {
        Self::serve(move |stream, seen| async move {
            let _ = match kind {
                Fickle::GoesAway => go_away(stream, seen).await,
                _ => Http1 { stream, seen, unread: Vec::new() }.serve(kind).await,
            };
        })
        .await
    }

    /// One that speaks HTTP/2, and takes this many streams on each connection.
    pub(crate) async fn with_streams(max: u32) -> Self {
        Self::serve(move |stream, seen| async move {
            let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            builder.max_concurrent_streams(max);
            let service = service_fn(move |request| answer(seen.clone(), request));
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        })
        .await
    }

    async fn serve<F>(serve: impl Fn(TcpStream, Seen) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let of_task = seen.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, of_task.clone()));
            }
        });
        FickleServer { address, seen, task }
    }
}

impl Drop for FickleServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn a_while() -> Duration {
    Duration::from_micros(fastrand::u64(..2_000))
}

async fn answer(
    seen: Seen,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    if request.into_body().collect().await.is_ok() {
        seen.note(&path);
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"ok"))))
}

async fn go_away(stream: TcpStream, seen: Seen) -> io::Result<()> {
    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let service = service_fn(move |request| answer(seen.clone(), request));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return Ok(()),
        () = sleep(a_while()) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
    Ok(())
}

/// A connection of HTTP/1.1, whose requests are read whole.
struct Http1 {
    stream: TcpStream,
    seen: Seen,
    unread: Vec<u8>,
}

impl Http1 {
    async fn serve(mut self, kind: Fickle) -> io::Result<()> {
        for nth in 1.. {
            // A connection that has carried nothing yet is not idle: its first request is on its way.
            let is_impatient = nth > 1 && matches!(kind, Fickle::Idle | Fickle::Resets);
            let idle = is_impatient.then(a_while);
            match timeout(idle.unwrap_or(Duration::MAX), self.read()).await {
                Ok(Some(path)) => self.seen.note(&path),
                Err(_) if kind == Fickle::Resets => return self.reset(),
                Ok(None) | Err(_) => return Ok(()),
            }
            // The server ends as it begins with a request: what it has done of that, only it knows.
            if is_impatient && fastrand::u8(..8) == 0 {
                return if kind == Fickle::Resets { self.reset() } else { Ok(()) };
            }
            let says = if kind == Fickle::Said { "connection: close\r\n" } else { "" };
            let answer = format!("HTTP/1.1 200 OK\r\n{says}content-length: 2\r\n\r\nok");
            self.stream.write_all(answer.as_bytes()).await?;
            match kind {
                Fickle::Unsaid | Fickle::Said => return Ok(()),
                Fickle::Fifth if nth == 5 => return Ok(()),
                Fickle::Half => return self.end_half().await,
                _ => {}
            }
        }
        Ok(())
    }

    /// The path of the next request, or nothing where none comes.
    async fn read(&mut self) -> Option<String> {
        loop {
            if let Some((path, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Some(path);
            }
            if self.stream.read_buf(&mut self.unread).await.ok()? == 0 {
                return None;
            }
        }
    }

    fn reset(self) -> io::Result<()> {
        socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }

    async fn end_half(mut self) -> io::Result<()> {
        self.stream.shutdown().await?;
        while let Some(path) = self.read().await {
            self.seen.note(&path);
        }
        Ok(())
    }
}

/// The path and the length of a whole request.
fn parse(bytes: &[u8]) -> Option<(String, usize)> {
    let head_length = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_length]).to_lowercase();
    let path = head.split(' ').nth(1)?.to_owned();
    let declared = head.split("content-length:").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length = head_length + declared.map_or(0, |length| length.trim().parse().unwrap_or(0));
    (bytes.len() >= length).then_some((path, length))
}
