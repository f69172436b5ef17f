//! Responses with large heads.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::sync::Barrier;
use wharf_http::{Client, Error, Protocol};

use crate::support::*;

/// A head with this many fields of this size each. `/wait` is answered at the end.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let (fields, size) = path[1..].split_once('/').unwrap();
    let mut response = Response::new(Full::from("body"));
    for nth in 0..fields.parse::<usize>().unwrap() {
        let name = format!("x-{nth}").parse::<http::HeaderName>().unwrap();
        let value = "v".repeat(size.parse().unwrap()).parse().unwrap();
        response.headers_mut().insert(name, value);
    }
    Ok(response)
}

async fn server() -> Server {
    Server::raw(|_, stream| async move {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().max_buf_size(32 << 20);
        let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
    })
    .await
}

const BOTH: [Protocol; 2] = [Protocol::Http1, Protocol::Http2];

fn client_of(protocol: Protocol) -> Client {
    client(1, |b| b.protocol(protocol))
}

#[tokio::test]
async fn a_head_of_nearly_256_kib_is_received() {
    let server = server().await;
    for protocol in BOTH {
        let client = client_of(protocol);
        for path in ["/15/16000", "/120/2000", "/200/10"] {
            let response = within_a_minute(client.request(get(&server.url(path)))).await.unwrap();
            let fields = path[1..].split_once('/').unwrap().0.parse::<usize>().unwrap();
            let found = response.headers().keys().filter(|name| name.as_str().starts_with("x-"));
            assert_eq!(found.count(), fields, "{path} {protocol:?}");
            assert_eq!(read(response).await.unwrap().body, "body");
        }
        assert_eq!(client.pool().status().dials, 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn a_larger_head_is_an_error_that_names_the_limit() {
    let server = server().await;
    for protocol in BOTH {
        let client = client_of(protocol);
        for path in ["/17/16000", "/60/16000", "/3000/200"] {
            let failed = within_a_minute(client.request(get(&server.url(path)))).await;
            let error = failed.map(drop).unwrap_err();
            assert!(matches!(error, Error::HeadTooLarge { .. }), "{path} {protocol:?} {error:?}");
            assert!(error.to_string().contains("262144 bytes (max_response_head)"), "{error}");
        }
        let small = client.request(get(&server.url("/1/1")));
        assert!(within_a_minute(small).await.is_ok());
    }
}

#[tokio::test]
async fn more_headers_than_http1_may_have_are_an_error_that_names_the_limit() {
    let server = server().await;
    let client = client(1, |b| b.http1_max_headers(50));
    let error = within_a_minute(client.request(get(&server.url("/60/1")))).await.unwrap_err();
    assert!(error.to_string().contains("more than 50 headers (http1_max_headers)"), "{error}");
    assert!(within_a_minute(client.request(get(&server.url("/40/1")))).await.is_ok());
}

#[tokio::test]
async fn a_head_that_is_too_large_harms_no_other_request_on_its_connection() {
    let barrier = std::sync::Arc::new(Barrier::new(21));
    let of_server = barrier.clone();
    let server = Server::raw(move |_, stream| {
        let barrier = of_server.clone();
        async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let barrier = barrier.clone();
                async move {
                    // All are under way at once.
                    barrier.wait().await;
                    let response = answer(request).await;
                    // The large one is first.
                    if response.as_ref().is_ok_and(|response| response.headers().len() < 2) {
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                    response
                }
            });
            let server = auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let client = client_of(Protocol::Http2);
    let large = tokio::spawn(client.request(get(&server.url("/60/16000"))));
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (client, url) = (client.clone(), server.url("/0/1"));
        others.spawn(async move { fetch(&client, &url).await });
    }
    let error = within_a_minute(large).await.unwrap().map(drop).unwrap_err();
    assert!(matches!(error, Error::HeadTooLarge { .. }), "{error:?}");
    for fetched in within_a_minute(others.join_all()).await {
        assert_eq!(fetched.unwrap().body, "body");
    }
    assert_eq!(client.pool().status().dials, 1);
}

#[test]
fn a_limit_that_cannot_be_set_is_told_with_its_name() {
    let refused = Client::builder().max_response_head(1000).build().unwrap_err();
    let says = "max_response_head is 1000: it must be from 8192 to 16777216 bytes";
    assert_eq!(refused.to_string(), says);
    let refused = Client::builder().http1_max_headers(0).build().unwrap_err();
    assert_eq!(refused.to_string(), "http1_max_headers is 0: it must be from 1 to 10000");
}
