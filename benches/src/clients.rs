//! What the pool's HTTP and gRPC clients cost, beside the clients that others use.
//!
//! The server runs on threads of its own, and each contestant in a runtime of its own. Processor time
//! and wake-ups are those of the contestant's threads.

mod grpc;
mod http;
mod server;
mod threads;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::contestants::Kind;
use crate::form::Form;
use crate::measure::{Rounds, median};
use crate::table::{Better, Part, Row};
use server::{LARGE, SMALL};
use threads::Spent;

/// A client that asks one server.
trait Asks: Send + Sync + 'static {
    /// Sends one request and reads its answer.
    fn ask(&self) -> impl Future<Output = ()> + Send;
}

/// What several tasks do at once.
struct Scene {
    name: String,
    tasks: usize,
    wharf: Box<dyn Drives>,
    peer: (&'static str, Box<dyn Drives>),
}

/// A client with its runtime.
trait Drives {
    /// Asks for this long. What each task was served, how long it took, and what it cost.
    fn burst(&self, tasks: usize, time: Duration) -> Burst;
    /// Asks this often, on this thread.
    fn alone(&self, tasks: usize, requests: u64);
}

struct Burst {
    served: Vec<u64>,
    took: Duration,
    spent: Spent,
}

impl Burst {
    fn requests(&self) -> f64 {
        self.served.iter().sum::<u64>() as f64
    }

    fn fault(&self, name: &str) -> Option<String> {
        let starved = self.served.iter().filter(|served| **served == 0).count();
        (starved > 0).then(|| format!("{name}: {starved} tasks were served nothing"))
    }
}

/// Measures it: a part for each protocol, size of answer and number of tasks.
///
/// # Panics
///
/// When a request fails.
pub fn run(form: Form) -> Vec<Part> {
    scenes(form).iter().map(|scene| measure(scene, form)).collect()
}

/// Lets one contestant of one scene send requests from the calling thread alone, to be watched by
/// `perf` or `valgrind`. The answer is false when there is no such scene.
///
/// # Panics
///
/// When a request fails.
pub fn alone(scene: &str, of_peer: bool, requests: u64) -> bool {
    let scenes = scenes(Form::Long);
    let Some(scene) = scenes.iter().find(|known| known.name == scene) else {
        for known in &scenes {
            eprintln!("there is: {}", known.name);
        }
        return false;
    };
    let contestant = if of_peer { &scene.peer.1 } else { &scene.wharf };
    contestant.alone(scene.tasks, requests);
    true
}

fn scenes(form: Form) -> Vec<Scene> {
    let address = server::http();
    let mut scenes = Vec::new();
    let sizes = form.either(&[SMALL][..], &[SMALL, LARGE][..]);
    for answer in sizes {
        scenes.extend([1, 8].map(|tasks| http::one(address, *answer, tasks)));
        scenes.extend([8, 64].map(|tasks| http::two(address, *answer, tasks)));
    }
    scenes.push(grpc::scene(server::grpc(), 1000));
    scenes
}

fn measure(scene: &Scene, form: Form) -> Part {
    let (rounds, time) = (form.either(11, 21), Duration::from_millis(200));
    let mut part = Part::new(
        format!("clients: {}", scene.name),
        "one request and its answer, over the loopback; processor time and voluntary context switches \
         of the client's threads",
        vec!["cpu us", "per second", "switches"],
    );
    let contestants =
        [("wharf", Kind::Wharf, &scene.wharf), (scene.peer.0, Kind::Peer, &scene.peer.1)];
    // The connections are made, and everything is in the caches.
    for (.., client) in &contestants {
        client.burst(scene.tasks, time);
    }
    let mut others = [const { (Vec::new(), Vec::new()) }; 2];
    let rounds = Rounds::alternate(&scene.name, contestants.len(), rounds, |nth| {
        let (name, _, client) = contestants[nth];
        let burst = client.burst(scene.tasks, time);
        part.add_fault(burst.fault(name));
        others[nth].0.push(burst.requests() / burst.took.as_secs_f64());
        others[nth].1.push(burst.spent.switches as f64 / burst.requests());
        burst.spent.processor.as_secs_f64() * 1e6 / burst.requests()
    });
    for (nth, ((name, kind, _), (rates, switches))) in contestants.iter().zip(others).enumerate() {
        let figures = vec![rounds.median(nth), median(rates), median(switches)];
        part.rows.push(Row::new(*name, *kind, figures));
    }
    part.compare(&rounds, Better::Less);
    part
}

/// A client, and the threads that it runs on.
struct Driver<A> {
    client: Arc<A>,
    threads: String,
    runtime: Runtime,
}

impl<A: Asks> Driver<A> {
    fn boxed(client: A, workers: usize) -> Box<dyn Drives> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let threads = format!("client-{}.", COUNT.fetch_add(1, Relaxed));
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let builder = builder.worker_threads(workers).thread_name(&threads).enable_all();
        let runtime = builder.build().expect("a runtime");
        Box::new(Driver { client: Arc::new(client), threads, runtime })
    }
}

impl<A: Asks> Drives for Driver<A> {
    fn burst(&self, tasks: usize, time: Duration) -> Burst {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut asking = JoinSet::new();
        let (before, began) = (threads::spent(&self.threads), Instant::now());
        for _ in 0..tasks {
            let (client, is_over) = (self.client.clone(), is_over.clone());
            let ask_until = async move {
                let mut served = 0;
                while !is_over.load(Relaxed) {
                    client.ask().await;
                    served += 1;
                }
                served
            };
            asking.spawn_on(ask_until, self.runtime.handle());
        }
        thread::sleep(time);
        is_over.store(true, Relaxed);
        let served = self.runtime.block_on(asking.join_all());
        let took = began.elapsed();
        Burst { served, took, spent: threads::spent(&self.threads) - before }
    }

    fn alone(&self, tasks: usize, requests: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut asking = JoinSet::new();
            for _ in 0..tasks {
                let (client, share) = (self.client.clone(), requests / tasks as u64);
                asking.spawn(async move {
                    for _ in 0..share {
                        client.ask().await;
                    }
                });
            }
            asking.join_all().await;
        });
    }
}
