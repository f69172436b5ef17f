//! A peer that vanishes without a word: a proxy that goes on, and forwards nothing any more on the connections that are
//! open. New ones work.
//!
//! Each client serves a number of tasks that ask one request after the other, each limited by its caller. What is printed
//! is counted from the freeze on: the requests that failed, when the first answer came and when the last request failed,
//! the answers of all, and how many connections were dialed. A task without an answer is told.

mod client;
mod go;
mod grpc;
mod server;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::form::Form;
use crate::machine;
use crate::proxy::Proxy;
use client::{HyperUtil, Wharf};
use grpc::{Tonic, WharfGrpc};
use server::Server;

const TASKS: usize = 64;
/// What each request may take.
const LIMIT: Duration = Duration::from_millis(500);
/// Between the requests of a task.
const PAUSE: Duration = Duration::from_millis(10);
/// Before the freeze.
const HEALTHY: Duration = Duration::from_millis(500);

/// How one request ended.
struct End {
    task: usize,
    at: Instant,
    is_answer: bool,
}

/// What the tasks of one client have come to.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<End>>>);

impl Ends {
    fn note(&self, task: usize, is_answer: bool) {
        self.0.lock().push(End { task, at: Instant::now(), is_answer });
    }
}

/// Prints it.
///
/// # Panics
///
/// When no request is answered before the freeze.
pub fn run(form: Form) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(all(form.either(4, 20)));
}

async fn all(seconds: u64) {
    println!("{}", machine::describe(machine::load()));
    println!(
        "{TASKS} tasks, {LIMIT:?} for a request, {PAUSE:?} between two of a task; {seconds} s from the freeze on. \
         Client, proxy and server share the cores."
    );
    for (version, protocol) in [("HTTP/2", Protocol::Http2), ("HTTP/1.1", Protocol::Http1)] {
        println!("\n{version}");
        for cap in [10, 1, TASKS] {
            // Where each task has a connection, all are frozen at once.
            if (protocol == Protocol::Http2) == (cap < TASKS) {
                let name = format!("wharf, up to {cap} connections");
                show(&name, seconds, protocol, |to, ends| Wharf::start(to, ends, cap)).await;
            }
        }
        show("hyper-util, legacy client", seconds, protocol, HyperUtil::start).await;
        match go::build().await {
            Ok(go) => {
                show("Go, over TLS", seconds, protocol, |to, ends| go.start(to, ends)).await;
            }
            Err(why) => println!("  Go is ABSENT from this comparison: {why}"),
        }
    }
    calls(seconds).await;
}

async fn calls(seconds: u64) {
    println!("\ngRPC, unary calls");
    for cap in [10, 1] {
        let name = format!("wharf, up to {cap} connections");
        show(&name, seconds, Protocol::Grpc, |to, ends| WharfGrpc::start(to, ends, cap)).await;
    }
    show("tonic, one channel", seconds, Protocol::Grpc, Tonic::start).await;
    println!("  grpc-go is ABSENT from this comparison: it is not in Go's standard library");
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
    Grpc,
}

/// Where a client is to send its requests.
struct Target {
    authority: String,
    protocol: Protocol,
}

/// What `start` returns is a client at work, until it is dropped.
async fn show<C>(
    name: &str,
    seconds: u64,
    protocol: Protocol,
    start: impl FnOnce(&Target, &Ends) -> C,
) {
    let server = Server::start(protocol).await;
    let proxy = Proxy::start(server.address).await;
    let ends = Ends::default();
    let target = Target { authority: proxy.address().to_string(), protocol };
    let at_work = start(&target, &ends);
    while ends.0.lock().iter().filter(|end| end.is_answer).count() < TASKS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(HEALTHY).await;
    ends.0.lock().clear();
    let (began, dialed) = (Instant::now(), proxy.accepted());
    let frozen = proxy.freeze();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let after = ends.0.lock().split_off(0);
    drop(at_work);
    let dialed = proxy.accepted() - dialed;
    println!("  {name:<28} {} {frozen} frozen, {dialed} dialed", told(&after, began));
}

/// What was seen after the freeze.
fn told(ends: &[End], freeze: Instant) -> String {
    // An answer that was on its way at that moment is none of a new connection.
    let settled = freeze + Duration::from_millis(50);
    let answers: Vec<_> = ends.iter().filter(|end| end.is_answer && end.at > settled).collect();
    let failed: Vec<_> = ends.iter().filter(|end| !end.is_answer).collect();
    let since = |end: Option<&&End>| {
        end.map_or("never".to_owned(), |end| {
            format!("{} ms", end.at.duration_since(freeze).as_millis())
        })
    };
    let starved = (0..TASKS).filter(|task| !answers.iter().any(|end| end.task == *task)).count();
    let starved =
        if starved > 0 { format!(", {starved} TASKS WITHOUT AN ANSWER") } else { String::new() };
    format!(
        "{:>4} failed, first answer after {:>7}, last failure after {:>7}, {:>6} answers{starved};",
        failed.len(),
        since(answers.first()),
        since(failed.last()),
        answers.len(),
    )
}
