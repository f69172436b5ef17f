//! Servers that end their connections all the time: nothing that may be sent again fails, and nothing else reaches a
//! server twice. The benchmark `churn` does the same at full size, compared with other clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::{Method, Request};
use tokio::task::JoinSet;
use wharf_http::{Client, Protocol};

use crate::fickle::{Fickle, FickleServer, KINDS};
use crate::support::*;

const REQUESTS: usize = 240;
const TASKS: usize = 8;

fn protocol(kind: Fickle) -> Protocol {
    if kind == Fickle::GoesAway { Protocol::Http2 } else { Protocol::Http1 }
}

/// Sends this many requests, each with a path of its own, and gives the errors.
async fn ask(client: &Client, server: &FickleServer, method: &Method) -> Vec<String> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (client, next) = (client.clone(), next.clone());
        let (address, method) = (server.address, method.clone());
        tasks.spawn(async move {
            let mut errors = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= REQUESTS {
                    return errors;
                }
                let mut request = post(&format!("http://{address}/{number}"), "a body");
                *request.method_mut() = method.clone();
                errors.extend(answered(&client, request).await.err());
            }
        });
    }
    within_a_minute(tasks.join_all()).await.into_iter().flatten().collect()
}

async fn answered<B>(client: &Client, request: Request<B>) -> Result<(), String>
where
    B: hyper::body::Body<Data = bytes::Bytes, Error: std::error::Error + Send + Sync>
        + Send
        + 'static,
{
    let response = client.request(request).await.map_err(|error| chain(&error))?;
    let fetched = read(response).await.map_err(|error| chain(&error))?;
    assert_eq!(fetched.body, "ok");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_fails_on_none_of_them() {
    for kind in KINDS {
        let server = FickleServer::start(kind).await;
        let client = client(TASKS, |builder| builder.protocol(protocol(kind)));
        let errors = ask(&client, &server, &Method::GET).await;
        assert!(errors.is_empty(), "{kind:?}: {} errors, such as {}", errors.len(), errors[0]);
        assert_eq!(server.seen.different(), REQUESTS, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_never_run_twice() {
    for kind in KINDS {
        let server = FickleServer::start(kind).await;
        let client = client(TASKS, |builder| builder.protocol(protocol(kind)));
        let errors = ask(&client, &server, &Method::POST).await;
        assert_eq!(server.seen.more_than_once(), 0, "{kind:?}");
        assert!(server.seen.different() >= REQUESTS - errors.len(), "{kind:?}");
        // What the servers said, or did while nothing was written, fails none.
        if matches!(kind, Fickle::Said | Fickle::GoesAway) {
            assert!(errors.is_empty(), "{kind:?}: {} errors, such as {}", errors.len(), errors[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_share_the_streams_that_there_are() {
    for max in [1, 10, 100] {
        for method in [Method::GET, Method::POST] {
            let server = FickleServer::with_streams(max).await;
            let client = client(4, |builder| builder.protocol(Protocol::Http2));
            let mut tasks = JoinSet::new();
            for number in 0..1_000 {
                let mut request = post(&format!("http://{}/{number}", server.address), "a body");
                *request.method_mut() = method.clone();
                let client = client.clone();
                tasks.spawn(async move { answered(&client, request).await });
            }
            for answer in within_a_minute(tasks.join_all()).await {
                assert_eq!(answer, Ok(()), "{max} streams");
            }
            assert_eq!((server.seen.different(), server.seen.more_than_once()), (1_000, 0));
        }
    }
}
