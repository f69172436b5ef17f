//! Bodies of every kind, both ways.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel, Full};
use hyper::body::{Body, Frame};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf_http::{Client, Protocol};

use crate::support::*;

/// A server of each version, and a client for it.
async fn both() -> [(Server, Client); 2] {
    let http2 = client(2, |builder| builder.protocol(Protocol::Http2));
    [(Server::start(HTTP1).await, plain(2)), (Server::start(HTTP2).await, http2)]
}

#[tokio::test]
async fn answers_of_told_and_untold_length() {
    for (server, client) in both().await {
        for (path, length) in [("/bytes/70000", Some(70_000)), ("/chunked/70000", None)] {
            let response = client.request(get(&server.url(path))).await.unwrap();
            assert_eq!(response.body().size_hint().exact(), length);
            assert!(!response.body().is_end_stream());
            assert_eq!(read(response).await.unwrap().body.len(), 70_000);
        }
        assert_eq!((server.connections(), settled(&client).await.idle), (1, 1));
    }
}

#[tokio::test]
async fn an_answer_that_lasts_until_the_connection_closes() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nall of it").await.unwrap();
    })
    .await;
    let client = plain(1);
    for connections in 1..=2 {
        assert_eq!(fetch(&client, &server.url("/")).await.unwrap().body, "all of it");
        assert_eq!((settled(&client).await.idle, server.connections()), (0, connections));
    }
}

#[tokio::test]
async fn answers_that_have_no_body() {
    for (server, client) in both().await {
        for (method, path, status) in [
            (Method::HEAD, "/bytes/5000", StatusCode::OK),
            (Method::GET, "/status/204", StatusCode::NO_CONTENT),
            (Method::GET, "/status/304", StatusCode::NOT_MODIFIED),
            (Method::DELETE, "/status/204", StatusCode::NO_CONTENT),
        ] {
            let mut request = get(&server.url(path));
            *request.method_mut() = method.clone();
            let response = client.request(request).await.unwrap();
            assert!(response.body().is_end_stream(), "{method} {path}");
            let fetched = read(response).await.unwrap();
            assert_eq!((fetched.status, fetched.body.len()), (status, 0));
        }
        assert_eq!((server.connections(), settled(&client).await.idle), (1, 1));
    }
}

#[tokio::test]
async fn interim_answers_are_passed_over() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = vec![0; 4096];
        loop {
            let mut head = 0;
            while !buffer[..head].windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer[head..]).await {
                    Ok(n @ 1..) => head += n,
                    _ => return,
                }
            }
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").await.unwrap();
            let body = b"0123456789";
            while !buffer[..head].ends_with(body) {
                head += stream.read(&mut buffer[head..]).await.unwrap();
            }
            let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 4\r\n\r\ndone";
            stream.write_all(answer).await.unwrap();
        }
    })
    .await;
    let client = plain(1);
    for _ in 0..3 {
        let mut request = post(&server.url("/"), "0123456789");
        request.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let fetched = read(client.request(request).await.unwrap()).await.unwrap();
        assert_eq!((fetched.status, &fetched.body[..]), (StatusCode::CREATED, &b"done"[..]));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn trailers_arrive() {
    for (server, client) in both().await {
        let mut request = get(&server.url("/trailers"));
        request.headers_mut().insert("te", "trailers".parse().unwrap());
        let response = client.request(request).await.unwrap();
        let collected = response.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers().unwrap()["x-sum"], "42");
        assert_eq!(collected.to_bytes(), "body");
        assert_eq!((settled(&client).await.idle, server.connections()), (1, 1));
    }
}

#[tokio::test]
async fn trailers_are_sent() {
    let server = Server::start(HTTP2).await;
    let client = client(1, |builder| builder.protocol(Protocol::Http2));
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "42".parse().unwrap());
    let body = Full::<Bytes>::from("body").with_trailers(async { Some(Ok(trailers)) });
    let request = Request::post(server.url("/echo")).body(body).unwrap();
    let collected = client.request(request).await.unwrap().into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "42");
    assert_eq!(collected.to_bytes(), "body");
}

#[tokio::test]
async fn a_large_upload_comes_back_whole() {
    for (server, client) in both().await {
        let data = (0..20_000_000_u32).map(|n| n.to_le_bytes()[1]).collect::<Bytes>();
        let response = client.request(post(&server.url("/echo"), data.clone())).await.unwrap();
        assert_eq!(read(response).await.unwrap().body, data);
        assert_eq!((settled(&client).await.idle, server.connections()), (1, 1));
    }
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_is_streamed() {
    for (server, client) in both().await {
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
        let request = Request::post(server.url("/echo")).body(body).unwrap();
        let pieces = tokio::spawn(async move {
            for n in 0..100 {
                let piece = format!("piece {n};");
                sender.send(Frame::data(piece.into())).await.unwrap();
            }
        });
        let body = read(client.request(request).await.unwrap()).await.unwrap().body;
        assert!(body.starts_with(b"piece 0;") && body.ends_with(b"piece 99;"));
        pieces.await.unwrap();
        assert_eq!((settled(&client).await.idle, server.connections()), (1, 1));
    }
}

#[tokio::test]
async fn a_body_that_fails_fails_the_request() {
    for (server, client) in both().await {
        let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
        let request = Request::post(server.url("/wait")).body(body).unwrap();
        sender.send(Frame::data(Bytes::from_static(b"well"))).await.unwrap();
        let answer = tokio::spawn(client.request(request));
        until(|| server.waiting() == 1).await;
        sender.abort(std::io::Error::other("the disk is gone"));
        let error = within_a_minute(answer).await.unwrap().unwrap_err();
        let wharf_http::Error::Upload { source, .. } = &error else { panic!("{}", chain(&error)) };
        // The body's own error, by which a proxy decides what it answers.
        let own: &std::io::Error = source.downcast_ref().unwrap();
        assert_eq!(own.to_string(), "the disk is gone");
        // The client is as before.
        assert_eq!(fetch(&client, &server.url("/a")).await.unwrap().body, "GET /a");
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_of_an_answer() {
    let server = Server::raw(|_, mut stream| async move {
        let mut buffer = [0; 4096];
        assert!(stream.read(&mut buffer).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345").await.unwrap();
    })
    .await;
    let client = plain(1);
    let response = client.request(get(&server.url("/"))).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "12345");
    let error = body.frame().await.unwrap().unwrap_err();
    assert!(error.to_string().contains(&server.address.to_string()), "{error}");
    assert!(chain(&error).contains("end of file"), "{}", chain(&error));
    drop(body);
    assert_eq!((settled(&client).await.idle, server.requests()), (0, 0));
}
