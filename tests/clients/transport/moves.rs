//! An address that is down, next to one that works, and responses that last.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Channel, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::time::{advance, pause, resume};
use wharf::{SharedPool, Spread};
use wharf_http::{Client, Protocol};

use crate::support::*;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

/// `/hold` has a body without an end, everything else has none.
async fn answer(request: Request<Incoming>) -> Result<Answer, Infallible> {
    if request.uri().path() != "/hold" {
        return Ok(Response::new(Empty::new().boxed_unsync()));
    }
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    tokio::spawn(async move {
        let _ = sender.send_data(Bytes::from_static(b"event")).await;
        pending::<()>().await;
        drop(sender);
    });
    Ok(Response::new(body.boxed_unsync()))
}

#[tokio::test]
async fn connections_that_make_room_for_an_address_that_is_down_do_not_add_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let works = listener.local_addr().unwrap();
    let open = Arc::new(());
    let is_open = open.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let is_open = is_open.clone();
            tokio::spawn(async move {
                let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
                drop(is_open);
            });
        }
    });
    let (_held, down) = refusing();
    let pool = SharedPool::builder().max_per_host(2).min_idle_per_host(2);
    let client = Client::builder().pool(pool.spread(Spread::LeastLoaded));
    let client = client.protocol(Protocol::Http2);
    let client = client.transport(Names::of("shop", &[works, down]).transport()).build().unwrap();
    let mut held = Vec::new();
    let mut most = 0;
    for second in 0..600 {
        let path = if second % 10 == 0 { "/hold" } else { "/" };
        let request = Request::get(format!("http://shop{path}")).body(String::new()).unwrap();
        let mut body = within_a_minute(client.request(request)).await.unwrap().into_body();
        if path == "/hold" {
            body.frame().await.unwrap().unwrap();
            held.push(body);
        }
        most = most.max(Arc::strong_count(&open) - 2);
        pause();
        advance(SECOND).await;
        resume();
    }
    assert!(most <= 3, "two, and one that made room: {most}");
}
