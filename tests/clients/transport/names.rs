//! Names, what is said when they lead nowhere, and who learns of the address.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use wharf::tcp::TcpHostConnector;
use wharf::{Connector, DialDone, Observer, SharedPool};

use crate::support::*;

#[tokio::test]
async fn an_error_names_the_host_and_every_address_that_was_tried() {
    let ((_one, one), (_two, two)) = (refusing(), refusing());
    let pool = pool(Names::of("orders", &[one, two]).options(), |b| b);
    let error = chain(&pool.acquire("orders:80").await.unwrap_err());
    assert!(
        error.contains(&format!("\"orders:80\" could not be reached at {one}, {two}")),
        "{error}"
    );
    let system = std::net::TcpStream::connect(two).unwrap_err();
    assert!(error.contains(&system.to_string()), "{error}");
}

#[tokio::test]
async fn every_client_asks_the_resolver_and_names_the_host_and_the_address() {
    let (_held, address) = refusing();
    let tcp = || Names::of("orders", &[address]).transport();
    let expected = format!("\"orders:80\" could not be reached at {address}");

    let http = wharf_http::Client::builder().transport(tcp()).build().unwrap();
    let request = hyper::Request::get("http://orders/").body(String::new()).unwrap();
    let error = chain(&http.request(request).await.map(drop).unwrap_err());
    assert!(error.contains(&expected), "{error}");

    let options = wharf_grpc::GrpcConnector::builder().transport(tcp());
    let grpc = options.build().unwrap();
    let error = chain(&grpc.connect(&"http://orders".parse().unwrap()).await.unwrap_err());
    assert!(error.contains(&expected), "{error}");

    let options = wharf_websocket::WebSocketConnector::builder().transport(tcp());
    let websocket = options.build().unwrap();
    let error = chain(&websocket.connect(&"ws://orders".to_owned()).await.unwrap_err());
    assert!(error.contains(&expected), "{error}");
}

#[tokio::test]
async fn a_name_that_the_resolver_does_not_know_is_an_error_with_its_own_as_the_cause() {
    let pool = pool(Names::of("nothing", &[]).options(), |b| b);
    let error = chain(&pool.acquire("orders:80").await.unwrap_err());
    let says = "\"orders:80\" could not be resolved: the test has no such name";
    assert!(error.contains(says), "{error}");
    let error = chain(&pool.acquire("nothing:80").await.unwrap_err());
    assert!(error.contains("\"nothing:80\" has no address"), "{error}");
}

#[tokio::test]
async fn an_address_as_the_key_needs_no_resolver() {
    let (_listener, address) = server().await;
    let pool = pool(Names::default().options(), |b| b);
    assert_eq!(pool.acquire(&*address.to_string()).await.unwrap().peer_addr().unwrap(), address);
}

#[tokio::test]
async fn an_ipv6_address_is_dialed_and_ipv4_beside_it_when_it_refuses() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        return eprintln!("this machine has no IPv6");
    };
    let address = listener.local_addr().unwrap();
    let pool = pool(TcpHostConnector::builder(), |b| b);
    assert_eq!(pool.acquire(&*address.to_string()).await.unwrap().peer_addr().unwrap(), address);

    drop(listener);
    let (_listener, v4) = server().await;
    let pool = crate::support::pool(Names::of("orders", &[address, v4]).options(), |b| b);
    assert_eq!(pool.acquire("orders:80").await.unwrap().peer_addr().unwrap(), v4);
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Option<SocketAddr>>>>);

impl Observer for Seen {
    fn dial_done(&self, event: &DialDone<'_>) {
        self.0.lock().unwrap().push(event.peer_addr);
    }
}

#[tokio::test]
async fn the_observer_and_the_connection_tell_where_it_leads() {
    let (_listener, address) = server().await;
    let seen = Seen::default();
    let names = Names::of("orders", &[address]);
    let plain = pool(names.options(), |b| b.observer(seen.clone()));
    drop(plain.acquire("orders:80").await.unwrap());

    let http = wharf_http::Client::builder()
        .transport(names.transport())
        .pool(SharedPool::builder().observer(seen.clone()))
        .build()
        .unwrap();
    let key = "http://orders".parse().unwrap();
    let lease = http.pool().acquire(&key).await.unwrap();
    assert_eq!(lease.peer_addr(), Some(address));

    assert_eq!(*seen.0.lock().unwrap(), [Some(address), Some(address)]);
}

#[tokio::test]
async fn a_refused_url_is_shown_without_its_secrets() {
    for url in
        ["ws://me:secret@orders/", "ftp://me:secret@orders/?token=secret", "me:secret@orders:80"]
    {
        let http = url.replace("ws://", "http://");
        let request = http.parse::<wharf_http::Origin>().unwrap_err();
        let websocket = wharf_websocket::WebSocketConnector::new();
        let websocket = websocket.connect(&url.to_owned()).await.unwrap_err();
        let grpc = wharf_grpc::GrpcConnector::new();
        let grpc = grpc.connect(&http.parse().unwrap()).await.unwrap_err();
        for text in [
            format!("{request:?} {}", chain(&request)),
            format!("{websocket:?} {}", chain(&websocket)),
            format!("{grpc:?} {}", chain(&grpc)),
        ] {
            assert!(!text.contains("secret"), "{text}");
        }
        assert!(chain(&websocket).contains("orders") && chain(&grpc).contains("orders"));
    }
}
