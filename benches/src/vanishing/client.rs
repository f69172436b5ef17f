//! The clients in this process.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use wharf::SharedPool;
use wharf_http::Client;

use super::{Ends, LIMIT, PAUSE, Protocol, TASKS, Target};

/// Sends a request, and reads its answer.
pub(super) trait Asks: Clone + Send + Sync + 'static {
    fn ask(&self, url: &str) -> impl Future<Output = bool> + Send;
}

/// The tasks of one client, which end with what comes back.
pub(super) fn start(client: &impl Asks, target: &Target, ends: &Ends) -> JoinSet<()> {
    let tasks = (0..TASKS).map(|task| {
        let (client, ends) = (client.clone(), ends.clone());
        let url = format!("http://{}/", target.authority);
        async move {
            loop {
                let answer = tokio::time::timeout(LIMIT, client.ask(&url)).await;
                ends.note(task, answer == Ok(true));
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
    tasks.collect()
}

fn get(url: &str) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).expect("a request")
}

#[derive(Clone)]
pub(super) struct Wharf(Client);

impl Wharf {
    pub(super) fn start(target: &Target, ends: &Ends, cap: usize) -> JoinSet<()> {
        let is_http2 = target.protocol == Protocol::Http2;
        let protocol =
            if is_http2 { wharf_http::Protocol::Http2 } else { wharf_http::Protocol::Http1 };
        let pool = SharedPool::builder().max_per_host(cap);
        let client = Client::builder().pool(pool).protocol(protocol).build();
        start(&Wharf(client.expect("good settings")), target, ends)
    }
}

impl Asks for Wharf {
    async fn ask(&self, url: &str) -> bool {
        let Ok(response) = self.0.request(get(url)).await else { return false };
        response.into_body().collect().await.is_ok()
    }
}

#[derive(Clone)]
pub(super) struct HyperUtil(legacy::Client<HttpConnector, Empty<Bytes>>);

impl HyperUtil {
    pub(super) fn start(target: &Target, ends: &Ends) -> JoinSet<()> {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        let client =
            builder.http2_only(target.protocol == Protocol::Http2).build(HttpConnector::new());
        start(&HyperUtil(client), target, ends)
    }
}

impl Asks for HyperUtil {
    async fn ask(&self, url: &str) -> bool {
        let Ok(response) = self.0.request(get(url)).await else { return false };
        response.into_body().collect().await.is_ok()
    }
}
