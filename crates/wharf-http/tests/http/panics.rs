//! Request bodies that panic.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body, Frame};
use tokio::task::JoinSet;
use wharf_http::{Client, Protocol};

use crate::support::*;

/// A body of a length that nobody knows, which panics after this many frames: when it is polled, or when it is dropped.
struct Panics {
    frames: u32,
    when_dropped: bool,
}

impl Body for Panics {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.frames == 0 {
            assert!(self.when_dropped, "a body panics");
            return Poll::Ready(None);
        }
        self.frames -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"well")))))
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(!self.when_dropped || thread::panicking(), "the drop of a body panics");
    }
}

fn http2() -> Client {
    client(1, |builder| builder.protocol(Protocol::Http2))
}

fn panicking(url: &str, frames: u32, when_dropped: bool) -> Request<Panics> {
    Request::post(url).body(Panics { frames, when_dropped }).unwrap()
}

/// The server does not answer before the body has ended, which it never does.
async fn fails_with_its_body(client: &Client, url: &str, frames: u32) {
    let request = client.request(panicking(url, frames, false));
    let error = within_a_minute(request).await.unwrap_err();
    assert!(matches!(error, wharf_http::Error::Upload { .. }), "{}", chain(&error));
}

/// POSTs, so that none is sent again: it is the connection that has to last.
async fn leaves_the_others_alone(frames: u32, when_dropped: bool) {
    let server = Server::start(HTTP2).await;
    let client = http2();
    let mut others = JoinSet::new();
    for _ in 0..5 {
        others.spawn(client.request(post(&server.url("/wait"), "a body")));
    }
    until(|| server.waiting() == 5).await;
    if when_dropped {
        // It was sent: what it is told does not matter.
        let request = client.request(panicking(&server.url("/echo"), frames, true));
        drop(within_a_minute(request).await);
    } else {
        fails_with_its_body(&client, &server.url("/wait"), frames).await;
    }
    server.log.gate.add_permits(6);
    for other in within_a_minute(others.join_all()).await {
        assert!(other.is_ok(), "{}", chain(&other.unwrap_err()));
    }
}

#[tokio::test]
async fn a_body_that_panics_at_once_leaves_the_others_alone() {
    leaves_the_others_alone(0, false).await;
}

#[tokio::test]
async fn a_body_that_panics_later_fails_its_request_and_leaves_the_others_alone() {
    leaves_the_others_alone(1, false).await;
}

#[tokio::test]
async fn a_body_whose_drop_panics_leaves_the_others_alone() {
    for frames in [0, 1, 100] {
        leaves_the_others_alone(frames, true).await;
    }
}

/// They are begun in one turn of their connection's task.
#[tokio::test]
async fn a_request_that_is_begun_just_before_a_body_panics_is_answered() {
    let server = Server::start(HTTP2).await;
    let client = http2();
    fetch(&client, &server.url("/")).await.unwrap();
    settled(&client).await;
    let (good, bad) = (server.url("/a"), server.url("/wait"));
    let both = async { tokio::join!(fetch(&client, &good), fails_with_its_body(&client, &bad, 0)) };
    let (one, ()) = within_a_minute(both).await;
    assert!(one.is_ok(), "{}", chain(&one.unwrap_err()));
}
