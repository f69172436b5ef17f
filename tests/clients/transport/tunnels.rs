//! The clients through proxies, with servers behind them that only the proxies reach.

use std::net::SocketAddr;

use http_body_util::BodyExt;
use wharf::tcp::TcpTransport;
use wharf::{Connector, Pool, SharedPool};
use wharf_grpc::GrpcConnector;
use wharf_http::Client;
use wharf_proxy::ProxyTransport;
use wharf_websocket::{Message, WebSocketConnector};

use crate::in_memory::{chat, health, web};
use crate::proxies::{TestProxy, serve};
use crate::refusals::{acceptor, certificate, trusting};
use crate::support::within_a_minute;

fn through(scheme: &str, proxy: SocketAddr) -> ProxyTransport<TcpTransport> {
    let proxy: wharf_proxy::Proxy = format!("{scheme}://me:secret@{proxy}").parse().unwrap();
    ProxyTransport::new(TcpTransport::new(), proxy)
}

#[tokio::test]
async fn http_over_tls_is_spoken_with_the_destination() {
    let (own, key) = certificate("orders", |_| {});
    let acceptor = acceptor(&own, &key);
    let server = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move { web(acceptor.accept(stream).await.unwrap()) }
    });
    let proxy = TestProxy::http(server.await, []).await;
    let client = Client::builder().tls(trusting(&own)).transport(through("http", proxy.address));
    let client = client.build().unwrap();
    for _ in 0..3 {
        let request = http::Request::get("https://orders/").body(String::new()).unwrap();
        let response = within_a_minute(client.request(request)).await.unwrap();
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "HTTP/2.0 for orders");
    }
    let asked = proxy.asked();
    assert!(
        asked.len() == 1 && asked[0].starts_with("CONNECT orders:443 HTTP/1.1\r\n"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_channel_for_grpc_is_made_and_pinged() {
    let user = Some(("me", "secret"));
    let proxy = TestProxy::socks5(serve(|stream| async { health(stream) }).await, user, 0).await;
    let connector = GrpcConnector::builder().transport(through("socks5h", proxy.address));
    let connector = connector.build().unwrap();
    let pool = SharedPool::builder().build(connector.clone()).unwrap();
    let uri = http::Uri::from_static("http://orders.example:50051");
    let channel = within_a_minute(pool.acquire(&uri)).await.unwrap();
    within_a_minute(connector.ping(&mut channel.clone())).await.unwrap();
    assert_eq!(proxy.asked(), ["orders.example:50051"]);
}

#[tokio::test]
async fn a_web_socket_has_its_own_answers() {
    let proxy = TestProxy::http(serve(|stream| async { chat(stream) }).await, []).await;
    let connector = WebSocketConnector::builder().transport(through("http", proxy.address));
    let pool = Pool::builder().build(connector.build().unwrap()).unwrap();
    for word in ["one", "two"] {
        let mut socket = within_a_minute(pool.acquire("ws://chat.example/room")).await.unwrap();
        let answer = within_a_minute(socket.request(Message::text(word))).await.unwrap();
        assert_eq!(answer, Message::text(word));
    }
    let asked = proxy.asked();
    assert!(asked.len() == 1 && asked[0].starts_with("CONNECT chat.example:80 "), "{asked:?}");
}
