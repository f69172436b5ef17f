//! Several servers behind one name, for connections that are shared: one goes away and comes back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use wharf::{SharedPool, Spread};
use wharf_http::{Client, Protocol};

use crate::support::*;

struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    /// Its end takes all its connections along.
    _running: JoinSet<()>,
}

impl Server {
    async fn start(at: &str) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (counted, mut running) = (requests.clone(), JoinSet::new());
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counted = counted.clone();
                let answer = service_fn(move |_| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    async {
                        sleep(SECOND / 100).await;
                        Ok::<_, Infallible>(Response::new(String::new()))
                    }
                });
                connections.spawn(async move {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        Server { address, requests, _running: running }
    }

    /// The requests since it was asked last.
    fn served(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }
}

fn forget(servers: &[Server]) {
    for server in servers {
        server.served();
    }
}

/// Six ask at once, ten times in a second. Returns how many failed.
async fn ask(client: &Client) -> usize {
    let mut failed = 0;
    for _ in 0..10 {
        let mut callers = JoinSet::new();
        for _ in 0..6 {
            let request = Request::get("http://shop/").body(String::new()).unwrap();
            let response = client.request(request);
            callers.spawn(async move { response.await?.into_body().collect().await });
        }
        let answers = within_a_minute(callers.join_all()).await;
        failed += answers.iter().filter(|answer| answer.is_err()).count();
        sleep(SECOND / 10).await;
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn a_server_that_comes_back_gets_its_share_within_a_minute() {
    let mut servers = Vec::new();
    for _ in 0..3 {
        servers.push(Server::start("127.0.0.1:0").await);
    }
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let pool = SharedPool::builder().min_idle_per_host(3).spread(Spread::LeastLoaded);
    let client = Client::builder().pool(pool).protocol(Protocol::Http2);
    let client = client.transport(Names::of("shop", &addresses).transport()).build().unwrap();
    for _ in 0..3 {
        assert_eq!(ask(&client).await, 0);
    }
    let shares: Vec<_> = servers.iter().map(Server::served).collect();
    assert!(shares.iter().all(|served| *served > 0), "{shares:?}");

    // One goes, and the others are asked.
    drop(servers.pop());
    for _ in 0..5 {
        ask(&client).await;
    }
    assert_eq!(ask(&client).await, 0);
    forget(&servers);

    servers.push(Server::start(&addresses[2].to_string()).await);
    let mut seconds = 0;
    while servers[2].served() == 0 {
        assert_eq!(ask(&client).await, 0);
        seconds += 1;
        assert!(seconds <= 60, "it is not asked any more");
    }
    forget(&servers);
    for _ in 0..10 {
        assert_eq!(ask(&client).await, 0);
    }
    let shares: Vec<_> = servers.iter().map(Server::served).collect();
    assert!(shares.iter().all(|served| *served >= 120), "{shares:?} of 600");
}
