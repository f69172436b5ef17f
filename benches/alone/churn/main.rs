//! What servers that end their connections all the time cost the requests of several clients: errors, and POSTs that
//! reached the server twice, of 3,000 requests each by 8 tasks. Everything is on the loopback interface, in this process;
//! Go's client is one of its own.
//!
//! Run: `cargo bench -p wharf-benches-alone --features churn --bench churn`. Go's client takes part where `go` is
//! installed. It speaks HTTP/2 over TLS only, and is left out of those lines. `-- --only streams` runs the last part alone.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use wharf::SharedPool;
use wharf_http::{Client, Protocol};

use fickle::{Fickle, FickleServer, KINDS};

#[path = "../../../crates/wharf-http/tests/http/fickle.rs"]
mod fickle;

const REQUESTS: usize = 3_000;
const TASKS: usize = 8;
/// Connections to the host, for clients that have a cap.
const CAP: usize = 8;
/// Longer than 3,000 requests take where all of them are answered.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone)]
#[allow(clippy::large_enum_variant)] // There are four of them.
enum Contestant {
    Wharf(Client),
    HyperUtil(legacy::Client<HttpConnector, Full<Bytes>>),
    Reqwest(reqwest::Client),
    Go(Arc<std::path::PathBuf>),
}

impl Contestant {
    fn wharf(http2: bool) -> Self {
        let pool = SharedPool::builder().max_per_host(CAP);
        let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
        let client = Client::builder().pool(pool).protocol(protocol).build();
        Contestant::Wharf(client.expect("good settings"))
    }

    fn hyper_util(http2: bool) -> Self {
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        Contestant::HyperUtil(builder.http2_only(http2).build(HttpConnector::new()))
    }

    fn reqwest(http2: bool) -> Self {
        let builder = reqwest::Client::builder().no_proxy();
        let builder = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() };
        Contestant::Reqwest(builder.build().expect("good settings"))
    }

    /// Sends one request and reads its answer. Says whether that went well.
    async fn ask(&self, method: &Method, url: String) -> bool {
        let body = if *method == Method::POST { "a body" } else { "" };
        let request = || {
            let builder = Request::builder().method(method.clone()).uri(&url);
            builder.body(Full::new(Bytes::from_static(body.as_bytes()))).expect("a request")
        };
        match self {
            Contestant::Wharf(client) => match client.request(request()).await {
                Ok(response) => response.into_body().collect().await.is_ok(),
                Err(_) => false,
            },
            Contestant::HyperUtil(client) => match client.request(request()).await {
                Ok(response) => response.into_body().collect().await.is_ok(),
                Err(_) => false,
            },
            Contestant::Reqwest(client) => {
                match client.request(method.clone(), &url).body(body).send().await {
                    Ok(response) => response.bytes().await.is_ok(),
                    Err(_) => false,
                }
            }
            Contestant::Go(_) => unreachable!("it is asked for all at once"),
        }
    }

    /// Errors of requests that several tasks send, each with a path of its own.
    async fn errors(
        &self,
        server: &FickleServer,
        method: &Method,
        requests: usize,
        tasks: usize,
    ) -> usize {
        if let Contestant::Go(program) = self {
            return go(program, server, method, requests, tasks).await;
        }
        let next = Arc::new(AtomicUsize::new(0));
        let mut running = JoinSet::new();
        for _ in 0..tasks {
            let (contestant, next) = (self.clone(), next.clone());
            let (address, method) = (server.address, method.clone());
            running.spawn(async move {
                let mut errors = 0;
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= requests {
                        return errors;
                    }
                    let url = format!("http://{address}/{number}");
                    errors += usize::from(!contestant.ask(&method, url).await);
                }
            });
        }
        running.join_all().await.into_iter().sum()
    }
}

async fn go(
    program: &std::path::Path,
    server: &FickleServer,
    method: &Method,
    requests: usize,
    tasks: usize,
) -> usize {
    let mut command = Command::new(program);
    command.arg(server.address.to_string()).arg(method.as_str());
    command.args([requests, tasks].map(|n| n.to_string()));
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("it ends").expect("it runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of errors")
}

/// Go's client, if there is a compiler for it.
fn compiled_go() -> Option<Arc<std::path::PathBuf>> {
    let program = std::env::temp_dir().join(format!("churn-client-{}", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/churn/client.go");
    let mut command = Command::new("go");
    command.arg("build").arg("-o").arg(&program).arg(source).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success()).then(|| Arc::new(program))
}

/// Who takes no part leaves the last columns.
async fn line(name: &str, contestants: &[(&str, Contestant)], scene: Scene, columns: usize) {
    print!("| {name} | {} |", scene.method);
    for (_, contestant) in contestants {
        let server = scene.server().await;
        let errors = contestant.errors(&server, &scene.method, scene.requests, scene.tasks);
        let cell = match tokio::time::timeout(LIMIT, errors).await {
            Err(_) => {
                let arrived = server.seen.different();
                format!("NOT DONE in {} s: {arrived} arrived", LIMIT.as_secs())
            }
            // One that was answered has reached the server.
            Ok(errors) if server.seen.different() + errors < scene.requests => {
                panic!("{name}: answers to what never came")
            }
            // A GET may be sent again: that keeps errors away.
            Ok(errors) if scene.method == Method::GET => errors.to_string(),
            Ok(errors) => format!("{errors}, {} twice", server.seen.more_than_once()),
        };
        print!(" {cell} |");
        // Who reads along sees who takes long.
        let _ = std::io::stdout().flush();
    }
    for _ in contestants.len()..columns {
        print!(" absent |");
    }
    println!();
}

struct Scene {
    kind: Kind,
    method: Method,
    requests: usize,
    tasks: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Ends(Fickle),
    Streams(u32),
}

impl Scene {
    async fn server(&self) -> FickleServer {
        match self.kind {
            Kind::Ends(fickle) => FickleServer::start(fickle).await,
            Kind::Streams(max) => FickleServer::with_streams(max).await,
        }
    }
}

fn main() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(table());
}

async fn table() {
    let go = compiled_go();
    if go.is_none() {
        println!("go is not installed: its client is missing below\n");
    }
    let only = std::env::args().skip_while(|argument| argument != "--only").nth(1);
    println!(
        "errors of {REQUESTS} requests by {TASKS} tasks (or as many as the line says); of POSTs also how many reached the server twice\n"
    );
    println!(
        "| the server | | wharf | hyper-util | reqwest |{}",
        if go.is_some() { " Go |" } else { "" }
    );
    println!("| --- | --- | --- | --- | --- |{}", if go.is_some() { " --- |" } else { "" });
    let columns = if go.is_some() { 4 } else { 3 };
    let kinds = KINDS.into_iter().filter(|_| only.as_deref() != Some("streams"));
    for kind in kinds {
        let http2 = kind == Fickle::GoesAway;
        for method in [Method::GET, Method::POST] {
            let mut contestants = contestants(http2);
            contestants.extend(go.clone().filter(|_| !http2).map(|go| ("Go", Contestant::Go(go))));
            let scene = Scene { kind: Kind::Ends(kind), method, requests: REQUESTS, tasks: TASKS };
            line(said(kind), &contestants, scene, columns).await;
        }
    }
    for max in [1, 10, 100] {
        for method in [Method::GET, Method::POST] {
            let scene =
                Scene { kind: Kind::Streams(max), method, requests: REQUESTS, tasks: 1_000 };
            let name = format!("HTTP/2, {max} streams at once, 1,000 callers");
            line(&name, &contestants(true), scene, columns).await;
        }
    }
    if let Some(program) = go {
        let _ = std::fs::remove_file(&*program);
    }
}

fn contestants(http2: bool) -> Vec<(&'static str, Contestant)> {
    vec![
        ("wharf", Contestant::wharf(http2)),
        ("hyper-util", Contestant::hyper_util(http2)),
        ("reqwest", Contestant::reqwest(http2)),
    ]
}

fn said(kind: Fickle) -> &'static str {
    match kind {
        Fickle::Idle => "closes idle connections at random times",
        Fickle::Unsaid => "closes after each answer, without saying so",
        Fickle::Fifth => "closes after the fifth answer, without saying so",
        Fickle::Said => "closes after each answer, and says so",
        Fickle::Resets => "resets idle connections at random times",
        Fickle::Half => "ends its half after each answer",
        Fickle::GoesAway => "HTTP/2: says GOAWAY all the time",
    }
}
