//! HTTP: credentials in the URI, in headers, and the client's key.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::header::{AUTHORIZATION, COOKIE, HOST};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wharf::SharedPool;
use wharf_http::{Client, Origin, Protocol};

use crate::told::Told;
use crate::{SECRET, refusing, server, tls_with_a_key};

async fn ask(told: &mut Told, client: &Client, request: Request<Empty<Bytes>>) {
    match client.request(request).await {
        Err(error) => told.error(&error),
        Ok(response) => {
            told.debug(response.body());
            let body = response.into_body().collect().await;
            told.error(&body.expect_err("it breaks off"));
        }
    }
}

fn client(told: &Told, protocol: Protocol) -> Client {
    let pool = told.talkative(SharedPool::builder());
    Client::builder().pool(pool).protocol(protocol).build().unwrap()
}

#[tokio::test]
async fn uris_that_are_refused() {
    for uri in [
        format!("http://app:{SECRET}@shop.example/"),
        format!("ftp://app:{SECRET}@shop.example/"),
        format!("ftp://shop.example/?token={SECRET}"),
        format!("/shop.example?token={SECRET}"),
        format!("http://app:a/{SECRET}@shop.example"),
        format!("http://app:{SECRET}/a@shop.example"),
        format!("http://unix:/run/shop.example.sock:a?token={SECRET}"),
        format!("http://unix:/run/shop.example.sock?token={SECRET}:{SECRET}"),
    ] {
        let mut told = Told::listen();
        tracing::info!(target: "wharf", "the test, shop.example");
        // A Unix socket is an origin, also where nothing can be asked of it so.
        if let Err(error) = uri.parse::<Origin>() {
            told.error(&error);
        }
        if let Ok(request) = Request::get(&uri).body(Empty::new()) {
            let client = client(&told, Protocol::Http1);
            ask(&mut told, &client, request).await;
        }
        told.holds_no_secret("shop.example", &[]);
    }
    let mut told = Told::listen();
    tracing::info!(target: "wharf", "the test");
    told.error(&format!("http://app:{SECRET}@shop.example/ ").parse::<Origin>().unwrap_err());
    told.holds_no_secret("shop.example", &[]);
}

#[tokio::test]
async fn requests_that_fail_at_each_step() {
    let (_held, refused) = refusing();
    let ends =
        server(|mut stream| async move { stream.read(&mut [0; 4096]).await.map(drop) }).await;
    let breaks_off = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 4096]).await?;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await
    })
    .await;
    let is_silent = server(|_stream| std::future::pending()).await;
    for address in [refused, ends, breaks_off, is_silent] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let mut told = Told::listen();
            let client = client(&told, protocol);
            let request = |host: &str| {
                Request::get(format!("http://{address}/a?token={SECRET}"))
                    .header(AUTHORIZATION, format!("Bearer {SECRET}"))
                    .header(COOKIE, format!("session={SECRET}"))
                    .header(HOST, host)
                    .body(Empty::new())
                    .unwrap()
            };
            let limit = std::time::Duration::from_millis(500);
            let asked = ask(&mut told, &client, request("shop.example"));
            let _ = tokio::time::timeout(limit, asked).await;
            // No host at all.
            ask(&mut told, &client, request(&format!("app:{SECRET}@ shop"))).await;
            told.debug(&client);
            told.debug(&client.pool().loans());
            told.debug(&client.pool().close().await);
            told.holds_no_secret(&address.to_string(), &[]);
        }
    }
}

#[tokio::test]
async fn the_key_of_the_clients_certificate() {
    let (config, key) = tls_with_a_key();
    let mut told = Told::listen();
    let talks_no_tls = server(|mut stream| async move { stream.write_all(b"what?").await }).await;
    let pool = told.talkative(SharedPool::builder());
    let builder = Client::builder().pool(pool).tls(config);
    told.debug(&builder);
    let client = builder.build().unwrap();
    let request = Request::get(format!("https://{talks_no_tls}/")).body(Empty::new()).unwrap();
    ask(&mut told, &client, request).await;
    told.holds_no_secret(&talks_no_tls.to_string(), &key);
}
