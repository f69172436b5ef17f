//! The clients in this process.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use wharf::SharedPool;
use wharf::http::{Client, Protocol};

use super::{Ends, LIMIT, PAUSE, TASKS, Target};

/// Sends a request, and reads its answer.
trait Asks: Clone + Send + Sync + 'static {
    fn ask(&self, request: Request<Empty<Bytes>>) -> impl Future<Output = bool> + Send;
}

/// The tasks of one client, which end with what comes back.
fn start(client: &impl Asks, target: &Target, ends: &Ends) -> JoinSet<()> {
    let tasks = (0..TASKS).map(|task| {
        let (client, ends) = (client.clone(), ends.clone());
        let url = format!("http://{}/", target.authority);
        async move {
            loop {
                let request = Request::get(&url).body(Empty::new()).expect("a request");
                let answer = tokio::time::timeout(LIMIT, client.ask(request)).await;
                ends.note(task, answer == Ok(true));
                tokio::time::sleep(PAUSE).await;
            }
        }
    });
    tasks.collect()
}

#[derive(Clone)]
pub(super) struct Wharf(Client);

impl Wharf {
    pub(super) fn start(target: &Target, ends: &Ends, cap: usize) -> JoinSet<()> {
        let protocol = if target.is_http2 { Protocol::Http2 } else { Protocol::Http1 };
        let pool = SharedPool::builder().max_per_host(cap);
        let client = Client::builder().pool(pool).protocol(protocol).build();
        start(&Wharf(client.expect("good settings")), target, ends)
    }
}

impl Asks for Wharf {
    async fn ask(&self, request: Request<Empty<Bytes>>) -> bool {
        let Ok(response) = self.0.request(request).await else { return false };
        response.into_body().collect().await.is_ok()
    }
}

#[derive(Clone)]
pub(super) struct HyperUtil(legacy::Client<HttpConnector, Empty<Bytes>>);

impl HyperUtil {
    pub(super) fn start(target: &Target, ends: &Ends) -> JoinSet<()> {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        let client = builder.http2_only(target.is_http2).build(HttpConnector::new());
        start(&HyperUtil(client), target, ends)
    }
}

impl Asks for HyperUtil {
    async fn ask(&self, request: Request<Empty<Bytes>>) -> bool {
        let Ok(response) = self.0.request(request).await else { return false };
        response.into_body().collect().await.is_ok()
    }
}
