//! Requests through proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Version;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use wharf::AcquireError;
use wharf_http::proxy::{Proxies, Proxy};
use wharf_http::{Client, Error, Protocol};

use crate::support::*;
use crate::tunnels::{TestProxy, read_head, serve};

fn proxy(address: SocketAddr) -> Proxy {
    format!("http://me:secret@{address}").parse().unwrap()
}

fn through(proxies: impl Into<Proxies>) -> Client {
    client(2, |builder| builder.proxies(proxies))
}

async fn text(client: &Client, url: &str) -> String {
    String::from_utf8(fetch(client, url).await.unwrap().body.to_vec()).unwrap()
}

/// A proxy that answers each request with this status and the head that it got, and counts its
/// connections.
async fn forwarding(status: &'static str) -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    let address = serve(move |mut stream| {
        count.fetch_add(1, Ordering::Relaxed);
        async move {
            loop {
                let head = read_head(&mut stream).await;
                let length = head.len();
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{head}");
                if head.is_empty() || stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    });
    (address.await, connections)
}

#[tokio::test]
async fn an_http_proxy_gets_plain_requests_in_absolute_form() {
    let (address, connections) = forwarding("200 OK").await;
    let client = through(proxy(address));
    for (url, line) in [
        ("http://shop.invalid/a?b=1", "GET http://shop.invalid/a?b=1 HTTP/1.1"),
        ("http://shop.invalid:80", "GET http://shop.invalid/ HTTP/1.1"),
    ] {
        let head = text(&client, url).await;
        assert!(head.starts_with(line), "{head}");
        assert!(head.contains("\r\nhost: shop.invalid\r\n"), "{head}");
        assert_eq!(
            head.matches("proxy-authorization: Basic bWU6c2VjcmV0\r\n").count(),
            1,
            "{head}"
        );
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    let other = text(&client, "http://other.invalid:8080/").await;
    assert!(other.starts_with("GET http://other.invalid:8080/ HTTP/1.1"), "{other}");
    assert_eq!(client.pool().status().hosts, 2);
}

#[tokio::test]
async fn a_host_header_does_not_lead_a_forwarded_request_elsewhere() {
    let (address, _) = forwarding("200 OK").await;
    let mut request = get("http://shop.invalid/a");
    request.headers_mut().insert("host", "front.invalid".parse().unwrap());
    request.headers_mut().insert("proxy-authorization", "Basic own".parse().unwrap());
    let fetched = read(through(proxy(address)).request(request).await.unwrap()).await.unwrap();
    let head = String::from_utf8(fetched.body.to_vec()).unwrap();
    assert!(head.starts_with("GET http://shop.invalid/a HTTP/1.1"), "{head}");
    assert!(head.contains("\r\nhost: front.invalid\r\n"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: Basic own\r\n"), "{head}");
    assert!(!head.contains("bWU6c2VjcmV0"), "{head}");
}

#[tokio::test]
async fn the_answer_of_a_proxy_that_forwards_is_a_response() {
    let (address, _) = forwarding("407 Proxy Authentication Required").await;
    let response = through(proxy(address)).request(get("http://shop.invalid/")).await.unwrap();
    assert_eq!(response.status(), 407);
}

#[tokio::test]
async fn encrypted_requests_go_through_a_tunnel_in_either_version() {
    for (alpn, version) in [(&b"h2"[..], Version::HTTP_2), (b"http/1.1", Version::HTTP_11)] {
        let (server, config) = certificate(&[alpn]);
        let server = Server::start(Kind { tls: Some(server), ..HTTP1 }).await;
        let tunnels = TestProxy::http(server.address, []).await;
        let proxy = proxy(tunnels.address);
        let client = client(2, |builder| builder.tls(config).proxies(proxy));
        for _ in 0..3 {
            let fetched = fetch(&client, &server.url("/a")).await.unwrap();
            assert_eq!((fetched.version, &*fetched.body), (version, &b"GET /a"[..]));
        }
        let url = server.url("");
        let to = url.trim_start_matches("https://");
        let head = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n");
        let asked = tunnels.asked();
        assert!(asked.len() == 1 && asked[0].starts_with(&head), "{asked:?}");
        assert!(asked[0].contains("proxy-authorization: Basic bWU6c2VjcmV0"), "{asked:?}");
    }
}

#[tokio::test]
async fn http_2_without_tls_goes_through_a_tunnel() {
    let server = Server::start(HTTP2).await;
    let tunnels = TestProxy::http(server.address, []).await;
    let proxy = proxy(tunnels.address);
    let client = client(2, |builder| builder.protocol(Protocol::Http2).proxies(proxy));
    let fetched = fetch(&client, "http://shop.invalid/a").await.unwrap();
    assert_eq!((fetched.version, &*fetched.body), (Version::HTTP_2, &b"GET /a"[..]));
    assert!(tunnels.asked()[0].starts_with("CONNECT shop.invalid:80 "));
}

#[tokio::test]
async fn a_socks_proxy_passes_on_requests_as_the_server_wants_them() {
    let (server, _) = forwarding("200 OK").await;
    let tunnels = TestProxy::socks5(server, None, 0).await;
    let proxy: Proxy = format!("socks5h://{}", tunnels.address).parse().unwrap();
    let head = text(&through(proxy), "http://shop.invalid/a").await;
    assert!(head.starts_with("GET /a HTTP/1.1") && !head.contains("authorization"), "{head}");
    assert_eq!(tunnels.asked(), ["shop.invalid:80"]);
}

#[tokio::test]
async fn a_connection_is_used_for_requests_through_the_same_proxy_only() {
    let (one, through_one) = forwarding("200 OK").await;
    let (two, through_two) = forwarding("200 OK").await;
    let server = Server::start(HTTP1).await;
    let turn = AtomicUsize::new(0);
    let client = through(Proxies::by(move |to| {
        assert_eq!(to.scheme, Some("http"));
        [None, Some(proxy(one)), Some(proxy(two))][turn.fetch_add(1, Ordering::Relaxed) % 3].clone()
    }));
    let url = server.url("/a");
    let mut heads = Vec::new();
    for _ in 0..9 {
        heads.push(text(&client, &url).await);
    }
    assert_eq!(heads.iter().filter(|head| *head == "GET /a").count(), 3);
    let dialed = [&through_one, &through_two].map(|count| count.load(Ordering::Relaxed));
    assert_eq!((server.connections(), dialed), (1, [1, 1]));
    let mut hosts: Vec<_> = client.pool().hosts().iter().map(|(key, _)| key.to_string()).collect();
    hosts.sort();
    let direct = format!("http://{}", server.address);
    let mut expected = vec![
        format!("{direct} through http://***@{one}"),
        format!("{direct} through http://***@{two}"),
    ];
    expected.push(direct);
    expected.sort();
    assert_eq!(hosts, expected);
}

#[tokio::test]
async fn the_origin_of_a_client_is_the_key_of_its_pool() {
    let (address, _) = forwarding("200 OK").await;
    let client = through(proxy(address));
    let url = "http://shop.invalid/a";
    fetch(&client, url).await.unwrap();
    let origin = client.origin(&url.parse().unwrap()).unwrap();
    assert_eq!(origin.proxy(), Some(&proxy(address)));
    assert_eq!(client.pool().host(&origin).status().idle, 1);
}

#[tokio::test]
async fn a_tunnel_that_is_refused_is_told_without_the_password() {
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n";
    let tunnels = TestProxy::http("127.0.0.1:9".parse().unwrap(), [refusal]).await;
    let (_, config) = certificate(&[]);
    let proxy = proxy(tunnels.address);
    let client = client(2, |builder| builder.tls(config).proxies(proxy));
    let error = fetch(&client, "https://shop.invalid/").await.unwrap_err();
    let said = format!("{} {error:?}", chain(&error));
    assert!(matches!(error, Error::Acquire { source: AcquireError::Connect(_), .. }), "{said}");
    for part in ["shop.invalid:443", &tunnels.address.to_string(), "407"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("secret") && !said.contains("bWU6"), "{said}");
}

#[tokio::test]
async fn a_proxy_that_is_down_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(&through(proxy(address)), "http://shop.invalid/").await.unwrap_err();
    let said = error.to_string();
    let named = format!("http://shop.invalid:80 through http://***@{address}");
    assert!(said.contains(&named) && !said.contains("secret"), "{said}");
}
