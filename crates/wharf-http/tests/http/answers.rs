//! Odd answers, and what they do to their connection. (After the tests of Go's transport.)

use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time;

use crate::support::*;

/// Answers each request without a body with these bytes, as often as it is asked.
async fn saying(bytes: impl Into<Vec<u8>>) -> Server {
    let bytes = bytes.into();
    Server::raw(move |_, mut stream| {
        let bytes = bytes.clone();
        async move {
            let mut buffer = [0; 4096];
            while let Ok(1..) = stream.read(&mut buffer).await {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn answers_that_break_the_rules_are_errors_and_end_their_connection() {
    let endless = format!("HTTP/1.1 200 OK\r\nx-long: {}", "x".repeat(2_000_000));
    for says in [
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/3.7 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay0\r\n\r\n",
        &endless,
    ] {
        let server = saying(says).await;
        let client = plain(1);
        let answer = within_a_minute(fetch(&client, &server.url("/"))).await;
        let shown = &says[..says.len().min(80)];
        assert!(answer.is_err(), "{shown:?}: {answer:?}");
        assert_eq!(settled(&client).await.idle, 0, "{shown:?}");
        until(|| server.log.open.load(Ordering::SeqCst) == 0).await;
    }
}

#[tokio::test]
async fn answers_without_a_body_that_say_they_have_one_leave_the_connection_usable() {
    for (method, says) in [
        (Method::GET, "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    ] {
        let server = saying(says).await;
        let client = plain(1);
        for _ in 0..3 {
            let mut request = get(&server.url("/"));
            *request.method_mut() = method.clone();
            let answer = read(client.request(request).await.unwrap()).await.unwrap();
            assert_eq!(answer.body, "", "{says}");
        }
        assert_eq!((server.connections(), settled(&client).await.idle), (1, 1), "{says}");
    }
}

#[tokio::test]
async fn a_response_not_chunked_last_ends_with_the_connection() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nall of it";
        stream.write_all(answer).await.unwrap();
    })
    .await;
    let client = plain(1);
    for connections in 1..=2 {
        assert_eq!(fetch(&client, &server.url("/")).await.unwrap().body, "all of it");
        assert_eq!((settled(&client).await.idle, server.connections()), (0, connections));
    }
}

/// What nobody asked for must not be the next borrower's answer: in one piece with the answer before,
/// or a moment later, when the connection is idle.
#[tokio::test]
async fn an_answer_that_nobody_asked_for_reaches_nobody() {
    const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const MORE: [&[u8]; 3] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong",
        b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwrong",
        b"\0\0garbage",
    ];
    for more in MORE {
        for pause in [None, Some(Duration::from_millis(20))] {
            let server = Server::raw(move |_, mut stream| async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let mut answer = OK.to_vec();
                    if let Some(pause) = pause {
                        stream.write_all(&answer).await.unwrap();
                        time::sleep(pause).await;
                        answer.clear();
                    }
                    answer.extend(more);
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            })
            .await;
            let client = plain(1);
            for connections in 1..=3 {
                let answer = fetch(&client, &server.url("/")).await;
                assert_eq!(answer.map_err(|error| chain(&error)).unwrap().body, "ok");
                assert_eq!(server.connections(), connections);
                until(|| server.log.open.load(Ordering::SeqCst) == 0).await;
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_answers_a_large_upload_unread_is_heard() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        let answer = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
        stream.write_all(answer).await.unwrap();
        // The answer is read before the reset of what is unread arrives.
        time::sleep(Duration::from_millis(100)).await;
    })
    .await;
    let client = plain(1);
    for connections in 1..=3 {
        let request = post(&server.url("/"), vec![b'x'; 20_000_000]);
        let response = client.request(request).await;
        let response = response.map_err(|error| chain(&error)).unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(read(response).await.unwrap().body, "no");
        assert_eq!((settled(&client).await.idle, server.connections()), (0, connections));
    }
}

#[tokio::test]
async fn an_upgrade_may_come_after_a_hint() {
    let server = saying(
        "HTTP/1.1 103 Early Hints\r\n\r\n\
         HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello",
    )
    .await;
    let client = plain(1);
    let response = client.request(get(&server.url("/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = hyper_util::rt::TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
}
