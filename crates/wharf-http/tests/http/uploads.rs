//! HTTP/2 uploads that a peer's flow control stalls, and whose answers are given up.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Frame};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use wharf_http::{Error, Protocol};

use crate::frames::{END_HEADERS, HEADERS, Peer, RST_STREAM, SETTINGS};
use crate::support::*;

/// A body without an end, which counts as long as it lives.
struct Endless(#[allow(dead_code)] Arc<()>);

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[0; 16 * 1024])))))
    }
}

fn endless(server: &Server, alive: &Arc<()>) -> Request<Endless> {
    Request::post(server.url("/")).body(Endless(alive.clone())).unwrap()
}

/// A server that sends the head of an answer to each request, and takes no body; and the streams that are reset.
async fn stalling_server() -> (Server, UnboundedReceiver<u32>) {
    let (resets, streams) = mpsc::unbounded_channel();
    let server = Server::raw(move |_, stream| {
        let resets = resets.clone();
        async move {
            let _ = stall(stream, resets).await;
        }
    });
    (server.await, streams)
}

/// None at the end of the connection.
async fn stall(stream: TcpStream, resets: UnboundedSender<u32>) -> Option<()> {
    let mut peer = Peer::greet(stream, None).await?;
    // SETTINGS_INITIAL_WINDOW_SIZE is zero.
    peer.write(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await?;
    loop {
        let frame = peer.read().await?;
        match frame.kind {
            HEADERS => peer.write(HEADERS, END_HEADERS, frame.stream, &[0x88]).await?,
            RST_STREAM => resets.send(frame.stream).ok()?,
            _ => {}
        }
    }
}

/// A server that answers each request at its head, and opens no window; and the streams that are reset.
async fn hasty_server() -> (Server, UnboundedReceiver<u32>) {
    let (resets, streams) = mpsc::unbounded_channel();
    let server = Server::raw(move |_, stream| {
        let resets = resets.clone();
        async move {
            let Some(mut peer) = Peer::greet(stream, None).await else { return };
            while let Some(frame) = peer.read().await {
                match frame.kind {
                    HEADERS => drop(peer.answer(frame.stream).await),
                    RST_STREAM => drop(resets.send(frame.stream)),
                    _ => {}
                }
            }
        }
    });
    (server.await, streams)
}

#[tokio::test]
async fn uploads_that_were_answered_early_are_reset_and_hold_up_nobody() {
    let (server, mut resets) = hasty_server().await;
    let client = client(1, |b| b.protocol(Protocol::Http2));
    let url = server.url("/");
    for nth in 0..150 {
        // In one piece, in memory, and without an end.
        let answered = within_a_minute(async {
            match nth % 3 {
                0 => read(client.request(post(&url, vec![0; 1 << 20])).await?).await,
                1 => read(client.request(post(&url, vec![0; 60_000])).await?).await,
                _ => read(client.request(endless(&server, &Arc::default())).await?).await,
            }
        });
        assert!(answered.await.is_ok(), "upload {nth}");
    }
    for _ in 0..20 {
        assert!(within_a_minute(fetch(&client, &url)).await.is_ok());
        let post = client.request(post(&url, "a few words"));
        assert!(within_a_minute(post).await.is_ok());
    }
    // Of those that crossed the end of the window, everything is given to the system.
    let mut reset = 0;
    while reset < 140 {
        within_a_minute(resets.recv()).await.unwrap();
        reset += 1;
    }
    let status = settled(&client).await;
    assert_eq!((status.dials, status.leases, server.connections()), (1, 0, 1));
}

/// Sends back what comes, after the end of its own answer nothing.
#[tokio::test]
async fn an_upload_goes_on_while_its_answer_does() {
    let server = Server::start(HTTP2).await;
    let client = client(1, |b| b.protocol(Protocol::Http2));
    let (mut sender, body) = http_body_util::Channel::<Bytes, Infallible>::new(1);
    let request = Request::post(server.url("/echo")).body(body).unwrap();
    let mut body = within_a_minute(client.request(request)).await.unwrap().into_body();
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        sender.send_data(Bytes::from_static(b"ping")).await.unwrap();
        let frame = within_a_minute(body.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ping");
    }
    drop(sender);
    let rest = within_a_minute(body.collect()).await.unwrap();
    assert!(rest.to_bytes().is_empty());
}

#[tokio::test]
async fn an_upload_that_is_stalled_ends_with_its_exchange() {
    let (server, mut resets) = stalling_server().await;
    let client = client(1, |b| b.protocol(Protocol::Http2));
    let alive = Arc::new(());
    let long = client.request(endless(&server, &alive)).await.unwrap();
    let short = client.request(post(&server.url("/"), "a body")).await.unwrap();

    drop(short);
    assert_eq!(within_a_minute(resets.recv()).await, Some(3));
    assert_eq!(Arc::strong_count(&alive), 2);
    drop(long);
    assert_eq!(within_a_minute(resets.recv()).await, Some(1));
    until(|| Arc::strong_count(&alive) == 1).await;
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_upload_that_is_stalled_ends_when_the_time_is_over() {
    let (server, mut resets) = stalling_server().await;
    let client = client(1, |b| b.protocol(Protocol::Http2).timeout(Duration::from_millis(500)));
    let alive = Arc::new(());
    let mut body = client.request(endless(&server, &alive)).await.unwrap().into_body();
    let error = within_a_minute(body.frame()).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert_eq!(within_a_minute(resets.recv()).await, Some(1));
    until(|| Arc::strong_count(&alive) == 1).await;
    // The body was held until now.
    drop(body);
}
